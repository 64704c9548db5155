import init, * as functions from "../rolekeep_rules.js";
import { compileOn, type CompileOptions, type Rules } from "./rules.js";

export * from "./api.js";

/** Compiles a policy. It has the resource types and permissions that it declares, and `admin:all`. */
export function compile(policy: CompileOptions): Promise<Rules> {
  // Literally so, that bundlers find the files and take them along.
  const wasm = new URL("../rolekeep_rules_bg.wasm", import.meta.url);
  const deferredWasm = new URL("../rolekeep_rules_deferred_bg.wasm", import.meta.url);
  return compileOn({ wasm, deferredWasm, init, functions, read: (from) => fetch(from) }, policy);
}
