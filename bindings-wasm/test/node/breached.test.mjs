import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { open, UnavailableError, ValidationError } from "rolekeep";

import { CHEAP } from "./support.mjs";

const PASSWORD = "correct horse battery staple";
const LEAKED = "a phrase that leaked";

async function opened(t, breachedPasswords) {
  const um = await open({ ...CHEAP, breachedPasswords });
  t.after(() => um.close());
  return um;
}

const create = (um, password) => um.system.users.create({ email: "ada@example.org", password });

for (const kind of ["a plain function", "an async one"]) {
  test(`what leaked is refused: ${kind}`, async (t) => {
    const asked = [];
    const plain = (password) => (asked.push(password), password === LEAKED);
    const um = await opened(t, kind === "a plain function" ? plain : async (password) => plain(password));
    await assert.rejects(create(um, LEAKED), (error) => {
      assert.ok(error instanceof ValidationError);
      assert.deepEqual(error.fields.map(({ field, code }) => [field, code]), [["password", "breached_password"]]);
      return true;
    });
    await create(um, PASSWORD);
    await um.login("ada@example.org", PASSWORD);
    assert.deepEqual(asked, [LEAKED, PASSWORD]);
  });
}

test("what cannot be told is no yes", async (t) => {
  const told = [];
  t.mock.method(console, "error", (...parts) => told.push(parts.map((part) => inspect(part)).join(" ")));
  const failed = () => {
    throw new Error("the cable is out");
  };
  const lists = [failed, async () => failed(), () => undefined, () => 1, () => "yes", async () => null];
  for (const list of lists) {
    const um = await opened(t, list);
    const isUnavailable = (error) => error instanceof UnavailableError && error.reason === "breached_passwords_unavailable";
    await assert.rejects(create(um, PASSWORD), isUnavailable);
    assert.equal((await um.system.users.list()).items.length, 0);
  }
  assert.equal(told.length, lists.length);
  assert.ok(told.every((text) => !text.includes(PASSWORD)), told.join("\n"));
});

test("what hangs is waited for five seconds", async (t) => {
  const um = await opened(t, () => new Promise(() => {}));
  const start = Date.now();
  await assert.rejects(create(um, PASSWORD), UnavailableError);
  assert.ok(Date.now() - start >= 4_900);
});

test("each store has its own list, or none", async (t) => {
  const [leaking, none] = [await opened(t, () => true), await opened(t, undefined)];
  await assert.rejects(create(leaking, PASSWORD), ValidationError);
  await create(none, PASSWORD);
});

test("what is no function is refused", async () => {
  for (const wrong of [{}, "a", []]) await assert.rejects(open({ breachedPasswords: wrong }), ValidationError);
});
