export { Asker, type Question, type Readable, type Resource, type ResourceOf } from "../ask.js";
export * from "../errors.js";
export type * from "../filter.js";
export type {
  AssignedRole,
  AssignmentTrace,
  Cause,
  ChangeKind,
  Code,
  Effect,
  Explanation,
  FieldCode,
  FieldError,
  FilteredRows,
  GrantTrace,
  IdStorage,
  Json,
  PrincipalData,
  Problem,
  ProposedChange,
  Reason,
  RulesConfig,
  SqlColumn,
  SqlDialect,
  SqlFilter,
  SqlKind,
  SqlParameter,
  SqlTable,
  TestOutcome,
  TestTrace,
  TimeStorage,
} from "../generated/types.js";
export type { WasmSource, WasmSources } from "../wasm.js";
export { type CompileOptions, type Context, Principal, Rules } from "./rules.js";
