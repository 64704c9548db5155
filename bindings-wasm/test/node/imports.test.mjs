// Importing users from what JavaScript reads: streams, generators, blobs and text.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createReadStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";
import { importUsers, NotFoundError, open, ValidationError } from "rolekeep";

import { CHEAP, compile, folder, here, root } from "./support.mjs";

const TABLE = "foreign_id,email,full_name\n1,ada@example.org,Ada Lovelace\n2,bob@example.org,Bøb\n";
const encoder = new TextEncoder();
const bytes = encoder.encode(TABLE);

/** So many users, a line each. */
const lines = (count) => Array.from({ length: count }, (_, at) => encoder.encode(`${JSON.stringify({ foreign_id: `${at}`, email: `user${at}@example.org` })}\n`));

async function withStore(tell) {
  const um = await open({ ...CHEAP, preset: "standard" });
  await tell(um);
  await um.close();
}

test("the program of the guide", async (t) => {
  // Within the package, so that the program finds it by its name.
  const outfile = join(await folder(t, join(here, "test")), "import-users.mjs");
  await build({ entryPoints: [join(here, "examples/import-users.ts")], outfile, format: "esm" });
  const options = ["--ignoreConfig", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022", "--types", "node", "--module", "nodenext"];
  assert.equal(compile(...options, "examples/import-users.ts").stdout, "");
  const { stdout } = spawnSync(process.execPath, [outfile], { cwd: root, encoding: "utf8" });
  assert.equal(stdout, "3 records read\nfinished 2 1\n3 VALIDATION_ERROR [ 'email' ]\n");
});

test("users come from whatever gives bytes", (t) => withStore(async (um) => {
  const file = join(await folder(t), "users.csv");
  writeFileSync(file, TABLE);
  const first = await importUsers(um.system, new Response(TABLE).body, { source: "old", format: "csv" });
  assert.deepEqual([first.status, first.counts.created], ["finished", 2]);
  assert.equal((await um.system.users.find({ email: "bob@example.org" })).fullName, "Bøb");
  async function* parts() {
    for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
  }
  // Numbers of two bytes are bytes, too.
  const wide = new Uint16Array(bytes.slice(0, bytes.length - (bytes.length % 2)).buffer);
  const sources = [createReadStream(file), parts(), new Blob([TABLE]), bytes, Buffer.from(TABLE), TABLE, [bytes.subarray(0, 5), bytes.subarray(5)], [wide, bytes.subarray(wide.byteLength)]];
  for (const source of sources) {
    const again = await importUsers(um.system, source, { source: "old", format: "csv", onExisting: "skip" });
    assert.deepEqual([again.status, again.counts.skipped], ["finished", 2]);
  }
  assert.equal((await importUsers(um.system, "", { source: "old", format: "json_lines" })).status, "finished");
}));

/** A stream of what never ends, or of these parts; and whether it was given up. */
function streamOf(parts) {
  const state = { isCancelled: false };
  const stream = new ReadableStream({
    pull: (controller) => {
      const { done, value } = parts.next();
      return done ? controller.close() : controller.enqueue(value);
    },
    cancel: () => void (state.isCancelled = true),
  });
  return { stream, state };
}

test("an import that was broken off goes on where it was", () => withStore(async (um) => {
  const options = { source: "old", format: "json_lines" };
  const enough = new Error("enough");
  const heard = [];
  const onProgress = async (progress) => {
    heard.push(progress);
    await new Promise((done) => setTimeout(done, 1));
    if (heard.length === 1) throw enough;
  };
  // More than is fed at once, so that more would come.
  const users = lines(5000);
  const { stream, state } = streamOf(users.values());
  await assert.rejects(importUsers(um.system, stream, { ...options, onProgress }), (thrown) => thrown === enough);
  assert.ok(state.isCancelled);
  const { id } = heard[0].import;
  assert.deepEqual([heard.length, heard[0].items.length, (await um.system.users.list()).total], [1, 500, 500]);
  assert.equal((await um.system.imports.get({ id })).status, "open");
  const done = await importUsers(um.system, streamOf(users.values()).stream, { ...options, resume: id, onProgress });
  assert.deepEqual([done.id, done.status, done.counts.created, done.counts.skipped], [id, "finished", 5000, 0]);
  assert.deepEqual(heard.flatMap(({ items }) => items.map(({ number }) => number)), users.map((_, at) => at + 1));
}));

test("an import that has stopped is given back, and nothing more is read", () => withStore(async (um) => {
  function* endless() {
    for (let at = 0; at < 100; at++) yield encoder.encode("x\n".repeat(10_000));
    assert.fail("it is read on");
  }
  const { stream, state } = streamOf(endless());
  const { status, counts } = await importUsers(um.system, stream, { source: "old", format: "json_lines" });
  assert.deepEqual([status, counts.failed, state.isCancelled], ["stopped", 10_000, true]);
}));

test("a record that is longer than a piece is read", () => withStore(async (um) => {
  const users = [0, 1, 2].map((at) => ({ email: `user${at}@example.org`, ignored: "y".repeat(at === 1 ? 200_000 : 1) }));
  const done = await importUsers(um.system, JSON.stringify(users), { source: "old", format: "json", shape: "auth0", level: "check" });
  assert.deepEqual([done.status, done.counts.read, done.counts.created], ["finished", 3, 3]);
}));

test("what gives no bytes, what the import refuses, and who goes away", () => withStore(async (um) => {
  const options = { source: "old", format: "csv" };
  for (const data of [["email\n"], [1], createReadStream(import.meta.filename ?? new URL(import.meta.url), "utf8")]) {
    await assert.rejects(importUsers(um.system, data, options), (thrown) => thrown instanceof ValidationError && thrown.fields[0].field === "data");
  }
  await assert.rejects(importUsers(um.system, TABLE, { ...options, sauce: "old" }), (thrown) => thrown.fields[0].code === "unknown_field");
  await assert.rejects(importUsers(um.system, "nobody\n1\n", options), ValidationError);
  await assert.rejects(importUsers(um.system, TABLE, { ...options, resume: crypto.randomUUID() }), NotFoundError);
  const controller = new AbortController();
  const onProgress = () => controller.abort(new Error("gone"));
  const me = um.system.withRequest({ signal: controller.signal });
  await assert.rejects(importUsers(me, TABLE, { ...options, onProgress }), /gone/);
  assert.equal((await um.system.users.list()).total, 2);
}));
