import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { open } from "rolekeep";

import { locales } from "../shared/locales.mjs";
import { here, text } from "./support.mjs";

const LISTS = JSON.parse(text("tests/conformance/locales.json"));

test("languages and time zones, by tables", async () => {
  const { wrong, played } = await locales(open, LISTS, false);
  assert.deepEqual(wrong, []);
  assert.ok(played > 1800);
});

test("the wasm of pages says the same, by what this Node knows of time zones", async () => {
  const page = await import("../../dist/index.js");
  const [wasm, deferredWasm] = ["rolekeep_bg", "rolekeep_deferred_bg"].map((name) => readFileSync(join(here, `dist/${name}.wasm`)));
  const { wrong, unknown, played } = await locales((settings) => page.open({ ...settings, wasm, deferredWasm }), LISTS, true);
  assert.deepEqual(wrong, []);
  assert.ok(played > 1800);
  console.log(`time zones that Node does not know: ${unknown.join(" ") || "none"}`);
  // Only what the database has gained since.
  assert.ok(unknown.length < 5, String(unknown));
});
