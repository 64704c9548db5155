import { attributes, type Question, required, type Resource, safely } from "./ask.js";
import { fromJson, toJson } from "./codec.js";
import { Areas, type Run } from "./generated/areas.js";
import type { Json } from "./generated/types.js";
import { invalid, only, text } from "./raise.js";
import type { CallerFfi } from "./rolekeep.js";
import { store } from "./wasm.js";

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
  readonly context?: { readonly [name: string]: Json | Date } | undefined;
}

// The core reads no more, in UTF-8 bytes; longer text is not even copied to it.
const MAX_INPUT = 16 * 1024 * 1024;

/** The numbers by which the wasm knows permissions that were asked for: a text costs more on its way than the answer. */
const numbers = new Map<string, number>();
const MAX_NUMBERS = 20_000;

/** @internal */
export function numberOf(permission: string): number | undefined {
  return numbers.get(permission);
}

/** To be called for those that the policy declares, so that what is asked at random is not kept. @internal */
export function learn(permission: string): void {
  if (numbers.size >= MAX_NUMBERS || numbers.has(permission) || permission.endsWith("}")) return;
  numbers.set(permission, store.functions.internPermission(permission));
}

/** Somebody who asks: the host itself, a signed-in user, or nobody yet. Its rights are those of the moment of each call. */
export class Caller extends Areas {
  readonly #native: CallerFfi;

  /** @internal */
  constructor(native: CallerFfi) {
    super();
    this.#native = native;
  }

  /** @internal Runs an operation by name, typed by the areas. */
  protected readonly run: Run = async <T>(operation: string, input: object, takes: string, answers: string) => {
    const answer = await this.call(operation, toJson(input, takes));
    return fromJson(answer, answers) as T;
  };

  /** Runs an operation by name: JSON in, JSON out, both as `docs/operations.md` has them. */
  async call(operation: string, json: string): Promise<string> {
    if (text(json, "json").length > MAX_INPUT) throw invalid("", "too_long", `the input is longer than ${MAX_INPUT} characters`);
    const name = text(operation, "operation");
    return store.asking(() => this.#native.call(name, json));
  }

  /** Asks by the name of a question. @internal */
  protected ask(question: string, input: string): string {
    return this.#native.ask(question, input);
  }

  /** Whether somebody has signed in, or the host itself asks: what an answer of 401 rather than 403 depends on. */
  get isSignedIn(): boolean {
    return this.#native.isSignedIn();
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
    const number = numbers.get(permission);
    if (number !== undefined) {
      const answer = resource === undefined ? this.#native.canByNumber(number) : this.#canPacked(number, resource);
      if (answer < 2) return answer === 1;
    }
    return safely(() => {
      const isAllowed = this.#native.can(text(permission, "permission"), attributes(resource));
      learn(permission);
      return isAllowed;
    });
  }

  #canPacked(number: number, resource: Resource): number {
    const length = store.packer.resource(resource);
    return length === 0 ? 2 : this.#native.canPacked(number, length);
  }

  /** @internal */
  protected askPacked(checks: readonly Question[]): boolean[] | undefined {
    const length = store.packer.checks(checks, numbers);
    return length !== 0 && this.#native.canManyPacked(length) ? store.packer.answers(checks.length) : undefined;
  }

  /** @internal */
  protected learn(permission: string): void {
    learn(permission);
  }

  /** Whether the caller holds `admin:all` now, or is the host. */
  isAdministrator(): boolean {
    return safely(() => fromJson(this.ask("is_administrator", "{}"), "") as boolean);
  }

  /** `isAdministrator`, or a `ForbiddenError`. */
  requireAdmin(): void {
    required(this.isAdministrator(), "admin:all");
  }

  /** The same caller, knowing this of the request, too: what is not given stays as it was known. */
  withRequest(request: RequestContext): Caller {
    return safely(() => new Caller(this.#native.withRequest(contextJson(request) ?? "{}")));
  }
}

/** @internal */
export function contextJson(request: RequestContext | undefined): string | undefined {
  if (request === undefined) return undefined;
  only(request, ["ip", "userAgent", "forwardedFor", "requestId", "idempotencyKey", "context"]);
  const { ip, userAgent, forwardedFor, requestId, idempotencyKey, context } = request;
  const named = { ip, user_agent: userAgent, forwarded_for: forwardedFor, request_id: requestId, idempotency_key: idempotencyKey };
  return toJson({ ...named, context }, "");
}
