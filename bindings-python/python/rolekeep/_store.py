"""An open store, and the callers that it gives out."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, overload
from uuid import UUID

from . import _rolekeep
from ._codec import EMPTY, decode, encode
from ._persister import Host, Persister
from .areas import Areas, AsyncAreas
from .errors import Forbidden
from .records import Explanation, FilteredRows, LoginResult, SqlColumn, SqlFilter, SqlKind

C = TypeVar("C", bound="AnyCaller")
Resource = Mapping[str, Any]
"""What is asked about: `{"type": "document", "owner_id": …}`, with every attribute that the policy reads."""
Question = str | tuple[str, Resource | None]
"""A permission, or a permission and what it would be done to."""
UserQuestion = tuple[UUID | str, str] | tuple[UUID | str, str, Resource | None]
"""A user's id, a permission, and perhaps what it would be done to."""


def start(settings: dict[str, object], persister: Persister | None) -> _rolekeep.Answer[_rolekeep.Store]:
    """Opens a store, once awaited or waited for."""
    is_in_memory = persister is None and settings.get("sqlite") is None
    return _rolekeep.Store._open(encode(settings), None if persister is None else Host(persister), is_in_memory)


def _request(
    ip: str | None,
    user_agent: str | None,
    context: Mapping[str, Any] | None,
    request_id: str | None = None,
    idempotency_key: str | None = None,
    forwarded_for: str | None = None,
) -> str | None:
    given = {"ip": ip, "user_agent": user_agent, "context": context, "forwarded_for": forwarded_for}
    given |= {"request_id": request_id, "idempotency_key": idempotency_key}
    return None if all(value is None for value in given.values()) else encode(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """A condition for the host's own query: the rows that pass are those that a check allows, no more and no less."""

    rows: FilteredRows
    """Whether all rows pass, none (there is nothing to ask the database), or some."""
    sql: str
    """The condition for a `WHERE`, `TRUE` or `FALSE` where all rows pass or none; put brackets around it."""
    parameters: tuple[Any, ...]
    """Its parameters, in the order of their numbers."""
    kinds: tuple[SqlKind, ...]
    """Their types in SQL."""
    expires: datetime
    """From this moment on it must not be used: ask again."""


# What JSON has no value for.
_NATIVE: Mapping[SqlKind, Any] = {
    SqlKind.INT: int, SqlKind.INTS: lambda each: [int(one) for one in each], SqlKind.UUID: UUID,
    SqlKind.UUIDS: lambda each: [UUID(one) for one in each], SqlKind.BLOB: bytes.fromhex,
}


class AnyCaller(_rolekeep.Caller):
    """What needs no waiting."""

    def with_request(
        self: C, *, ip: str | None = None, user_agent: str | None = None, context: Mapping[str, Any] | None = None,
        request_id: str | None = None, idempotency_key: str | None = None, forwarded_for: str | None = None,
    ) -> C:
        """The same caller, knowing this of the request, too, such as its address for the audit log: what is not given
        stays as it was known.

        Args:
            ip: The address that it came from.
            user_agent: What it was made with.
            context: What the policy's conditions read as `context.…`.
            request_id: By which the host's own log knows it.
            idempotency_key: A key that the client chose for this request, 1 to 255 visible ASCII characters (the header
                `Idempotency-Key`): what the same caller asks of the same operation with it within 24 hours is done once.
                Sent again it fails with the reason `already_done` and the `change_id` of the first, with another input
                with `idempotency_key_reused`. Secrets are not compared, answers not kept.
            forwarded_for: The header `X-Forwarded-For`; of several, all in their order, joined by commas. It is
                believed where `ip` is one of the setting `trusted_proxies`, and makes another `ip` of it then.
        """
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return type(self)(self._with_request(request))

    @overload
    def require(self, permission: str) -> None: ...
    @overload
    def require(self, permission: str, resource: Resource) -> None: ...
    def require(self, permission: str, resource: Resource | None = None) -> None:
        """`can`, or raises `Forbidden`."""
        _require(self.can(permission) if resource is None else self.can(permission, resource))

    def can_many(self, checks: Sequence[Question]) -> list[bool]:
        """Many checks at once, each as `can`: `me.can_many(["document:read", ("document:edit", document)])`."""
        pairs = ((each, None) if isinstance(each, str) else each for each in checks)
        asked = [{"permission": permission, "resource": resource} for permission, resource in pairs]
        return decode(list[bool], self._ask("can_many", encode({"checks": asked})))

    def has_role(self, role: str, scope: str | None = None) -> bool:
        """Whether the caller holds a role now, itself or through a senior one: everywhere, or also just in a scope
        (`region:ID`). A role says what somebody is, not what it may do: `can` is the better question."""
        return decode(bool, self._ask("has_role", encode({"role": role, "scope": scope})))

    def require_role(self, role: str, scope: str | None = None) -> None:
        """`has_role`, or raises `Forbidden`."""
        _require(self.has_role(role, scope))

    def is_administrator(self) -> bool:
        """Whether the caller holds `admin:all` now, or is the host."""
        return decode(bool, self._ask("is_administrator", "{}"))

    def require_admin(self) -> None:
        """`is_administrator`, or raises `Forbidden`."""
        _require(self.is_administrator())

    def filter(
        self,
        permission: str,
        *,
        dialect: Literal["sqlite", "postgres"],
        qualifier: str,
        columns: Mapping[str, str | SqlColumn] = EMPTY,
        ids: Literal["uuid", "text", "blob"] | None = None,
        times: Literal["micros", "timestamptz"] | None = None,
        strict: bool = False,
        first_parameter: int = 1,
    ) -> RowFilter:
        """Which rows of the host's own table the caller may do this to, as a condition in SQL.

        `filter = me.filter("document:read", dialect="sqlite", qualifier="documents")`, then
        `cursor.execute(f"SELECT * FROM documents WHERE {filter.sql}", filter.parameters)`.

        Args:
            permission: Its type is one that the policy declares: `document:read`.
            dialect: Which SQL; parameters are `?1`, `?2`, … in SQLite and `$1`, `$2`, … in PostgreSQL.
            qualifier: The table's name or alias in the query; it stands before each column.
            columns: Where attributes are that are no columns of their own name.
            ids: How ids are stored; `uuid` in PostgreSQL and `text` in SQLite if not given.
            times: How times are stored; integer microseconds since 1970 (`micros`) if not given.
            strict: Whether columns of SQLite hold only values of their declared type, as a `STRICT` table's do.
            first_parameter: The number of the first parameter, where the query has others before.

        Raises:
            ValidationError: A condition cannot be said exactly in this SQL; names every attribute at fault.
        """
        place = {"dialect": dialect, "qualifier": qualifier, "columns": columns, "ids": ids, "times": times}
        table = {**place, "strict": strict, "first_parameter": first_parameter}
        found = decode(SqlFilter, self._ask("filter", encode({"permission": permission, "table": table})))
        kinds = tuple(each.kind for each in found.parameters)
        values = (_NATIVE.get(each.kind, lambda value: value)(each.value) for each in found.parameters)
        return RowFilter(rows=found.rows, sql=found.sql, parameters=tuple(values), kinds=kinds, expires=found.expires)

    def explain(self, permission: str, resource: Resource | None = None) -> Explanation:
        """Why the caller may or may not do this: for the host, not for the caller's eyes."""
        return decode(Explanation, self._ask("explain", encode({"permission": permission, "resource": resource})))


def _require(is_allowed: bool) -> None:
    if not is_allowed:
        raise Forbidden("you may not do this")


def _about(
    user: UUID | str, permission: str, resource: Resource | None, context: Resource | None, at_least: int | None
) -> str:
    about = {"user_id": user, "permission": permission, "resource": resource}
    return encode(about | {"context": context or {}, "at_least": at_least})


def _about_many(checks: Sequence[UserQuestion], context: Resource | None, at_least: int | None) -> str:
    asked = [dict(zip(("user_id", "permission", "resource"), each)) for each in checks]
    return encode({"checks": asked, "context": context or {}, "at_least": at_least})


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


class _AnyStore(_rolekeep.Store, Generic[C]):
    """What needs no waiting."""

    _face: type[C]

    @property
    def system(self) -> C:
        """The host itself: no rule holds it back, every invariant does. Not for requests of others."""
        return self._face(self._system())

    def anonymous(
        self, *, ip: str | None = None, user_agent: str | None = None, context: Mapping[str, Any] | None = None,
        request_id: str | None = None, idempotency_key: str | None = None, forwarded_for: str | None = None,
    ) -> C:
        """Somebody who has not signed in. The parameters are those of `Caller.with_request`."""
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return self._face(self._anonymous(request))


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
        request_id: str | None = None,
        idempotency_key: str | None = None,
        forwarded_for: str | None = None,
    ) -> Caller:
        """The user whom an access token was made for.

        Args:
            access_token: From `login` or `sessions.refresh`.
            ip: The address that the request came from, for the audit log.
            forwarded_for: The header `X-Forwarded-For`; of several, all in their order, joined by commas. It is
                believed where `ip` is one of the setting `trusted_proxies`, and makes another `ip` of it then.
            user_agent: What the request was made with.
            context: What the policy's conditions read as `context.…`.
            request_id: By which the host's own log knows the request.
            idempotency_key: The key that the client chose for the request; see `Caller.with_request`.

        Raises:
            Unauthorized: It is no token of ours, its time is over, or its session has ended.
        """
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return Caller(self._authenticate(access_token, request).wait())

    def acting_as(self, user: UUID | str) -> Caller:
        """A user for whom the host vouches itself, without a session.

        Raises:
            NotFound: There is no such user.
            Unauthorized: The user is not active.
        """
        return Caller(self._acting_as(user).wait())

    def login(
        self, identifier: str, password: str, *, ip: str | None = None, user_agent: str | None = None,
        forwarded_for: str | None = None,
    ) -> LoginResult:
        """Signs in with an e-mail address or username and the password; short for `sessions.login`.

        Raises:
            Unauthorized: The same for an unknown account, a wrong password and an inactive account.
        """
        return self.anonymous(ip=ip, user_agent=user_agent, forwarded_for=forwarded_for).sessions.login(identifier, password)

    def check_async(
        self, user: UUID | str, permission: str, resource: Resource | None = None, *, context: Resource | None = None,
        at_least: int | None = None,
    ) -> bool:
        """`check` that reads the user's rights where they are not in memory, and waits for `at_least`; it blocks.

        Raises:
            NotFound: There is no such user.
        """
        return decode(bool, self._consult("check", _about(user, permission, resource, context, at_least)).wait())

    def check_many(
        self, checks: Sequence[UserQuestion], *, context: Resource | None = None, at_least: int | None = None
    ) -> list[bool]:
        """Many checks of one moment, about one user or several: `[(ada, "document:read"), (bob, "document:edit", it)]`.

        Raises as `check_async`, for the first that has an error.
        """
        return decode(list[bool], self._consult("check_many", _about_many(checks, context, at_least)).wait())

    def explain(
        self, user: UUID | str, permission: str, resource: Resource | None = None, *, context: Resource | None = None,
        at_least: int | None = None,
    ) -> Explanation:
        """Why any user may or may not do this."""
        about = _about(user, permission, resource, context, at_least)
        return decode(Explanation, self._consult("explain_user", about).wait())

    @property
    def aio(self) -> AsyncUserManagement:
        """The same store for `async` code."""
        return AsyncUserManagement(self)

    def close(self) -> None:
        """Finishes running commits, refuses further operations and lets go of the storage."""
        self._close().wait()

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
        request_id: str | None = None,
        idempotency_key: str | None = None,
        forwarded_for: str | None = None,
    ) -> AsyncCaller:
        """The user whom an access token was made for; as `UserManagement.authenticate`."""
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return AsyncCaller(await self._authenticate(access_token, request))

    async def acting_as(self, user: UUID | str) -> AsyncCaller:
        """A user for whom the host vouches itself; as `UserManagement.acting_as`."""
        return AsyncCaller(await self._acting_as(user))

    async def login(
        self, identifier: str, password: str, *, ip: str | None = None, user_agent: str | None = None,
        forwarded_for: str | None = None,
    ) -> LoginResult:
        """Signs in with an e-mail address or username and the password; as `UserManagement.login`."""
        return await self.anonymous(ip=ip, user_agent=user_agent, forwarded_for=forwarded_for).sessions.login(identifier, password)

    async def check_async(
        self, user: UUID | str, permission: str, resource: Resource | None = None, *, context: Resource | None = None,
        at_least: int | None = None,
    ) -> bool:
        """`check` that reads the user's rights where they are not in memory, and waits for `at_least`.

        Raises:
            NotFound: There is no such user.
        """
        return decode(bool, await self._consult("check", _about(user, permission, resource, context, at_least)))

    async def check_many(
        self, checks: Sequence[UserQuestion], *, context: Resource | None = None, at_least: int | None = None
    ) -> list[bool]:
        """Many checks of one moment, about one user or several: `[(ada, "document:read"), (bob, "document:edit", it)]`.

        Raises as `check_async`, for the first that has an error.
        """
        return decode(list[bool], await self._consult("check_many", _about_many(checks, context, at_least)))

    async def explain(
        self, user: UUID | str, permission: str, resource: Resource | None = None, *, context: Resource | None = None,
        at_least: int | None = None,
    ) -> Explanation:
        """Why any user may or may not do this."""
        about = _about(user, permission, resource, context, at_least)
        return decode(Explanation, await self._consult("explain_user", about))

    @property
    def sync(self) -> UserManagement:
        """The same store for blocking code."""
        return UserManagement(self)

    async def close(self) -> None:
        """Finishes running commits, refuses further operations and lets go of the storage."""
        await self._close()

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
