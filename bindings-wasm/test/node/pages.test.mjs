import assert from "node:assert/strict";
import { test } from "node:test";

import { open, ValidationError } from "rolekeep";

test("all rows of a list, page after page", async () => {
  const um = await open({ roles: { editor: ["document:edit"] } });
  const { users } = um.system;
  const emails = Array.from({ length: 7 }, (_, at) => `u${at}@example.org`);
  for (const email of emails) await users.create({ email });
  const all = [];
  for await (const user of users.listAll({ sort: "email", limit: 3 })) all.push(user.email);
  assert.deepEqual(all, emails);
  const page = await users.list({ sort: "email", limit: 3 });
  assert.deepEqual([...page].map(({ email }) => email), emails.slice(0, 3));
  assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(page))).sort(), Object.keys(page).sort());
  await assert.rejects(users.listAll({ limit: 0 }).next(), ValidationError);
  await um.close();
});

test("the host hears which permission was denied", async () => {
  const um = await open({ roles: { editor: ["document:edit"] } });
  const me = await um.actingAs((await um.system.users.create({ email: "ada@example.org" })).id);
  const denied = await me.users.create({ email: "bob@example.org" }).catch((error) => error);
  assert.equal(denied.permission, "user:create");
  assert.throws(() => me.require("document:edit"), (error) => error.permission === "document:edit" && !JSON.stringify(error).includes("document"));
  await um.close();
});
