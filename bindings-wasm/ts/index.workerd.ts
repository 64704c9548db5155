import init, * as functions from "./rolekeep.js";
import wasm from "./rolekeep_bg.wasm";
import deferredWasm from "./rolekeep_deferred_bg.wasm";
import { openOn, type PageOptions, UserManagement, withEncryption } from "./store.js";

export * from "./api.js";

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export async function open(options?: PageOptions): Promise<UserManagement> {
  // Workers compile no bytes: they load the files as modules.
  return new UserManagement(await openOn({ wasm, deferredWasm, init, functions, read: (from) => fetch(from) }, await withEncryption(options)));
}
