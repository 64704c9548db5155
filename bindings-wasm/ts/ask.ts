import { fromJson, toJson } from "./codec.js";
import { ForbiddenError, UnauthorizedError } from "./errors.js";
import { filtered, type PostgresValue, type RowFilter, type SqliteValue, type TableMapping } from "./filter.js";
import type { Explanation } from "./generated/types.js";
import type { Json } from "./page.js";
import { invalid, text, toError } from "./raise.js";

/** What a check is about: a type, and the attributes that the policy reads, named as in the policy. */
export interface Resource {
  readonly type: string;
  readonly [attribute: string]: Json | Date | undefined;
}

/** What rules can read: JSON, times, and objects whose values are such. */
export type Readable<V> = V extends Json | Date | undefined ? V : V extends (...given: never) => unknown ? never : V extends object ? { readonly [K in keyof V]: Readable<V[K]> } : never;

/**
 * What a row has to be to be asked about: a `Resource`, or typed by an `interface`, which has no index signature, with a `type` and
 * nothing but values that rules can read.
 */
export type ResourceOf<R> = Resource | ({ readonly type: string } & { readonly [A in keyof R]: Readable<R[A]> });

/** A permission, or a permission and a resource. */
export type Question<R = Resource> = string | readonly [permission: string, resource: R];

/** @internal */
export function attributes(resource: Resource | undefined): string | undefined {
  return resource === undefined ? undefined : toJson(resource, "");
}

/** A resource that was not found is not taken for none: without one it is another question. @internal */
export function known<T>(resource: T, field = "resource"): T {
  if (resource === null) throw invalid(field, "invalid_type", "there is no resource: expected an object that names its type");
  return resource;
}

function asked(check: Question, at: number): { readonly permission: string; readonly resource?: Resource } {
  if (typeof check === "string") return { permission: check };
  if (Array.isArray(check) && check.length === 2) return { permission: check[0], resource: known(check[1] ?? null, `checks[${at}].resource`) };
  throw invalid(`checks[${at}]`, "invalid_type", "expected a permission, or an array of a permission and a resource");
}

/** @internal */
export function safely<T>(ask: () => T): T {
  try {
    return ask();
  } catch (thrown) {
    throw toError(thrown);
  }
}

/** @internal */
export function required(isAllowed: boolean, me: { isKnown(): boolean; serves(): string | undefined } | null | undefined, permission: string | null = null): void {
  if (isAllowed) return;
  const [timestamp, requestId] = [new Date(), me?.serves() ?? null];
  if (!me?.isKnown()) {
    const nobody = { code: "UNAUTHORIZED", reason: "not_signed_in", message: "this needs a signed-in user" } as const;
    throw new UnauthorizedError({ ...nobody, timestamp, httpStatus: 401, requestId });
  }
  const denied = { code: "FORBIDDEN", reason: "denied", message: "you may not do this" } as const;
  throw new ForbiddenError({ ...denied, permission, timestamp, httpStatus: 403, requestId });
}

/** What a caller and a principal of rules without accounts are asked alike. */
export abstract class Asker {
  /** Asks by the name of a question: JSON in, JSON out; throws what the wasm throws. @internal */
  protected abstract ask(question: string, input: string): string;

  /** Answers to checks that were packed; undefined where they are to be asked as JSON. @internal */
  protected abstract askPacked(checks: readonly Question[]): boolean[] | undefined;

  /** To be called for permissions that there are. @internal */
  protected abstract learn(permission: string): void;

  /** Whether who is denied something has signed in; rules without accounts know no other. @internal */
  isKnown(): boolean {
    return true;
  }

  /** The id of the request; rules without accounts know of none. @internal */
  serves(): string | undefined {
    return undefined;
  }

  /** Whether they may do this, to a resource or to all there could be. */
  // So that a resource that may not have been found does not compile: without one it is another question.
  abstract can<R extends ResourceOf<R>>(permission: string, ...on: [] | [resource: R]): boolean;

  /** Throws a `ForbiddenError` unless `can` is true, and an `UnauthorizedError` of a caller who is not signed in. */
  require<R extends ResourceOf<R>>(permission: string, ...on: [] | [resource: R]): void;
  require(permission: string, resource?: Resource): void {
    required(resource === undefined ? this.can(permission) : this.can(permission, resource), this, permission);
  }

  /**
   * Many checks at one moment, each as `can`: `me.canMany(["document:read", ["document:edit", document]])`. A resource
   * that stands there several times is read once.
   */
  canMany<R extends readonly unknown[]>(checks: readonly [...{ [At in keyof R]: Question<R[At] & ResourceOf<R[At]>> }]): boolean[];
  canMany(checks: readonly Question[]): boolean[] {
    const packed = this.askPacked(checks);
    if (packed !== undefined) return packed;
    if (!Array.isArray(checks)) throw invalid("checks", "invalid_type", "expected an array");
    const input = { checks: Array.from(checks, asked) };
    const answers = this.#answer<boolean[]>("can_many", input);
    for (const { permission } of input.checks) this.learn(permission);
    return answers;
  }

  /** Whether there could be a resource to which they may do this: for menus. The answer may be a wrong yes, never a wrong no. */
  canSomewhere(permission: string): boolean {
    return this.#answer("can_somewhere", { permission: text(permission, "permission") });
  }

  /**
   * Whether they hold a role now, directly or by a role that inherits it: everywhere or, if a scope (`region:ID`) is
   * given, everywhere or in exactly this one. An API key holds none. Prefer `can`: which role allows something is up to
   * the policy.
   */
  hasRole(role: string, scope?: string): boolean {
    return this.#answer("has_role", { role: text(role, "role"), scope });
  }

  /** Throws a `ForbiddenError` unless `hasRole` is true, and an `UnauthorizedError` of a caller who is not signed in. */
  requireRole(role: string, scope?: string): void {
    required(this.hasRole(role, scope), this);
  }

  /**
   * Explains why they may or may not do this. For operators: it tells more than the user may know. A page awaits
   * `preload()` before.
   */
  explain<R extends ResourceOf<R>>(permission: string, ...on: [] | [resource: R]): Explanation;
  explain(permission: string, resource?: Resource): Explanation {
    return this.#answer("explain", { permission: text(permission, "permission"), resource: known(resource) }, "Explanation");
  }

  /**
   * The rows of your own table to which they may do this, as a condition in SQL; valid until it `expires`. A page awaits
   * `preload()` before.
   *
   * `const filter = me.filter("document:list", { dialect: "sqlite", qualifier: "documents" })`, then
   * `db.prepare(`SELECT * FROM documents WHERE ${filter.sql}`).all(...filter.parameters)`.
   *
   * Throws a `ValidationError` that names every attribute which cannot be said exactly in this SQL, and as `can`.
   */
  filter(permission: string, table: TableMapping & { readonly dialect: "sqlite" }): RowFilter<SqliteValue>;
  filter(permission: string, table: TableMapping & { readonly dialect: "postgres" }): RowFilter<PostgresValue>;
  filter(permission: string, table: TableMapping): RowFilter;
  filter(permission: string, table: TableMapping): RowFilter {
    return filtered(permission, table, (input) => this.ask("filter", input));
  }

  #answer<T>(question: string, input: object, answers = ""): T {
    return safely(() => fromJson(this.ask(question, toJson(input, "")), answers) as T);
  }
}
