// Accounts kept elsewhere: those that stand for somebody at another issuer.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";
import { DuplicateError, NotFoundError, open, RolekeepError, UnauthorizedError, ValidationError } from "rolekeep";

import { CHEAP, folder, here } from "./support.mjs";

const identity = { issuer: "staff", subject: "17" };

test("the program of the guide", async (t) => {
  // Within the package, so that the program finds it by its name.
  const outfile = join(await folder(t, join(here, "test")), "identities.mjs");
  await build({ entryPoints: [join(here, "examples/identities.ts")], outfile, format: "esm" });
  assert.equal(spawnSync(process.execPath, [outfile], { encoding: "utf8" }).stdout, "true false\ntrue\n");
});

test("a caller by issuer and subject", async () => {
  const um = await open({ ...CHEAP, roles: { editor: ["document:edit"] } });
  const ada = await um.system.users.create({ identity, roles: ["editor"] });
  assert.deepEqual([ada.email, ada.identities], [null, [identity]]);
  const me = await um.actingAsIdentity(identity);
  assert.ok(me.can("document:edit"));
  assert.deepEqual(await me.users.me(), ada);
  assert.deepEqual(await um.system.users.find({ identity }), ada);
  assert.equal((await um.system.users.update({ id: ada.id, email: "ada@example.org" })).user.email, "ada@example.org");
  assert.equal((await um.system.users.update({ id: ada.id, email: null })).user.email, null);
  await assert.rejects(um.actingAsIdentity({ issuer: "staff", subject: "18" }), NotFoundError);
  await assert.rejects(um.system.users.create({ email: "eve@example.org", identity }), (error) => error instanceof DuplicateError && error.fields[0].field === "identity");
  await um.system.users.suspend({ id: ada.id });
  await assert.rejects(um.actingAsIdentity(identity), UnauthorizedError);
  await um.close();
});

test("what cannot be an identity", async () => {
  const um = await open(CHEAP);
  for (const value of [undefined, null, 7, "staff 17", {}, [], { issuer: "staff" }, { issuer: "staff", subject: 17 }, { issuer: "", subject: "17" }, { issuer: "staff", subject: "\ud800" }]) {
    await assert.rejects(um.actingAsIdentity(value), ValidationError, JSON.stringify(value));
    await assert.rejects(um.system.users.create({ identity: value }), RolekeepError, JSON.stringify(value));
  }
  assert.equal((await um.system.users.list()).total, 0);
  await um.close();
});
