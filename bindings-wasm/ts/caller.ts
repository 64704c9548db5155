import { fromJson, toJson } from "./codec.js";
import { ForbiddenError, invalid, only, text, toCamel, toError } from "./errors.js";
import { type PostgresValue, type RowFilter, rowFilter, type SqliteValue, type TableMapping } from "./filter.js";
import { Areas, type Run } from "./generated/areas.js";
import type { Explanation, Json } from "./generated/types.js";
import type { CallerDoor } from "./rolekeep.js";
import { functions } from "./wasm.js";

/** What is asked about: its type, and the attributes that the policy reads, under the names that the policy gives them. */
export interface Resource {
  readonly type: string;
  readonly [attribute: string]: Json | Date | undefined;
}

/** What the host knows of a request. Its address and program are kept in sessions and in the audit log. */
export interface RequestContext {
  /** The address it came from. */
  readonly ip?: string | undefined;
  /** What it was made with. */
  readonly userAgent?: string | undefined;
  /** By which the host's own log knows it; it is not stored. */
  readonly requestId?: string | undefined;
  /**
   * A key that the client chose for this request, 1 to 255 visible ASCII characters (the header `Idempotency-Key`): what
   * the same caller asks of the same operation with it within 24 hours is done once. Sent again it fails with the reason
   * `already_done` and the `changeId` of the first, with another input with `idempotency_key_reused`. Secrets are not
   * compared, answers not kept.
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * The header `X-Forwarded-For`; of several, all in their order, joined by commas. It is believed where `ip` is one of
   * the setting `trustedProxies`, and makes another `ip` of it then.
   */
  readonly forwardedFor?: string | undefined;
  /** What the policy's conditions may read as `context.…`, under the policy's names. */
  readonly values?: { readonly [name: string]: Json | Date } | undefined;
}

// The door reads no more, in UTF-8 bytes; longer text is not even copied to it.
const MAX_INPUT = 16 * 1024 * 1024;

/** A permission, or a permission and what it would be done to. */
export type Question = string | readonly [permission: string, resource?: Resource | undefined];

/** The numbers by which the wasm knows permissions that were asked for: a text costs more on its way than the answer. */
const numbers = new Map<string, number>();
const MAX_NUMBERS = 20_000;

/** @internal */
export function numberOf(permission: string): number | undefined {
  return numbers.get(permission);
}

/** To be called for those that the policy declares, so that what is asked at random is not kept. @internal */
export function learn(permission: string): void {
  if (numbers.size < MAX_NUMBERS && !numbers.has(permission)) numbers.set(permission, functions.internPermission(permission));
}

/** Somebody who asks: the host itself, a signed-in user, or nobody yet. Its rights are those of the moment of each call. */
export class Caller extends Areas {
  readonly #door: CallerDoor;

  /** @internal */
  constructor(door: CallerDoor) {
    super();
    this.#door = door;
  }

  /** Runs an operation by name, typed by the areas. */
  protected readonly run: Run = async <T>(operation: string, input: object, takes: string, answers: string) => {
    const answer = await this.call(operation, toJson(input, takes));
    return fromJson(answer, answers) as T;
  };

  /** Runs an operation by name: JSON in, JSON out, both as `docs/operations.md` has them. */
  async call(operation: string, json: string): Promise<string> {
    if (text(json, "json").length > MAX_INPUT) throw invalid("", "too_long", `the input is longer than ${MAX_INPUT} characters`);
    return this.#door.call(text(operation, "operation"), json).catch(rethrow);
  }

  /** Whether somebody has signed in, or the host itself asks: what an answer of 401 rather than 403 depends on. */
  get isSignedIn(): boolean {
    return this.#door.isSignedIn();
  }

