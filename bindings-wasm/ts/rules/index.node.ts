import { read } from "../read.node.js";
import init, * as functions from "../rolekeep_node.js";
import { wasmFile } from "../wasm.node.js";
import { compileOn, type CompileOptions, type Rules } from "./rules.js";

export * from "./api.js";

/** Compiles a policy. It has the resource types and permissions that it declares, and `admin:all`. */
export function compile(policy: CompileOptions): Promise<Rules> {
  return compileOn({ wasm: wasmFile(), init, functions, read }, policy);
}
