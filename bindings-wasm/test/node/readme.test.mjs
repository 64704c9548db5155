// README.md keeps its word: its programs compile strictly, run one after another, and print what stands beside them.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";

import { here, text } from "./support.mjs";

const blocks = [...text("bindings-wasm/README.md").matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, block]) => block);
const program = blocks.join("\n");

test("the programs of the README compile and say what they should", async () => {
  assert.ok(blocks.length >= 7);
  // Within the package, so that its name resolves to it.
  const folder = mkdtempSync(join(here, "test/made-"));
  try {
    const file = join(folder, "readme.ts");
    // What a page of prose gives no name to is used nowhere.
    writeFileSync(file, `${program}\nvoid [why, server, query, following];\n`);
    const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
    const options = ["--ignoreConfig", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "node", "--module", "nodenext"];
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, file], { cwd: here, encoding: "utf8" });
    assert.equal(status, 0, stdout);
    await build({ entryPoints: [file], outfile: join(folder, "readme.js"), format: "esm", target: "es2022", bundle: false });
    const said = execFileSync(process.execPath, ["readme.js"], { cwd: folder, encoding: "utf8" });
    const wanted = [...program.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line]) => line);
    assert.deepEqual(said.trimEnd().split("\n"), wanted);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
