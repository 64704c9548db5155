// A check across the language border, in a page of Chromium: node page.mjs WORKLOAD OUT [--quick].
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const [file, out] = process.argv.slice(2);
const tools = createRequire(new URL("../../bindings-wasm/package.json", import.meta.url));
const { build } = tools("esbuild");
const { chromium } = tools("playwright-core");

const dist = join(here, "../../bindings-wasm/dist");
const casl = createRequire(new URL("../node/package.json", import.meta.url)).resolve("@casl/ability");
const contents = `export { compile } from ${JSON.stringify(join(dist, "rules/index.js"))};
export { createMongoAbility, subject } from ${JSON.stringify(casl)};
export { measure } from ${JSON.stringify(join(here, "engines.mjs"))};`;
const built = await build({ stdin: { contents, resolveDir: here }, bundle: true, format: "esm", write: false, platform: "browser" });
const files = {
  "/": ["text/html", "<!doctype html><title>border</title>"],
  "/bundle.js": ["text/javascript", built.outputFiles[0].text],
  "/rules.wasm": ["application/wasm", readFileSync(join(dist, "rolekeep_rules_bg.wasm"))],
  // The policy is TOML, which is read by what a page loads on demand.
  "/deferred.wasm": ["application/wasm", readFileSync(join(dist, "rolekeep_rules_deferred_bg.wasm"))],
};
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? [];
  response.writeHead(type ? 200 : 404, type && { "content-type": type, "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" });
  response.end(body);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const browser = await chromium.launch({ executablePath: process.env.ROLEKEEP_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const how = process.argv.includes("--quick") ? { rounds: 3, milliseconds: 20 } : { rounds: 25, milliseconds: 50 };
const ns = await page.evaluate(
  async ([workload, how]) => {
    const { compile, createMongoAbility, subject, measure } = await import("/bundle.js");
    const libraries = { compile: (policy) => compile({ ...policy, wasm: "/rules.wasm", deferredWasm: "/deferred.wasm" }), createMongoAbility, subject };
    return measure(workload, libraries, () => performance.now(), how);
  },
  [JSON.parse(readFileSync(file, "utf8")), how],
);
const { dependencies } = JSON.parse(readFileSync(new URL("../node/package.json", import.meta.url), "utf8"));
writeFileSync(out, JSON.stringify({ language: `a page, Chromium ${browser.version()}`, versions: { CASL: dependencies["@casl/ability"] }, ns }, null, 2));
await browser.close();
server.close();
