"""How clients hold their sessions: browsers in cookies that no script reads, others by bearer tokens; never both at once.

Errors are problem details (RFC 9457), and answers tell their limits. Take this file along; nothing in it is about documents.

Where a cookie would let a request change something, the browser has to say that a page of ours asks: by `Sec-Fetch-Site`, and an
old one by `Origin`. Nobody else's page can make a bearer token be sent, so that it is not asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from rolekeep import AsyncCaller, AsyncUserManagement, Forbidden, Reason, RolekeepError, Unauthorized, UserManagement, ValidationError
from rolekeep.fastapi import Rolekeep, error_headers

# Browsers take `__Host-` from this very host alone, by TLS, for all of its paths: no subdomain can plant one. They take
# `http://localhost` for safe, too.
ACCESS, REFRESH, DEVICE = "__Host-access", "__Host-refresh", "__Host-device"
DAY = 24 * 60 * 60
# A session ends when it was not used for seven days (`idle_seconds`); the access token says by itself when it is over, so that a
# page learns that it is to be refreshed. A device token is good for 180.
KEPT = {ACCESS: 7 * DAY, REFRESH: 7 * DAY, DEVICE: 180 * DAY}

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


class By(Enum):
    """How a client holds its session, which is how it gets the tokens that an operation answers."""

    COOKIES = auto()
    BODY = auto()

    def answer(self, answered: Any) -> JSONResponse:
        """What an operation answers, wherever tokens stand in it; nobody keeps a copy."""
        body = jsonable_encoder(answered)
        if self is By.BODY:
            return JSONResponse(body, headers={"Cache-Control": "no-store"})
        device = body.pop("device_token", None)
        tokens = body if "access_token" in body else body.get("tokens") or {}
        given = {ACCESS: tokens.pop("access_token", None), REFRESH: tokens.pop("refresh_token", None), DEVICE: device}
        response = JSONResponse(body, headers={"Cache-Control": "no-store"})
        for name, text in given.items():
            if text is not None:
                keep(response, name, text, KEPT[name])
        return response

    def device_token(self, request: Request, given: str | None) -> str | None:
        """That of an earlier sign-in: the cookie's, or the given one."""
        return request.cookies.get(DEVICE) if self is By.COOKIES else given


def keep(response: Response, name: str, text: str, seconds: int) -> None:
    """The access token goes along with links from elsewhere, which only read; the others do not leave our pages."""
    same_site = "lax" if name == ACCESS else "strict"
    response.set_cookie(name, text, max_age=seconds, path="/", secure=True, httponly=True, samesite=same_site)  # type: ignore[arg-type]


def forget() -> Response:
    """Has a browser forget its session, and what pages have kept of it. It stays a known device."""
    response = Response(status_code=204, headers={"Clear-Site-Data": '"cache", "storage"'})
    for name in (ACCESS, REFRESH):
        keep(response, name, "", 0)
    return response


