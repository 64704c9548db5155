import init, * as functions from "../rolekeep_rules.js";
import wasm from "../rolekeep_rules_bg.wasm";
import deferredWasm from "../rolekeep_rules_deferred_bg.wasm";
import { compileOn, type CompileOptions, type Rules } from "./rules.js";

export * from "./api.js";

/** Compiles a policy. It has the resource types and permissions that it declares, and `admin:all`. */
export function compile(policy: CompileOptions): Promise<Rules> {
  // Workers compile no bytes: they load the files as modules.
  return compileOn({ wasm, deferredWasm, init, functions, read: (from) => fetch(from) }, policy);
}
