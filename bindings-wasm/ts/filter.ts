import { fromJson, toJson } from "./codec.js";
import type { SqlFilter, SqlKind, SqlParameter, SqlTable } from "./generated/types.js";
import { text, toCamel, toError } from "./raise.js";

/** A host's table that holds the rows of a type, and which SQL it is asked in. */
export type TableMapping = SqlTable;

/** What a driver of SQLite binds. An integer beyond 2^53 is a `bigint`. */
export type SqliteValue = number | bigint | string | Uint8Array;

/** What a driver of PostgreSQL binds. An integer beyond 2^53 is a `bigint`. */
export type PostgresValue = boolean | number | bigint | string | boolean[] | (number | bigint)[] | string[];

/** A condition for your own query: the rows that pass are exactly those that `can` allows. */
export interface RowFilter<V = SqliteValue | PostgresValue> extends Omit<SqlFilter, "parameters"> {
  /** Its parameters, in the order of their numbers, to be given to the driver. */
  readonly parameters: V[];
  /** Their types in SQL. */
  readonly kinds: readonly SqlKind[];
}

/** @internal Asks for a filter; what the core answers, with values of this language. */
export function filtered(permission: string, table: TableMapping, ask: (input: string) => string): RowFilter {
  try {
    const input = `{"permission":${toJson(text(permission, "permission"), "")},"table":${toJson(table, "SqlTable")}}`;
    const { parameters, ...filter } = fromJson(ask(input), "SqlFilter") as SqlFilter;
    return { ...filter, parameters: parameters.map(native), kinds: parameters.map(({ kind }) => kind) };
  } catch (thrown) {
    // Attributes are called as the policy calls them.
    throw toError(thrown, (field) => (field.startsWith("table.") ? toCamel(field) : field));
  }
}

function native({ kind, value }: SqlParameter): SqliteValue | PostgresValue {
  if (kind === "int") return integer(value as number | string);
  if (kind === "ints") return (value as (number | string)[]).map(integer);
  if (kind === "blob") return Uint8Array.from((value as string).match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  return value as PostgresValue;
}

// The core writes digits as text where a number would not say which integer was meant.
function integer(value: number | string): number | bigint {
  return typeof value === "string" ? BigInt(value) : value;
}
