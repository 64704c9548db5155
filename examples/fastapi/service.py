"""A service on FastAPI: users sign in, by cookies or bearer tokens, and read and change documents as far as they may.

`uvicorn --factory service:make`
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import rolekeep
from fastapi import APIRouter, Body, Depends, FastAPI, Request, Response
from rolekeep import AsyncCaller, FactorSetup, NotFound, Reason, RolekeepError, Unauthorized, User, UserManagement

from sessions import REFRESH, REQUESTS, SIGN_INS, Bearer, By, Sessions, forget

POLICY = Path(__file__).parents[1] / "axum/policy.toml"
Documents = dict[int, dict[str, Any]]
Text = Annotated[str, Body()]


def make() -> FastAPI:
    """The service, with somebody to try it as: `ada@example.org` and `correct horse battery ada`."""
    um = rolekeep.open(policy_toml=POLICY.read_text(), requests_per_minute=REQUESTS.quota)
    ada = um.system.users.create("ada@example.org", password="correct horse battery ada", roles=["author"])
    documents = {1: {"owner_id": str(ada.id), "is_published": False, "text": "what ada wrote"}}
    return serve(um, documents, "http://localhost:8000")


def serve(um: UserManagement, documents: Documents, origin: str) -> FastAPI:
    """The service over a store, which it closes at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        um.close()

    app = FastAPI(lifespan=lifespan)
    sessions = Sessions(um, app, origin)
    # Twice: under `/session` for browsers, which get cookies, and without it for other clients, which get the tokens.
    both = signing_in(sessions)
    app.include_router(both)
    app.include_router(both, prefix="/session", dependencies=[Depends(sessions.own_page)])
    app.include_router(reading(sessions, documents))
    return app


def signing_in(sessions: Sessions) -> APIRouter:
    """Signing in, in steps, and what is proved within a session."""
    router = APIRouter(dependencies=[Depends(SIGN_INS)])
    Somebody = Annotated[AsyncCaller, Depends(sessions.anonymous)]
    Me = Annotated[AsyncCaller, Depends(sessions.current_user)]
    Holding = Annotated[By, Depends(sessions.by)]

    @router.post("/login")
    async def login(
        request: Request, by: Holding, somebody: Somebody, identifier: Text, password: Text,
        device_token: Annotated[str | None, Body()] = None,
    ) -> Response:
        """The answer's `step` says what is needed next, with a challenge for its route; `done` comes with the tokens."""
        known = by.device_token(request, device_token)
        return by.answer(await somebody.sessions.login(identifier, password, device_token=known))

    @router.post("/sign-in/factor")
    async def factor(by: Holding, somebody: Somebody, challenge: Text, code: Text) -> Response:
        return by.answer(await somebody.sign_in.factor(challenge, code))

    @router.post("/refresh")
    async def refresh(
        request: Request, by: Holding, somebody: Somebody, refresh_token: Annotated[str | None, Body(embed=True)] = None
    ) -> Response:
        """A page asks for this when it is told `token_expired`, then asks again what it asked for. Of two tabs that do so at once
        both get the same session.
        """
        token = request.cookies.get(REFRESH) if by is By.COOKIES else refresh_token
        if not token:
            raise Unauthorized("sign in first", reason=Reason.NOT_SIGNED_IN)
        return by.answer(await somebody.sessions.refresh(token))

    @router.post("/step-up")
    async def step_up(by: Holding, me: Me, password: Text, code: Annotated[str | None, Body()] = None) -> Response:
        """What was refused with `step_up_required` is allowed for five minutes after this."""
        return by.answer(await me.sessions.step_up(password, code=code))

    @router.post("/factors/add/start")
    async def add_start(me: Me) -> FactorSetup:
        return await me.factors.add_start()

    @router.post("/factors/add")
    async def add(by: Holding, me: Me, challenge: Text, code: Text) -> Response:
        """Ends all sessions but this one, which goes on by new tokens."""
        return by.answer(await me.factors.add(challenge, code))

    @router.post("/logout")
    async def logout(request: Request, by: Holding, bearer: Bearer, somebody: Somebody) -> Response:
        """A browser forgets its session whatever became of it, and one whose access token is over ends it by the refresh token."""
        try:
            me = await sessions.current_user(request, bearer)
        except Unauthorized:
            if by is By.BODY:
                raise
            try:
                tokens = await somebody.sessions.refresh(request.cookies.get(REFRESH, ""))
            except RolekeepError:
                return forget()
            me = await sessions.um.authenticate(tokens.access_token)
        await me.sessions.logout()
        return forget() if by is By.COOKIES else Response(status_code=204)

    return router


def reading(sessions: Sessions, documents: Documents) -> APIRouter:
    """What the service is about."""
    router = APIRouter(dependencies=[Depends(REQUESTS)])
    Me = Annotated[AsyncCaller, Depends(sessions.current_user)]

    def document(number: int) -> dict[str, Any]:
        if number not in documents:
            raise NotFound("no such document")
        return {"type": "document", "owner_id": documents[number]["owner_id"], "is_published": documents[number]["is_published"]}

    @router.get("/me")
    async def who(me: Me) -> User:
        return await me.users.me()

    @router.get("/documents/{number}", dependencies=[Depends(sessions.require_permission("document:read", document))])
    async def read(number: int) -> dict[str, Any]:
        return documents[number]

    @router.put("/documents/{number}", dependencies=[Depends(sessions.require_permission("document:edit", document))])
    async def change(number: int, text: Annotated[str, Body(embed=True)]) -> dict[str, Any]:
        documents[number]["text"] = text
        return documents[number]

    @router.delete("/documents/{number}", dependencies=[Depends(sessions.require_permission("document:delete"))])
    async def throw_away(number: int) -> None:
        document(number)
        del documents[number]

    return router
