// All that Node loads, in one file of CommonJS: whoever requires and whoever imports the package shares its state and its
// classes. The entries, made by scripts/build.mjs, name what each of them gives.
export * as index from "./index.node.js";
export * as node from "./node.js";
export * as rules from "./rules/index.node.js";
export { run } from "./cli.js";