  /**
   * Whether the caller may do this, to a resource or at all; synchronous, without I/O. A permission may name fields,
   * `document:edit{title,body}`: each must be allowed.
   *
   * Throws a `ValidationError` for an unknown permission or an incomplete resource, an `UnauthorizedError` once the
   * session has ended, and an `UnavailableError` where others write to the storage and were not heard of for a second.
   */
  // So that a resource that may not have been found does not compile: without one it is another question.
  can(permission: string, ...on: [] | [resource: Resource]): boolean;
  can(permission: string, resource?: Resource): boolean {
    const number = resource === undefined ? numberOf(permission) : undefined;
    const answer = number === undefined ? 2 : this.#door.canByNumber(number);
    if (answer < 2) return answer === 1;
    return safely(() => {
      const isAllowed = this.#door.can(text(permission, "permission"), attributes(resource));
      if (!permission.endsWith("}")) learn(permission);
      return isAllowed;
    });
  }

  /** `can`, or a `ForbiddenError`, which says no more than that. */
  require(permission: string, ...on: [] | [resource: Resource]): void;
  require(permission: string, resource?: Resource): void {
    required(resource === undefined ? this.can(permission) : this.can(permission, resource));
  }

  /** Many checks at once, each as `can`: `me.canMany(["document:read", ["document:edit", document]])`. */
  canMany(checks: readonly Question[]): boolean[] {
    const asked = checks.map((check) => (typeof check === "string" ? [check] : check));
    return this.#ask("can_many", { checks: asked.map(([permission, resource]) => ({ permission, resource })) });
  }

  /** Whether the caller may do this to anything at all: a menu's question. It may say yes too often, never no. */
  canSomewhere(permission: string): boolean {
    return this.#ask("can_somewhere", { permission: text(permission, "permission") });
  }

  /**
   * Whether the caller holds a role now, itself or through a senior one: everywhere, or also just in a scope
   * (`region:ID`). A role says what somebody is, not what it may do: `can` is the better question.
   */
  hasRole(role: string, scope?: string): boolean {
    return this.#ask("has_role", { role: text(role, "role"), scope });
  }

  /** `hasRole`, or a `ForbiddenError`. */
  requireRole(role: string, scope?: string): void {
    required(this.hasRole(role, scope));
  }

  /** Whether the caller holds `admin:all` now, or is the host. */
  isAdministrator(): boolean {
    return this.#ask("is_administrator", {});
  }

  /** `isAdministrator`, or a `ForbiddenError`. */
  requireAdmin(): void {
    required(this.isAdministrator());
  }

  /** Why the caller may or may not do this: for the host, not for the caller's eyes. */
  explain(permission: string, resource?: Resource): Explanation {
    return this.#ask("explain", { permission: text(permission, "permission"), resource }, "Explanation");
  }

  /**
   * Which rows of the host's own table the caller may do this to, as a condition in SQL; good until it `expires`.
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
    try {
      const input = `{"permission":${toJson(text(permission, "permission"), "")},"table":${toJson(table, "SqlTable")}}`;
      return rowFilter(this.#door.ask("filter", input));
    } catch (thrown) {
      // Attributes are called as the policy calls them.
      throw toError(thrown, (field) => (field.startsWith("table.") ? toCamel(field) : field));
    }
  }

  #ask<T>(question: string, input: object, answers = ""): T {
    return safely(() => fromJson(this.#door.ask(question, toJson(input, "")), answers) as T);
  }

  /** The same caller, knowing this of the request, too: what is not given stays as it was known. */
  withRequest(request: RequestContext): Caller {
    return safely(() => new Caller(this.#door.withRequest(contextJson(request) ?? "{}")));
  }
}

/** @internal */
export function contextJson(request: RequestContext | undefined): string | undefined {
  if (request === undefined) return undefined;
  only(request, ["ip", "userAgent", "forwardedFor", "requestId", "idempotencyKey", "values"]);
  const { ip, userAgent, forwardedFor, requestId, idempotencyKey, values } = request;
  const named = { ip, user_agent: userAgent, forwarded_for: forwardedFor, request_id: requestId, idempotency_key: idempotencyKey };
  return toJson({ ...named, values }, "");
}

function attributes(resource: Resource | undefined): string | undefined {
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

function required(isAllowed: boolean): void {
  if (isAllowed) return;
  throw new ForbiddenError({ code: "FORBIDDEN", reason: "denied", message: "you may not do this", timestamp: new Date(), httpStatus: 403 });
}
