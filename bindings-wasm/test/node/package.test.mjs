import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

import { ENTRIES, WASM } from "../../scripts/files.mjs";
import { compile, here, text } from "./support.mjs";

const manifest = JSON.parse(text("bindings-wasm/package.json"));

/**
 * Bytes after gzip that a page loads at first, at most: what it loaded with the 62 operations there were, what `scripts/wasm-bytes`
 * allows each since, and what came without one. docs/decisions/007 says what that was. A kilobyte is to spare, so that a change of
 * some bytes elsewhere is not refused for them.
 */
const LIMIT = 540 * 1024 + (Object.keys(JSON.parse(text("docs/wasm-bytes.json"))).length - 62) * 1229;
/** The same of `rolekeep/rules`. */
const RULES_LIMIT = 150 * 1024;
/** The same of what either loads on demand, without which nobody should notice it growing; four of them for assets of other kinds, and four for
 * what rules without accounts load at first no more; three for statuses beneath others, sealed cursors and tries of names; three for keys to
 * sort by, exports that go on, proofs of oneself and reasons beneath a ban; ten for suspensions that rules know to be over, storages of the
 * application's own that went back, and what is wrong with an input told at once; three for parts of the
 * feed, and reads of it that are shared; five for pages of events and notices from which nobody learns of others, and
 * for what clients read of errors. */
const DEFERRED_LIMIT = 573 * 1024 + (Object.keys(JSON.parse(text("docs/wasm-bytes.json"))).length - 70) * 1229;

const HOMES = ["api_keys", "asset_kinds", "assets", "audit", "common", "config", "consumers", "drones", "email", "errors", "events", "factors", "groups", "health", "identities", "imports", "invitations", "limits", "notices", "passwords", "permissions", "policy", "preferences", "profiles", "regions", "roles", "rules", "scopes", "sessions", "setup", "sign_in", "signing_keys", "sql", "upkeep", "users", "validate", "verification"];
/** What pages and Workers load, module by module. */
const MODULES = ["api", "ask", "caller", "codec", "encryption", "errors", "events", "filter", "generated/areas", "generated/codec", "generated/rules", "generated/types", ...HOMES.map((home) => `generated/types/${home}`), "guards", "imports", "index", "index.workerd", "indexeddb", "packed", "page", "pages", "persister", "raise", "rules/api", "rules/index", "rules/index.workerd", "rules/rules", "sign-in", "store", "wasm"];
/** What else has types: what Node has of its own. */
const TYPED = [...MODULES.filter((name) => !name.endsWith(".workerd")), "breached", "guarded", "index.node", "node", "notifier", "telemetry"];
const FILES = [
  "LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json",
  ...MODULES.flatMap((name) => [`dist/${name}.js`, `dist/${name}.js.map`]),
  ...TYPED.map((name) => `dist/types/${name}.d.ts`),
  ...["index", "index.node", "node", "rules/index"].map((name) => `dist/types/${name}.d.mts`), "dist/types/package.json",
  ...WASM.filter((name) => name !== "rolekeep_node.js").map((name) => `dist/${name}`),
  "dist/rolekeep.cjs", "dist/rolekeep.cjs.map", "dist/cli.cjs", ...ENTRIES.flatMap((name) => [`dist/${name}.cjs`, `dist/${name}.mjs`]),
];

test("the tarball holds just what it should", () => {
  const [packed] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: here, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  assert.deepEqual(packed.files.map(({ path }) => path).sort(), [...FILES].sort());
  assert.equal(manifest.version, /^version = "(.+)"/m.exec(text("Cargo.toml"))[1], "one version everywhere");
});

test("publint has nothing to say", async () => {
  const { messages, pkg } = await publint({ pkgDir: here, strict: true, pack: "npm" });
  assert.deepEqual(messages.map((message) => formatMessage(message, pkg)), []);
});

