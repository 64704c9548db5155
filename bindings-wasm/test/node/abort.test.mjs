// Operations that nobody waits for any more, and stores that close by themselves.
import assert from "node:assert/strict";
import { test } from "node:test";

import { open } from "rolekeep";

import { CHEAP, reasonOf } from "./support.mjs";

/** A persister whose writes wait until they are let go. */
function held() {
  const log = [];
  let release = () => {};
  return {
    release: () => release(),
    isHeld: false,
    load: async (since) => ({ position: log.length, changes: log.slice(since).flatMap(({ changes }) => changes) }),
    async persist(batch) {
      if (this.isHeld) await new Promise((done) => (release = done));
      return batch.base === log.length ? (log.push(batch), "done") : "stale";
    },
  };
}

test("who goes away waits for nothing, and what is being written is written to its end", async () => {
  const persister = held();
  const um = await open({ ...CHEAP, persister });
  const ada = await um.system.users.create({ email: "ada@example.org", roles: ["admin"] });
  const controller = new AbortController();
  const me = (await um.actingAs(ada.id)).withRequest({ ip: "192.0.2.1", signal: controller.signal });
  assert.equal((await me.users.list()).total, 1);

  persister.isHeld = true;
  const creating = me.users.create({ email: "bob@example.org" });
  const reason = new Error("the client is gone");
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(creating, (thrown) => thrown === reason);
  persister.isHeld = false;
  persister.release();
  await um.refresh();
  while ((await um.system.users.list()).total < 2) await new Promise((done) => setTimeout(done, 5));

  // Nothing is begun after that, by nobody whose request it was; others go on.
  await assert.rejects(me.users.create({ email: "eve@example.org" }), (thrown) => thrown === reason);
  await assert.rejects(me.withRequest({ ip: "192.0.2.2" }).users.list(), (thrown) => thrown === reason);
  await assert.rejects(um.login("ada@example.org", "whatever it may be", { signal: controller.signal }), (thrown) => thrown === reason);
  await assert.rejects(um.authenticate("token", { signal: controller.signal }), (thrown) => thrown === reason);
  assert.equal((await um.system.users.list()).total, 2);
  await um.close();
});

test("a signal that is not aborted changes nothing, and nobody listens to it afterwards", async () => {
  const um = await open(CHEAP);
  const { signal } = new AbortController();
  let listening = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...given) => ((listening += 1), addEventListener.apply(signal, given));
  signal.removeEventListener = (...given) => ((listening -= 1), removeEventListener.apply(signal, given));
  assert.equal(await reasonOf(um.anonymous({ signal }).users.me()), "not_signed_in");
  assert.equal(listening, 0);
});

test("a store closes at the end of its block", async () => {
  assert.ok(Symbol.asyncDispose);
  const um = await open(CHEAP);
  await um[Symbol.asyncDispose]();
  assert.equal(await reasonOf(um.system.users.list()), "closed");
});
