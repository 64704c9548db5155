import type { Resource, ResourceOf } from "./ask.js";
import type { Caller } from "./caller.js";
import { InternalError, RolekeepError } from "./errors.js";
import type { Reason } from "./generated/types.js";
import { assertSignedIn } from "./guards.js";
import type { UserManagement } from "./store.js";

/** What is needed of a request: that of `node:http`, and of frameworks on top of it. */
export interface HttpRequest {
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly "user-agent"?: string | undefined;
    readonly "x-forwarded-for"?: string | string[] | undefined;
    readonly "x-request-id"?: string | string[] | undefined;
  };
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** What is needed of a response. */
export interface HttpResponse {
  readonly headersSent: boolean;
  writeHead(status: number, headers: { readonly [name: string]: string }): unknown;
  end(text?: string): unknown;
}

/** What a guard asks for. */
export interface Guard<Q, R = Resource> {
  /** The permission; none: whoever has signed in. */
  readonly permission?: string | undefined;
  /** The resource, for this request. */
  readonly resource?: ((request: Q, me: Caller) => R | Promise<R>) | undefined;
  /** The role; prefer permissions. */
  readonly role?: string | undefined;
  /** Whether it must be an administrator. */
  readonly admin?: boolean | undefined;
}

/**
 * The caller of a request: the user of the bearer token, or without a token a caller who is not signed in. Where the socket is that of one
 * of the store's `trustedProxies`, the address is the one that it forwards. The header `X-Request-ID` is the request's id, which log
 * records, errors and the audit log have.
 */
export async function callerOf(um: UserManagement, request: HttpRequest): Promise<Caller> {
  const token = /^bearer +(.*)$/i.exec(request.headers.authorization ?? "")?.[1];
  return token === undefined ? anonymousOf(um, request) : um.authenticate(token.trim(), originOf(request));
}

/**
 * A caller who is not signed in, from where the request came, whatever token it has: for `sessions.login`, whose tries are counted by
 * address.
 */
export function anonymousOf(um: UserManagement, request: HttpRequest): Caller {
  return um.anonymous(originOf(request));
}

function originOf({ headers, socket }: HttpRequest) {
  const whole = (header: string | string[] | undefined) => (Array.isArray(header) ? header.join(", ") : header);
  const [forwardedFor, requestId] = [whole(headers["x-forwarded-for"]), whole(headers["x-request-id"])];
  return { ip: socket.remoteAddress, userAgent: headers["user-agent"], forwardedFor, requestId };
}

/**
 * A handler for `node:http` that runs only if the caller may do this; otherwise the answer is 401 or 403 with the
 * error as JSON. What the handler throws is answered as JSON, too.
 *
 * `createServer(guarded(um, "drone:read", (me, request, response) => …))`
 */
export function guarded<Q extends HttpRequest, A extends HttpResponse, R extends ResourceOf<R>>(
  um: UserManagement,
  guard: string | Guard<Q, R>,
  handler: (me: Caller, request: Q, response: A) => void | Promise<void>,
): (request: Q, response: A) => Promise<void> {
  const { permission, resource, role, admin } = typeof guard === "string" ? ({ permission: guard } as Guard<Q, R>) : guard;
  return async (request, response) => {
    try {
      const me = await callerOf(um, request);
      assertSignedIn(me);
      if (admin) me.requireAdmin();
      if (role !== undefined) me.requireRole(role);
      if (permission !== undefined) {
        if (resource === undefined) me.require(permission);
        else me.require(permission, found(permission, await resource(request, me)));
      }
      await handler(me, request, response);
    } catch (thrown) {
      answerError(response, thrown);
    }
  };
}

/** What a guard's `resource` found. Nothing found is a fault of the host: it is no question without a resource. */
function found<R>(permission: string, resource: R | null | undefined): R {
  if (resource !== undefined && resource !== null) return resource;
  const message = `the guard of ${permission} found no resource: its \`resource\` answered ${resource}; throw a NotFoundError where there is none`;
  throw new InternalError({ code: "INTERNAL_SERVER_ERROR", reason: "internal", message });
}

/**
 * What a client is to do after a 401: get a new token (RFC 6750, 3.1), or prove again who is there (RFC 9470, 3), which is good for five
 * minutes. Otherwise it is to sign in.
 */
function challenge(reason: Reason): string {
  const ended: readonly Reason[] = ["invalid_token", "token_expired", "session_ended", "account_inactive"];
  if (ended.includes(reason)) return 'Bearer error="invalid_token"';
  return reason === "step_up_required" ? 'Bearer error="insufficient_user_authentication", max_age=300' : "Bearer";
}

/**
 * Answers with an error's JSON, its status, and the headers `WWW-Authenticate` and `Retry-After` where they say something; what is none of
 * the library's is told to the log alone.
 */
export function answerError(response: HttpResponse, thrown: unknown): void {
  if (!(thrown instanceof RolekeepError)) console.error(thrown);
  const fault = { code: "INTERNAL_SERVER_ERROR", reason: "internal", message: "something went wrong" } as const;
  const error = thrown instanceof RolekeepError ? thrown : new InternalError(fault);
  if (response.headersSent) return void response.end();
  const asked: { [name: string]: string } = error.httpStatus === 401 ? { "www-authenticate": challenge(error.reason) } : {};
  if (error.retryAfter !== null) asked["retry-after"] = String(error.retryAfter);
  response.writeHead(error.httpStatus, { "content-type": "application/json", ...asked });
  response.end(JSON.stringify(error));
}
