"""The native part. Programs use the package `rolekeep`."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, BinaryIO, Generic, TypeVar
from uuid import UUID

from typing_extensions import Self

from ._ask import Question
from ._breached import Breaches
from ._notifier import Mailer
from ._persister import Host

T = TypeVar("T", covariant=True)

__version__: str

def main(arguments: Sequence[str]) -> int: ...
def metrics() -> str: ...
def verify_backup(file: str | BinaryIO, options: str) -> Answer[str]: ...
def migrate(settings: str, places: str | None, word: str) -> Answer[str]: ...

class Answer(Generic[T]):
    """A call that starts when it is awaited or waited for."""

    def wait(self) -> T: ...
    def __await__(self) -> Generator[Any, Any, T]: ...

class Store:
    """An open store."""

    def __new__(cls, store: Store) -> Self: ...
    @staticmethod
    def _open(
        settings: str, places: str | None, host: Host | None, mailer: Mailer | None, breaches: Breaches | None,
        restore: tuple[str | BinaryIO, str] | None,
    ) -> Answer[Store]: ...
    def _system(self) -> Caller: ...
    def _anonymous(self, request: str | None) -> Caller: ...
    def _authenticate(self, token: str, request: str | None) -> Answer[Caller]: ...
    def _acting_as(self, user: UUID | str) -> Answer[Caller]: ...
    def _acting_as_identity(self, issuer: str, subject: str) -> Answer[Caller]: ...
    def _consult(self, question: str, input: str) -> Answer[str]: ...
    def _refresh(self) -> Answer[None]: ...
    def _backup(self, file: str | BinaryIO, options: str) -> Answer[str]: ...
    def _close(self) -> Answer[None]: ...
    def _check(
        self,
        user: UUID | str,
        permission: str,
        context: Mapping[str, Any] | None,
        at_least: str | None,
        resource: Mapping[str, Any] = ...,
        /,
    ) -> bool | None: ...
    @property
    def position(self) -> str:
        """How far the commits of the storage are known here, as an opaque text.

        That is up to the newest ones that this instance has made or read. `at_least` with this position makes another
        instance answer by what was written up to here.
        """

    def check_cached(
        self,
        user: UUID | str,
        permission: str,
        resource: Mapping[str, Any] = ...,
        *,
        context: Mapping[str, Any] | None = None,
        at_least: str | None = None,
    ) -> bool:
        """Like `check`, but it uses the rights in memory and never waits.

        Args:
            user: The user's id.
            permission: `document:edit`, or with fields: `document:edit{title,body}`.
            resource: The resource: `{"type": "document", …}`. `None` is a resource that was not found, and refused.
            context: The values that conditions read as `context.NAME`.
            at_least: A `position`: everything committed up to it counts.

        Raises:
            Unavailable: With `Reason.NOT_LOADED` where the user's rights are not in memory: `check` reads
                them; with `Reason.RIGHTS_STALE` where they may be older than allowed.
            ValidationError: An unknown permission, a resource that lacks what the policy reads.
        """

class Rules:
    """A compiled policy."""

    def __new__(cls, settings: str) -> Self: ...
    def _principal(self, data: str) -> Principal: ...
    def _anonymous(self) -> Principal: ...

class Principal:
    """A principal and the rules that decide about it."""

    def __new__(cls, principal: Principal) -> Self: ...
    def _with_context(self, values: str) -> Principal: ...
    def _ask(self, question: str, input: str) -> str: ...
    def can(self, permission: str, resource: Mapping[str, Any] = ...) -> bool:
        """Whether the principal may do this, to a resource (`{"type": "document", …}`) or to all there could be.

        `None` is a resource that was not found, and refused: without a resource it is another question.
        A permission may name fields, `document:edit{title,body}`: each must be allowed.
        """

    def can_many(self, checks: Sequence[Question]) -> list[bool]:
        """Many checks at one moment, each as `can`: `me.can_many(["document:read", ("document:edit", document)])`.

        A mapping that stands there several times is read once.
        """

    def can_somewhere(self, permission: str) -> bool:
        """Whether there could be a resource to which the principal may do this: for menus."""

class Caller:
    """Somebody who asks."""

    def __new__(cls, caller: Caller) -> Self: ...
    def _call(self, operation: str, input: str) -> Answer[str]: ...
    def _with_request(self, request: str | None) -> Caller: ...
    def _ask(self, question: str, input: str) -> str: ...
    @property
    def _request_id(self) -> str | None: ...
    @property
    def is_signed_in(self) -> bool:
        """Whether the caller is a user or the application itself."""

    def can(self, permission: str, resource: Mapping[str, Any] = ...) -> bool:
        """Whether the caller may do this, to a resource (`{"type": "document", …}`) or to all there could be.

        `None` is a resource that was not found, and refused: without a resource it is another question.
        A permission may name fields, `document:edit{title,body}`: each must be allowed.
        """

    def can_many(self, checks: Sequence[Question]) -> list[bool]:
        """Many checks at one moment, each as `can`: `me.can_many(["document:read", ("document:edit", document)])`.

        A mapping that stands there several times is read once.
        """

    def can_somewhere(self, permission: str) -> bool:
        """Whether there could be a resource to which the caller may do this: for menus."""
