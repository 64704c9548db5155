// Rolekeep's npm package beside other engines: node measure.mjs WORKLOAD OUT [--quick].
//
// The workload is the one that the Rust measurement drew, and the answers of every engine are compared with its
// reference before the engine is timed. What is timed has strings in and a boolean out, and it is the processor's time
// that counts, so that what else the machine does does not.
import { readFileSync, writeFileSync } from "node:fs";

import { createMongoAbility } from "@casl/ability";
import { AccessControl } from "accesscontrol";
import * as cedar from "@cedar-policy/cedar-wasm/nodejs";
import { newCachedEnforcer, newEnforcer, newModelFromString, StringAdapter } from "casbin";

const [file, out] = process.argv.slice(2);
const isQuick = process.argv.includes("--quick");
const [rounds, roundMs, compareMs] = isQuick ? [3, 50, 1000] : [9, 100, 4000];
/** At least so many answers are compared, however slow an engine is. */
const COMPARED = 5;

/** Milliseconds of the processor's time that this process had so far. */
function spent() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

const read = () => JSON.parse(readFileSync(file, "utf8"));

/** Of each role, itself and all its juniors. */
function closures({ roles }) {
  const below = (role) => [role, ...roles[role].inherits.flatMap(below)];
  return Object.fromEntries(Object.keys(roles).map((role) => [role, [...new Set(below(role))]]));
}

/** What one writes by hand: of each user, the sets of its roles, closures flattened. */
function sets(workload) {
  const flat = closures(workload);
  const grants = new Map(
    Object.keys(workload.roles).map((role) => [role, new Set(flat[role].flatMap((one) => workload.roles[one].grants))]),
  );
  const users = new Map(Object.entries(workload.users).map(([user, held]) => [user, held.map((role) => grants.get(role))]));
  return (user, permission) => {
    for (const held of users.get(user)) if (held.has(permission)) return true;
    return false;
  };
}

async function rolekeepStore(workload) {
  const { open } = await import(process.env.ROLEKEEP ?? "../../bindings-wasm/dist/index.node.js");
  const um = await open({ policyJson: workload.policy });
  const ids = new Map();
  for (const [user, roles] of Object.entries(workload.users)) {
    const created = await um.system.users.create({ email: `${user}@example.org`, roles });
    ids.set(user, created.id);
  }
  return { um, ids };
}

/** `um.checkCached(user, permission)`: any user, by its id. */
async function rolekeepCheck(workload) {
  const { um, ids } = await rolekeepStore(workload);
  const first = Object.values(workload.roles)[0].grants[0];
  for (const user of new Set(workload.queries.map((query) => query.user))) {
    // Reads the user's rights into memory.
    await um.check(ids.get(user), first);
  }
  // The store gives ids of its own; which user is asked about is settled before.
  for (const query of workload.queries) query.user = ids.get(query.user);
  return (user, permission) => um.checkCached(user, permission);
}

