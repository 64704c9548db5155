import { readFile } from "node:fs/promises";

import type { RolekeepError } from "./errors.js";
import { openOn, type OpenOptions, type UserManagement } from "./store.js";

export * from "./api.js";

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export function open(options?: OpenOptions): Promise<UserManagement> {
  const wasm = new URL("./rolekeep_bg.wasm", import.meta.url);
  return openOn({ wasm, read, reported }, options);
}

// Loaded where it is needed alone.
async function reported(problem: RolekeepError, settings: string): Promise<RolekeepError> {
  return (await import("./tools.js")).reported(problem, settings);
}

// Node does not fetch files.
function read(from: URL | string): Promise<Uint8Array<ArrayBuffer> | Response> {
  const url = new URL(from);
  return url.protocol === "file:" ? readFile(url) : fetch(url);
}
