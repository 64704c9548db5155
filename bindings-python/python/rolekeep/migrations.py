"""The schema of a database: how far it is, and the steps forward and back.

`rolekeep.open` migrates by itself. This is for applications that migrate on their own: by another account than the one they
have, before a release, or by a tool that runs SQL. Then they open with `migrates=False`.

    from rolekeep.migrations import Migrations

    migrations = Migrations(sqlite="app.db")
    print(migrations.status().pending)
    migrations.apply()
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from os import PathLike, fspath

from . import _rolekeep
from ._codec import decode, encode
from ._store import places_of

__all__ = ["AppliedStep", "AsyncMigrations", "Checksum", "MigrationStatus", "MigrationStep", "Migrations"]


class Checksum(str, Enum):
    """Whether a script that was applied is the one of this number that this version of the library has."""

    FITS = "fits"
    """It is."""
    UNKNOWN = "unknown"
    """It was applied before checksums were kept, or is of a newer version of the library."""
    DIFFERS = "differs"
    """It is not: the store does not open (reason `schema_foreign`)."""


@dataclass(frozen=True)
class AppliedStep:
    """A step that was applied."""

    version: int
    """Its number."""
    name: str | None
    """Its name; none where it was applied before names were kept."""
    applied_at: datetime | None
    """When, by the clock of the database; none where it was applied before times were kept."""
    checksum: Checksum
    """Whether it is the script that this library has."""


@dataclass(frozen=True)
class MigrationStep:
    """A step from one schema to the next."""

    version: int
    """Its number: 1 for the first."""
    name: str
    """What it is about, such as `events`."""
    irreversible: str | None
    """Why it can never be taken back; none where it can, at least while nothing is stored that would be lost."""


@dataclass(frozen=True)
class MigrationStatus:
    """How far the schema of a database is."""

    version: int
    """The newest step that was applied; 0 where the database has no tables of this library."""
    newest: int
    """The newest step that this version of the library knows."""
    history: list[AppliedStep]
    """The steps that were applied, oldest first."""
    pending: list[MigrationStep]
    """The steps that `apply` would apply, in that order."""


class _Named:
    def __init__(
        self,
        *,
        sqlite: str | PathLike[str] | None = None,
        postgres: str | None = None,
        postgres_schema: str | None = None,
        from_env: bool | None = None,
        config_file: str | PathLike[str] | None = None,
    ) -> None:
        """The migrations of the database that these settings name, as `rolekeep.open` takes them. Nothing is opened yet."""
        given = {"sqlite": None if sqlite is None else fspath(sqlite), "postgres": postgres, "postgres_schema": postgres_schema}
        self._settings = encode({name: value for name, value in given.items() if value is not None})
        self._places = places_of(from_env, config_file)

    def _ask(self, word: str) -> _rolekeep.Answer[str]:
        return _rolekeep.migrate(self._settings, self._places, word)


class Migrations(_Named):
    """The migrations of one database, which need not be open, and may be. Any number of processes may use this at once."""

    def status(self) -> MigrationStatus:
        """How far the schema is. Nothing is changed; a file that does not exist is not made."""
        return decode(MigrationStatus, self._ask("status").wait())

    def plan(self) -> str:
        """What `apply` would run now, as SQL for another tool; empty where nothing is pending.

        Raises `Unavailable` with the reason `schema_newer` where a newer version of the library has migrated the database, and
        `schema_foreign` where an applied step was another script than this library has. So do `apply` and `down`.
        """
        return decode(str, self._ask("plan").wait())

    def apply(self) -> list[MigrationStep]:
        """Applies all steps that are pending, in one transaction; none where another process was first."""
        return decode(list[MigrationStep], self._ask("apply").wait())

    def down(self) -> MigrationStep | None:
        """Takes the newest step back; none where none has been applied. Close the stores that use it before.

        Raises `Conflict` with the reason `data_would_be_lost` where the older schema has no place for what is stored.
        """
        return decode(MigrationStep | None, self._ask("down").wait())  # type: ignore[arg-type]

    def grants(self) -> str:
        """Roles of PostgreSQL as SQL, for an administrator to run after each migration: `SCHEMA_owner@DATABASE`,
        `SCHEMA_app@DATABASE` and `SCHEMA_upkeep@DATABASE`. An account that has `SCHEMA_app@DATABASE` can neither change tables
        nor remove entries of the audit log."""
        return decode(str, self._ask("grants").wait())


class AsyncMigrations(_Named):
    """The same for asyncio."""

    async def status(self) -> MigrationStatus:
        """How far the schema is. Nothing is changed; a file that does not exist is not made."""
        return decode(MigrationStatus, await self._ask("status"))

    async def plan(self) -> str:
        """What `apply` would run now, as SQL for another tool; empty where nothing is pending. See `Migrations.plan`."""
        return decode(str, await self._ask("plan"))

    async def apply(self) -> list[MigrationStep]:
        """Applies all steps that are pending, in one transaction; none where another process was first."""
        return decode(list[MigrationStep], await self._ask("apply"))

    async def down(self) -> MigrationStep | None:
        """Takes the newest step back; none where none has been applied. See `Migrations.down`."""
        return decode(MigrationStep | None, await self._ask("down"))  # type: ignore[arg-type]

    async def grants(self) -> str:
        """Roles of PostgreSQL as SQL. See `Migrations.grants`."""
        return decode(str, await self._ask("grants"))
