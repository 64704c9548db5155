"""An open store, and the callers that it gives out."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO, Generic, TypeVar
from uuid import UUID

from . import _rolekeep
from ._ask import Asker, Resource, known, named, several
from ._breached import BreachedPasswords, Breaches
from ._codec import UNSET, Unset, decode, encode
from ._notifier import Mailer, Notifier
from ._persister import Host, Persister
from .backup import BackupSummary, Restore, _options, _place
from .areas import Areas, AsyncAreas
from .errors import Unauthorized
from .records import Explanation, Health, Reason, SignInResult, Tidied

C = TypeVar("C", bound="AnyCaller")
UserQuestion = tuple[UUID | str, str] | tuple[UUID | str, str, Resource]
"""A user's id, a permission, and optionally a resource."""


def start(
    config: dict[str, object],
    persister: Persister | None,
    notifier: Notifier | None = None,
    breached_passwords: BreachedPasswords | None = None,
    from_env: bool | None = None,
    config_file: str | PathLike[str] | None = None,
    restore: Restore | None = None,
) -> _rolekeep.Answer[_rolekeep.Store]:
    """Opens a store, once awaited or waited for."""
    host = None if persister is None else Host(persister)
    mailer = None if notifier is None else Mailer(notifier)
    breaches = None if breached_passwords is None else Breaches(breached_passwords)
    if not isinstance(restore, Restore | None):
        raise TypeError("restore is a `Restore`: open(restore=Restore(file))")
    backup = None if restore is None else restore._given()
    return _rolekeep.Store._open(encode(config), places_of(from_env, config_file), host, mailer, breaches, backup)


def places_of(from_env: bool | None, config_file: str | PathLike[str] | None) -> str | None:
    """Where settings come from beside the program."""
    if not from_env and config_file is None:
        return None
    variables = [(name, text) for name, text in os.environ.items() if from_env and name.startswith("ROLEKEEP_")]
    file = None if config_file is None else {"name": os.fspath(config_file)}
    return encode({"file": file, "variables": [{"name": name, "text": text} for name, text in variables]})


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


class AnyCaller(Asker, _rolekeep.Caller):
    """What needs no waiting."""

    def with_request(
        self: C, *, ip: str | None = None, user_agent: str | None = None, context: Mapping[str, Any] | None = None,
        request_id: str | None = None, idempotency_key: str | None = None, forwarded_for: str | None = None,
    ) -> C:
        """The same caller with this request context; fields that are not given keep their values.

        Args:
            ip: The address of the socket that it came from: limits count by it, and sessions and the audit log record it.
            user_agent: The user agent.
            context: The values that conditions read as `context.NAME`.
            request_id: The id of the request in your own log; the audit log, log records and errors have it, too.
            idempotency_key: A key that the client chose for this request, 1 to 255 visible ASCII characters (the header
                `Idempotency-Key`): a request of the same caller for the same operation with this key is done once
                within 24 hours. Repeated, it fails with the reason `already_done` and the `change_id` of the first,
                with another input with `idempotency_key_reused`. Secrets are not compared, answers are not kept.
            forwarded_for: The header `X-Forwarded-For`; several are joined by commas, in order. If `ip` is one of the
                setting `trusted_proxies`, the client's address is taken from it.
        """
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return type(self)(self._with_request(request))

    def is_administrator(self) -> bool:
        """Whether the caller holds `admin:all` now, or is the application itself."""
        return decode(bool, self._ask("is_administrator", "{}"))

    def require_admin(self) -> None:
        """Raises `Forbidden` unless `is_administrator` is true, and `Unauthorized` of a caller who is not signed in."""
        self._required(self.is_administrator(), "admin:all")

    def _required(self, is_allowed: bool, permission: str | None = None) -> None:
        if not is_allowed and not self.is_signed_in:
            raise Unauthorized("this needs a signed-in user", reason=Reason.NOT_SIGNED_IN, request_id=self._serves())
        super()._required(is_allowed, permission)

    def _serves(self) -> str | None:
        return self._request_id


def _about(
    user: UUID | str, permission: str, resource: Resource | Unset, context: Resource | None, at_least: str | None
) -> str:
    about = {"user_id": user, "permission": permission, "resource": known(resource)}
    return encode(about | {"context": context or {}, "at_least": at_least})


