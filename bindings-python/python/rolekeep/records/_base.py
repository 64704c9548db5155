"""What records are made of."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from .common import SignInStep, Tokens

T = TypeVar("T")


class Word(str, Enum):
    """An enum whose members are their words: `UserStatus.ACTIVE == "active"`."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list; iterating over it gives its rows, and its length is their number."""

    items: builtins.list[T]
    """The rows of this page."""
    total: int | None = None
    """How many rows the caller may see in all, counted up to `total_up_to`; `None` if the page was reached by a cursor, or none
    were to be counted."""
    total_exact: bool
    """Whether `total` is all of them; `False` if there may be more."""
    pages: int | None = None
    """How many pages there are in all; `None` if `total` is not all rows."""
    page: int | None = None
    """This page's number, from 1; `None` when it was reached by a cursor."""
    limit: int
    """The page size."""
    has_next: bool
    """Whether there is a page after this."""
    has_previous: bool
    """Whether there is a page before this."""
    next_cursor: str | None = None
    """Pass it as `cursor` for the rows after this page; it costs the same at any depth."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class SignInBase:
    """What an answer to a step of a sign-in can do."""

    __slots__ = ()

    if TYPE_CHECKING:
        step: SignInStep
        tokens: Tokens | None

    def done(self) -> Tokens:
        """The tokens.

        Raises:
            Unauthorized: A step is owed; the reason is `step_needed`.
        """
        if self.tokens is None:
            from ..errors import Unauthorized
            from .errors import Reason

            message = "the sign-in needs another step: see `step`"
            raise Unauthorized(message, reason=Reason.STEP_NEEDED)
        return self.tokens