/** `caller.can(permission)` of a caller at hand: what a request handler does. */
async function rolekeepCan(workload) {
  const { um, ids } = await rolekeepStore(workload);
  const callers = new Map();
  for (const query of workload.queries) {
    if (!callers.has(query.user)) callers.set(query.user, await um.actingAs(ids.get(query.user)));
    query.user = callers.get(query.user);
  }
  return (caller, permission) => caller.can(permission);
}

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj == p.obj && r.act == p.act && g(r.sub, p.sub)
`;

async function casbinEnforcer(workload, make) {
  const lines = [];
  for (const [name, role] of Object.entries(workload.roles)) {
    for (const grant of role.grants) lines.push(`p, ${name}, ${grant.replace(":", ", ")}`);
    for (const junior of role.inherits) lines.push(`g, ${name}, ${junior}`);
  }
  for (const [user, held] of Object.entries(workload.users)) for (const role of held) lines.push(`g, ${user}, ${role}`);
  return make(newModelFromString(MODEL), new StringAdapter(lines.join("\n")));
}

/** Its enforcer, synchronous. */
async function casbin(workload) {
  const enforcer = await casbinEnforcer(workload, newEnforcer);
  return (user, permission) => enforcer.enforceSync(user, ...permission.split(":"));
}

/** Its cached enforcer, with every decision in the cache; asynchronous by its nature. */
async function casbinCached(workload) {
  const enforcer = await casbinEnforcer(workload, newCachedEnforcer);
  return Object.assign((user, permission) => enforcer.enforce(user, ...permission.split(":")), { isAsync: true });
}

/** An ability for each user who is asked about, closures flattened by the host. */
async function casl(workload) {
  const flat = closures(workload);
  const abilities = new Map();
  for (const { user } of workload.queries) {
    if (abilities.has(user)) continue;
    const roles = new Set(workload.users[user].flatMap((role) => flat[role]));
    const rules = [...roles].flatMap((role) => workload.roles[role].grants).map((grant) => {
      const [subject, action] = grant.split(":");
      return { action, subject };
    });
    abilities.set(user, createMongoAbility(rules));
  }
  return (user, permission) => {
    const [subject, action] = permission.split(":");
    return abilities.get(user).can(action, subject);
  };
}

/** Its own hierarchy; which roles a user holds is the host's. */
async function accesscontrol(workload) {
  const control = new AccessControl();
  for (const [name, role] of Object.entries(workload.roles)) {
    const access = control.grant(name);
    for (const grant of role.grants) {
      const [resource, action] = grant.split(":");
      access.action(`${action}:any`, resource);
    }
  }
  for (const [name, role] of Object.entries(workload.roles)) if (role.inherits.length) control.extendRole(name, role.inherits);
  const users = new Map(Object.entries(workload.users));
  return (user, permission) => {
    const [resource, action] = permission.split(":");
    // It throws where a resource is granted to nobody.
    return control.tryCan(users.get(user)).do(`${action}:any`, resource).granted;
  };
}

/** One policy, parsed before; each call is given the entities that it needs: the user, its roles, the permission. */
async function cedarWasm(workload) {
  const policies = "permit(principal, action, resource) when { principal in resource.roles };";
  const answer = cedar.preparsePolicySet("rbac", { staticPolicies: policies });
  if (answer.type !== "success") throw new Error(JSON.stringify(answer));
  const flat = closures(workload);
  const granted = new Map();
  for (const [name, role] of Object.entries(workload.roles)) {
    for (const grant of role.grants) granted.set(grant, [...(granted.get(grant) ?? []), { __entity: { type: "Role", id: name } }]);
  }
  const uids = (roles) => roles.map((id) => ({ type: "Role", id }));
  const roleEntities = new Map(
    Object.entries(workload.roles).map(([id, role]) => [id, { uid: { type: "Role", id }, attrs: {}, parents: uids(role.inherits) }]),
  );
  const action = { type: "Action", id: "use" };
  return (user, permission) => {
    const [principal, resource] = [{ type: "User", id: user }, { type: "Thing", id: permission }];
    const held = workload.users[user];
    const roles = [...new Set(held.flatMap((role) => flat[role]))].map((role) => roleEntities.get(role));
    const entities = [
      { uid: principal, attrs: {}, parents: uids(held) },
      { uid: resource, attrs: { roles: granted.get(permission) ?? [] }, parents: [] },
      ...roles,
    ];
    const call = { principal, action, resource, context: {}, preparsedPolicySetId: "rbac", entities };
    const answer = cedar.statefulIsAuthorized(call);
    if (answer.type !== "success") throw new Error(JSON.stringify(answer));
    return answer.response.decision === "allow";
  };
}

const ENGINES = {
  "node-sets": [sets],
  "node-rolekeep-check": [rolekeepCheck, "rolekeep"],
  "node-rolekeep-can": [rolekeepCan, "rolekeep"],
  "node-casl": [casl, "@casl/ability"],
  "node-accesscontrol": [accesscontrol, "accesscontrol"],
  "node-cedar": [cedarWasm, "@cedar-policy/cedar-wasm"],
  "node-casbin-cached": [casbinCached, "casbin"],
  "node-casbin": [casbin, "casbin"],
};

function versionOf(name) {
  const path = name === "rolekeep" ? "../../bindings-wasm/package.json" : `./node_modules/${name}/package.json`;
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
}

class Contender {
  at = 0;
  asks = [];

  static async load(name) {
    const [engine, library] = ENGINES[name];
    const workload = read();
    const started = spent();
    const it = new Contender();
    it.check = await engine(workload);
    const load_s = (spent() - started) / 1e3;
    it.row = { engine: name, size: "M", variant: "plain", load_s, version: library ? versionOf(library) : null, rounds_ns: [] };
    const comparing = spent();
    for (const { user, permission, answer } of workload.queries) {
      const given = it.check.isAsync ? await it.check(user, permission) : it.check(user, permission);
      if (given !== answer) throw new Error(`${name} answers ${given}: ${permission} for ${user}`);
      it.asks.push([user, permission]);
      if (it.asks.length >= COMPARED && spent() - comparing > compareMs) break;
    }
    it.row.compared = it.asks.length;
    // So many at a time as take about a hundredth of a second.
    const each = (spent() - comparing) / it.asks.length;
    it.block = Math.max(1, Math.min(it.asks.length, Math.floor(10 / each)));
    return it;
  }

  async round() {
    let [took, checks] = [0, 0];
    while (took < roundMs) {
      const asks = this.asks.slice(this.at, this.at + this.block);
      took += this.check.isAsync ? await timedAsync(this.check, asks) : this.timed(asks);
      checks += asks.length;
      this.at = (this.at + this.block) % this.asks.length;
    }
    this.row.rounds_ns.push((took / checks) * 1e6);
  }

  timed(asks) {
    const started = spent();
    this.allowed = (this.allowed ?? 0) + this.loop(this.check, asks);
    return spent() - started;
  }

  // A loop of each engine's own: shared code would forbid the compiler to inline any of them.
  loop = new Function(
    "check",
    "asks",
    "let allowed = 0; for (const [user, permission] of asks) if (check(user, permission)) allowed++; return allowed;",
  );
}

async function timedAsync(check, asks) {
  const started = spent();
  for (const [user, permission] of asks) await check(user, permission);
  return spent() - started;
}

const contenders = [];
for (const name of Object.keys(ENGINES)) {
  contenders.push(await Contender.load(name));
  console.error(name, JSON.stringify(contenders.at(-1).row));
}
for (let round = 0; round < rounds; round++) for (const contender of contenders) await contender.round();
writeFileSync(out, JSON.stringify({ rows: contenders.map(({ row }) => row) }, null, 2));
for (const { row } of contenders) {
  const ns = [...row.rounds_ns].sort((a, b) => a - b)[Math.floor(rounds / 2)];
  console.error(row.engine.padEnd(24), Math.round(ns), "ns,", row.compared, "compared");
}
process.exit(0);
