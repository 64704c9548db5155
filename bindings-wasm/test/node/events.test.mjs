// Events as they happen: subscriptions and consumers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { ConflictError, consume, open, subscribe, UnauthorizedError, UnavailableError } from "rolekeep";

import { CHEAP } from "./support.mjs";

async function withStore(tell) {
  const um = await open({ ...CHEAP, preset: "standard" });
  await tell(um);
  await um.close();
}

const find = async (events, type) => {
  for await (const event of { [Symbol.asyncIterator]: () => ({ next: () => events.next() }) }) if (event.eventType === type) return event;
  return undefined;
};

test("a subscription goes on with what happens", () => withStore(async ({ system }) => {
  const { position } = await system.events.read();
  const ada = await system.users.create({ email: "ada@example.org" });
  const events = subscribe(system, position);
  const first = await find(events, "user.created");
  assert.deepEqual([first.aggregate.kind, first.aggregate.id, first.actor, first.cause], ["user", ada.id, "system", "users.create"]);
  const later = find(events, "user.suspended");
  await sleep(20);
  await system.users.suspend({ id: ada.id });
  assert.equal((await later).data.status, "suspended");
  await events.return();
}));

test("a subscription ends with its store and with its signal", async () => {
  const um = await open({ ...CHEAP, preset: "standard" });
  const abort = new AbortController();
  const caller = um.system.withRequest({ signal: abort.signal });
  const [waits, aborted] = [subscribe(um.system).next(), subscribe(caller).next()];
  await sleep(20);
  abort.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  await um.close();
  await assert.rejects(waits, (error) => error instanceof UnavailableError && error.reason === "closed");
});

test("a consumer reads on where it was left", () => withStore(async ({ system }) => {
  const { lease } = await system.consumers.claim({ name: "mails", from: "earliest" });
  await system.consumers.release({ name: "mails", lease });
  for (let at = 0; at < 5; at += 1) await system.users.create({ email: `user${at}@example.org` });
  const all = (await system.events.read({ from: "earliest", limit: 1000 })).events.map((event) => event.id);
  const handled = [];
  for await (const event of consume(system, "mails")) {
    handled.push(event.id);
    if (handled.length === 3) break;
  }
  // What was in hand as the loop was left is read again.
  const again = consume(system, "mails");
  const first = (await again.next()).value;
  assert.equal(first.id, handled.at(-1));
  const rest = [first.id];
  while (rest.at(-1) !== all.at(-1)) rest.push((await again.next()).value.id);
  assert.deepEqual(new Set([...handled, ...rest]), new Set(all));
  await assert.rejects(system.consumers.claim({ name: "mails" }), (error) => error instanceof ConflictError && error.reason === "lease_held");
  await again.return();
  assert.equal((await system.consumers.claim({ name: "mails" })).name, "mails");
}));

test("a consumer that its signal ends leaves its lease to the next", () => withStore(async (um) => {
  const stop = new AbortController();
  const ended = consume(um.system.withRequest({ signal: stop.signal }), "mails").next();
  setTimeout(() => stop.abort(new Error("enough")), 200);
  await assert.rejects(ended, /enough/);
  assert.equal((await um.system.consumers.claim({ name: "mails" })).name, "mails");
}));

test("nobody hears without signing in", () => withStore(async (um) => {
  await assert.rejects(subscribe(um.anonymous()).next(), UnauthorizedError);
}));
