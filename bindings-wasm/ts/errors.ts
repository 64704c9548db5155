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
  readonly requestId?: string | null;
  readonly clientMessage?: string;
}

const FOR_CLIENTS: { readonly [code in Code]?: string } = { UNAVAILABLE: "this is not available at the moment; try again later", INTERNAL_SERVER_ERROR: "something went wrong on the server" };

/** The one error of the library; each code has a class of its own. */
export class RolekeepError extends Error {
  override readonly name: string = "RolekeepError";
  /** The kind; the same nine in every language. */
  readonly code: Code;
  /** What happened, more precisely; as stable as the code. */
  readonly reason: Reason;
  /** The wrong fields: first everything that the input alone shows, then what depends on the policy or stored data. */
  readonly fields: readonly FieldError[];
  /** The problems of a policy file or backup, each with line and column. */
  readonly problems: readonly Problem[];
  /** Those problems as a compiler prints them, in Node: lines, carets, suggestions. */
  readonly report: string | null;
  /** When it happened, if known. */
  readonly timestamp: Date | null;
  /** The HTTP status for the response of a service. */
  readonly httpStatus: number;
  /** With the reason `outcome_unknown` or `already_done`: the change, for `audit.outcome`. */
  readonly changeId: string | null;
  /** With the code `RATE_LIMIT_EXCEEDED`: after how many seconds to try again. */
  readonly retryAfter: number | null;
  /** The permission that was denied, for your log; not in `toJSON`, since the client must not learn it. */
  readonly permission: string | null;
  /** The id of the request that failed, where it was called with one; truncated to 128 characters. */
  readonly requestId: string | null;
  /** The message for a client, as in `toJSON`: where the storage failed, or something else inside, a sentence that says no more. */
  readonly clientMessage: string;

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
    this.requestId = body.requestId ?? null;
    this.clientMessage = body.clientMessage ?? FOR_CLIENTS[body.code] ?? body.message;
  }

  /** What a service may send to a client. */
  toJSON(): ErrorBody {
    const { code, reason, clientMessage: message, fields, problems, timestamp, httpStatus, changeId, retryAfter, requestId } = this;
    const seldom = Object.entries({ changeId, retryAfter, requestId }).filter(([, value]) => value !== null);
    return { code, reason, message, fields, problems, timestamp, httpStatus, ...Object.fromEntries(seldom) };
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
