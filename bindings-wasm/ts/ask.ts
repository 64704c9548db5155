import { fromJson, toJson } from "./codec.js";
import { ForbiddenError } from "./errors.js";
import { filtered, type PostgresValue, type RowFilter, type SqliteValue, type TableMapping } from "./filter.js";
import type { Explanation } from "./generated/types.js";
import type { Json } from "./page.js";
import { text, toError } from "./raise.js";

/** What a check is about: a type, and the attributes that the policy reads, named as in the policy. */
export interface Resource {
  readonly type: string;
  readonly [attribute: string]: Json | Date | undefined;
}

/** A permission, or a permission and a resource. */
export type Question = string | readonly [permission: string, resource?: Resource | undefined];

/** @internal */
export function attributes(resource: Resource | undefined): string | undefined {
  return resource === undefined ? undefined : toJson(resource, "");
}

/** @internal */
export function rethrow(thrown: unknown): never {
  throw toError(thrown);
}

/** @internal */
export function safely<T>(ask: () => T): T {
  try {
    return ask();
  } catch (thrown) {
    return rethrow(thrown);
  }
}

/** @internal */
export function required(isAllowed: boolean, permission: string | null = null): void {
  if (isAllowed) return;
  const denied = { code: "FORBIDDEN", reason: "denied", message: "you may not do this", permission } as const;
  throw new ForbiddenError({ ...denied, timestamp: new Date(), httpStatus: 403 });
}

/** What a caller and a principal of rules without accounts are asked alike. */
export abstract class Asker {
  /** Asks by the name of a question: JSON in, JSON out; throws what the wasm throws. @internal */
  protected abstract ask(question: string, input: string): string;

  /** Answers to checks that were packed; undefined where they are to be asked as JSON. @internal */
  protected abstract askPacked(checks: readonly Question[]): boolean[] | undefined;

  /** To be called for permissions that there are. @internal */
  protected abstract learn(permission: string): void;

  /** Whether they may do this, to a resource or to all there could be. */
  // So that a resource that may not have been found does not compile: without one it is another question.
  abstract can(permission: string, ...on: [] | [resource: Resource]): boolean;

  /** Throws a `ForbiddenError` unless `can` is true. */
  require(permission: string, ...on: [] | [resource: Resource]): void;
  require(permission: string, resource?: Resource): void {
    required(resource === undefined ? this.can(permission) : this.can(permission, resource), permission);
  }

  /**
   * Many checks at one moment, each as `can`: `me.canMany(["document:read", ["document:edit", document]])`. A resource
   * that stands there several times is read once.
   */
  canMany(checks: readonly Question[]): boolean[] {
    const known = this.askPacked(checks);
    if (known !== undefined) return known;
    const asked = checks.map((check) => (typeof check === "string" ? [check] : check));
    const answers = this.#answer<boolean[]>("can_many", { checks: asked.map(([permission, resource]) => ({ permission, resource })) });
    for (const [permission] of asked) this.learn(permission as string);
    return answers;
  }

  /** Whether there could be a resource to which they may do this: for menus. The answer may be a wrong yes, never a wrong no. */
  canSomewhere(permission: string): boolean {
    return this.#answer("can_somewhere", { permission: text(permission, "permission") });
  }

  /**
   * Whether they hold a role now, directly or by a role that inherits it: everywhere or, if a scope (`region:ID`) is
   * given, in that scope. Prefer `can`: which role allows something is up to the policy.
   */
  hasRole(role: string, scope?: string): boolean {
    return this.#answer("has_role", { role: text(role, "role"), scope });
  }

  /** Throws a `ForbiddenError` unless `hasRole` is true. */
  requireRole(role: string, scope?: string): void {
    required(this.hasRole(role, scope));
  }

  /**
   * Explains why they may or may not do this. For operators: it tells more than the user may know. A page awaits
   * `preload()` before.
   */
  explain(permission: string, resource?: Resource): Explanation {
    return this.#answer("explain", { permission: text(permission, "permission"), resource }, "Explanation");
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
