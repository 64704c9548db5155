// The engines of Node and of a page: each is compared with the reference, then all are timed in turns; the least of the
// rounds counts.

/** A Map: of each user, the grants of its roles. */
function byHand({ roles, users }) {
  const grants = new Map(Object.entries(roles).map(([role, all]) => [role, new Map(Object.entries(all))]));
  const known = new Map(Object.entries(users).map(([user, held]) => [user, { user, held: held.map((role) => grants.get(role)) }]));
  return {
    name: "by hand: Maps",
    who: (user) => known.get(user),
    plain: (who) => who.held.length > 0,
    can: ({ user, held }, action, document) => document.owner === user && held.some((all) => all.get(action) === document.status),
  };
}

/** `compile` is that of `rolekeep/rules`. */
async function rolekeep({ policy, users, actions }, { compile }) {
  const rules = await compile({ policyToml: policy });
  const known = new Map(Object.entries(users).map(([id, roles]) => [id, rules.principal({ id, roles })]));
  const names = new Map(actions.map((action) => [action, `document:${action}`]));
  return {
    name: "**Rolekeep**",
    who: (user) => known.get(user),
    plain: (who) => who.can("document:list"),
    can: (who, action, document) => who.can(names.get(action), document),
    many: (who, all, document) => who.canMany(all.map((action) => [names.get(action), document])),
  };
}

/** An ability for each user; what a document is, CASL is told once. */
function casl({ roles, users }, { createMongoAbility, subject }) {
  const ability = ([user, held]) => {
    const own = held.flatMap((role) => Object.entries(roles[role]).map(([action, status]) => ({ action, subject: "document", conditions: { owner: user, status } })));
    return [user, createMongoAbility([{ action: "list", subject: "document" }, ...own])];
  };
  const known = new Map(Object.entries(users).map(ability));
  return {
    name: "CASL",
    who: (user) => known.get(user),
    what: (document) => subject("document", { ...document }),
    plain: (who) => who.can("list", "document"),
    can: (who, action, document) => who.can(action, document),
  };
}

async function casbin({ roles, users }, { newEnforcer, newModelFromString, StringAdapter }) {
  const held = Object.entries(users).flatMap(([user, all]) => all.map((role) => `g, ${user}, ${role}`));
  const enforcer = (request, policy, matcher, lines) => {
    const model = `[request_definition]\nr = ${request}\n[policy_definition]\np = ${policy}\n[role_definition]\ng = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = ${matcher}\n`;
    return newEnforcer(newModelFromString(model), new StringAdapter([...lines, ...held].join("\n")));
  };
  const grants = Object.entries(roles).flatMap(([role, all]) => Object.entries(all).map(([action, status]) => `p, ${role}, ${action}, ${status}`));
  const own = "g(r.sub, p.sub) && r.act == p.act && r.obj.owner == r.sub && r.obj.status == p.status";
  const on = await enforcer("sub, obj, act", "sub, act, status", own, grants);
  const atAll = await enforcer("sub, act", "sub, act", "g(r.sub, p.sub) && r.act == p.act", Object.keys(roles).map((role) => `p, ${role}, list`));
  return {
    name: "node-casbin",
    who: (user) => user,
    plain: (who) => atAll.enforceSync(who, "list"),
    can: (who, action, document) => on.enforceSync(who, document, action),
  };
}

// Loops of each engine's own: shared code would forbid the compiler to inline any of them.
const plain = "for (const [who] of asked) engine.plain(who); return asked.length;";
const resource = "for (const [who, action, document] of asked) engine.can(who, action, document); return asked.length;";
const loop = "for (const [who, , document] of asked) actions.map((action) => engine.can(who, action, document)); return asked.length;";
const many = "for (const [who, , document] of asked) engine.many(who, actions, document); return asked.length;";

/** Nanoseconds of each engine's runs, by `spent`, which says milliseconds. */
export async function measure(workload, libraries, spent, { rounds, milliseconds }) {
  const runs = {};
  const { actions, questions, documents } = workload;
  const makers = [byHand, rolekeep, casl, ...(libraries.newEnforcer ? [casbin] : [])];
  for (const make of makers) {
    const engine = await make(workload, libraries);
    const about = documents.map((document) => (engine.what ? engine.what(document) : document));
    const asked = questions.map(([user, action, at]) => [engine.who(user), action, about[at]]);
    asked.forEach(([who, action, document], at) => {
      if (engine.can(who, action, document) !== questions[at][3]) throw new Error(`${engine.name}: ${questions[at]}`);
      if (at < 100 && !engine.plain(who)) throw new Error(`${engine.name}: list`);
      if (!engine.many) return;
      const [together, alone] = [engine.many(who, actions, document), actions.map((one) => engine.can(who, one, document))];
      if (String(together) !== String(alone)) throw new Error(`${engine.name}: ${together}, not ${alone}`);
    });
    const run = (text, count) => new Function("engine", "asked", "actions", text).bind(undefined, engine, asked.slice(0, count), actions);
    runs[`${engine.name}|plain`] = run(plain, 200);
    runs[`${engine.name}|resource`] = run(resource, 200);
    runs[`${engine.name}|loop`] = run(loop, 20);
    if (engine.many) runs[`${engine.name}|many`] = run(many, 20);
  }
  const ns = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(runs)) {
      let [took, count] = [0, 0];
      for (const started = spent(); took < milliseconds; took = spent() - started) count += run();
      ns[name] = Math.min(ns[name] ?? Number.POSITIVE_INFINITY, (took / count) * 1e6);
    }
  }
  return ns;
}