def _about_many(checks: Sequence[UserQuestion], context: Resource | None, at_least: str | None) -> str:
    expected = "a tuple of a user's id, a permission and, if it is about one, a resource"
    names = ("user_id", "permission", "resource")
    asked = [named(field, each, names, 2, expected) for field, each in several(checks, expected)]
    return encode({"checks": asked, "context": context or {}, "at_least": at_least})


class Caller(AnyCaller, Areas):
    """Runs operations and answers checks for somebody: the application itself, a user, or somebody who is not signed in.

    Each call uses the rights of that moment. `can`, `require` and `explain` do no I/O.
    """

    def call(self, operation: str, given: Mapping[str, Any] | str = "{}") -> str:
        """Runs an operation by name, with JSON in and out; the methods of the areas do the same, typed."""
        return self._call(operation, encode(given)).wait()

    @property
    def aio(self) -> AsyncCaller:
        """The same caller for `async` code."""
        return AsyncCaller(self)


class AsyncCaller(AnyCaller, AsyncAreas):
    """A `Caller` whose operations are awaited; `can`, `require` and `explain` need no `await`."""

    async def call(self, operation: str, given: Mapping[str, Any] | str = "{}") -> str:
        """Runs an operation by name, with JSON in and out; the methods of the areas do the same, typed."""
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
        """The application itself. Rules do not restrict it, invariants do. Never use it to serve somebody else's request."""
        return self._face(self._system())

    def anonymous(
        self, *, ip: str | None = None, user_agent: str | None = None, context: Mapping[str, Any] | None = None,
        request_id: str | None = None, idempotency_key: str | None = None, forwarded_for: str | None = None,
    ) -> C:
        """A caller who is not signed in. The parameters are those of `Caller.with_request`."""
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return self._face(self._anonymous(request))


