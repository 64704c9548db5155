import { required, type Resource, type ResourceOf } from "./ask.js";
import { Caller } from "./caller.js";

declare const permitted: unique symbol;

/**
 * What a permission was asserted for. A function that takes a `Resource & Permitted<"drone:fly">` cannot be called
 * with a resource that nobody has asked about: that does not compile.
 */
// No interface: what has one for a part can be passed to no further check, as an interface has no index signature.
export type Permitted<P extends string> = { readonly [permitted]: { readonly [Permission in P]: true } };

/** Asserts that the caller is a user or the application itself; otherwise throws an `UnauthorizedError`. */
export function assertSignedIn(me: Caller | null | undefined): asserts me is Caller {
  required(me?.isSignedIn === true, me);
}

/** Asserts that a caller may do this, at all or to a resource; else an `UnauthorizedError` or a `ForbiddenError`. */
export function assertCan(me: Caller | null | undefined, permission: string): asserts me is Caller;
export function assertCan<P extends string, R extends ResourceOf<R>>(me: Caller | null | undefined, permission: P, resource: R): asserts resource is R & Permitted<P>;
export function assertCan(me: Caller | null | undefined, permission: string, resource?: Resource): void {
  assertSignedIn(me);
  if (resource === undefined) me.require(permission);
  else me.require(permission, resource);
}

/** Asserts that a caller holds a role, everywhere or in a scope; else an `UnauthorizedError` or a `ForbiddenError`. */
export function assertRole(me: Caller | null | undefined, role: string, scope?: string): asserts me is Caller {
  assertSignedIn(me);
  me.requireRole(role, scope);
}

/** Asserts that a caller is an administrator; else an `UnauthorizedError` or a `ForbiddenError`. */
export function assertAdmin(me: Caller | null | undefined): asserts me is Caller {
  assertSignedIn(me);
  me.requireAdmin();
}
