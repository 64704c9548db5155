import assert from "node:assert/strict";
import { test } from "node:test";

import { open as openInNode } from "rolekeep";
import { filePersister } from "rolekeep/node";

// A page's persister, on a store of Node: what a page has beside it, a browser tests.
import { encrypted } from "../../dist/encryption.js";
import { withEncryption } from "../../dist/store.js";
import { changedRows, encryption, SECRET, wrongKeys } from "../shared/encryption.mjs";
import { contract } from "../shared/persister.mjs";
import { CHEAP, folder, reasonOf } from "./support.mjs";

const PASSWORD = "correct horse battery staple";
const OTHER = "another key of the application, as long as that";

/** Rows by id with the position of their change; deleted ones stay until they are forgotten. */
function table() {
  const kept = { position: 0, rows: new Map() };
  const make = () => ({
    load: (since) => ({ position: kept.position, changes: [...kept.rows.values()].filter(({ position }) => position > since).map(({ id, table, row }) => ({ id, table, row })) }),
    persist({ base, position, changes }) {
      if (base !== kept.position) return "stale";
      for (const change of changes) kept.rows.set(change.id, { ...change, position });
      kept.position = position;
      return "done";
    },
    forget: (ids) => ids.forEach((id) => kept.rows.delete(id)),
  });
  return { kept, make, rows: () => [...kept.rows.values()] };
}

const openPage = async (persister, options) => openInNode({ ...(await withEncryption({ ...options, persister })) });

test("what a page keeps is encrypted, with its ids, and read with its key alone", async () => {
  const { kept, make, rows } = table();
  const openIn = (options) => openPage(make(), options);
  const key = await encryption(openIn, rows, assert.deepEqual);
  await changedRows(openIn, key, (change) => {
    const before = kept.rows;
    kept.rows = new Map(change(rows()).map((row) => [row.id, row]));
    return () => (kept.rows = before);
  }, assert.deepEqual);
  await wrongKeys(openIn, assert.deepEqual);
});

test("a page's persister that encrypts keeps the contract", async () => {
  const { make } = table();
  const made = make();
  // Without `forget`: that is a contract about when something is gone.
  const persisters = [await encrypted(made, [SECRET]), await encrypted(made, [SECRET])].map(({ load }, at, all) => Object.assign(all[at], { forget: undefined }));
  let at = 0;
  await contract(() => persisters[at++ % 2], assert.deepEqual);
});

test("a writer who is first while rows are encrypted anew is not lost", async () => {
  const { make, rows } = table();
  const plain = await openPage(make(), CHEAP);
  await plain.system.users.create({ email: "ada@example.org" });
  const slow = make();
  let isFirst = true;
  const persister = {
    ...slow,
    async persist(batch) {
      if (isFirst) {
        isFirst = false;
        await plain.system.users.create({ email: "eve@example.org" });
      }
      return slow.persist(batch);
    },
  };
  const um = await openPage(persister, { ...CHEAP, encryptionKey: SECRET });
  assert.equal((await um.system.users.list()).total, 2);
  assert.ok(rows().every(({ table }) => table === "encrypted"));
  assert.equal(await reasonOf(plain.system.users.create({ email: "bob@example.org" })), "encryption_key_wrong");
  await plain.close();
  await um.close();
});

test("where nobody else writes, what was deleted is let go of", async () => {
  const { kept, make } = table();
  const own = () => ({ ...make(), isShared: false });
  const um = await openPage(own(), { ...CHEAP, encryptionKey: SECRET });
  await um.system.users.delete({ id: (await um.system.users.create({ email: "ada@example.org" })).id });
  await um.close();
  const before = kept.rows.size;
  await (await openPage(own(), { ...CHEAP, encryptionKey: SECRET })).close();
  assert.ok(kept.rows.size < before, `${kept.rows.size} of ${before}`);
});

test("a store of Node is encrypted by its core: nothing plain is kept, and another key is refused", async (t) => {
  const path = await folder(t);
  const open = (encryptionKey, ...retiredEncryptionKeys) => openInNode({ ...CHEAP, persister: filePersister(path), encryptionKey, retiredEncryptionKeys });
  const um = await open(SECRET);
  await um.system.users.create({ email: "ada@example.org", password: PASSWORD });
  await um.login("ada@example.org", PASSWORD);
  await um.close();
  const all = async () => {
    const { changes } = await filePersister(path).load(0);
    return JSON.stringify(changes);
  };
  for (const word of ["ada@example.org", "users", "credentials", "$argon2"]) assert.ok(!(await all()).includes(word), word);
  for (const key of [undefined, OTHER]) assert.equal(await reasonOf(open(key)), "encryption_key_wrong");
  const rotated = await open(OTHER, SECRET);
  await rotated.close();
  assert.equal(await reasonOf(open(SECRET)), "encryption_key_wrong");
  const crypto = await globalThis.crypto.subtle.importKey("raw", new TextEncoder().encode(OTHER), "HKDF", false, ["deriveBits"]);
  assert.equal(await reasonOf(open(crypto)), "invalid_input");
});

test("a change of the key is over once nothing is left to tidy", async (t) => {
  const path = await folder(t);
  const open = (encryptionKey, ...retiredEncryptionKeys) => openInNode({ ...CHEAP, persister: filePersister(path), encryptionKey, retiredEncryptionKeys });
  const um = await open(SECRET);
  await um.system.users.create({ email: "ada@example.org", password: PASSWORD });
  await um.close();
  await (await open(OTHER, SECRET)).close();
  // Too soon: the rows are under the new key since it was opened; values within them are under the old one still.
  assert.equal(await reasonOf(open(OTHER)), "encryption_key_wrong");
  const rotating = await open(OTHER, SECRET);
  let rounds = 1;
  while ((await rotating.tidy()).hasMore) rounds += 1;
  assert.ok(rounds < 10, `${rounds}`);
  await rotating.close();
  const rotated = await open(OTHER);
  await rotated.login("ada@example.org", PASSWORD);
  assert.deepEqual(await rotated.tidy(), { lines: 0, rows: 0, users: 0, hasMore: false });
  await rotated.close();
  assert.equal(await reasonOf(rotated.tidy()), "closed");
});

const change = (id, row = { id }) => ({ id: `users/${id}`, table: "users", row });

test("a row that stands in the place of another is corrupt", async () => {
  const { kept, make } = table();
  const persister = await encrypted(make(), [SECRET]);
  await persister.persist({ base: 0, position: 1, changes: [change("a"), change("b")] });
  const [a, b] = kept.rows.values();
  [a.row, b.row] = [b.row, a.row];
  assert.equal(await reasonOf(persister.load(0)), "corrupt");
});

test("what was deleted under an older key is deleted for who has not heard of it", async () => {
  const { kept, make } = table();
  const [old, knowing] = [await encrypted(make(), [SECRET]), await encrypted(make(), [SECRET, OTHER])];
  await old.persist({ base: 0, position: 1, changes: [change("a"), change("b")] });
  assert.equal((await knowing.load(0)).position, 1);
  await old.persist({ base: 1, position: 2, changes: [change("a", null)] });
  const renewing = await encrypted(make(), [OTHER, SECRET]);
  assert.equal((await renewing.load(0)).position, 2);
  assert.equal(kept.position, 3);
  const { position, changes } = await knowing.load(1);
  assert.deepEqual([position, changes.find(({ id }) => id === "users/a")], [2, change("a", null)]);
  assert.equal(await knowing.persist({ base: 2, position: 3, changes: [change("c")] }), "done");
  assert.equal((await renewing.load(2)).changes.length, 1);
});
