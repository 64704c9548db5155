import type { Code, FieldError, Problem, Reason } from "./generated/types.js";

/** What an error is made of. */
export interface ErrorBody {
  readonly code: Code;
  readonly reason: Reason;
  readonly message: string;
  readonly fields?: readonly FieldError[];
  readonly problems?: readonly Problem[];
  readonly report?: string | null;
  readonly timestamp?: Date | null;
  readonly httpStatus?: number;
  readonly changeId?: string | null;
  readonly retryAfter?: number | null;
  readonly permission?: string | null;
}

/** The one error of the library; each code has a class of its own. */
export class RolekeepError extends Error {
  override readonly name: string = "RolekeepError";
  /** The kind; the same nine in every language. */
  readonly code: Code;
  /** What happened, more precisely; as stable as the code. */
  readonly reason: Reason;
  /** All wrong fields of the input. */
  readonly fields: readonly FieldError[];
  /** The problems of a policy or seed file, each with line and column. */
  readonly problems: readonly Problem[];
  /** Those problems as a compiler prints them, in Node: lines, carets, suggestions. */
  readonly report: string | null;
  /** When it happened, if known. */
  readonly timestamp: Date | null;
  /** The HTTP status that a service answers with. */
  readonly httpStatus: number;
  /** With the reason `outcome_unknown` or `already_done`: the change, for `audit.outcome`. */
  readonly changeId: string | null;
  /** With the code `RATE_LIMIT_EXCEEDED`: after how many seconds to try again. */
  readonly retryAfter: number | null;
  /** The permission that was denied, for your log; not in `toJSON`, since the client must not learn it. */
  readonly permission: string | null;

  constructor(body: ErrorBody, options?: ErrorOptions) {
    super(body.report ? `${body.message}\n\n${body.report}` : body.message, options);
    this.code = body.code;
    this.reason = body.reason;
    this.fields = body.fields ?? [];
    this.problems = body.problems ?? [];
    this.report = body.report ?? null;
    this.timestamp = body.timestamp ?? null;
    this.httpStatus = body.httpStatus ?? 500;
    this.changeId = body.changeId ?? null;
    this.retryAfter = body.retryAfter ?? null;
    this.permission = body.permission ?? null;
  }

  /** What a service may send to a client. */
  toJSON(): ErrorBody {
    const { code, reason, message, fields, problems, timestamp, httpStatus, changeId, retryAfter } = this;
    const seldom = { ...(changeId === null ? {} : { changeId }), ...(retryAfter === null ? {} : { retryAfter }) };
    return { code, reason, message, fields, problems, timestamp, httpStatus, ...seldom };
  }
}

/** The input is not valid; see `fields` and `problems`. */
export class ValidationError extends RolekeepError {
  override readonly name = "ValidationError";
}
/** Nobody is signed in, or the session has ended. */
export class UnauthorizedError extends RolekeepError {
  override readonly name = "UnauthorizedError";
}
/** The caller may not do this. */
export class ForbiddenError extends RolekeepError {
  override readonly name = "ForbiddenError";
}
/** It does not exist, or the caller may not know that it exists. */
export class NotFoundError extends RolekeepError {
  override readonly name = "NotFoundError";
}
/** The name is taken. */
export class DuplicateError extends RolekeepError {
  override readonly name = "DuplicateError";
}
/** The row has changed since it was read, or an invariant forbids the change. */
export class ConflictError extends RolekeepError {
  override readonly name = "ConflictError";
}
/** Too many attempts; try again later. */
export class RateLimitedError extends RolekeepError {
  override readonly name = "RateLimitedError";
}
/** The storage, or something else that is needed, is not available. */
export class UnavailableError extends RolekeepError {
  override readonly name = "UnavailableError";
}
/** A fault of the library, or of the application that embeds it. */
export class InternalError extends RolekeepError {
  override readonly name = "InternalError";
}

// A code without a class does not compile.
const classes: { readonly [code in Code]: typeof RolekeepError } = {
  VALIDATION_ERROR: ValidationError,
  UNAUTHORIZED: UnauthorizedError,
  FORBIDDEN: ForbiddenError,
  RESOURCE_NOT_FOUND: NotFoundError,
  DUPLICATE_RESOURCE: DuplicateError,
  CONFLICT: ConflictError,
  RATE_LIMIT_EXCEEDED: RateLimitedError,
  UNAVAILABLE: UnavailableError,
  INTERNAL_SERVER_ERROR: InternalError,
};

/**
 * Makes an exception of what the wasm half threw: an error's JSON, or a fault of its own. `named` says what a field
 * is called here.
 */
export function toError(thrown: unknown, named = toCamel): RolekeepError {
  if (thrown instanceof RolekeepError) return thrown;
  // With what the host's own code threw, where it came of that.
  const [text, options] = Array.isArray(thrown) ? [thrown[0], { cause: thrown[1] }] : [thrown];
  if (typeof text === "string" && text.startsWith("{")) {
    const body = JSON.parse(text);
    const values = {
      ...body,
      fields: body.fields.map((field: FieldError) => ({
        ...field,
        field: named(field.field),
        message: field.code === "unknown_field" ? toCamel(field.message) : field.message,
      })),
      timestamp: body.timestamp === null ? null : new Date(body.timestamp),
      httpStatus: body.http_status,
      changeId: body.change_id,
      retryAfter: body.retry_after,
    };
    return new classes[body.code as Code](values, options);
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const body = { code: "INTERNAL_SERVER_ERROR", reason: "internal", message: `a fault in the library: ${message}` } as const;
  return new InternalError(body, { cause: thrown });
}

/** An input that is refused before it goes anywhere. */
/** @internal What is misspelt must not be taken for what is not given. */
export function only(given: object, names: readonly string[]): void {
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other !== undefined) throw invalid(other, "unknown_field", `there is no such field; there are ${names.join(", ")}`);
}

export function invalid(field: string, code: FieldError["code"], message: string): ValidationError {
  return new ValidationError({
    code: "VALIDATION_ERROR",
    reason: "invalid_input",
    message: `invalid input: ${field}`,
    fields: [{ field, code, message }],
    timestamp: new Date(),
    httpStatus: 400,
  });
}

/** What must be text and, in JavaScript, may be anything. */
export function text(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw invalid(field, "invalid_type", "expected a string");
}

/** Something that is needed does not answer. */
export function unavailable(reason: Reason, message: string, cause?: unknown): UnavailableError {
  const body = { code: "UNAVAILABLE", reason, message, timestamp: new Date(), httpStatus: 503 } as const;
  return new UnavailableError(body, { cause });
}

/** `items[0].full_name` is `items[0].fullName` here. */
export function toCamel(path: string): string {
  return path.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
