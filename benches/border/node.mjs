// A check across the language border, in Node: node node.mjs WORKLOAD OUT [--quick].
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

import { compile } from "../../bindings-wasm/dist/rules/index.node.js";
import { measure } from "./engines.mjs";

const [file, out] = process.argv.slice(2);
const peers = createRequire(new URL("../node/package.json", import.meta.url));
const { createMongoAbility, subject } = peers("@casl/ability");
const { newEnforcer, newModelFromString, StringAdapter } = peers("casbin");

function spent() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

const how = process.argv.includes("--quick") ? { rounds: 3, milliseconds: 20 } : { rounds: 15, milliseconds: 50 };
const libraries = { compile, createMongoAbility, subject, newEnforcer, newModelFromString, StringAdapter };
const ns = await measure(JSON.parse(readFileSync(file, "utf8")), libraries, spent, how);
const { dependencies } = JSON.parse(readFileSync(new URL("../node/package.json", import.meta.url), "utf8"));
const versions = { CASL: dependencies["@casl/ability"], "node-casbin": dependencies.casbin };
writeFileSync(out, JSON.stringify({ language: `Node ${process.versions.node}`, versions, ns }, null, 2));
process.exit(0);
