import init, * as functions from "./rolekeep.js";
import { openOn, type PageOptions, UserManagement, withEncryption } from "./store.js";

export * from "./api.js";

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export async function open(options?: PageOptions): Promise<UserManagement> {
  // Literally so, that bundlers find the files and take them along.
  const wasm = new URL("./rolekeep_bg.wasm", import.meta.url);
  const deferredWasm = new URL("./rolekeep_deferred_bg.wasm", import.meta.url);
  return new UserManagement(await openOn({ wasm, deferredWasm, init, functions, read: (from) => fetch(from) }, await withEncryption(options)));
}
