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
  /** Why, more closely; as stable as the code. */
  readonly reason: Reason;
  /** The wrong fields of the input, all of them. */
  readonly fields: readonly FieldError[];
  /** The problems of a policy or seed file, each at its place. */
  readonly problems: readonly Problem[];
  /** Those problems as a compiler shows them, in Node: the lines of the file, carets, what may help. */
  readonly report: string | null;
  /** When it happened, where known. */
  readonly timestamp: Date | null;
  /** The HTTP status that a service answers with. */
  readonly httpStatus: number;
  /** With the reason `outcome_unknown` or `already_done`: by this `audit.outcome` tells what became of the change. */
  readonly changeId: string | null;
  /** With the code `RATE_LIMIT_EXCEEDED`: after how many seconds to ask again. */
  readonly retryAfter: number | null;
  /** The permission that was denied, for the host's log; not in `toJSON`, as who was denied must not learn it. */
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

  /** What a service may answer with. */
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
/** Nobody is logged in, or not any more. */
export class UnauthorizedError extends RolekeepError {
  override readonly name = "UnauthorizedError";
}
/** The caller may not do this. */
export class ForbiddenError extends RolekeepError {
  override readonly name = "ForbiddenError";
}
/** It does not exist, or the caller may not know that it does. */
export class NotFoundError extends RolekeepError {
  override readonly name = "NotFoundError";
}
/** The name is taken. */
export class DuplicateError extends RolekeepError {
  override readonly name = "DuplicateError";
}
/** The row was changed meanwhile, or an invariant forbids the change. */
export class ConflictError extends RolekeepError {
  override readonly name = "ConflictError";
}
/** Too many attempts; try again later. */
export class RateLimitedError extends RolekeepError {
  override readonly name = "RateLimitedError";
}
/** The storage, or something else that is needed, cannot be used now. */
export class UnavailableError extends RolekeepError {
  override readonly name = "UnavailableError";
}
/** A fault of the library or of its host. */
export class InternalError extends RolekeepError {
  override readonly name = "InternalError";
}
