// Log records and metrics, as Node hears of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { metrics, onLog, open, UnauthorizedError, UnavailableError, ValidationError } from "rolekeep";
import { guarded } from "rolekeep/node";

import { CHEAP } from "./support.mjs";

/** Keeps what it is given, and fails or is slow where it is told to. */
function failing() {
  const log = [];
  return {
    fails: false,
    millis: 0,
    load: async (since) => ({ position: log.length, changes: log.filter(({ position }) => position > since).flatMap(({ changes }) => changes) }),
    async persist(batch) {
      await sleep(this.millis);
      if (this.fails) throw new Error("the disk of ada@example.org is gone");
      log.push(batch);
      return "done";
    },
  };
}

/** What happens, and what is heard of it. */
async function heard(options, happens) {
  const records = [];
  const stop = onLog((record) => records.push(record), options);
  try {
    await happens();
    await sleep(5);
  } finally {
    stop();
  }
  return records;
}

// First: nothing else has opened a store yet.
test("OPS-8, OPS-1 what was asked for before there was a store", async () => {
  assert.equal(metrics(), "");
  const records = [];
  const stop = onLog((record) => records.push(record), { level: "debug" });
  const um = await open(CHEAP);
  await um.system.users.list({});
  await sleep(5);
  stop();
  assert(records.some(({ message }) => message === "users.list done"));
  assert.match(metrics(), /rolekeep_operations_total\{operation="users.list",outcome="OK"\} 1\n/);
  await um.close();
});

test("OPS-8 a commit that fails and one that is slow are heard of, with their request", async () => {
  const persister = failing();
  // On a busy machine any call may be slow: this one tells of none.
  const um = await open({ ...CHEAP, slowStatementMillis: 0, persister });
  const me = um.system.withRequest({ requestId: "req-7" });
  assert.deepEqual(await heard({}, () => me.users.create({ email: "ada@example.org" })), []);
  const slowing = await open({ ...CHEAP, slowStatementMillis: 100, persister });
  persister.millis = 200;
  const told = await heard({}, () => slowing.system.withRequest({ requestId: "req-8" }).users.create({ email: "bob@example.org" }));
  const slow = told.find(({ fields }) => fields.call === "commit");
  assert.deepEqual([slow.level, slow.logger, slow.fields.requestId], ["warn", "rolekeep.storage", "req-8"]);
  assert(slow.message.startsWith("a slow call of the storage: commit took ") && slow.fields.millis >= 100);
  persister.millis = 0;
  await slowing.close();
  persister.fails = true;
  const records = await heard({}, async () => {
    const error = await me.users.create({ email: "eve@example.org", password: "correct horse battery" }).catch((error) => error);
    assert(error instanceof UnavailableError && error.requestId === "req-7");
  });
  const [{ time, fields, ...record }] = records;
  assert.deepEqual([records.length, record], [1, { level: "warn", logger: "rolekeep", message: "users.create failed: storage_unavailable" }]);
  assert(time instanceof Date && Math.abs(time - Date.now()) < 60_000);
  assert.deepEqual({ ...fields, millis: 0 }, { millis: 0, operation: "users.create", reason: "storage_unavailable", requestId: "req-7" });
  persister.fails = false;
  await um.close();
});

test("OPS-8 a level has what matters more, and a listener that fails harms nothing", async () => {
  const um = await open(CHEAP);
  const fail = () => assert.rejects(um.anonymous({ requestId: "req-8" }).users.list({}), UnauthorizedError);
  assert.deepEqual(await heard({ level: "info" }, fail), []);
  const calls = [];
  const ends = [
    onLog(() => {
      calls.push("throws");
      throw new Error("no log today");
    }, { level: "debug" }),
    onLog(async () => {
      calls.push("rejects");
      // It may ask the library, which has nothing to tell of that to who hears errors alone.
      assert.deepEqual(um.system.can("user:read"), true);
      throw new Error("no log today");
    }, { level: "debug" }),
    onLog(() => calls.push("errors"), { level: "error" }),
  ];
  const records = await heard({ level: "debug" }, fail);
  assert.deepEqual(records.map(({ level, message }) => [level, message]), [["debug", "users.list failed: not_signed_in"]]);
  for (const end of ends) end();
  assert.deepEqual(calls, ["throws", "rejects"]);
  await fail();
  await sleep(5);
  assert.deepEqual(calls, ["throws", "rejects"]);
  assert.throws(() => onLog(() => {}, { level: "verbose" }), ValidationError);
  assert.throws(() => onLog("console"), ValidationError);
  await um.close();
});

