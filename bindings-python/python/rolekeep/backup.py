"""Backups: a copy of a whole store, the same whatever keeps the store, and the way back.

    import rolekeep
    from rolekeep.backup import Restore, verify

    with rolekeep.open(sqlite="app.db") as um:
        um.backup("app.backup", key=KEY)
    verify("app.backup", key=KEY)
    um = rolekeep.open(postgres=URL, restore=Restore("app.backup", key=KEY))

A backup holds everything, such as hashes of passwords and keys that sign tokens: keep it as you keep the store. It is written and
read in pieces, by a thread of the library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike, fsdecode
from typing import BinaryIO

from . import _rolekeep
from ._codec import decode, encode

__all__ = ["BackupSummary", "BackupTable", "Restore", "verify", "verify_async"]


@dataclass(frozen=True)
class BackupTable:
    """What a backup holds of a table."""

    name: str
    """Its name."""
    rows: int
    """How many rows."""
    sha256: str
    """The SHA-256 of the rows, hexadecimal: of equal rows it is equal, whatever kept them."""


@dataclass(frozen=True)
class BackupSummary:
    """What a backup holds."""

    schema: int
    """The schema of its tables."""
    version: str
    """The version of the library that wrote it."""
    at: datetime
    """When it was begun."""
    tables: list[BackupTable]
    """The tables in the order of their names."""
    rows: int
    """How many rows there are in all."""
    bytes: int
    """How many bytes it has."""
    sha256: str
    """The SHA-256 of all lines but the last, hexadecimal."""
    is_sealed: bool
    """Whether a key sealed it; that it was the right one is known where one was given."""


@dataclass(frozen=True)
class Restore:
    """A backup for the empty store that `rolekeep.open(restore=...)` opens: all of it, once it is verified to its last line, or nothing.

    `open` then also raises what `verify` raises, and `Conflict` with the reason `store_not_empty`. The audit log of the store has an
    entry `store.restored`.
    """

    source: str | PathLike[str] | BinaryIO
    """A path, or a file object that reads bytes, which stays open."""
    key: str | None = field(default=None, repr=False)
    """Takes a backup only that was sealed with this key."""
    keep_sessions: bool = False
    """Whether sessions go on that were open when the backup was made, those included that were ended since."""
    end_api_keys: bool = False
    """Whether API keys end. Otherwise they go on, those included that were revoked since."""

    def _given(self) -> tuple[str | BinaryIO, str]:
        options = {"key": self.key, "keep_sessions": self.keep_sessions, "end_api_keys": self.end_api_keys}
        return _place(self.source), encode(options)


def verify(source: str | PathLike[str] | BinaryIO, *, key: str | None = None) -> BackupSummary:
    """Reads a backup to its end, without a store, and says what is in it.

    Args:
        source: A path, or a file object that reads bytes.
        key: What it must have been sealed with.

    Raises:
        ValidationError: It is no backup, or not as it was written (`backup_invalid`; `problems` has the line); it was not sealed with
            the key (`backup_key_wrong`).
        Unavailable: It cannot be read; another version of the library wrote it, whose tables are others (`schema_newer`,
            `schema_foreign`).
    """
    return decode(BackupSummary, _rolekeep.verify_backup(_place(source), _options(key)).wait())


async def verify_async(source: str | PathLike[str] | BinaryIO, *, key: str | None = None) -> BackupSummary:
    """Reads a backup to its end; as `verify`, without blocking."""
    return decode(BackupSummary, await _rolekeep.verify_backup(_place(source), _options(key)))


def _place(given: str | PathLike[str] | BinaryIO) -> str | BinaryIO:
    return fsdecode(given) if isinstance(given, (str, PathLike)) else given


def _options(key: str | None) -> str:
    return encode({"key": key})
