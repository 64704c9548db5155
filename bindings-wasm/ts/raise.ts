// How errors come about; what they are stands in errors.ts.
import { ConflictError, DuplicateError, ForbiddenError, InternalError, NotFoundError } from "./errors.js";
import { type ErrorBody, RateLimitedError, RolekeepError, UnauthorizedError, UnavailableError, ValidationError } from "./errors.js";
import type { Code, FieldError, Reason } from "./generated/types.js";

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

/** Makes an exception of what the wasm half threw: an error's JSON, or a fault of its own. `named` says what a field is called here. */
export function toError(thrown: unknown, named = toCamel): RolekeepError {
  if (thrown instanceof RolekeepError) return thrown;
  // With what the host's own code threw, where it came of that.
  const [text, options] = Array.isArray(thrown) ? [thrown[0], { cause: thrown[1] }] : [thrown];
  if (typeof text === "string" && text.startsWith("{")) {
    const body = JSON.parse(text);
    const values = {
      ...(Object.fromEntries(Object.entries<any>(body).map(([name, value]) => [toCamel(name), value])) as ErrorBody),
      fields: body.fields.map((field: FieldError) => ({
        ...field,
        field: named(field.field),
        message: field.code === "unknown_field" ? toCamel(field.message) : field.message,
      })),
      timestamp: body.timestamp === null ? null : new Date(body.timestamp),
    };
    return new classes[body.code as Code](values, options);
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const body = { code: "INTERNAL_SERVER_ERROR", reason: "internal", message: `a fault in the library: ${message}` } as const;
  return new InternalError(body, { cause: thrown });
}

/** What is misspelt must not be taken for what is not given. */
export function only(given: object, names: readonly string[]): void {
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other !== undefined) throw invalid(other, "unknown_field", `there is no such field; there are ${names.join(", ")}`);
}

/** An input that is refused before it goes anywhere. */
export function invalid(field: string, code: FieldError["code"], message: string, reason: Reason = "invalid_input"): ValidationError {
  return new ValidationError({
    code: "VALIDATION_ERROR",
    reason,
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
