// Makes `dist` of the TypeScript and of the wasm, which `scripts/wasm` must have made before: once for browsers, once
// for what they need of the rules alone, and once for Node.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const at = (...parts) => join(here, ...parts);

const FILES = ["rolekeep", "rolekeep_rules", "rolekeep_node"].flatMap((name) => [`${name}.js`, `${name}_bg.wasm`]);
// What browsers load on demand.
FILES.push(...["rolekeep", "rolekeep_rules"].map((name) => `${name}_deferred_bg.wasm`));
if (!FILES.every((file) => existsSync(at("wasm", file)))) {
  console.error("there is no wasm yet: run scripts/wasm all");
  process.exit(1);
}
rmSync(at("dist"), { recursive: true, force: true });
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "--project", at("tsconfig.json")], { stdio: "inherit" });
for (const file of FILES) cpSync(at("wasm", file), at("dist", file));
for (const license of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(at("..", license), at(license));