test("SEC-13 no record holds a secret or says who somebody is", async () => {
  const um = await open(CHEAP);
  await um.system.users.create({ email: "ada@example.org", password: "correct horse battery" });
  const secrets = ["correct horse battery", "a wrong password", "example.org"];
  const records = await heard({ level: "debug" }, async () => {
    const { tokens } = await um.login("ada@example.org", "correct horse battery", { requestId: "req-9" });
    const { accessToken, refreshToken } = tokens;
    const renewed = await um.anonymous().sessions.refresh({ refreshToken });
    secrets.push(accessToken, refreshToken, renewed.refreshToken);
    await assert.rejects(um.login("grace@example.org", "a wrong password"), UnauthorizedError);
  });
  assert.equal(records.filter(({ fields }) => fields.operation === "sessions.login").length, 2);
  const told = JSON.stringify(records);
  assert.deepEqual(secrets.filter((secret) => told.includes(secret)), []);
  await um.close();
});

test("OPS-8 errors have the id of their request", async () => {
  const um = await open({ ...CHEAP, roles: { reader: ["document:read"] } });
  const ada = await um.system.users.create({ email: "ada@example.org", roles: ["reader"] });
  const request = { requestId: "req-10" };
  const [me, nobody] = [(await um.actingAs(ada.id)).withRequest(request), um.anonymous(request)];
  const of = async (ask) => {
    try {
      await ask();
    } catch (error) {
      return error;
    }
    assert.fail(`${ask} fails`);
  };
  const errors = [
    await of(() => me.users.list({})),
    await of(() => me.require("user:delete")),
    await of(() => me.requireRole("reader", "region:x")),
    await of(() => me.requireAdmin()),
    await of(() => me.can("document:raed")),
    await of(() => nobody.require("document:read")),
    await of(() => um.system.withRequest(request).users.create({ email: "nobody" })),
    await of(() => um.authenticate("no token", request)),
    await of(() => um.login("ada@example.org", "wrong", request)),
  ];
  assert.deepEqual(errors.map((error) => error.requestId), errors.map(() => "req-10"));
  assert.equal(JSON.parse(JSON.stringify(errors[0])).requestId, "req-10");
  const without = await of(() => um.anonymous().users.list({}));
  assert.deepEqual([without.requestId, "requestId" in without.toJSON()], [null, false]);
  // A guard takes it from the request.
  let answer;
  const headers = { "x-request-id": "req-11" };
  const response = { writeHead() {}, end: (text) => (answer = JSON.parse(text)) };
  await guarded(um, "document:read", () => {})({ headers, socket: {} }, response);
  assert.deepEqual([answer.reason, answer.requestId], ["not_signed_in", "req-11"]);
  await um.close();
});

test("OPS-1 metrics count what is done", async () => {
  const um = await open(CHEAP);
  const parse = (text) => new Map(text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => line.split(/ (?=[^ ]*$)/)));
  const name = 'rolekeep_operations_total{operation="users.me",outcome="UNAUTHORIZED"}';
  const before = Number(parse(metrics()).get(name) ?? 0);
  for (let at = 0; at < 3; at += 1) await assert.rejects(um.anonymous().users.me(), UnauthorizedError);
  const text = metrics();
  assert.equal(Number(parse(text).get(name)) - before, 3);
  assert(Number(parse(text).get('rolekeep_operation_duration_seconds_bucket{operation="users.me",le="+Inf"}')) >= 3);
  assert.match(text, /^# TYPE rolekeep_operations_total counter$/m);
  assert.match(text, /^# HELP rolekeep_operations_total /m);
  await um.close();
});
