"""What operations raise: a class for each code, all of them `RolekeepError`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from ._codec import moment, reader
from .records import Code, FieldError, Problem, Reason

__all__ = [
    "Conflict", "Duplicate", "Forbidden", "Internal", "NotFound", "RateLimited", "RolekeepError", "Unauthorized",
    "Unavailable", "ValidationError",
]


class RolekeepError(Exception):
    """Any error of the library. Raised by itself never: see the classes below, one for each code."""

    code: ClassVar[Code] = Code.INTERNAL_SERVER_ERROR
    """The kind, the same in every language."""
    http_status: ClassVar[int] = 500
    """What a service answers with."""
    _usual: ClassVar[Reason] = Reason.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        fields: Sequence[FieldError] = (),
        problems: Sequence[Problem] = (),
        timestamp: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """For people; may change between versions."""
        self.reason = reason or self._usual
        """Why, more closely than the code; stable."""
        self.fields = tuple(fields)
        """The wrong fields, all at once."""
        self.problems = tuple(problems)
        """The problems of a policy or seed file, each with line and column."""
        self.timestamp = timestamp
        """When it happened, where known."""

    def __str__(self) -> str:
        wrong = [f"\n  {each.field}: {each.message}" for each in self.fields]
        for each in self.problems:
            hint = f" ({each.help})" if each.help else ""
            wrong.append(f"\n  line {each.line}, column {each.column}: {each.message}{hint}")
        return self.message + "".join(wrong)


class ValidationError(RolekeepError):
    """The input is not valid; see `fields` and `problems`."""

    code, http_status, _usual = Code.VALIDATION_ERROR, 400, Reason.INVALID_INPUT


class Unauthorized(RolekeepError):
    """Nobody is signed in, or not any more."""

    code, http_status, _usual = Code.UNAUTHORIZED, 401, Reason.NOT_SIGNED_IN


class Forbidden(RolekeepError):
    """The caller may not do this."""

    code, http_status, _usual = Code.FORBIDDEN, 403, Reason.DENIED


class NotFound(RolekeepError):
    """It does not exist, or the caller may not know that it does."""

    code, http_status, _usual = Code.RESOURCE_NOT_FOUND, 404, Reason.NOT_FOUND


class Duplicate(RolekeepError):
    """The name is taken."""

    code, http_status, _usual = Code.DUPLICATE_RESOURCE, 409, Reason.TAKEN


class Conflict(RolekeepError):
    """The row was changed meanwhile, or an invariant forbids the change."""

    code, http_status, _usual = Code.CONFLICT, 409, Reason.VERSION_STALE


class RateLimited(RolekeepError):
    """Too many attempts; try again later."""

    code, http_status, _usual = Code.RATE_LIMIT_EXCEEDED, 429, Reason.HASHING_QUEUE_FULL


class Unavailable(RolekeepError):
    """The storage, or something else that is needed, cannot be used now."""

    code, http_status, _usual = Code.UNAVAILABLE, 503, Reason.STORAGE_UNAVAILABLE


class Internal(RolekeepError):
    """A fault of the library or of its host."""

    code, http_status, _usual = Code.INTERNAL_SERVER_ERROR, 500, Reason.INTERNAL


BY_CODE: dict[Code, type[RolekeepError]] = {each.code: each for each in RolekeepError.__subclasses__()}
"""The class of each code."""


def _from_json(text: str) -> RolekeepError:
    """The native part's errors arrive here."""
    given: dict[str, Any] = json.loads(text)
    return BY_CODE[Code(given["code"])](
        given["message"],
        reason=Reason(given["reason"]),
        fields=reader(list[FieldError])(given["fields"]),
        problems=reader(list[Problem])(given["problems"]),
        timestamp=moment(given["timestamp"]) if given["timestamp"] else None,
    )
