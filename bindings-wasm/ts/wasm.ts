import { unavailable } from "./errors.js";
import { Packer } from "./packed.js";
import type * as browser from "./rolekeep.js";

/** Where the wasm comes from, if not from beside the package's code. */
export type WasmSource = URL | string | BufferSource | Response | WebAssembly.Module;

/** What the wasm can be asked, beside what its objects can. @internal */
export type Functions = Pick<typeof browser, "open" | "packedAt" | "internPermission" | "internUser" | "forgetUsers">;

/** What differs between Node, whose wasm is built for speed, and browsers, whose wasm is built to be small. @internal */
export interface Platform<F> {
  /** What comes with the package. */
  readonly wasm: URL | WebAssembly.Module;
  readonly init: (input: { module_or_path: Exclude<WasmSource, URL | string> }) => Promise<{ readonly memory: WebAssembly.Memory }>;
  readonly functions: F;
  read(from: URL | string): Promise<BufferSource | Response>;
}

/** One of the package's wasm files, loaded once by whoever needs it first. @internal */
export class Wasm<F extends { packedAt(): number }> {
  #loaded: Promise<F> | undefined;
  /** There are none before it is loaded. */
  functions!: F;
  /** What is asked about a resource goes this way. */
  readonly packer = new Packer();

  /** A failure is not kept. */
  load(platform: Platform<F>, source: WasmSource = platform.wasm): Promise<F> {
    return (this.#loaded ??= start(platform, source).then(
      (memory) => {
        this.packer.attach(memory, platform.functions.packedAt());
        return (this.functions = platform.functions);
      },
      (problem: unknown) => {
        this.#loaded = undefined;
        const where = typeof source === "string" || source instanceof URL ? ` from ${source}` : "";
        const message = `the wasm cannot be loaded${where}: ${problem}; give its URL, bytes or Module as the option wasm`;
        throw unavailable("storage_unavailable", message, problem);
      },
    ));
  }
}

async function start<F>(platform: Platform<F>, source: WasmSource): Promise<WebAssembly.Memory> {
  const input = typeof source === "string" || source instanceof URL ? await platform.read(source) : source;
  if (typeof Response === "function" && input instanceof Response && !input.ok) throw new Error(`HTTP ${input.status}`);
  return (await platform.init({ module_or_path: input })).memory;
}

/** That of stores. @internal */
export const store = new Wasm<Functions>();
