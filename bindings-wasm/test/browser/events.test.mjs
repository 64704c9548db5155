// Events of a page's own store: heard in each of its tabs, read on after a reload (docs/decisions/057).
import assert from "node:assert/strict";
import { test } from "node:test";

import { here } from "../node/support.mjs";
import { opened } from "./support.mjs";

const stage = opened(here);

const CHEAP = { hashingMemoryKib: 7168, hashingIterations: 5, preset: "standard" };

/** Opens the store of this name in a tab, whose `um` it is from then on. */
const openIn = (tab, name) => tab.evaluate(async ([settings, name]) => {
  const { open, indexedDB } = await import("rolekeep");
  globalThis.um = await open({ ...settings, persister: indexedDB(name) });
}, [CHEAP, name]);

/** Follows the events behind a position, in `heard`, and keeps the position behind each where a reload leaves it. */
const follow = (tab, from) => tab.evaluate(async (from) => {
  const { subscribe } = await import("rolekeep");
  globalThis.heard = [];
  globalThis.stop = new AbortController();
  const caller = um.system.withRequest({ signal: stop.signal });
  void (async () => {
    for await (const event of subscribe(caller, from ?? localStorage.getItem("position"))) {
      heard.push({ id: event.id, type: event.eventType, about: event.aggregate.id });
      localStorage.setItem("position", event.position);
    }
  })().catch((problem) => (globalThis.ended = String(problem.message ?? problem)));
}, from);

const heard = async (tab, count) => {
  await tab.waitForFunction((count) => heard.length >= count, count, { timeout: 20_000 });
  return tab.evaluate(() => heard);
};

const everything = (tab) => tab.evaluate(async () => (await um.system.events.read({ from: "earliest", limit: 1_000 })).events.map(({ id, eventType, aggregate }) => ({ id, type: eventType, about: aggregate.id })));

test("what one tab does the other hears, and after a reload it reads on without a gap or twice", async () => {
  const [one, two] = [await stage.chromium.page(stage.site.url), await stage.chromium.page(stage.site.url)];
  await openIn(one, "events");
  await openIn(two, "events");
  await follow(one, "earliest");
  const ada = await two.evaluate(async () => (await um.system.users.create({ email: "ada@example.org", password: "correct horse battery" })).id);
  const since = Date.now();
  await one.waitForFunction((id) => heard.some(({ type, about }) => type === "user.created" && about === id), ada, { timeout: 20_000 });
  console.log(`heard ${Date.now() - since} ms after the other tab's answer`);
  await two.evaluate((id) => um.system.users.suspend({ id }), ada);
  await one.waitForFunction(() => heard.some(({ type }) => type === "user.suspended"));
  const first = await one.evaluate(() => heard);
  assert.deepEqual(first, await everything(two));
  await one.evaluate(() => stop.abort(new Error("enough")));
  await one.waitForFunction(() => globalThis.ended === "enough");

  // What the other tab does while this one is not there is not lost.
  await two.evaluate((id) => um.system.users.lift({ id }), ada);
  await one.reload();
  await openIn(one, "events");
  await follow(one);
  const away = await heard(one, 1);
  await two.evaluate((id) => um.system.users.delete({ id }), ada);
  await one.waitForFunction(() => heard.some(({ type }) => type === "user.deleted"));
  const second = await one.evaluate(() => heard);
  assert.equal(away[0].type, "user.lifted");
  assert.deepEqual([...first, ...second], await everything(two));
  await Promise.all([one.close(), two.close()]);
});

test("users of a page hear of what they may read, and of their own", async () => {
  const tab = await stage.chromium.page(stage.site.url);
  await openIn(tab, "readers");
  const told = await tab.evaluate(async () => {
    const password = "correct horse battery ada";
    const { position } = await um.system.events.read();
    const ada = await um.system.users.create({ email: "ada@example.org", password });
    await um.system.users.create({ email: "bob@example.org", password });
    const me = await um.authenticate((await um.login("ada@example.org", password)).done().accessToken);
    const batch = await me.events.read({ from: position, limit: 1_000 });
    const nobody = await um.anonymous().events.read().catch(({ reason }) => reason);
    return { own: batch.events.every(({ aggregate, data }) => aggregate.id === ada.id || data.userId === ada.id || data.user_id === ada.id), types: batch.events.map(({ eventType }) => eventType), nobody };
  });
  assert.equal(told.nobody, "not_signed_in");
  assert.ok(told.own);
  assert.ok(told.types.includes("session.started") && told.types.includes("credential.changed"), String(told.types));
  await tab.close();
});

test("a page keeps a thousand commits, and who asks from before them is told so", async () => {
  const tab = await stage.chromium.page(stage.site.url);
  await openIn(tab, "kept");
  const told = await tab.evaluate(async (settings) => {
    const { open, indexedDB } = await import("rolekeep");
    const answer = (request) => new Promise((done, fail) => Object.assign(request, { onsuccess: () => done(request.result), onerror: () => fail(request.error) }));
    const within = async (mode, work) => {
      const database = await answer(globalThis.indexedDB.open("kept"));
      const transaction = database.transaction(["rows", "head"], mode);
      const complete = new Promise((done, fail) => Object.assign(transaction, { oncomplete: done, onabort: () => fail(transaction.error) }));
      const result = await work(transaction.objectStore("rows"), transaction.objectStore("head"));
      await complete;
      database.close();
      return result;
    };
    const lines = async () => (await within("readonly", (rows) => answer(rows.getAllKeys()))).filter((id) => id.startsWith("commits/")).length;
    const early = (await um.system.events.read()).position;
    await um.close();
    // As after 1,998 commits, of which most changed nothing else.
    await within("readwrite", async (rows, head) => {
      const newest = await answer(head.get("position"));
      const last = await answer(rows.get(`commits/${newest}`));
      for (let at = newest + 1; at <= 1_998; at += 1) {
        const row = { ...last.row, position: at, at: last.row.at + (at - newest) * 1_000, events: null, touched: "[]" };
        rows.put({ ...last, id: `commits/${at}`, position: at, row });
      }
      await answer(head.put(1_998, "position"));
    });
    const again = await open({ ...settings, persister: indexedDB("kept") });
    const before = await again.system.events.read({ from: early }).then(({ events }) => events.length);
    const { position } = await again.system.events.read();
    for (const name of ["ada", "bob"]) await again.system.users.create({ email: `${name}@example.org` });
    // After each thousandth commit, in the background.
    for (let left = 500; left > 0 && (await lines()) > 1_000; left -= 1) await new Promise((done) => setTimeout(done, 20));
    const gone = await again.system.events.read({ from: early }).catch(({ code, reason }) => [code, reason]);
    const newer = (await again.system.events.read({ from: position })).events.filter(({ eventType }) => eventType === "user.created").length;
    return { before, gone, newer, lines: await lines() };
  }, CHEAP);
  assert.deepEqual(told, { before: 0, gone: ["CONFLICT", "position_gone"], newer: 2, lines: 1_000 });
  await tab.close();
});
