"""What callers and rules without accounts are asked, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, overload
from uuid import UUID

from ._codec import EMPTY, UNSET, Unset, decode, encode
from .errors import Forbidden, ValidationError
from .records import Explanation, FieldCode, FieldError, FilteredRows, SqlColumn, SqlFilter, SqlKind

Resource = Mapping[str, Any]
"""What a check is about: `{"type": "document", "owner_id": …}`, with every attribute that the policy reads."""
Question = str | tuple[str, Resource]
"""A permission, or a permission and a resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """A condition for your own query: the rows that pass are exactly those that a check allows."""

    rows: FilteredRows
    """Whether all rows pass, none (no query is needed), or some."""
    sql: str
    """The condition for a `WHERE`; where all rows pass or none `TRUE` or `FALSE`, in SQLite `1` or `0`. It is in parentheses
    where it needs them, so that it can stand beside other conditions."""
    parameters: tuple[Any, ...]
    """Its parameters, in the order of their numbers."""
    kinds: tuple[SqlKind, ...]
    """Their types in SQL."""
    expires: datetime
    """When it expires: make a new one then."""


# What JSON has no value for.
_NATIVE: Mapping[SqlKind, Any] = {
    SqlKind.INT: int, SqlKind.INTS: lambda each: [int(one) for one in each], SqlKind.UUID: UUID,
    SqlKind.UUIDS: lambda each: [UUID(one) for one in each], SqlKind.BLOB: bytes.fromhex,
}


def encode_checks(checks: Sequence[Question]) -> str:
    """What `can_many` is asked, as JSON."""
    expected = "a permission, or a tuple of a permission and a resource"
    asked = []
    for field, each in several(checks, expected):
        alone = isinstance(each, str)
        asked.append({"permission": each} if alone else named(field, each, ("permission", "resource"), 2, expected))
    return encode({"checks": asked})


def several(checks: object, expected: str) -> Iterable[tuple[str, object]]:
    """Many checks and where each stands. A text is one check, and of a mapping only its keys would be asked."""
    if isinstance(checks, (str, bytes, Mapping)) or not isinstance(checks, Iterable):
        raise invalid("checks", f"expected a list, each of it {expected}")
    return ((f"checks[{at}]", each) for at, each in enumerate(checks))


def named(field: str, check: object, names: Sequence[str], least: int, expected: str) -> dict[str, object]:
    """The parts of a check by their names, of which it has at least so many."""
    if not isinstance(check, (tuple, list)) or not least <= len(check) <= len(names):
        raise invalid(field, f"expected {expected}")
    parts = dict(zip(names, check))
    known(parts.get("resource", UNSET), f"{field}.resource")
    return parts


def known(resource: Resource | Unset | None, field: str = "resource") -> Resource | Unset:
    """A resource that was not found is not taken for none: without one it is another question."""
    if resource is None:
        raise invalid(field, "there is no resource: expected a mapping that names its type")
    return resource


def invalid(field: str, message: str) -> ValidationError:
    """What is refused before the rules are asked."""
    wrong = FieldError(field=field, code=FieldCode.INVALID_TYPE, message=message)
    return ValidationError(f"invalid input: {field}", fields=[wrong])


class Asker:
    """What a caller and a principal of rules without accounts are asked alike."""

    if TYPE_CHECKING:

        def can(self, permission: str, resource: Resource = ...) -> bool: ...
        def can_many(self, checks: Sequence[Question]) -> list[bool]: ...
        def _ask(self, question: str, input: str) -> str: ...

    @overload
    def require(self, permission: str) -> None: ...
    @overload
    def require(self, permission: str, resource: Resource) -> None: ...
    def require(self, permission: str, resource: Resource | Unset = UNSET) -> None:
        """Raises `Forbidden` unless `can` is true, and `Unauthorized` of a caller who is not signed in."""
        self._required(self.can(permission) if resource is UNSET else self.can(permission, resource), permission)

    def _required(self, is_allowed: bool, permission: str | None = None) -> None:
        if not is_allowed:
            raise Forbidden("you may not do this", permission=permission, request_id=self._serves())

    def _serves(self) -> str | None:
        """The id of the request; rules without accounts know of none."""
        return None

    def has_role(self, role: str, scope: str | None = None) -> bool:
        """Whether they hold a role now, directly or by a role that inherits it: everywhere or, if a scope
        (`region:ID`) is given, everywhere or in exactly this one. An API key holds none. Prefer `can`: which role allows
        something is up to the policy."""
        return decode(bool, self._ask("has_role", encode({"role": role, "scope": scope})))

    def require_role(self, role: str, scope: str | None = None) -> None:
        """Raises `Forbidden` unless `has_role` is true, and `Unauthorized` of a caller who is not signed in."""
        self._required(self.has_role(role, scope))

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
        """The rows of your own table to which they may do this, as a condition in SQL.

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
            ValidationError: A condition cannot be expressed exactly in this SQL; names every attribute at fault.
        """
        place = {"dialect": dialect, "qualifier": qualifier, "columns": columns, "ids": ids, "times": times}
        table = {**place, "strict": strict, "first_parameter": first_parameter}
        found = decode(SqlFilter, self._ask("filter", encode({"permission": permission, "table": table})))
        kinds = tuple(each.kind for each in found.parameters)
        values = (_NATIVE.get(each.kind, lambda value: value)(each.value) for each in found.parameters)
        return RowFilter(rows=found.rows, sql=found.sql, parameters=tuple(values), kinds=kinds, expires=found.expires)

    @overload
    def explain(self, permission: str) -> Explanation: ...
    @overload
    def explain(self, permission: str, resource: Resource) -> Explanation: ...
    def explain(self, permission: str, resource: Resource | Unset = UNSET) -> Explanation:
        """Explains why they may or may not do this. For operators: it tells more than the user may know."""
        return decode(Explanation, self._ask("explain", encode({"permission": permission, "resource": known(resource)})))
