import { type RolekeepError, unavailable } from "./errors.js";
import init, { type InitInput } from "./rolekeep.js";

/** Where the wasm comes from, if not from beside the package's code. */
export type WasmSource = URL | string | BufferSource | Response | WebAssembly.Module;

/** What differs between Node and browsers. */
export interface Platform {
  /** The file that comes with the package. */
  readonly wasm: URL;
  read(from: URL | string): Promise<BufferSource | Response>;
  /** The same error with a report of the policy's problems. */
  readonly reported?: (problem: RolekeepError, settings: string) => Promise<RolekeepError>;
}

let loaded: Promise<unknown> | undefined;

/** Loads the wasm, once for all stores; a failure is not kept. */
export function load(platform: Platform, source: WasmSource = platform.wasm): Promise<unknown> {
  return (loaded ??= start(platform, source).catch((problem: unknown) => {
    loaded = undefined;
    const where = typeof source === "string" || source instanceof URL ? ` from ${source}` : "";
    const message = `the wasm cannot be loaded${where}: ${problem}; give its URL, bytes or Module as open({ wasm })`;
    throw unavailable("storage_unavailable", message, problem);
  }));
}

async function start(platform: Platform, source: WasmSource): Promise<unknown> {
  const input: InitInput = typeof source === "string" || source instanceof URL ? await platform.read(source) : source;
  if (typeof Response === "function" && input instanceof Response && !input.ok) throw new Error(`HTTP ${input.status}`);
  return init({ module_or_path: input });
}
