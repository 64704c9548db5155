export { Asker, type Question, type Resource } from "../ask.js";
export * from "../errors.js";
export type * from "../filter.js";
export type { AssignedRole, Explanation, Json, PrincipalData } from "../generated/types.js";
export type { WasmSource, WasmSources } from "../wasm.js";
export { type CompileOptions, type Context, Principal, Rules } from "./rules.js";
