import assert from "node:assert/strict";
import { test } from "node:test";

import { open } from "rolekeep";
import { compile } from "rolekeep/rules";

import { nested, same } from "../shared/resources.mjs";
import { CHEAP, text } from "./support.mjs";

const POLICY = text("tests/conformance/rules/resources.toml");
const region = "0190a0b0-0000-7000-8000-00000000000a";
const ROUNDS = 3_000;

/** How often something is written as JSON meanwhile. */
function countsJson(ask) {
  const { stringify } = JSON;
  let count = 0;
  JSON.stringify = (...given) => (count++, stringify(...given));
  try {
    ask();
  } finally {
    JSON.stringify = stringify;
  }
  return count;
}

test("a principal answers about a resource as about its JSON", async () => {
  const rules = await compile({ policyToml: POLICY });
  const member = { role: "member", scope: "tenant:acme" };
  const ada = rules.principal({ id: "ada", roles: ["author", member], attributes: { region, level: 3 } });
  const bob = rules.principal({ id: "bob", roles: ["reader", member], attributes: { region: null, level: null } });
  const seen = same([ada, bob, rules.anonymous()], ROUNDS, assert.deepEqual);
  for (const kind of ["true", "false", "resource_invalid", "resource_incomplete", "invalid_input", "many"]) assert.ok(seen[kind] > 50, `${kind}: ${seen[kind]}`);
  const document = { type: "document", owner: "ada", tenant: null, region, size: 7, is_open: false, due_at: new Date(7), lasts: null, address: "10.0.0.1", labels: ["ö"], readers: [], codes: null };
  nested(ada, document, { ...document, owner: "bob" }, assert.deepEqual);
  const other = new (class {
    type = "note";
    toJSON() {
      return { type: "user" };
    }
  })();
  assert.throws(() => ada.can("note:read", other), ({ reason }) => reason === "invalid_input");
  const plain = () => [ada.can("document:edit", document), ...ada.canMany(["document:edit", ["document:edit", document], ["document:read", document]])];
  assert.deepEqual(plain(), [true, false, true, false]);
  assert.equal(countsJson(plain), 0, "no JSON is needed");
  assert.equal(countsJson(() => ada.can("document:edit", { ...document, toJSON: () => document })), 1);
});

test("so do a caller and a store", async () => {
  // An account's attributes are the library's own.
  const lines = POLICY.split("\n").filter((line) => !/^(attributes = \{ id|\[types\.user\]|deny)/.test(line));
  const um = await open({ ...CHEAP, policyToml: lines.join("\n").replaceAll("resource.owner", "resource.region") });
  const { id } = await um.system.users.create({ email: "ada@example.org", roles: ["author"] });
  const me = await um.actingAs(id);
  const asked = { can: (permission, ...on) => um.checkCached(id, permission, ...on), canMany: (checks) => me.canMany(checks) };
  const seen = same([me, asked, um.system], ROUNDS, assert.deepEqual);
  for (const kind of ["true", "false", "resource_invalid", "many"]) assert.ok(seen[kind] > 25, `${kind}: ${seen[kind]}`);
  const own = { type: "document", owner: "x", tenant: null, region: id, size: 7, is_open: true, due_at: null, lasts: null, address: null, labels: [], readers: null, codes: null };
  nested(me, own, { ...own, region: null }, assert.deepEqual);
  const plain = () => [me.can("document:edit", own), um.checkCached(id, "document:edit", own), ...me.canMany([["document:read", own]])];
  assert.deepEqual(plain(), [true, true, true]);
  assert.equal(countsJson(plain), 0, "no JSON is needed");
  await um.close();
});

test("what is too much is refused as before", async () => {
  const ada = (await compile({ policyToml: POLICY })).principal({ id: "ada", roles: ["author"], attributes: { region: null, level: null } });
  const large = { type: "note", text: "x".repeat(12_000) };
  assert.equal(ada.can("note:read", large), true);
  assert.deepEqual(ada.canMany(Array(20).fill(["note:read", large])), Array(20).fill(true));
  const refused = () => ada.canMany(Array(200).fill(["note:read", large]));
  assert.throws(refused, ({ reason }) => reason === "invalid_json");
  assert.deepEqual(ada.canMany(Array(5_000).fill("note:read")), Array(5_000).fill(true));
});
