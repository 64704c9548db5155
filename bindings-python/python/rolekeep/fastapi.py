"""Dependencies for FastAPI: the caller of a request, what it requires, and errors as JSON. Needs `pip install rolekeep[fastapi]`.

```python
rk = Rolekeep(rolekeep.open(sqlite="app.db"), app)
Me = Annotated[AsyncCaller, Depends(rk.current_user)]

@app.delete("/documents/{id}", dependencies=[Depends(rk.require_permission("document:delete"))])
async def delete(id: int, me: Me) -> None: ...
```
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypedDict

from fastapi import Depends, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ._error import RolekeepError
from ._store import AsyncCaller, AsyncUserManagement, UserManagement
from .errors import Internal, Unauthorized
from .records import Reason

__all__ = ["Rolekeep", "error_headers", "error_response"]

_bearer = HTTPBearer(auto_error=False, description="The access token of a login")
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
Guard = Callable[..., Awaitable[AsyncCaller]]


class Rolekeep:
    """Dependencies over an open store. Whoever opened the store closes it.

    Args:
        um: The store.
        app: Where the library's errors become JSON answers; see `error_response`.
    """

    def __init__(self, um: UserManagement | AsyncUserManagement, app: FastAPI | None = None) -> None:
        self.um = um.aio if isinstance(um, UserManagement) else um
        if app is not None:
            app.add_exception_handler(RolekeepError, error_response)

    async def caller(self, request: Request, bearer: _Bearer) -> AsyncCaller:
        """The caller of a request: the user of the bearer token, or without a token a caller who is not signed in.

        Where the socket is that of one of the store's `trusted_proxies`, the address is the one that it forwards. The header
        `X-Request-ID` is the request's id, which log records, errors and the audit log have, up to 128 characters. If clients must
        not choose it, have a proxy set or remove the header.
        """
        if bearer is None:
            return await self.anonymous(request)
        return await self.um.authenticate(bearer.credentials, **_origin(request))

    async def anonymous(self, request: Request) -> AsyncCaller:
        """A caller who is not signed in, from where the request came, whatever token it has: for `sessions.login`, whose tries
        are counted by address.
        """
        return self.um.anonymous(**_origin(request))

    async def current_user(self, request: Request, bearer: _Bearer) -> AsyncCaller:
        """The user of the bearer token; without a valid token the answer is 401."""
        if bearer is None:
            missing = "sign in first: the header `Authorization: Bearer …` is missing"
            raise Unauthorized(missing, reason=Reason.NOT_SIGNED_IN, request_id=(await self.anonymous(request))._serves())
        return await self.caller(request, bearer)

    def require_permission(self, permission: str, resource: Callable[..., Any] | None = None) -> Guard:
        """A dependency that gives the caller, or answers 401 if nobody is signed in and 403 if the caller may not do this.

        Args:
            permission: `document:edit`.
            resource: A dependency that finds what it would be done to, `{"type": "document", …}`, for this request. One that
                answers None is a fault: the answer is 500. Raise `NotFound` where there is none.
        """
        if resource is None:
            return self._guard(lambda me: me.require(permission))

        async def permitted(
            me: Annotated[AsyncCaller, Depends(self.current_user)], thing: Annotated[Any, Depends(resource)]
        ) -> AsyncCaller:
            if thing is None:
                # Asked without a resource it would be another question, which may be allowed.
                message = f"the guard of {permission} found no resource; raise NotFound where there is none"
                raise Internal(message, reason=Reason.INTERNAL)
            me.require(permission, thing)
            return me

        return permitted

    def require_role(self, role: str, scope: str | None = None) -> Guard:
        """A dependency that requires this role, held directly or by a role that inherits it. Prefer permissions."""
        return self._guard(lambda me: me.require_role(role, scope))

    def require_admin(self) -> Guard:
        """A dependency that requires an administrator, who holds `admin:all`."""
        return self._guard(lambda me: me.require_admin())

    def _guard(self, require: Callable[[AsyncCaller], None]) -> Guard:
        async def permitted(me: Annotated[AsyncCaller, Depends(self.current_user)]) -> AsyncCaller:
            require(me)
            return me

        return permitted


class _Origin(TypedDict):
    ip: str | None
    user_agent: str | None
    forwarded_for: str
    request_id: str | None


def _origin(request: Request) -> _Origin:
    return {
        "ip": request.client.host if request.client else None,
        "user_agent": request.headers.get("user-agent"),
        "forwarded_for": ", ".join(request.headers.getlist("x-forwarded-for")),
        "request_id": request.headers.get("x-request-id"),
    }


# What a client is to do: get a new token (RFC 6750, 3.1), or prove again who is there (RFC 9470, 3), which is good for five minutes.
# Otherwise it is to sign in.
_CHALLENGES = dict.fromkeys(
    (Reason.INVALID_TOKEN, Reason.TOKEN_EXPIRED, Reason.SESSION_ENDED, Reason.ACCOUNT_INACTIVE), 'Bearer error="invalid_token"'
) | {Reason.STEP_UP_REQUIRED: 'Bearer error="insufficient_user_authentication", max_age=300'}


def error_headers(error: RolekeepError) -> dict[str, str]:
    """The headers of an error's answer: `WWW-Authenticate` of a 401, which says whether to sign in, to get a new token or to
    prove again who is there, and `Retry-After` where it is to be tried again later."""
    headers = {"WWW-Authenticate": _CHALLENGES.get(error.reason, "Bearer")} if error.http_status == 401 else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers


async def error_response(_: Request, error: Exception) -> JSONResponse:
    """`{"code": "FORBIDDEN", "reason": "denied", "message": …, "fields": […], …}` with the code's status and `error_headers`."""
    if not isinstance(error, RolekeepError):
        raise error
    body: dict[str, Any] = {
        "code": error.code,
        "reason": error.reason,
        "message": error.client_message,
        "fields": [asdict(each) for each in error.fields],
        "problems": [asdict(each) for each in error.problems],
        "timestamp": error.timestamp,
        "http_status": error.http_status,
    }
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    if error.change_id is not None:
        body["change_id"] = error.change_id
    if error.request_id is not None:
        body["request_id"] = error.request_id
    return JSONResponse(jsonable_encoder(body), error.http_status, error_headers(error))
