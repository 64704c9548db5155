import assert from "node:assert/strict";
import { test } from "node:test";

import { compile } from "rolekeep/rules";

import { asked, decisions } from "../shared/rules.mjs";
import { text } from "./support.mjs";

test("rules without accounts decide as rules with accounts do", async () => {
  const shared = "tests/conformance/rules";
  const { given, wanted } = await decisions(compile, text(`${shared}/policy.toml`), JSON.parse(text(`${shared}/decisions.json`)));
  assert.deepEqual(given, wanted);
  assert.equal(given.length, 1000);
});

test("a principal of rules without accounts is asked as a caller is", () => asked(compile, assert.deepEqual));
