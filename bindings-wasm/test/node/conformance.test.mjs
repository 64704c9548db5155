import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import { importUsers, onLog, open } from "rolekeep";
import { filePersister } from "rolekeep/node";

import { matches } from "../shared/matching.mjs";
import { playAll } from "../shared/player.mjs";
import { Authenticator } from "./authenticator.mjs";
import { Outbox } from "./outbox.mjs";
import { report, scenarioFiles, tables } from "./scenarios.mjs";

/** As deep as anybody looks. */
const seen = {
  inspect: (value) => inspect(value, { depth: 9, maxArrayLength: null, maxStringLength: null }),
  hear: (listener) => onLog(listener, { level: "debug" }),
};

test("conformance: every scenario, on files", async () => {
  const place = () => {
    const path = mkdtempSync(join(tmpdir(), "rolekeep-"));
    return { persister: () => filePersister(path), remove: () => rmSync(path, { recursive: true }) };
  };
  report("node", await playAll(scenarioFiles(), { open, place, importUsers, outbox: () => new Outbox(), authenticator: () => new Authenticator(), ...seen, ...tables() }));
});

test("conformance: the player tells what differs", () => {
  const fits = (wanted, given) => {
    try {
      matches(wanted, given);
      return true;
    } catch {
      return false;
    }
  };
  assert.ok(fits({ a: 1 }, { a: 1, b: 2 }) && !fits({ a: 1, b: 2 }, { a: 1 }));
  assert.ok(fits([1, 2], [1, 2]) && !fits([1], [1, 2]) && !fits([2, 1], [1, 2]));
  assert.ok(fits("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00") && !fits("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"));
  assert.ok(fits({ $any: true }, 0) && !fits({ $any: true }, null));
  assert.ok(fits({ $contains: "b" }, "abc") && !fits({ $contains: "d" }, "abc"));
  assert.ok(fits({ $length: 1 }, [7]) && !fits({ $length: 0 }, [7]));
  assert.ok(fits({ $unordered: [{ $any: true }, 1] }, [1, 2]) && !fits({ $unordered: [1, 1] }, [1, 2]));
  assert.ok(fits({ $includes: [2] }, [1, 2]) && !fits({ $includes: [3] }, [1, 2]));
  assert.ok(fits({ $not: 1 }, 2) && !fits({ $not: 1 }, 1));
});

test("conformance: a wrong scenario fails", async () => {
  const file = { store: {}, scenarios: [{ name: "wrong", steps: [{ call: "users.list", expect: { total: 1 } }] }] };
  const { passed, failed } = await playAll([{ name: "own", file }], { open, place: () => ({ persister: () => undefined }), ...seen, ...tables() });
  assert.equal(passed.length, 0);
  assert.match(failed[0].why, /total/);
});

test("conformance: what is shown of a secret is seen", async () => {
  const password = "correct horse battery staple";
  const file = { store: {}, scenarios: [{ name: "told", steps: [{ call: "users.create", with: { email: "ada@example.org", password } }] }] };
  const show = (value) => `${inspect(value)} ${value?.email === undefined ? "" : password}`;
  const { failed } = await playAll([{ name: "own", file }], { open, place: () => ({ persister: () => undefined }), ...tables(), inspect: show });
  assert.match(failed[0].why, /"correct horse battery staple" is shown/);
});
