import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { addRecords, fromJson } from "../../dist/codec.js";
import { records as ofPages } from "../../dist/generated/codec.js";
import { records as ofServers } from "../../dist/generated/servers.js";
import { open } from "../../dist/index.node.js";
import { CHEAP, text } from "./support.mjs";

const records = { ...ofPages, ...ofServers };
const MARK = "correct horse battery staple";
const secrets = Object.entries(JSON.parse(text("tests/conformance/secrets.json")));

/** A record as `ffi` writes it, with this text wherever it holds a secret. */
const answered = (record) => {
  const fields = records[record].split(" ").map((field) => field.split(":"));
  const value = (form = "") => (form.startsWith("secret") ? (form.endsWith("{}") ? { [MARK]: MARK } : form.endsWith("[]") ? [MARK] : MARK) : form.endsWith("[]") ? [] : null);
  return JSON.stringify(Object.fromEntries(fields.map(([key, form]) => [key, value(form)])));
};

test("no record shows its secrets", () => {
  assert.ok(secrets.length >= 6);
  addRecords(records);
  for (const [record] of secrets) {
    const made = fromJson(answered(record), record);
    for (const shown of [made, { ...made }, [made], { deep: { deeper: made } }]) {
      assert.doesNotMatch(inspect(shown, { depth: 9, showHidden: true }), new RegExp(MARK), record);
    }
    // A login is answered by it.
    assert.ok(JSON.stringify(made).includes(MARK));
  }
});

test("a login shows everything else", async (t) => {
  const um = await open(CHEAP);
  t.after(() => um.close());
  await um.system.users.create({ email: "ada@example.org", password: MARK });
  const login = (await um.login("ada@example.org", MARK)).done();
  const shown = inspect(login, { depth: 9 });
  assert.ok(!shown.includes(login.accessToken) && !shown.includes(login.refreshToken), shown);
  assert.match(shown, /accessToken: '…',\s+refreshToken: '…',\s+expiresAt: \d{4}-.*ada@example\.org/s);
  assert.deepEqual(Object.keys(login), ["accessToken", "refreshToken", "expiresAt", "sessionId", "user"]);
  assert.deepEqual(JSON.parse(JSON.stringify(login)).refreshToken, login.refreshToken);
});
