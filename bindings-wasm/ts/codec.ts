import { records as ofRules } from "./generated/rules.js";
import { invalid, toCamel } from "./raise.js";
import { withDone } from "./sign-in.js";

// Deeper input than the core reads, in levels.
const MAX_DEPTH = 120;

/** The records that are known, each with its fields: those of the rules and, where there is a store, its own. */
let records = ofRules;

/** Makes more records known. @internal */
export function addRecords(more: typeof ofRules): void {
  records = { ...records, ...more };
}

interface Field {
  /** The key here. */
  readonly name: string;
  /** The key in JSON. */
  readonly key: string;
  readonly form: string;
}

interface Shape {
  readonly byName: ReadonlyMap<string, Field>;
  readonly byKey: ReadonlyMap<string, Field>;
}

const shapes = new Map<string, Shape>();

function shapeOf(record: string): Shape {
  let shape = shapes.get(record);
  if (shape === undefined) {
    const written = (records[record] ?? "").split(" ").filter((text) => text !== "");
    const fields = written.map((text): Field => {
      const [key = "", form = ""] = text.split(":");
      return { key, form, name: toCamel(key) };
    });
    shape = { byName: new Map(fields.map((f) => [f.name, f])), byKey: new Map(fields.map((f) => [f.key, f])) };
    shapes.set(record, shape);
  }
  return shape;
}

const PAGE = "items total total_exact pages page limit has_next has_previous next_cursor".split(" ");

/** An input as the JSON that the core reads; what JSON cannot say is refused, never dropped or made null. */
export function toJson(value: unknown, form: string): string {
  return JSON.stringify(encode(value, form, "", 0));
}

/** Whether it is nothing but its entries, as a Map or an object of a class is not. Another realm has another `Object`. @internal */
export function isPlain(value: object): boolean {
  const above = Object.getPrototypeOf(value);
  return above === Object.prototype || above === null || (Object.getPrototypeOf(above) === null && above.constructor?.name === "Object");
}

function encode(value: unknown, form: string, path: string, depth: number): unknown {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value !== "object") throw invalid(path, "invalid_type", `${shown(value)} cannot be written as JSON`);
  if (depth > MAX_DEPTH) throw invalid(path, "invalid_type", `nested deeper than ${MAX_DEPTH} levels`);
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw invalid(path, "invalid_format", "an invalid date");
    return value.toISOString();
  }
  if (Array.isArray(value)) {
    const inner = form.endsWith("[]") ? form.slice(0, -2) : "";
    return Array.from(value, (item, at) => encode(item, inner, `${path}[${at}]`, depth + 1));
  }
  if ("toJSON" in value && typeof value.toJSON === "function") return encode(value.toJSON(), form, path, depth + 1);
  if (!isPlain(value)) throw invalid(path, "invalid_type", `expected a plain object, not one of the class ${value.constructor?.name}`);
  const below = (key: string) => (path === "" ? key : `${path}.${key}`);
  const given = Object.entries(value).filter(([, item]) => item !== undefined);
  if (!(form in records)) {
    const inner = form.endsWith("{}") ? form.slice(0, -2) : "";
    // Not by assignment, here and below: `__proto__` is a key like any other.
    return Object.fromEntries(given.map(([key, item]) => [key, encode(item, inner, below(key), depth + 1)]));
  }
  const { byName, byKey } = shapeOf(form);
  return Object.fromEntries(
    given.map(([name, item]) => {
      const field = byName.get(name);
      if (field !== undefined) return [field.key, encode(item, field.form, below(name), depth + 1)];
      const meant = byKey.get(name);
      if (meant === undefined) return [name, encode(item, "", below(name), depth + 1)];
      throw invalid(below(name), "unknown_field", `there is no such field; did you mean ${meant.name}?`);
    }),
  );
}

function shown(value: unknown): string {
  return typeof value === "function" || typeof value === "symbol" ? `a ${typeof value}` : String(value);
}

/** What the core answered, with the names and types that it has here. */
export function fromJson(text: string, form: string): unknown {
  return decode(JSON.parse(text), form);
}

/** What Node's `console.log` and `util.inspect`, and those that are like them, ask an object how it shows. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

type Inspect = (value: unknown, options: object) => string;

/** Shows a record without its secrets. JSON has them: a login is answered by it. */
function hiding(secrets: readonly string[]) {
  return function (this: object, _depth: number, options: object, inspect: Inspect): string {
    return inspect(Object.fromEntries(Object.entries(this).map(([name, value]) => [name, secrets.includes(name) ? "…" : value])), options);
  };
}

// What comes from the core has the form that this file was generated for.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
function decode(value: any, form: string): unknown {
  if (form === "" || form === "secret" || value === null) return value ?? undefined;
  if (form === "time") return new Date(value);
  const inner = form.slice(0, -2);
  if (form.endsWith("[]")) return value.map((item: unknown) => decode(item, inner));
  if (form.endsWith("{}")) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item, inner)]));
  if (form.endsWith("@")) {
    const items = decode(value.items, `${form.slice(0, -1)}[]`) as readonly unknown[];
    const page = Object.fromEntries([["items", items], ...PAGE.slice(1).map((key) => [toCamel(key), value[key]])]);
    // Not enumerable, so that a page stays plain data.
    return Object.defineProperty(page, Symbol.iterator, { value: () => items[Symbol.iterator]() });
  }
  const fields = [...shapeOf(form).byKey.values()];
  const record = Object.fromEntries(fields.map(({ name, key, form }) => [name, value[key] === null ? null : decode(value[key], form)]));
  const secrets = fields.filter(({ form }) => form.startsWith("secret")).map(({ name }) => name);
  if (secrets.length > 0) Object.assign(record, { [INSPECT]: hiding(secrets) });
  return form === "SignInResult" ? withDone(record) : record;
}
