// Checks that are asked again and again go by numbers: they answer by the rights of the moment, like the first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { open } from "rolekeep";

import { CHEAP, reasonOf } from "./support.mjs";

const POLICY = { roles: { reader: ["document:read"], editor: ["document:edit"], admin: ["admin:all"] }, permissions: ["document:delete"] };

async function store() {
  const um = await open({ ...CHEAP, ...POLICY });
  const ada = await um.system.users.create({ email: "ada@example.org", roles: ["reader"] });
  const me = await um.actingAs(ada.id);
  const asked = (permission) => [um.checkCached(ada.id, permission), me.can(permission)];
  // The first question is asked by name, those after it by number.
  for (let round = 0; round < 3; round += 1) assert.deepEqual([...asked("document:read"), ...asked("document:edit")], [true, true, false, false]);
  return { um, ada, me, asked };
}

test("a role that was given or taken away is seen by the next check", async () => {
  const { um, ada, asked } = await store();
  for (let round = 0; round < 20; round += 1) {
    await um.system.roles.assign({ userId: ada.id, role: "editor" });
    assert.deepEqual(asked("document:edit"), [true, true]);
    await um.system.roles.unassign({ userId: ada.id, role: "editor" });
    assert.deepEqual(asked("document:edit"), [false, false]);
  }
  await um.close();
});

test("so is an edit of the policy, which gives permissions other numbers", async () => {
  const { um, ada, me, asked } = await store();
  await um.system.permissions.create({ name: "archive:open" });
  await um.system.roles.update({ name: "reader", grants: [{ permission: "archive:open" }] });
  assert.deepEqual([...asked("document:read"), ...asked("archive:open")], [false, false, true, true]);
  await um.system.permissions.delete({ name: "archive:open", force: true });
  for (let round = 0; round < 2; round += 1) {
    assert.deepEqual([await reasonOf(() => me.can("archive:open")), await reasonOf(() => um.checkCached(ada.id, "archive:open"))], ["unknown_permission", "unknown_permission"]);
  }
  await um.close();
});

test("so is the end of a role that is held for a time, and that of an account", async () => {
  const { um, ada, me, asked } = await store();
  const until = Date.now() + 4_000;
  await um.system.roles.assign({ userId: ada.id, role: "editor", validUntil: new Date(until) });
  assert.deepEqual(asked("document:edit"), [true, true]);
  // Nobody else has a turn before it is asked again.
  while (Date.now() < until + 50);
  assert.deepEqual([...asked("document:edit"), ...asked("document:read")], [false, false, true, true]);
  const again = Date.now() + 4_000;
  await um.system.users.suspend({ id: ada.id, until: new Date(again) });
  assert.deepEqual([um.checkCached(ada.id, "document:read"), await reasonOf(() => me.can("document:read"))], [false, "account_inactive"]);
  await sleep(Math.max(0, again - Date.now()) + 50);
  assert.deepEqual([await um.check(ada.id, "document:read"), um.checkCached(ada.id, "document:read")], [true, true]);
  await um.close();
});

test("users and stores are told apart", async () => {
  const [one, other] = [await store(), await store()];
  assert.equal(await reasonOf(() => other.um.checkCached(one.ada.id, "document:read")), "not_loaded");
  assert.equal(one.um.checkCached(one.ada.id.toUpperCase(), "document:read"), true, "an id by any of its names");
  await one.um.close();
  assert.equal(await reasonOf(() => one.um.checkCached(one.ada.id, "document:read")), "closed");
  assert.equal(await reasonOf(() => one.me.can("document:read")), "closed");
  assert.deepEqual(other.asked("document:read"), [true, true]);
  await other.um.close();
});