test("a program of ten lines compiles strictly, and mistakes do not", () => {
  const good = compile("--project", "test/tsconfig.json");
  assert.equal(good.status, 0, good.stdout);
  // A program for Node, which knows nothing of a page.
  const inNode = compile("--ignoreConfig", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022", "--types", "node", "--module", "nodenext", "--skipLibCheck", "false", "test/types/good.ts");
  assert.equal(inNode.status, 0, inNode.stdout);
  const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--module", "nodenext"];
  const bad = compile("--ignoreConfig", ...options, "test/types/bad.ts");
  assert.notEqual(bad.status, 0);
  const lines = new Set([...bad.stdout.matchAll(/bad\.ts\((\d+),/g)].map(([, line]) => Number(line)));
  assert.deepEqual([...lines].sort((a, b) => a - b), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 25, 26, 27, 28, 29, 30, 31, 32, 33], bad.stdout);
  assert.match(bad.stdout, /fullNam/);
});

test("nothing waits at the top of a module, and nothing runs on import", async () => {
  for (const name of MODULES) assert.doesNotMatch(readFileSync(join(here, `dist/${name}.js`), "utf8"), /^(await|const .*= await)/m, name);
  assert.equal(manifest.sideEffects, false);
  const { outputFiles } = await build({ stdin: { contents: 'import "rolekeep"; import { open } from "rolekeep";', resolveDir: here }, bundle: true, format: "esm", write: false, platform: "browser", treeShaking: true });
  assert.equal(outputFiles[0].text.trim(), "", "an import that is not used leaves nothing");
});

for (const [entry, contents, file, limit] of [
  ["the package", 'export { open, indexedDB } from "rolekeep";', "rolekeep_bg.wasm", LIMIT],
  ["the entry of the rules alone", 'export { compile } from "rolekeep/rules";', "rolekeep_rules_bg.wasm", RULES_LIMIT],
]) {
  test(`${entry} is small enough for a web page`, async () => {
    // What encrypts is imported where there is a key.
    const { outputFiles } = await build({ stdin: { contents, resolveDir: here }, bundle: true, minify: true, format: "esm", write: false, platform: "browser", external: ["*/encryption.js"] });
    const wasm = readFileSync(join(here, "dist", file));
    const sizes = { wasm: gzipSync(wasm, { level: 9 }).length, javascript: gzipSync(outputFiles[0].contents, { level: 9 }).length };
    const deferred = gzipSync(readFileSync(join(here, "dist", file.replace("_bg", "_deferred_bg"))), { level: 9 }).length;
    assert.ok(deferred <= DEFERRED_LIMIT, `${deferred} bytes on demand, ${DEFERRED_LIMIT} at most`);
    console.log(`gzipped: ${deferred} bytes on demand, at first wasm ${sizes.wasm} bytes of ${wasm.length}, JavaScript ${sizes.javascript} bytes`);
    assert.ok(sizes.wasm + sizes.javascript <= limit, `${sizes.wasm + sizes.javascript} bytes, ${limit} at most`);
  });
}

test("what is written by hand stays small", () => {
  const files = ["src", "ts"].flatMap((name) => readdirSync(join(here, name), { recursive: true }).map((path) => join(here, name, path)));
  const written = files.filter((path) => /\.(rs|ts)$/.test(path) && !relative(here, path).includes("generated"));
  const lines = written.map((path) => readFileSync(path, "utf8").split("\n"));
  const code = lines.flat().filter((line) => !/^\s*(\/\/|\/\*|\*|$)/.test(line)).length;
  console.log(`written by hand: ${code} lines of code in ${written.length} files, ${lines.flat().length} with comments`);
  const most = Number(/LONGEST_BINDING: usize = ([\d_]+)/.exec(text("core/tests/architecture.rs"))[1].replaceAll("_", ""));
  assert.ok(code <= most && Math.max(...lines.map((of) => of.length)) <= 600);
});
