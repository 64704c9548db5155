import { fromJson, toJson } from "./codec.js";
import { invalid, text, toError } from "./errors.js";
import { Areas, type Run } from "./generated/areas.js";
import type { Explanation, Json } from "./generated/types.js";
import { type CallerDoor, intern } from "./rolekeep.js";

/** What is asked about: its type, and the attributes that the policy reads, under the names that the policy gives them. */
export interface Resource {
  readonly type: string;
  readonly [attribute: string]: Json | Date | undefined;
}

/** What the host knows of a request. Kept in sessions and in the audit log; none of it is believed otherwise. */
export interface RequestContext {
  /** The address it came from. */
  readonly ip?: string | undefined;
  /** What it was made with. */
  readonly userAgent?: string | undefined;
  /** What the policy's conditions may read as `context.…`, under the policy's names. */
  readonly values?: { readonly [name: string]: Json | Date } | undefined;
}

// The door reads no more, in UTF-8 bytes; longer text is not even copied to it.
const MAX_INPUT = 16 * 1024 * 1024;

/** Permissions that were asked for, by the handles that the wasm has for them. */
const handles = new Map<string, number>();
const MAX_HANDLES = 1000;

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

  /**
   * Whether the caller may do this, to a resource or at all; synchronous, without I/O.
   *
   * Throws a `ValidationError` for an unknown permission or an incomplete resource, an `UnauthorizedError` once the
   * session has ended, and an `UnavailableError` where others write to the storage and were not heard of for a second.
   */
  can(permission: string, resource?: Resource): boolean {
    const handle = resource === undefined ? handles.get(permission) : undefined;
    const answer = handle === undefined ? 2 : this.#door.canNamed(handle);
    if (answer < 2) return answer === 1;
    try {
      const isAllowed = this.#door.can(text(permission, "permission"), attributes(resource));
      // Here it is known to be one that the policy declares.
      if (handles.size < MAX_HANDLES && !handles.has(permission)) handles.set(permission, intern(permission));
      return isAllowed;
    } catch (thrown) {
      return rethrow(thrown);
    }
  }

  /** `can`, or a `ForbiddenError`, which says no more than that. */
  require(permission: string, resource?: Resource): void {
    try {
      this.#door.require(text(permission, "permission"), attributes(resource));
    } catch (thrown) {
      rethrow(thrown);
    }
  }

  /** Whether the caller may do this to anything at all: a menu's question. It may say yes too often, never no. */
  canSomewhere(permission: string): boolean {
    try {
      return this.#door.canSomewhere(text(permission, "permission"));
    } catch (thrown) {
      return rethrow(thrown);
    }
  }

  /** Why the caller may or may not do this: for the host, not for the caller's eyes. */
  explain(permission: string, resource?: Resource): Explanation {
    try {
      return fromJson(this.#door.explain(text(permission, "permission"), attributes(resource)), "Explanation") as Explanation;
    } catch (thrown) {
      return rethrow(thrown);
    }
  }

  /** The same caller with what the host knows of a request. */
  withRequest(request: RequestContext): Caller {
    try {
      return new Caller(this.#door.withRequest(contextJson(request) ?? "{}"));
    } catch (thrown) {
      return rethrow(thrown);
    }
  }
}

/** @internal */
export function contextJson(request: RequestContext | undefined): string | undefined {
  if (request === undefined) return undefined;
  const { ip, userAgent, values } = request;
  return toJson({ ip, user_agent: userAgent, values }, "");
}

function attributes(resource: Resource | undefined): string | undefined {
  return resource === undefined ? undefined : toJson(resource, "");
}

/** @internal */
export function rethrow(thrown: unknown): never {
  throw toError(thrown);
}
