import { read } from "./read.node.js";
import init, * as functions from "./rolekeep_node.js";
import { openOn, type OpenOptions, type UserManagement } from "./store.js";
import { wasmFile } from "./wasm.node.js";

export * from "./api.js";

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export function open(options?: OpenOptions): Promise<UserManagement> {
  return openOn({ wasm: wasmFile(), init, functions, read }, options);
}
