"""An open store, and the callers that it gives out."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from . import _rolekeep
from ._codec import decode, encode
from ._persister import Host, Persister
from .areas import Areas, AsyncAreas
from .errors import Forbidden
from .records import Explanation, LoginResult

C = TypeVar("C", bound="AnyCaller")


def start(settings: dict[str, object], persister: Persister | None) -> _rolekeep.Answer[_rolekeep.Store]:
    """Opens a store, once awaited or waited for."""
    is_in_memory = persister is None and settings.get("sqlite") is None
    return _rolekeep.Store.open(encode(settings), None if persister is None else Host(persister), is_in_memory)


def _request(ip: str | None, user_agent: str | None, context: Mapping[str, Any] | None) -> str | None:
    if ip is None and user_agent is None and context is None:
        return None
    return encode({"ip": ip, "user_agent": user_agent, "context": context})


class AnyCaller(_rolekeep.Caller):
    """What needs no waiting."""

    def with_request(
        self: C, *, ip: str | None = None, user_agent: str | None = None, context: Mapping[str, Any] | None = None
    ) -> C:
        """The same caller with what the host knows of a request, such as its address for the audit log."""
        return type(self)(self._with_request(_request(ip, user_agent, context)))

    def require(self, permission: str, resource: Mapping[str, Any] | None = None) -> None:
        """`can`, or raises `Forbidden`."""
        if not self.can(permission, resource):
            raise Forbidden("you may not do this")

    def explain(self, permission: str, resource: Mapping[str, Any] | None = None) -> Explanation:
        """Why the caller may or may not do this: for the host, not for the caller's eyes."""
        return decode(Explanation, self._explain(permission, resource))


class Caller(AnyCaller, Areas):
    """Who asks: the host itself, a signed-in user, or nobody yet. Nothing happens without one.

    Its rights are those of the moment of each call. `can`, `require` and `explain` do no I/O.
    """

    def call(self, operation: str, given: Mapping[str, Any] | str = "{}") -> str:
        """Runs an operation by name, JSON in and JSON out: what the methods of the areas are made of."""
        return self._call(operation, encode(given)).wait()

    @property
    def aio(self) -> AsyncCaller:
        """The same caller for `async` code."""
        return AsyncCaller(self)


class AsyncCaller(AnyCaller, AsyncAreas):
    """A `Caller` whose operations are awaited; `can`, `require` and `explain` need no `await`."""

    async def call(self, operation: str, given: Mapping[str, Any] | str = "{}") -> str:
        """Runs an operation by name, JSON in and JSON out: what the methods of the areas are made of."""
        return await self._call(operation, encode(given))

    @property
    def sync(self) -> Caller:
        """The same caller for blocking code."""
        return Caller(self)


class _AnyStore(Generic[C]):
    """What needs no waiting."""

    _face: type[C]

    def __init__(self, store: _rolekeep.Store) -> None:
        self._store = store

    @property
    def system(self) -> C:
        """The host itself: no rule holds it back, every invariant does. Not for requests of others."""
        return self._face(self._store.system())

    def anonymous(
        self, *, ip: str | None = None, user_agent: str | None = None, context: Mapping[str, Any] | None = None
    ) -> C:
        """Somebody who has not signed in."""
        return self._face(self._store.anonymous(_request(ip, user_agent, context)))


class UserManagement(_AnyStore[Caller]):
    """An open store: users, roles, sessions, and the rules that decide. From `rolekeep.open`.

    Usable from every thread, and in a forked child: SQLite and persisters are opened anew there,
    memory goes on with its own copy.
    """

    _face = Caller

    def authenticate(
        self,
        access_token: str,
        *,
        ip: str | None = None,
        user_agent: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Caller:
        """The user whom an access token was made for.

        Args:
            access_token: From `login` or `sessions.refresh`.
            ip: The address that the request came from, for the audit log.
            user_agent: What the request was made with.
            context: What the policy's conditions read as `context.…`.

        Raises:
            Unauthorized: It is no token of ours, its time is over, or its session has ended.
        """
        return Caller(self._store.authenticate(access_token, _request(ip, user_agent, context)).wait())

    def acting_as(self, user: UUID | str) -> Caller:
        """A user for whom the host vouches itself, without a session.

        Raises:
            NotFound: There is no such user.
            Unauthorized: The user is not active.
        """
        return Caller(self._store.acting_as(user).wait())

    def login(
        self, identifier: str, password: str, *, ip: str | None = None, user_agent: str | None = None
    ) -> LoginResult:
        """Signs in with an e-mail address or username and the password; short for `sessions.login`.

        Raises:
            Unauthorized: The same for an unknown account, a wrong password and an inactive account.
        """
        return self.anonymous(ip=ip, user_agent=user_agent).sessions.login(identifier, password)

    @property
    def aio(self) -> AsyncUserManagement:
        """The same store for `async` code."""
        return AsyncUserManagement(self._store)

    def close(self) -> None:
        """Finishes running commits, refuses further operations and lets go of the storage."""
        self._store.close().wait()

    def __enter__(self) -> UserManagement:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncUserManagement(_AnyStore[AsyncCaller]):
    """A `UserManagement` for asyncio, from `rolekeep.open_async`. Bound to no event loop."""

    _face = AsyncCaller

    async def authenticate(
        self,
        access_token: str,
        *,
        ip: str | None = None,
        user_agent: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> AsyncCaller:
        """The user whom an access token was made for; as `UserManagement.authenticate`."""
        return AsyncCaller(await self._store.authenticate(access_token, _request(ip, user_agent, context)))

    async def acting_as(self, user: UUID | str) -> AsyncCaller:
        """A user for whom the host vouches itself; as `UserManagement.acting_as`."""
        return AsyncCaller(await self._store.acting_as(user))

    async def login(
        self, identifier: str, password: str, *, ip: str | None = None, user_agent: str | None = None
    ) -> LoginResult:
        """Signs in with an e-mail address or username and the password; as `UserManagement.login`."""
        return await self.anonymous(ip=ip, user_agent=user_agent).sessions.login(identifier, password)

    @property
    def sync(self) -> UserManagement:
        """The same store for blocking code."""
        return UserManagement(self._store)

    async def close(self) -> None:
        """Finishes running commits, refuses further operations and lets go of the storage."""
        await self._store.close()

    async def __aenter__(self) -> AsyncUserManagement:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Opening:
    """What `open_async` gives: `um = await …`, or `async with … as um`, which closes it at the end."""

    def __init__(self, answer: _rolekeep.Answer[_rolekeep.Store]) -> None:
        self._answer = answer
        self._um: AsyncUserManagement | None = None

    async def _open(self) -> AsyncUserManagement:
        self._um = AsyncUserManagement(await self._answer)
        return self._um

    def __await__(self) -> Generator[Any, Any, AsyncUserManagement]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncUserManagement:
        return await self

    async def __aexit__(self, *_: object) -> None:
        if self._um is not None:
            await self._um.close()