class UserManagement(_AnyStore[Caller]):
    """An open store: users, roles, sessions, and the rules that decide. From `rolekeep.open`.

    Usable from every thread, and in a forked child: SQLite and persisters are reopened there,
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
        """The caller of an access token or an API key.

        Args:
            access_token: What the request's header says after `Bearer `: an access token, from a sign-in or
                `sessions.refresh`, or an API key.
            ip: The address of the socket that the request came from: limits count by it, and sessions and the audit
                log record it.
            forwarded_for: The header `X-Forwarded-For`; several are joined by commas, in order. If `ip` is one of the
                setting `trusted_proxies`, the client's address is taken from it.
            user_agent: The user agent.
            context: The values that conditions read as `context.NAME`.
            request_id: The id of the request in your own log; the audit log, log records and errors have it, too.
            idempotency_key: The key that the client chose for the request; see `Caller.with_request`.

        Raises:
            Unauthorized: The token is not valid, has expired, or its session has ended; see `RolekeepError.reason`.
        """
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return Caller(self._authenticate(access_token, request).wait())

    def acting_as(self, user: UUID | str) -> Caller:
        """A caller for a user that the application vouches for, without a session.

        Raises:
            NotFound: There is no such user.
            Unauthorized: The user is not active.
        """
        return Caller(self._acting_as(user).wait())

    def acting_as_identity(self, issuer: str, subject: str) -> Caller:
        """The user who stands for a subject of another issuer, for whom the host vouches.

        The host has verified a token of that issuer, or knows the subject from a table of its own; the library
        verifies neither.

        Args:
            issuer: Who knows the subject, the `iss` of its tokens; compared byte by byte.
            subject: Whom the issuer knows, the `sub` of its tokens; compared byte by byte.

        Raises:
            NotFound: No account stands for it.
            Unauthorized: The user is not active.
            ValidationError: They cannot be an `ExternalIdentity`.
        """
        return Caller(self._acting_as_identity(issuer, subject).wait())

    def login(
        self, identifier: str, password: str, *, device_token: str | None = None, ip: str | None = None,
        user_agent: str | None = None, forwarded_for: str | None = None, request_id: str | None = None,
    ) -> SignInResult:
        """Signs in with an e-mail address or username and the password; short for `anonymous(ip=ip).sessions.login`.

        Give the `device_token` of an earlier sign-in on this device, if there was one: strangers who guess at the account do
        not use up this device's tries. The other parameters are those of `Caller.with_request`.

        The answer has the tokens (`done()`), or the `step` that is needed next.

        Raises:
            Unauthorized: The same for an unknown account, a wrong password and an inactive account.
            RateLimited: Too many failed; `retry_after` says for how many seconds to wait.
        """
        somebody = self.anonymous(ip=ip, user_agent=user_agent, forwarded_for=forwarded_for, request_id=request_id)
        return somebody.sessions.login(identifier, password, device_token=device_token)

    def check(
        self, user: UUID | str, permission: str, resource: Resource | Unset = UNSET, *, context: Resource | None = None,
        at_least: str | None = None,
    ) -> bool:
        """Whether a user may do this, to a resource or to all there could be. A user who is not active may do nothing.

        Answers from memory, and blocks to read the user's rights if they are not there. If other processes write to
        the same storage, rights may be as old as the setting `rights_max_age_millis`; `at_least` asks for newer ones.

        Args:
            user: The user's id.
            permission: `document:edit`, or with fields: `document:edit{title,body}`.
            resource: The resource: `{"type": "document", …}`. `None` is a resource that was not found, and refused.
            context: The values that conditions read as `context.NAME`.
            at_least: A `position`: everything committed up to it counts.

        Raises:
            NotFound: There is no such user.
            ValidationError: An unknown permission, a resource that lacks what the policy reads.
        """
        given = () if resource is UNSET else (resource,)
        answer = self._check(user, permission, context, at_least, *given)
        if answer is not None:
            return answer
        return decode(bool, self._consult("check", _about(user, permission, resource, context, at_least)).wait())

    def check_many(
        self, checks: Sequence[UserQuestion], *, context: Resource | None = None, at_least: str | None = None
    ) -> list[bool]:
        """Many checks at one moment, about one user or several: `[(ada, "document:read"), (bob, "document:edit", it)]`.

        Raises as `check`: the error of the first check that fails.
        """
        return decode(list[bool], self._consult("check_many", _about_many(checks, context, at_least)).wait())

    def explain(
        self, user: UUID | str, permission: str, resource: Resource | Unset = UNSET, *, context: Resource | None = None,
        at_least: str | None = None,
    ) -> Explanation:
        """Explains why a user may or may not do this."""
        about = _about(user, permission, resource, context, at_least)
        return decode(Explanation, self._consult("explain_user", about).wait())

    @property
    def aio(self) -> AsyncUserManagement:
        """The same store for `async` code."""
        return AsyncUserManagement(self)

    def refresh(self) -> None:
        """Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, and up to five seconds
        where nobody has asked anything for a minute."""
        self._refresh().wait()

    def health(self) -> Health:
        """How well the store works, with everything that it depends on: for a page that says so, and for whoever restarts it.

        It is answered within two seconds, whatever the storage does, and the storage's answer is kept for a second, however
        often this is called. Nothing in it is secret or names anybody. Of a store that was closed it says so.
        """
        return decode(Health, self._consult("health", "{}").wait())

    def ready(self) -> bool:
        """Whether requests should be sent to this process: `health().is_ready`."""
        return self.health().is_ready

    def tidy(self) -> Tidied:
        """Lets go of old lines of the change feed, of sessions that ended long ago and the like, purges users who were deleted long
        ago, and encrypts values that are plain or under a retired key.

        A store does all of it by itself, every hour (the setting `tidy_every_seconds`) and every thousand commits; call this to
        end a change of the setting `encryption_key`, or where processes live for less than two minutes. A call does a part: `while um.tidy().has_more: pass`. The old key may be taken out of
        `retired_encryption_keys` once every instance has the new key as its `encryption_key` and `has_more` was false after that.

        Raises:
            Unavailable: The storage fails, or the reason is `encryption_key_wrong`: something is under a key that is not given. What was
                done until then stays done.
        """
        return decode(Tidied, self._consult("tidy", "{}").wait())

    def backup(self, to: str | PathLike[str] | BinaryIO, *, key: str | None = None) -> BackupSummary:
        """Writes a backup of the whole store, as it is now, for `rolekeep.open(restore=...)`; see `rolekeep.backup`.

        Args:
            to: A path, where a file appears once it is whole, for its owner alone; or a file object that takes bytes, which stays open.
            key: Seals the backup, so that nobody without it can change the backup unnoticed. It encrypts nothing.

        Raises:
            Unavailable: The storage fails, or the file; what was written until then is refused as a backup.
            ValidationError: The key is empty.
        """
        return decode(BackupSummary, self._backup(_place(to), _options(key)).wait())

    def close(self) -> None:
        """Finishes running commits, refuses further operations and closes the storage."""
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
        """The caller of an access token; as `UserManagement.authenticate`."""
        request = _request(ip, user_agent, context, request_id, idempotency_key, forwarded_for)
        return AsyncCaller(await self._authenticate(access_token, request))

    async def acting_as(self, user: UUID | str) -> AsyncCaller:
        """A caller for a user that the application vouches for; as `UserManagement.acting_as`."""
        return AsyncCaller(await self._acting_as(user))

    async def acting_as_identity(self, issuer: str, subject: str) -> AsyncCaller:
        """The user who stands for a subject of another issuer; as `UserManagement.acting_as_identity`."""
        return AsyncCaller(await self._acting_as_identity(issuer, subject))

    async def login(
        self, identifier: str, password: str, *, device_token: str | None = None, ip: str | None = None,
        user_agent: str | None = None, forwarded_for: str | None = None, request_id: str | None = None,
    ) -> SignInResult:
        """Signs in with an e-mail address or username and the password; as `UserManagement.login`."""
        somebody = self.anonymous(ip=ip, user_agent=user_agent, forwarded_for=forwarded_for, request_id=request_id)
        return await somebody.sessions.login(identifier, password, device_token=device_token)

    async def check(
        self, user: UUID | str, permission: str, resource: Resource | Unset = UNSET, *, context: Resource | None = None,
        at_least: str | None = None,
    ) -> bool:
        """Whether a user may do this; as `UserManagement.check`, without blocking."""
        given = () if resource is UNSET else (resource,)
        answer = self._check(user, permission, context, at_least, *given)
        if answer is not None:
            return answer
        return decode(bool, await self._consult("check", _about(user, permission, resource, context, at_least)))

    async def check_many(
        self, checks: Sequence[UserQuestion], *, context: Resource | None = None, at_least: str | None = None
    ) -> list[bool]:
        """Many checks at one moment, about one user or several: `[(ada, "document:read"), (bob, "document:edit", it)]`.

        Raises as `check`: the error of the first check that fails.
        """
        return decode(list[bool], await self._consult("check_many", _about_many(checks, context, at_least)))

    async def explain(
        self, user: UUID | str, permission: str, resource: Resource | Unset = UNSET, *, context: Resource | None = None,
        at_least: str | None = None,
    ) -> Explanation:
        """Explains why a user may or may not do this."""
        about = _about(user, permission, resource, context, at_least)
        return decode(Explanation, await self._consult("explain_user", about))

    @property
    def sync(self) -> UserManagement:
        """The same store for blocking code."""
        return UserManagement(self)

    async def refresh(self) -> None:
        """Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, and up to five seconds
        where nobody has asked anything for a minute."""
        await self._refresh()

    async def health(self) -> Health:
        """How well the store works, with everything that it depends on; as `UserManagement.health`."""
        return decode(Health, await self._consult("health", "{}"))

    async def ready(self) -> bool:
        """Whether requests should be sent to this process: `health().is_ready`."""
        return (await self.health()).is_ready

    async def tidy(self) -> Tidied:
        """Lets go of what nobody asks for any more, and encrypts what is left to be encrypted; as `UserManagement.tidy`."""
        return decode(Tidied, await self._consult("tidy", "{}"))

    async def backup(self, to: str | PathLike[str] | BinaryIO, *, key: str | None = None) -> BackupSummary:
        """Writes a backup of the whole store, as it is now; as `UserManagement.backup`, without blocking the event loop."""
        return decode(BackupSummary, await self._backup(_place(to), _options(key)))

    async def close(self) -> None:
        """Finishes running commits, refuses further operations and closes the storage."""
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
