// The scenarios, and where their outcome is written.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { records as ofStores } from "../../dist/generated/codec.js";
import { records as ofRules } from "../../dist/generated/rules.js";
import { records as ofServers } from "../../dist/generated/servers.js";
import { operationsIn } from "../shared/player.mjs";
import { root, seed, text } from "./support.mjs";

const scenarios = join(root, "tests/conformance/scenarios");

export function scenarioFiles() {
  const read = (folder, from) =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? read(join(folder, entry.name), `${from}${entry.name}/`) : [[`${from}${entry.name}`, join(folder, entry.name)]],
    );
  const files = existsSync(scenarios) ? read(scenarios, "") : [];
  const parsed = files.filter(([name]) => name.endsWith(".json")).sort().map(([name, path]) => ({ name: name.slice(0, -5), file: JSON.parse(text(path.slice(root.length + 1))) }));
  // The package's own, to try the player itself.
  return parsed.length > 0 ? parsed : [{ name: "own", file: JSON.parse(text("bindings-wasm/test/shared/own.json")) }];
}

export const tables = () => ({ records: { ...ofRules, ...ofStores, ...ofServers }, operations: operationsIn(text("bindings-wasm/dist/generated/areas.js")), seed: seed(), secrets: JSON.parse(text("tests/conformance/secrets.json")) });

export function report(column, { passed, failed }) {
  const out = join(root, "target/conformance");
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, `${column}.json`), JSON.stringify({ column, passed, failed: failed.map(({ name }) => name) }, null, 2));
  console.log(`conformance ${column}: ${passed.length} passed, ${failed.length} failed`);
  assert.deepEqual(failed, []);
  assert.ok(passed.length > 0);
}
