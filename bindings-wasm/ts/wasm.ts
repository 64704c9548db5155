import { unavailable } from "./errors.js";
import type * as browser from "./rolekeep.js";

/** Where the wasm comes from, if not from beside the package's code. */
export type WasmSource = URL | string | BufferSource | Response | WebAssembly.Module;

/** What the wasm can be asked, beside what its objects can. @internal */
export type Functions = Pick<typeof browser, "open" | "internPermission" | "internUser" | "forgetUsers">;

/** What differs between Node, whose wasm is built for speed, and browsers, whose wasm is built to be small. @internal */
export interface Platform {
  /** The file that comes with the package. */
  readonly wasm: URL;
  readonly init: (input: { module_or_path: Exclude<WasmSource, URL | string> }) => Promise<unknown>;
  readonly functions: Functions;
  read(from: URL | string): Promise<BufferSource | Response>;
}

/** Those of the wasm that was loaded: there are none before. @internal */
export let functions: Functions;
let loaded: Promise<unknown> | undefined;

/** Loads the wasm, once for all stores; a failure is not kept. @internal */
export function load(platform: Platform, source: WasmSource = platform.wasm): Promise<unknown> {
  return (loaded ??= start(platform, source).catch((problem: unknown) => {
    loaded = undefined;
    const where = typeof source === "string" || source instanceof URL ? ` from ${source}` : "";
    const message = `the wasm cannot be loaded${where}: ${problem}; give its URL, bytes or Module as open({ wasm })`;
    throw unavailable("storage_unavailable", message, problem);
  }));
}

async function start(platform: Platform, source: WasmSource): Promise<void> {
  const input = typeof source === "string" || source instanceof URL ? await platform.read(source) : source;
  if (typeof Response === "function" && input instanceof Response && !input.ok) throw new Error(`HTTP ${input.status}`);
  await platform.init({ module_or_path: input });
  functions = platform.functions;
}
