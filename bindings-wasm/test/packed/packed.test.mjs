// The tarball as it is published, installed in a project of its own outside of the tree.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { build } from "esbuild";

import { here, text } from "../node/support.mjs";

const require = createRequire(import.meta.url);
const tsc = join(require.resolve("typescript/package.json"), "../bin/tsc");
let app, tarball;
before(() => {
  app = mkdtempSync(join(tmpdir(), "rolekeep-app-"));
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", app], { cwd: here, stdio: "ignore" });
  tarball = readdirSync(app).find((name) => name.endsWith(".tgz"));
  writeFileSync(join(app, "package.json"), '{"type": "module", "private": true}');
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${tarball}`], { cwd: app, stdio: "ignore" });
});
after(() => rmSync(app, { recursive: true, force: true }));

const write = (name, contents) => writeFileSync(join(app, name), contents);
const run = (...parameters) => execFileSync(process.execPath, ["--no-warnings", ...parameters], { cwd: app, encoding: "utf8" }).trim();
const taste = text("bindings-wasm/examples/taste.ts");
const SAID = ["true false", "document:delete is denied: no role that is held allows it"];

test("by import", async () => {
  assert.ok(taste.trimEnd().split("\n").length <= 9, "a taste is at most 9 lines");
  await build({ stdin: { contents: taste, loader: "ts" }, outfile: join(app, "taste.js"), format: "esm" });
  assert.deepEqual(run("taste.js").split("\n").slice(0, 2), SAID);
});

// As Node before 20.19 does: without the means to require ES modules.
for (const flags of [[], ["--no-experimental-require-module"]]) {
  test(`by require ${flags.join(" ")}`, async () => {
    // CommonJS has no await at the top.
    const [first, ...rest] = taste.split("\n");
    const contents = `${first}\nvoid (async () => {\n${rest.join("\n")}\n})();\n`;
    await build({ stdin: { contents, loader: "ts" }, outfile: join(app, "taste.cjs"), format: "cjs" });
    assert.deepEqual(run(...flags, "taste.cjs").split("\n").slice(0, 2), SAID);
    write("rules.cjs", `const { compile } = require("rolekeep/rules");
      compile({ roles: { editor: ["document:edit"] } }).then((rules) => console.log(rules.principal({ id: "0198c0de-0000-7000-8000-00000000000a", roles: ["editor"] }).can("document:edit")));`);
    assert.equal(run(...flags, "rules.cjs"), "true");
  });
}

test("import and require share one state and one class of each name", () => {
  write("both.mjs", `
    import { createRequire } from "node:module";
    import * as index from "rolekeep";
    import * as node from "rolekeep/node";
    import * as rules from "rolekeep/rules";
    const require = createRequire(import.meta.url);
    for (const [name, imported] of Object.entries({ "rolekeep": index, "rolekeep/node": node, "rolekeep/rules": rules })) {
      const required = require(name);
      const names = Object.keys(required).sort();
      if (names.length === 0 || JSON.stringify(names) !== JSON.stringify(Object.keys(imported).sort())) throw new Error(name + ": " + names);
      for (const one of names) if (required[one] !== imported[one]) throw new Error(name + " has two of " + one);
    }
    if (rules.RolekeepError !== index.RolekeepError) throw new Error("two errors");
    const um = await index.open({ roles: { editor: ["document:edit"] } });
    await um.close();
    const error = await um.system.users.list().catch((error) => error);
    console.log(error instanceof require("rolekeep").UnavailableError, error.reason);`);
  assert.equal(run("both.mjs"), "true closed");
});

test("the command", () => {
  write("wrong.toml", '[roles.editor]\nallow = ["document:edti"]\n');
  const command = (...parameters) => spawnSync(process.execPath, [join(app, "node_modules/.bin/rolekeep"), ...parameters], { cwd: app, encoding: "utf8" });
  assert.equal(command("check", "wrong.toml").status, 1);
  assert.equal(command("check", "preset:standard").status, 0);
});

test("source maps lead to the TypeScript", () => {
  write("wrong.cjs", 'require("rolekeep").open({ colour: "red" }).catch((error) => console.log(error.stack));');
  assert.match(run("--enable-source-maps", "wrong.cjs"), /ts\/store\.ts:\d+:\d+/);
  for (const name of ["index.js", "rolekeep.cjs", "rules/rules.js"]) {
    const map = JSON.parse(readFileSync(join(app, "node_modules/rolekeep/dist", `${name}.map`), "utf8"));
    assert.ok(map.sources.length > 0 && map.sourcesContent?.length === map.sources.length && map.sourcesContent.every(Boolean), name);
  }
});

test("what exports name is there", () => {
  const manifest = JSON.parse(readFileSync(join(app, "node_modules/rolekeep/package.json"), "utf8"));
  const paths = (entry) => (entry === null ? [] : typeof entry === "string" ? [entry] : Object.values(entry).flatMap(paths));
  for (const path of [...paths(manifest.exports), ...Object.values(manifest.bin)]) assert.ok(existsSync(join(app, "node_modules/rolekeep", path)), path);
  const objects = (entry) => (entry === null || typeof entry !== "object" ? [] : [entry, ...Object.values(entry).flatMap(objects)]);
  for (const entry of objects(manifest.exports)) if (entry.types) assert.equal(Object.keys(entry)[0], "types", JSON.stringify(entry));
});

for (const [module, resolution, file] of [
  ["node16", "node16", "app.mts"],
  ["node16", "node16", "app.cts"],
  ["nodenext", "nodenext", "app.cts"],
  ["esnext", "bundler", "app.mts"],
]) {
  test(`strict TypeScript: ${resolution}, ${file}`, () => {
    const body = `
      const um: UserManagement = await open({ roles: { editor: ["document:edit"] }, persister: filePersister("data") });
      const ada: User = await um.system.users.create({ email: "ada@example.org" });
      const rules: Rules = await compile({ roles: { editor: ["document:edit"] } });
      const allowed: boolean = (await um.actingAs(ada.id)).can("document:edit") || rules.anonymous().can("document:edit");
      console.log(allowed);`;
    write(file, `
      import { open, type User, type UserManagement } from "rolekeep";
      import { filePersister } from "rolekeep/node";
      import { compile, type Rules } from "rolekeep/rules";
      export async function main(): Promise<void> {${body}}`);
    // Without skipLibCheck: what is declared must hold by itself.
    const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--module", module, "--moduleResolution", resolution];
    const compile = () => spawnSync(process.execPath, [tsc, ...options, file], { cwd: app, encoding: "utf8" });
    const good = compile();
    assert.equal(good.status, 0, good.stdout);
    write(file, readFileSync(join(app, file), "utf8").replace("ada.id", "ada.idd"));
    assert.match(compile().stdout, /'idd'/);
  });
}

test("classes are the same for the compiler in modules of both kinds", () => {
  write("one.cts", 'import { UserManagement } from "rolekeep";\nexport declare const um: UserManagement;\n');
  write("other.mts", 'import type { UserManagement } from "rolekeep";\nimport { um } from "./one.cjs";\nexport const same: UserManagement = um;\n');
  const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--module", "nodenext"];
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...options, "other.mts"], { cwd: app, encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

const page = (imports, body) => `${imports}
  const said = (...words) => (globalThis.answers ??= []).push(words.join(" "));
  async function main() {\n${body.replaceAll("console.log(", "said(")}\n}\nvoid main();\n`;

test("built by Vite it runs in Chromium", async () => {
  const { browser, serve } = await import("../browser/support.mjs");
  const [first, ...rest] = taste.split("\n");
  write("index.html", '<!doctype html><script type="module" src="/main.ts"></script>');
  write("main.ts", page(first, rest.join("\n")));
  const vite = await import("vite");
  await vite.build({ root: app, logLevel: "warn", configFile: false, build: { outDir: "out", sourcemap: true } });
  const site = await serve(join(app, "out"));
  const chromium = await browser();
  try {
    const tab = await chromium.page(site.url);
    await tab.waitForFunction(() => globalThis.answers?.length >= 2, null, { timeout: 60_000 });
    assert.equal((await tab.evaluate(() => globalThis.answers))[0], SAID[0]);
    // Vite names each by its contents.
    const loaded = site.requests.filter((path) => path.endsWith(".wasm"));
    // An account is created by the host, which needs the second one.
    assert.ok(loaded.every((path) => /rolekeep_(deferred_)?bg/.test(path)) && loaded.length === 2, String(loaded));
  } finally {
    await chromium.close();
    site.close();
  }
});

test("bundled for Workers it takes the wasm as a module", async () => {
  write("worker.js", 'import { open } from "rolekeep"; import { compile } from "rolekeep/rules"; export default { open, compile };');
  const { metafile, outputFiles } = await build({ entryPoints: [join(app, "worker.js")], bundle: true, write: false, metafile: true, format: "esm", conditions: ["workerd", "worker", "browser"], external: ["*.wasm"], outdir: join(app, "worker") });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
  assert.deepEqual(imports.map((path) => path.split("/").at(-1)).sort(), ["rolekeep_bg.wasm", "rolekeep_deferred_bg.wasm", "rolekeep_rules_bg.wasm", "rolekeep_rules_deferred_bg.wasm"]);
  assert.doesNotMatch(outputFiles[0].text, /node:fs|__require/);
  // As workerd does: each import of a wasm file is a compiled module.
  const code = outputFiles[0].text.replaceAll(/import (\w+) from "(.*\.wasm)";/g, (_, name, path) => `const ${name} = new WebAssembly.Module(readFileSync(${JSON.stringify(join(app, "node_modules/rolekeep/dist", path.split("/").at(-1)))}));`);
  write("worker.mjs", `import { readFileSync } from "node:fs";\n${code}`);
  const { default: worker } = await import(pathToFileURL(join(app, "worker.mjs")));
  const um = await worker.open({ roles: { editor: ["document:edit"] } });
  const ada = await um.system.users.create({ email: "ada@example.org", roles: ["editor"] });
  assert.equal((await um.actingAs(ada.id)).can("document:edit"), true);
  await um.close();
  const rules = await worker.compile({ roles: { editor: ["document:edit"] } });
  assert.equal(rules.anonymous().can("document:edit"), false);
});