class Sessions(Rolekeep):
    """The dependencies of the package, for cookies as well.

    Args:
        um: The store.
        app: Where errors become problem details.
        origin: Where our pages are, as browsers write it: `https://documents.example.org`.
    """

    def __init__(self, um: UserManagement | AsyncUserManagement, app: FastAPI, origin: str) -> None:
        super().__init__(um)
        self.origin = origin
        app.add_exception_handler(RolekeepError, problem)
        app.add_exception_handler(RequestValidationError, unreadable)
        app.middleware("http")(tell_limits)

    async def caller(self, request: Request, bearer: Bearer) -> AsyncCaller:
        """The user of the bearer token or the cookie, or without either a caller who is not signed in."""
        return await super().caller(request, self._credential(request, bearer))

    async def current_user(self, request: Request, bearer: Bearer) -> AsyncCaller:
        """The same; without a good one the answer is 401."""
        credential = self._credential(request, bearer)
        if credential is None:
            missing = "sign in first: there is no `Authorization: Bearer …` and no cookie"
            raise Unauthorized(missing, reason=Reason.NOT_SIGNED_IN)
        return await super().caller(request, credential)

    async def own_page(self, request: Request) -> None:
        """For routes that give cookies, such as those of a sign-in: nobody else's page signs a browser in or out."""
        self._require_own_page(request)
        request.state.by = By.COOKIES

    async def by(self, request: Request, bearer: Bearer) -> By:
        """How the client holds its session."""
        if hasattr(request.state, "by"):
            return By.COOKIES
        return By.BODY if bearer or ACCESS not in request.cookies else By.COOKIES

    def _credential(self, request: Request, bearer: HTTPAuthorizationCredentials | None) -> HTTPAuthorizationCredentials | None:
        cookie = request.cookies.get(ACCESS)
        if not cookie:
            return bearer
        if bearer is not None:
            # RFC 6750, 2
            raise ValidationError("give a bearer token or a cookie, not both", reason=Reason.INVALID_INPUT)
        self._require_own_page(request)
        return HTTPAuthorizationCredentials(scheme="Bearer", credentials=cookie)

    def _require_own_page(self, request: Request) -> None:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            return
        # A typed address is `none`, and changes nothing; pages of other subdomains are `same-site`.
        site = request.headers.get("sec-fetch-site")
        is_own = site == "same-origin" if site is not None else request.headers.get("origin") == self.origin
        if not is_own:
            raise Forbidden("this request does not come from a page of ours", reason=Reason.DENIED)


async def problem(_: Request, error: Exception) -> JSONResponse:
    """An error of the library, with its `code`, `reason` and `fields`."""
    if not isinstance(error, RolekeepError):
        raise error
    status = HTTPStatus(error.http_status)
    # Of no type of its own, so that the title is the status's (RFC 9457, 4.2.1): the reason says which it is.
    body = {
        "title": status.phrase, "status": status, "detail": error.client_message, "code": error.code, "reason": error.reason,
        "fields": [asdict(each) for each in error.fields],
    }
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    return JSONResponse(jsonable_encoder(body), status, error_headers(error), "application/problem+json")


async def unreadable(request: Request, error: Exception) -> JSONResponse:
    """What FastAPI refuses, in the same form."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [{"field": ".".join(map(str, each["loc"][1:])), "message": each["msg"]} for each in error.errors()]
    body = {
        "title": "Bad Request", "status": 400, "detail": "fields of the input are wrong",
        "code": "VALIDATION_ERROR", "reason": Reason.INVALID_INPUT, "fields": fields,
    }
    return JSONResponse(jsonable_encoder(body), 400, media_type="application/problem+json")


@dataclass(frozen=True)
class Limit:
    """A limit that the store is opened with: `APIRouter(dependencies=[Depends(REQUESTS)])`.

    Answers tell it, and who is over it when it makes sense to ask again (draft-ietf-httpapi-ratelimit-headers-10). What is left is
    not told before: others who share the store use it up as well.
    """

    name: str
    quota: int
    seconds: int

    async def __call__(self, request: Request) -> None:
        request.state.limit = self


REQUESTS = Limit("requests", 100, 60)
"""What each user asks for: the setting `requests_per_minute`, which is 100 here."""
SIGN_INS = Limit("failed-sign-ins", 5, 900)
"""Sign-ins that fail, of an address and of a name: the defaults of `sign_in_tries` and `sign_in_seconds`."""


async def tell_limits(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
    """Adds the fields."""
    request.state.limit = None
    response = await proceed(request)
    limit: Limit | None = request.state.limit
    if limit is not None:
        response.headers["RateLimit-Policy"] = f'"{limit.name}";q={limit.quota};w={limit.seconds}'
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" in response.headers:
            response.headers["RateLimit"] = f'"{limit.name}";r=0;t={response.headers["retry-after"]}'
    return response
