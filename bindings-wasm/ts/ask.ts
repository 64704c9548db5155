import { fromJson, toJson } from "./codec.js";
import { ForbiddenError } from "./errors.js";
import { filtered, type PostgresValue, type RowFilter, type SqliteValue, type TableMapping } from "./filter.js";
import type { Explanation } from "./generated/types.js";
import type { Json } from "./page.js";
import { text, toError } from "./raise.js";

/** What is asked about: its type, and the attributes that the policy reads, under the names that the policy gives them. */
export interface Resource {
  readonly type: string;
  readonly [attribute: string]: Json | Date | undefined;
}

/** A permission, or a permission and what it would be done to. */
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

  /** Whether they may do this, to a resource or at all. */
  // So that a resource that may not have been found does not compile: without one it is another question.
  abstract can(permission: string, ...on: [] | [resource: Resource]): boolean;

  /** `can`, or a `ForbiddenError`, which says no more than that. */
  require(permission: string, ...on: [] | [resource: Resource]): void;
  require(permission: string, resource?: Resource): void {
    required(resource === undefined ? this.can(permission) : this.can(permission, resource), permission);
  }

  /**
   * Many checks of one moment, each as `can`: `me.canMany(["document:read", ["document:edit", document]])`. A resource
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

  /** Whether they may do this to anything at all: a menu's question. It may say yes too often, never no. */
  canSomewhere(permission: string): boolean {
    return this.#answer("can_somewhere", { permission: text(permission, "permission") });
  }

  /**
   * Whether they hold a role now, themselves or through a senior one: everywhere, or also just in a scope
   * (`region:ID`). A role says what somebody is, not what it may do: `can` is the better question.
   */
  hasRole(role: string, scope?: string): boolean {
    return this.#answer("has_role", { role: text(role, "role"), scope });
  }

  /** `hasRole`, or a `ForbiddenError`. */
  requireRole(role: string, scope?: string): void {
    required(this.hasRole(role, scope));
  }

  /** Why they may or may not do this: for the host, not for their eyes. A page awaits `preload()` before. */
  explain(permission: string, resource?: Resource): Explanation {
    return this.#answer("explain", { permission: text(permission, "permission"), resource }, "Explanation");
  }

  /**
   * Which rows of the host's own table they may do this to, as a condition in SQL; good until it `expires`. A page awaits
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
