"""What all errors are. Their classes, one for each code, are in `errors`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from ._codec import moment, reader
from .records import Code, FieldError, Problem, Reason

_FOR_CLIENTS = {
    Code.UNAVAILABLE: "this is not available at the moment; try again later",
    Code.INTERNAL_SERVER_ERROR: "something went wrong on the server",
}


class RolekeepError(Exception):
    """Any error of the library. Never raised by itself: there is a class for each code."""

    code: ClassVar[Code] = Code.INTERNAL_SERVER_ERROR
    """The kind, the same in every language."""
    http_status: ClassVar[int] = 500
    """The HTTP status of an answer."""
    _usual: ClassVar[Reason] = Reason.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: Reason | None = None,
        fields: Sequence[FieldError] = (),
        problems: Sequence[Problem] = (), report: str | None = None, timestamp: datetime | None = None,
        change_id: UUID | None = None, retry_after: int | None = None, permission: str | None = None,
        request_id: str | None = None, client_message: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message: str = message
        """For people; may change between versions. For your log, as it may say what the storage said."""
        self.client_message: str = client_message or _FOR_CLIENTS.get(self.code, message)
        """The message for a client: where the storage failed, or something else inside, a sentence that says no more."""
        self.reason: Reason = reason or self._usual
        """Why, more closely than the code; stable."""
        self.fields: tuple[FieldError, ...] = tuple(fields)
        """The wrong fields: first everything that the input alone shows; only where that is right, what
        depends on the policy or on stored data."""
        self.problems: tuple[Problem, ...] = tuple(problems)
        """The problems of a policy file or backup, each with line and column."""
        self.report: str | None = report
        """Those problems as a compiler shows them: the lines of the file, carets, what may help."""
        self.timestamp: datetime | None = timestamp
        """When it happened, where known."""
        self.change_id: UUID | None = change_id
        """With the reason `outcome_unknown` or `already_done`: by this `audit.outcome` tells what became of the change."""
        self.retry_after: int | None = retry_after
        """With the code `RATE_LIMIT_EXCEEDED`: after how many seconds to ask again."""
        self.permission: str | None = permission
        """The permission that was denied, for the host's log; who was denied must not learn it."""
        self.request_id: str | None = request_id
        """The id of the request that failed, where it was called with one; truncated to 128 characters."""

    def __str__(self) -> str:
        wrong = [f"\n  {each.field}: {each.message}" for each in self.fields]
        return "".join([self.message, *wrong, f"\n\n{self.report}" if self.report else ""])


def from_json(text: str) -> RolekeepError:
    """The native part's errors arrive here."""
    from .errors import BY_CODE

    given: dict[str, Any] = json.loads(text)
    return BY_CODE[Code(given["code"])](
        given["message"],
        reason=Reason(given["reason"]),
        fields=reader(list[FieldError])(given["fields"]),
        problems=reader(list[Problem])(given["problems"]),
        report=given.get("report"),
        timestamp=moment(given["timestamp"]) if given["timestamp"] else None,
        change_id=UUID(given["change_id"]) if given.get("change_id") else None,
        retry_after=given.get("retry_after"),
        permission=given.get("permission"),
        request_id=given.get("request_id"),
        client_message=given.get("client_message"),
    )
