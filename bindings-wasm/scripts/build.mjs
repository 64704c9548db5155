// Makes `dist` of the TypeScript and of the wasm, which `scripts/wasm all` must have made before.
//
// Browsers and Workers load the modules as they are; Node loads one bundle of CommonJS (docs/decisions/015).
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { ENTRIES, WASM } from "./files.mjs";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const at = (...parts) => join(here, ...parts);
const require = createRequire(import.meta.url);

if (!WASM.every((file) => existsSync(at("wasm", file)))) {
  console.error("there is no wasm yet: run scripts/wasm all");
  process.exit(1);
}
rmSync(at("dist"), { recursive: true, force: true });
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "--project", at("tsconfig.json")], { stdio: "inherit" });
for (const file of WASM) cpSync(at("wasm", file), at("dist", file));
for (const license of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(at("..", license), at(license));

await build({
  entryPoints: [at("dist/bundle.node.js")],
  outfile: at("dist/rolekeep.cjs"),
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20",
  sourcemap: true,
  define: { "import.meta.url": "packageUrl" },
  banner: { js: 'const packageUrl = require("node:url").pathToFileURL(__filename).href;' },
  logLevel: "warning",
});
const bundle = require(at("dist/rolekeep.cjs"));
for (const name of ENTRIES) {
  const given = Object.keys(bundle[name]).join(", ");
  writeFileSync(at(`dist/${name}.cjs`), `module.exports = require("./rolekeep.cjs").${name};\n`);
  writeFileSync(at(`dist/${name}.mjs`), `import bundle from "./rolekeep.cjs";\n\nexport const { ${given} } = bundle.${name};\n`);
}
writeFileSync(at("dist/cli.cjs"), '#!/usr/bin/env node\nrequire("./rolekeep.cjs").run();\n');
chmodSync(at("dist/cli.cjs"), 0o755);

// The types are CommonJS, which modules of both kinds may import, so that there is one class of each name.
writeFileSync(at("dist/types/package.json"), '{ "type": "commonjs" }\n');
for (const entry of ["index", "index.node", "node", "rules/index"]) writeFileSync(at(`dist/types/${entry}.d.mts`), 'export * from "./' + entry.split("/").at(-1) + '.js";\n');
