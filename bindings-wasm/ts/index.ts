import init, * as functions from "./rolekeep.js";
import { openOn, type OpenOptions, type UserManagement } from "./store.js";

export * from "./api.js";

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export function open(options?: OpenOptions): Promise<UserManagement> {
  // Literally so, that bundlers find the file and take it along.
  const wasm = new URL("./rolekeep_bg.wasm", import.meta.url);
  return openOn({ wasm, init, functions, read: (from) => fetch(from) }, options);
}
