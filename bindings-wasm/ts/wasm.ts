import { Packer } from "./packed.js";
import { toError, unavailable } from "./raise.js";
import type * as browser from "./rolekeep.js";

/** Where the wasm comes from, if not from beside the package's code. */
// A module where its type is there: in the library `dom`, which programs for Node need not have.
export type WasmSource = URL | string | ArrayBuffer | ArrayBufferView | Response | (typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object);

/** Where the two files of a wasm come from. */
export interface WasmSources {
  /** Where the wasm comes from, if not from beside the package's code; whoever is first decides. */
  readonly wasm?: WasmSource | undefined;
  /** The same of the part that a page loads on demand; in Node there is none. */
  readonly deferredWasm?: WasmSource | undefined;
}

/** What the wasm can be asked, beside what its objects can. @internal */
export type Functions = Pick<typeof browser, "open" | "packedAt" | "onFault" | "internPermission" | "internUser" | "forgetUsers">;

/** What differs between Node, whose wasm is built for speed, and browsers, whose wasm is built to be small. @internal */
export interface Platform<F> {
  /** What comes with the package. */
  readonly wasm: URL | WebAssembly.Module;
  /** The part of it that is loaded on demand; undefined where one file has it all. */
  readonly deferredWasm?: URL | WebAssembly.Module;
  readonly init: (input: { module_or_path: Exclude<WasmSource, URL | string> }) => Promise<{ readonly memory: WebAssembly.Memory }>;
  readonly functions: F;
  read(from: URL | string): Promise<BufferSource | Response>;
}

/** One of the package's wasm files, loaded once by whoever needs it first. @internal */
export class Wasm<F extends Pick<typeof browser, "packedAt" | "onFault">> {
  #loaded: Promise<F> | undefined;
  #deferred: Promise<void> | undefined;
  /** How the deferred part is loaded, once the rest is there. */
  #loadDeferred: () => Promise<void> = async () => {};
  /** Who is told if it ends by a fault; whoever asks later is told by its own code. */
  readonly #waiting = new Set<(fault: unknown) => void>();
  /** There are none before it is loaded. */
  functions!: F;
  /** What is asked about a resource goes this way. */
  readonly packer = new Packer();

  /** A failure is not kept. */
  load(platform: Platform<F>, { wasm = platform.wasm, deferredWasm = platform.deferredWasm }: WasmSources = {}): Promise<F> {
    const start = async () => {
      const exports = await platform.init({ module_or_path: await read(platform, wasm) });
      this.packer.attach(exports.memory, platform.functions.packedAt());
      platform.functions.onFault((fault) => {
        const error = toError(fault);
        for (const tell of this.#waiting) tell(error);
        return error;
      });
      if (platform.deferredWasm && deferredWasm) this.#loadDeferred = () => extend(exports, platform, deferredWasm);
      return (this.functions = platform.functions);
    };
    return (this.#loaded ??= start().catch((problem: unknown) => {
      this.#loaded = undefined;
      throw notLoaded("wasm", wasm, problem);
    }));
  }

  /** Loads what is loaded on demand. A failure is not kept. */
  preload(): Promise<void> {
    return (this.#deferred ??= this.#loadDeferred().catch((problem: unknown) => {
      this.#deferred = undefined;
      throw problem;
    }));
  }

  /** Asks; where the answer is that this needs what is loaded on demand, loads it and asks again. */
  async asking<T>(ask: () => T | Promise<T>): Promise<T> {
    try {
      return await this.#ask(ask);
    } catch (thrown) {
      const error = toError(thrown);
      if (error.reason !== "deferred_not_loaded") throw error;
    }
    await this.preload();
    try {
      return await this.#ask(ask);
    } catch (thrown) {
      throw toError(thrown);
    }
  }

  async #ask<T>(ask: () => T | Promise<T>): Promise<T> {
    let tell!: (fault: unknown) => void;
    const fault = new Promise<never>((_, reject) => (tell = reject));
    this.#waiting.add(tell);
    try {
      return await Promise.race([ask(), fault]);
    } finally {
      this.#waiting.delete(tell);
    }
  }
}

async function read<F>(platform: Platform<F>, source: WasmSource): Promise<Exclude<WasmSource, URL | string>> {
  const input = typeof source === "string" || source instanceof URL ? await platform.read(source) : source;
  if (typeof Response === "function" && input instanceof Response && !input.ok) throw new Error(`HTTP ${input.status}`);
  return input;
}

/** Adds the deferred part to a running wasm: it has its functions from there, and fills empty slots of its table. */
async function extend<F>(exports: object, platform: Platform<F>, source: WasmSource): Promise<void> {
  try {
    const input = await read(platform, source);
    const code = typeof Response === "function" && input instanceof Response ? await input.arrayBuffer() : input;
    const module = code instanceof WebAssembly.Module ? code : await WebAssembly.compile(code as BufferSource);
    const instance = await WebAssembly.instantiate(module, { first: exports as WebAssembly.ModuleImports });
    (instance.exports as { loadDeferred: () => void }).loadDeferred();
  } catch (problem) {
    throw notLoaded("deferredWasm", source, problem);
  }
}

function notLoaded(option: keyof WasmSources, source: WasmSource, problem: unknown): Error {
  const where = typeof source === "string" || source instanceof URL ? ` from ${source}` : "";
  const message = `the wasm cannot be loaded${where}: ${problem}; give its URL, bytes or Module as the option ${option}`;
  return unavailable("storage_unavailable", message, problem);
}

/** That of stores. @internal */
export const store = new Wasm<Functions>();
