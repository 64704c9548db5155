"""A storage written in Python."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any, Literal, Protocol, TypedDict

from ._loop import OwnLoop


class RowChange(TypedDict):
    """A row that was written, or deleted."""

    id: str
    """The table and the key: the same for each change of one row."""
    table: str
    row: dict[str, Any] | None
    """The row; `None` if it was deleted. Keep that too: another writer may still have the row."""


class Batch(TypedDict):
    """Everything that one commit changes, to be stored as a whole or not at all."""

    base: int
    """The position that it builds on: the newest one, else the answer is `"stale"`."""
    position: int
    """Its own position: one more than the base; much more for the first one after a restore from a backup."""
    changes: list[RowChange]


class _Whole(TypedDict, total=False):
    is_whole: bool
    """Whether the changes are all existing rows, whatever `since` was; false if not given. For a persister that no
    longer has all rows that were deleted since then."""


class Loaded(_Whole):
    """What is stored."""

    position: int
    """The newest position; 0 if nothing was ever stored."""
    changes: list[RowChange]
    """What changed after the position that was asked for; of several changes of a row the last one counts."""


Persisted = Literal["done", "stale"]


class Persister(Protocol):
    """Keeps the rows of a store in a database of the application, as plain JSON data.

    Both methods may be `async`. They never run on the program's event loop: plain ones run on a
    thread, `async` ones on an event loop that belongs to the store, always the same in a process,
    so connections of theirs are best made within them. One is called at a time, and runs to its end even if whoever
    waited for it is cancelled. What they raise becomes `Unavailable` (`storage_unavailable`), unless it is a
    `RolekeepError` with the reason of a storage, such as `Unavailable("the disk is full", reason=Reason.STORAGE_FULL)`.

    A persister may also have

    - `is_shared: bool`, read when the store is opened: whether anybody else, such as another process, may write to
      the same data; true if absent. If not, the store does not look for changes, calls nothing when idle, and rights
      in memory are never out of date. Not for a program that forks and goes on in both processes.
    - `forget(ids: list[str])`, plain or `async`: names rows that are no longer needed, by their `RowChange.id`s: old
      entries of the change feed. They may be dropped, now or later, without a trace; one that is stored again is
      needed again. Without this method they are kept for ever. After an exception they are named again some day.
    - `close()`, plain or `async`, called when the store is closed, and when it could not be opened.
    """

    def load(self, since: int) -> Loaded | Awaitable[Loaded]:
        """Returns, consistently, the newest position and every change after `since` (0: everything)."""
        ...

    def persist(self, batch: Batch) -> Persisted | Awaitable[Persisted]:
        """Stores the whole batch, durably and atomically, if its `base` is the newest position.

        Answers `"done"`, or `"stale"` if another writer was first; then nothing may be stored, nor
        may it after an exception.
        """
        ...


class Host:
    """What the native part asks: JSON text in and out, on threads of its own."""

    def __init__(self, persister: Persister) -> None:
        self._persister = persister
        self._loop = OwnLoop("rolekeep-persister")

    def load(self, since: str) -> str:
        return json.dumps(self._loop.wait(self._persister.load(int(since))))

    def persist(self, batch: str) -> str:
        return json.dumps(self._loop.wait(self._persister.persist(json.loads(batch))))

    def is_shared(self) -> bool:
        return bool(getattr(self._persister, "is_shared", True))

    def forget(self, ids: str) -> str:
        forget = getattr(self._persister, "forget", None)
        if forget is not None:
            self._loop.wait(forget(json.loads(ids)))
        return ""

    def close(self, _: str) -> str:
        close = getattr(self._persister, "close", None)
        try:
            if close is not None:
                self._loop.wait(close())
        finally:
            self._loop.stop()
        return ""

    def __del__(self) -> None:
        # Of a store that was not closed, or not opened.
        self._loop.stop()
