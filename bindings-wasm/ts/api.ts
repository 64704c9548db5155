export { Caller, type Question, type RequestContext, type Resource } from "./caller.js";
export * from "./errors.js";
export type * from "./generated/areas.js";
export type * from "./generated/types.js";
export * from "./guards.js";
export { indexedDB } from "./indexeddb.js";
export type * from "./persister.js";
export { UserManagement, type Check, type Circumstances, type OpenOptions } from "./store.js";
export type { WasmSource } from "./wasm.js";
