import { attributes, type Question, required, type Resource, type ResourceOf, safely } from "./ask.js";
import { fromJson, toJson } from "./codec.js";
import { Areas, type Run } from "./generated/areas.js";
import type { Json } from "./generated/types.js";
import { invalid, only, text } from "./raise.js";
import type { CallerFfi } from "./rolekeep.js";
import { store } from "./wasm.js";

/** What you know about a request. Sessions and the audit log record its address and user agent; limits count by the address. */
export interface RequestContext {
  /** The IP address of the socket that it came from. */
  readonly ip?: string | undefined;
  /** The user agent. */
  readonly userAgent?: string | undefined;
  /** The id of the request in your own log; the audit log, log records and errors have it, too. */
  readonly requestId?: string | undefined;
  /**
   * A key that the client chose for this request, 1 to 255 visible ASCII characters (the header `Idempotency-Key`): a
   * request of the same caller for the same operation with this key is done once within 24 hours. Repeated, it fails
   * with the reason `already_done` and the `changeId` of the first, with another input with `idempotency_key_reused`.
   * Secrets are not compared, answers are not kept.
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * The header `X-Forwarded-For`; several are joined by commas, in order. If `ip` is one of the setting
   * `trustedProxies`, the client's address is taken from it.
   */
  readonly forwardedFor?: string | undefined;
  /** The values that conditions may read as `context.NAME`. */
  readonly context?: { readonly [name: string]: Json | Date } | undefined;
  /**
   * Once it is aborted, operations of this caller are not begun any more and nobody waits for those that were: they fail
   * with its `reason`. What is being written is written to its end.
   */
  readonly signal?: AbortSignal | undefined;
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

/**
 * Runs operations and answers checks for somebody: the application itself, a user, or somebody who is not signed in.
 * Each call uses the rights of that moment.
 */
export class Caller extends Areas {
  readonly #native: CallerFfi;
  readonly #signal: AbortSignal | undefined;

  /** @internal */
  constructor(native: CallerFfi, signal?: AbortSignal) {
    super();
    this.#native = native;
    this.#signal = signal;
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
    return unlessAborted(this.#signal, () => store.asking(() => this.#native.call(name, json)));
  }

  /** Asks by the name of a question. @internal */
  protected ask(question: string, input: string): string {
    return this.#native.ask(question, input);
  }

  /** Whether the caller is a user or the application itself. */
  get isSignedIn(): boolean {
    return this.#native.isSignedIn();
  }

  /**
   * Whether the caller may do this, to a resource or to all there could be. Synchronous, without I/O. A permission may name fields,
   * `document:edit{title,body}`: each must be allowed.
   *
   * Throws a `ValidationError` for an unknown permission or an incomplete resource, an `UnauthorizedError` once the
   * session has ended, and an `UnavailableError` if other processes may write to the storage and the change feed could not be read for a second.
   */
  // So that a resource that may not have been found does not compile: without one it is another question.
  can<R extends ResourceOf<R>>(permission: string, ...on: [] | [resource: R]): boolean;
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
  override isKnown(): boolean {
    return this.isSignedIn;
  }

  /** @internal */
  override serves(): string | undefined {
    return this.#native.requestId();
  }

  /** @internal */
  protected learn(permission: string): void {
    learn(permission);
  }

  /** Whether the caller holds `admin:all` now, or is the application itself. */
  isAdministrator(): boolean {
    return safely(() => fromJson(this.ask("is_administrator", "{}"), "") as boolean);
  }

  /** Throws a `ForbiddenError` unless `isAdministrator` is true, and an `UnauthorizedError` of a caller who is not signed in. */
  requireAdmin(): void {
    required(this.isAdministrator(), this, "admin:all");
  }

  /** The same caller with this request context; fields that are not given keep their values. */
  withRequest(request: RequestContext): Caller {
    return safely(() => new Caller(this.#native.withRequest(contextJson(request) ?? "{}"), request.signal ?? this.#signal));
  }
}

/** What is asked, or the reason of the signal as soon as that is aborted. @internal */
export async function unlessAborted<T>(signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
  if (signal === undefined) return ask();
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => (stop = () => reject(signal.reason)));
  signal.addEventListener("abort", stop);
  try {
    return await Promise.race([ask(), aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** @internal */
export function contextJson(request: RequestContext | undefined): string | undefined {
  if (request === undefined) return undefined;
  only(request, ["ip", "userAgent", "forwardedFor", "requestId", "idempotencyKey", "context", "signal"]);
  const { ip, userAgent, forwardedFor, requestId, idempotencyKey, context } = request;
  const named = { ip, user_agent: userAgent, forwarded_for: forwardedFor, request_id: requestId, idempotency_key: idempotencyKey };
  return toJson({ ...named, context }, "");
}
