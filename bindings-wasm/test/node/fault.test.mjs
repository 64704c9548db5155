// What the wasm half throws where it should not: a trap, as any panic is there (V16.5.4).
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { CHEAP } from "./support.mjs";

// `(module (func (export "trap") unreachable))`
const code = [[0, 97, 115, 109, 1, 0, 0, 0], [1, 4, 1, 96, 0, 0], [3, 2, 1, 0], [7, 8, 1, 4, 116, 114, 97, 112, 0, 0], [10, 5, 1, 3, 0, 0, 11]];
const { trap } = (await WebAssembly.instantiate(Uint8Array.from(code.flat()))).instance.exports;
let isBroken = false;
let traps = 0;
/** Of what the wasm calls, all traps once it is broken: the library stops in the middle of its work, wherever that is. */
const trapping = ([name, given]) => {
  const called = (...args) => {
    if (!isBroken) return given(...args);
    traps++;
    return trap();
  };
  return [name, typeof given === "function" ? called : given];
};
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = (module, imports) => {
  const modules = Object.entries(imports).map(([name, given]) => [name, Object.fromEntries(Object.entries(given).map(trapping))]);
  return instantiate(module, Object.fromEntries(modules));
};
const { InternalError, open } = await import("rolekeep");
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** Breaks a store while it commits, and asks it: in a function of its own, so that the store can be collected. */
async function broken() {
  const stored = [];
  let isToBreak = false;
  const persister = {
    load: async (since) => ({ position: stored.length, changes: stored.slice(since).flat() }),
    async persist({ changes }) {
      stored.push(changes);
      isBroken = isToBreak;
      return "done";
    },
  };
  const um = await open({ ...CHEAP, persister });
  const user = await um.system.users.create({ email: "ada@example.org" });
  // The second time by numbers.
  for (let time = 0; time < 2; time++) assert.equal(await um.check(user.id, "user:read"), false);
  await um.system.regions.create({ code: "east", name: "East" });
  isToBreak = true;
  const fault = (error) => error instanceof InternalError && error.cause instanceof WebAssembly.RuntimeError && error.message.startsWith("a fault in the library: ");
  const both = [um.system.regions.create({ code: "west", name: "West" }), um.system.regions.create({ code: "north", name: "North" })];
  for (const work of both) await assert.rejects(work, fault);
  await assert.rejects(um.system.regions.list(), fault);
  await assert.rejects(um.refresh(), fault);
  await assert.rejects(um.close(), fault);
  // What is asked about without waiting may be half done, too.
  for (const check of [() => um.system.can("user:read"), () => um.checkCached(user.id, "user:read"), () => um.anonymous()]) assert.throws(check, fault);
  assert.equal(traps, 1, "after a fault the wasm is not asked again");
}

test("v16_5_4: a trap is an error for whoever waits and for whoever asks later, and ends no process", async () => {
  await broken();
  // The wasm is called where nobody waits, too: by its timers, and where something of it is collected.
  for (let turn = 0; turn < 20; turn++) {
    collect();
    await wait(10);
  }
});
