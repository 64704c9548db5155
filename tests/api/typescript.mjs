// Prints the public declarations of each entry of the npm package, as API Extractor gathers them, without comments.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = join(root, "bindings-wasm");
const require = createRequire(join(folder, "package.json"));
const { Extractor, ExtractorConfig } = require("@microsoft/api-extractor");

/** Where the types of each entry are, of those in `exports` that have any; Node may have others, which add to them. */
const entries = Object.entries(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).exports).flatMap(([path, to]) => {
  const name = path.replace(/^\./, "rolekeep");
  const types = to?.types ?? to?.default?.types;
  const file = ({ require }) => require.replace("./dist/types/", "");
  if (types === undefined) return [];
  return [{ name, file: file(types) }, ...(to.node?.types ? [{ name: `${name}, in Node`, file: file(to.node.types), adds: true }] : [])];
});

const out = join(root, "target/api/typescript");
rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "report"), { recursive: true });
writeFileSync(join(out, "package.json"), '{ "name": "rolekeep", "version": "0.0.0", "type": "commonjs" }\n');
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "--project", join(folder, "tsconfig.json"), "--emitDeclarationOnly", "--outDir", out, "--declarationDir", out], { stdio: ["ignore", 2, 2] });

const { compilerOptions } = JSON.parse(readFileSync(join(folder, "tsconfig.json"), "utf8"));
const tsconfig = {
  compilerOptions: { ...compilerOptions, rootDir: out, rootDirs: undefined, outDir: undefined, declarationDir: undefined, declaration: undefined, typeRoots: [join(folder, "node_modules/@types")] },
  include: [out],
};
// What a signature names must be there to import. `rolekeep/node` adds to `rolekeep`, whose types it takes from there.
const missing = [];
const withOthersTypes = new Set(["rolekeep/node"]);
let before = [];
for (const { name, file, adds } of entries) {
  const report = `${name.replace(/\W+/g, "-")}.api.md`;
  const configObject = {
    projectFolder: out,
    mainEntryPointFilePath: join(out, file),
    newlineKind: "lf",
    compiler: { overrideTsconfig: tsconfig },
    apiReport: { enabled: true, reportFileName: report, reportFolder: join(out, "report"), reportTempFolder: join(out, "temp") },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
  };
  const config = ExtractorConfig.prepare({ configObject, packageJsonFullPath: join(out, "package.json"), configObjectFullPath: undefined });
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      message.logLevel = message.logLevel === "error" ? "error" : "none";
      if (message.messageId === "ae-forgotten-export" && !withOthersTypes.has(name)) missing.push(`${name}: ${message.text}`);
    },
  });
  console.log(`// ${name}`);
  const whole = declarations(readFileSync(join(out, "report", report), "utf8")).split(/\n(?=\S)(?!\})/);
  console.log((adds ? whole.filter((one) => !before.includes(one)) : whole).join("\n"));
  before = whole;
}
if (missing.length > 0) {
  console.error(missing.join("\n"));
  process.exitCode = 1;
}

/** The code of a report, without comments and empty lines. */
function declarations(report) {
  const [, code] = /^```ts$(.*)^```$/ms.exec(report);
  return code.replace(/^ *\/\*\*.*?\*\/\n/gms, "").split("\n").filter((line) => !/^ *(\/\/.*)?$/.test(line)).join("\n");
}
