"""JSON text and back: what operations take and answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from functools import cache
from os import PathLike, fspath
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

T = TypeVar("T")


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
"""A field that is not given stays as it is; `None` clears it."""

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})

LONGEST_PATH: Final = 200
"""Where an input is nested deeper, it is not said what is wrong within."""


def _plain(value: object) -> object:
    """What `json` cannot write by itself."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta) and value >= timedelta(0):
        return f"{value // timedelta(microseconds=1)}us"
    if is_dataclass(value) and not isinstance(value, type):
        named = ((key(field.name), getattr(value, field.name)) for field in fields(value))
        return {name: part for name, part in named if part is not UNSET}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _where(value: object, path: str, seen: set[int]) -> str | None:
    """The path of the first value that cannot be written; none where that is no single one."""
    here = id(value)
    if is_dataclass(value) and not isinstance(value, type):
        value = _plain(value)
    parts: Iterable[tuple[str, object]]
    if isinstance(value, Mapping):
        parts = ((f"{path}.{name}" if path else str(name), part) for name, part in value.items())
    elif isinstance(value, (list, tuple)):
        parts = ((f"{path}[{at}]", part) for at, part in enumerate(value))
    else:
        try:
            json.dumps(value, default=_plain, allow_nan=False)
        except (TypeError, ValueError):
            return path
        return None
    # One may stand in itself.
    if here in seen or len(path) > LONGEST_PATH:
        return None
    seen.add(here)
    return next((found for at, part in parts if (found := _where(part, at, seen)) is not None), None)


def encode(given: object) -> str:
    """Writes JSON; keys whose value is `UNSET` are left out. A text is JSON already."""
    if isinstance(given, str):
        return given
    if isinstance(given, dict):
        given = {name: value for name, value in given.items() if value is not UNSET}
    try:
        return json.dumps(given, default=_plain, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        from .errors import ValidationError
        from .records import FieldCode, FieldError

        path = _where(given, "", set())
        if not path:
            raise ValidationError(f"the input cannot be written as JSON: {problem}") from None
        code = FieldCode.INVALID_FORMAT if isinstance(problem, ValueError) else FieldCode.INVALID_TYPE
        wrong = FieldError(field=path, code=code, message=str(problem))
        raise ValidationError(f"invalid input: {path}", fields=[wrong]) from None


def decode(shape: type[T], text: str) -> T:
    """Reads what an operation answers."""
    form: Any = shape
    result: T = reader(form)(json.loads(text))
    return result


def key(name: str) -> str:
    """`from_` stands for `from`, which is a word of Python."""
    return name.removesuffix("_")


def moment(text: str) -> datetime:
    """RFC 3339 in UTC; Python 3.10 reads neither `Z` nor just any number of decimals."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    micros = int(fraction.ljust(6, "0")[:6]) if fraction else 0
    return datetime.fromisoformat(whole).replace(microsecond=micros, tzinfo=timezone.utc)


@cache
def reader(shape: Any) -> Callable[[Any], Any]:
    """A function that turns parsed JSON into a value of this type."""
    origin, arguments = get_origin(shape), get_args(shape)
    if shape is UUID:
        return UUID
    if shape is datetime:
        return moment
    if shape is date:
        return date.fromisoformat
    if origin is list:
        item = reader(arguments[0])
        return lambda values: [item(value) for value in values]
    if origin is dict:
        part = reader(arguments[1])
        return lambda values: {name: part(value) for name, value in values.items()}
    if origin in (Union, UnionType):
        inner = reader(next(each for each in arguments if each is not NoneType))
        return lambda value: None if value is None else inner(value)
    if isinstance(shape, type) and issubclass(shape, Enum):
        return shape
    if is_dataclass(origin or shape):
        return _record(origin or shape, arguments)
    return lambda value: value


def _record(record: Any, arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    hints = get_type_hints(record)
    if arguments:  # `Page[User]`, the one generic record
        hints["items"] = list[arguments[0]]  # type: ignore[valid-type]
    parts = [(each.name, key(each.name), reader(hints[each.name])) for each in fields(record)]
    return lambda values: record(**{name: read(values[key]) for name, key, read in parts})
