/** Rules without accounts, as a page and Node ask them alike. */

const POLICY = `
[types.user]
attributes = { id = "string", level = "int?" }
[types.document]
attributes = { owner = "string", tenant = "string?" }
[permissions]
"note:read" = "Read a note"
"document:edit" = "Change a document"
[context]
on_site = "bool"
[scopes.tenant]
attribute = "tenant"
[roles.author]
allow = [{ permission = "document:edit", when = "resource.owner == principal.id" }]
[roles.visitor]
allow = [{ permission = "note:read", when = "context.on_site == true" }]
`;

const DEMANDING = `
[types.user]
attributes = { id = "string", ward = "int" }
[types.ward]
attributes = { number = "int" }
[permissions]
"ward:enter" = "Enter a ward"
[roles.nurse]
allow = [{ permission = "ward:enter", when = "resource.number == principal.ward" }]
`;

/** What each question of the file is answered, and what the file says. */
export async function decisions(compile, policyToml, { principals, questions }) {
  const rules = await compile({ policyToml, libraryTypes: true });
  await rules.preload();
  const moment = (text) => text && new Date(text);
  const role = (held) => (typeof held === "string" ? held : { role: held.role, scope: held.scope, validFrom: moment(held.valid_from), validUntil: moment(held.valid_until) });
  const described = ({ second_factor: secondFactor, roles, ...data }) => rules.principal({ ...data, secondFactor, roles: roles.map(role) });
  const known = principals.map(described);
  const answer = ([who, permission, resource, context]) => {
    const principal = (who === null ? rules.anonymous() : known[who]).withContext(context);
    try {
      return resource === null ? principal.can(permission) : principal.can(permission, resource);
    } catch (error) {
      return error.reason;
    }
  };
  return { given: questions.map(answer), wanted: questions.map((question) => question.at(-1)) };
}

/** A principal is asked as a caller is; `equal(given, wanted)` throws. */
export async function asked(compile, equal) {
  const rules = await compile({ policyToml: POLICY });
  await rules.preload();
  const ada = rules.principal({ id: "ada", roles: ["author"], groups: { staff: ["visitor"] } });
  const [own, other] = ["ada", "bob"].map((owner) => ({ type: "document", owner, tenant: "acme" }));
  equal([ada.can("document:edit", own), ada.can("document:edit", other), ada.can("document:edit"), ada.can("document:edit")], [true, false, false, false]);
  equal(ada.canMany([["document:edit", own], ["document:edit", other], "document:edit"]), [true, false, false]);
  equal([ada.canSomewhere("document:edit"), ada.hasRole("author"), ada.hasRole("visitor", "tenant:acme")], [true, true, true]);
  equal(ada.explain("document:edit", other).misses.length, 1);
  const rows = ada.filter("document:edit", { dialect: "sqlite", qualifier: "documents", columns: { owner: "made_by" } });
  equal([rows.sql, rows.parameters], ['"documents"."made_by" COLLATE BINARY = ?1', ["ada"]]);
  const refused = (ask) => {
    try {
      return ask();
    } catch (error) {
      return [error.reason, ...error.fields.map(({ field }) => field)];
    }
  };
  equal(refused(() => ada.require("document:edit", other)), ["denied"]);
  equal(refused(() => ada.can("note:read")), ["context_incomplete"]);
  equal(ada.withContext({ on_site: true }).can("note:read"), true);
  const wrong = { id: "ada", roles: ["auhtor", { role: "author", scope: "tennant:acme", validFrom: new Date(2), validUntil: new Date(1) }], attributes: { level: "high" } };
  equal(refused(() => rules.principal(wrong)), ["invalid_input", "attributes.level", "roles[0].role", "roles[1].scope", "roles[1].validUntil"]);
  equal(refused(() => rules.principal({ id: "ada", role: ["author"] })), ["invalid_input", "role"]);
  let nested = [];
  for (let level = 0; level < 1_000; level++) nested = [nested];
  for (const [level, reason] of [["x".repeat(2_000_000), "invalid_json"], ["x".repeat(10_000_000), "invalid_json"], [nested, "invalid_input"]]) {
    equal(refused(() => rules.principal({ id: "ada", attributes: { level } }))[0], reason);
  }
  const demanding = await compile({ policyToml: DEMANDING });
  equal(refused(() => demanding.principal({ id: "ada", roles: ["nurse"] })), ["invalid_input", "attributes.ward"]);
  equal(demanding.principal({ id: "ada", roles: ["nurse"], attributes: { ward: 3 } }).can("ward:enter", { type: "ward", number: 3 }), true);
  const settings = [{}, { policyToml: POLICY, preset: "standard" }, { policyToml: "[roles" }];
  const reasons = settings.map((one) => compile(one).then(() => "none", (error) => error.reason));
  equal(await Promise.all(reasons), ["config_invalid", "config_invalid", "policy_invalid"]);
  equal((await compile({ preset: "flyos" })).principal({ id: "0190a0b0-0000-7000-8000-000000000001", roles: ["OPERATOR"] }).canSomewhere("drone:read"), true);
}
