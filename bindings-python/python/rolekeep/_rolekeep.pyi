"""The native part. Programs use the package `rolekeep`."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from typing_extensions import Self

from ._persister import Host

T = TypeVar("T", covariant=True)

__version__: str

def main(arguments: Sequence[str]) -> int: ...

class Answer(Generic[T]):
    """A call that starts when it is awaited or waited for."""

    def wait(self) -> T: ...
    def __await__(self) -> Generator[Any, Any, T]: ...

class Store:
    """An open store."""

    @staticmethod
    def open(settings: str, host: Host | None, is_in_memory: bool) -> Answer[Store]: ...
    def system(self) -> Caller: ...
    def anonymous(self, request: str | None = None) -> Caller: ...
    def authenticate(self, token: str, request: str | None = None) -> Answer[Caller]: ...
    def acting_as(self, user: UUID | str, request: str | None = None) -> Answer[Caller]: ...
    def close(self) -> Answer[None]: ...

class Caller:
    """Somebody who asks."""

    def __new__(cls, caller: Caller) -> Self: ...
    def _call(self, operation: str, input: str) -> Answer[str]: ...
    def _with_request(self, request: str | None) -> Caller: ...
    def _explain(self, permission: str, resource: Mapping[str, Any] | None = None) -> str: ...
    def can(self, permission: str, resource: Mapping[str, Any] | None = None) -> bool:
        """Whether the caller may do this, to a resource (`{"type": "document", …}`) or at all."""

    def can_somewhere(self, permission: str) -> bool:
        """Whether the caller may do this to anything at all: a menu's question."""
