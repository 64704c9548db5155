// What a page keeps in IndexedDB is encrypted (docs/decisions/059).
import assert from "node:assert/strict";
import { test } from "node:test";

import { here } from "../node/support.mjs";
import { opened } from "./support.mjs";

const stage = opened(here);

/** What the page's own assert is: Node's is Node's alone. */
const EQUAL = `(given, wanted) => {
  if (JSON.stringify(given) !== JSON.stringify(wanted)) throw new Error("expected " + JSON.stringify(wanted) + ", got " + JSON.stringify(given));
}`;

/** Code of the page: its database as it is kept, and stores in it. */
const KEPT = `(name, open, indexedDB) => {
  const answer = (request) => new Promise((done, fail) => Object.assign(request, { onsuccess: () => done(request.result), onerror: () => fail(request.error) }));
  const within = async (work) => {
    const database = await answer(globalThis.indexedDB.open(name, 1));
    const result = await work(database.transaction("rows", "readwrite").objectStore("rows"));
    database.close();
    return result;
  };
  const rows = () => within((rows) => answer(rows.getAll()));
  const put = (all) => within(async (rows) => {
    rows.clear();
    for (const row of all) rows.put(row);
    await answer(rows.count());
  });
  return { openIn: (options) => open({ ...options, persister: indexedDB(name) }), rows, put };
}`;

test("what IndexedDB has is encrypted, with its ids, and read with its key alone", async () => {
  const page = await stage.chromium.page(stage.site.url);
  await page.evaluate(async ([equal, kept]) => {
    const { open, indexedDB } = await import("rolekeep");
    const { changedRows, encryption, wrongKeys } = await import("/test/shared/encryption.mjs");
    const { openIn, rows, put } = eval(kept)("encrypted", open, indexedDB);
    const key = await encryption(openIn, rows, eval(equal));
    await changedRows(openIn, key, async (change) => {
      const before = await rows();
      await put(change(before));
      return () => put(before);
    }, eval(equal));
    await wrongKeys(openIn, eval(equal));
  }, [EQUAL, KEPT]);
  await page.close();
});

test("two tabs with one key agree, which a reload and a restart of the browser survive; a tab without it is refused", async () => {
  // The key is kept where a page keeps it: in IndexedDB, as a CryptoKey that nothing reads.
  const openIn = (page, isFirst) => page.evaluate(async (isFirst) => {
    const { open, indexedDB } = await import("rolekeep");
    const { cryptoKey, SECRET } = await import("/test/shared/encryption.mjs");
    const keys = await new Promise((done) => {
      const request = globalThis.indexedDB.open("keys", 1);
      request.onupgradeneeded = () => request.result.createObjectStore("keys");
      request.onsuccess = () => done(request.result);
    });
    const answer = (request) => new Promise((done, fail) => Object.assign(request, { onsuccess: () => done(request.result), onerror: () => fail(request.error) }));
    const store = (key) => answer(keys.transaction("keys", "readwrite").objectStore("keys").put(key, "rolekeep"));
    if (isFirst) await store(await cryptoKey(SECRET));
    const encryptionKey = await answer(keys.transaction("keys").objectStore("keys").get("rolekeep"));
    keys.close();
    if (encryptionKey.extractable) throw new Error("the key can be extracted");
    globalThis.um = await open({ hashingMemoryKib: 7168, hashingIterations: 5, persister: indexedDB("tabs-of-one-key"), encryptionKey });
  }, isFirst);
  const tabs = [await stage.chromium.page(stage.site.url), await stage.chromium.page(stage.site.url)];
  await openIn(tabs[0], true);
  await openIn(tabs[1], false);
  for (let round = 0; round < 10; round += 1) {
    const race = tabs.map((tab, at) =>
      tab.evaluate(([round, at]) => um.system.users.create({ email: `t${at}r${round}@example.org`, username: `same${round}` }).then(() => "made", (error) => error.reason), [round, at]),
    );
    assert.deepEqual((await Promise.all(race)).sort(), ["made", "taken"]);
  }
  const state = async () => [(await um.system.users.list()).total, (await um.system.audit.verify()).isWhole];
  for (const tab of tabs) assert.deepEqual(await tab.evaluate(state), [10, true]);
  const [tab] = tabs;
  await tab.reload();
  const refused = await tab.evaluate(async () => {
    const { open, indexedDB } = await import("rolekeep");
    return open({ persister: indexedDB("tabs-of-one-key") }).then(() => "opened", ({ reason }) => reason);
  });
  assert.equal(refused, "encryption_key_wrong");
  await openIn(tab, false);
  assert.deepEqual(await tab.evaluate(state), [10, true]);
  await stage.chromium.restart();
  const again = await stage.chromium.page(stage.site.url);
  await openIn(again, false);
  assert.deepEqual(await again.evaluate(state), [10, true]);
  await again.close();
});

test("IndexedDB keeps the contract where what it has is encrypted, and lets go of what was deleted long ago", async () => {
  const page = await stage.chromium.page(stage.site.url);
  await page.evaluate(async (equal) => {
    const { indexedDB } = await import("rolekeep");
    const { encrypted } = await import("/dist/encryption.js");
    const { SECRET } = await import("/test/shared/encryption.mjs");
    const { contract } = await import("/test/shared/persister.mjs");
    const made = [];
    for (let count = 0; count < 4; count += 1) made.push(await encrypted(indexedDB("encrypted-contract"), [SECRET]));
    let at = 0;
    await contract(() => made[at++], (given, wanted) => eval(equal)(given, wanted));
  }, `(given, wanted) => {
    const same = (a, b) => a === b || (a && b && typeof a === "object" && typeof b === "object" && Object.keys({ ...a, ...b }).every((key) => same(a[key], b[key])));
    if (!same(given, wanted)) throw new Error("expected " + JSON.stringify(wanted) + ", got " + JSON.stringify(given));
  }`);
  await page.close();
});

test("a page without a key loads nothing of what encrypts", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const loaded = await page.evaluate(async () => {
    const { open, indexedDB } = await import("rolekeep");
    const { SECRET } = await import("/test/shared/encryption.mjs");
    const count = () => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/dist/encryption.js")).length;
    await (await open({ persister: indexedDB("without") })).close();
    const before = count();
    await (await open({ persister: indexedDB("with"), encryptionKey: SECRET })).close();
    return [before, count()];
  });
  assert.deepEqual(loaded, [0, 1]);
  await page.close();
});
