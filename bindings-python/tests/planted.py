"""What a scenario's secrets are, and what was shown while it was played (SEC-13): of the one nothing may be in the other."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

from rolekeep import RolekeepError

DECLARED = json.loads((Path(__file__).parents[2] / "tests/conformance/secrets.json").read_text())
# Names that other things have as well, errors and explanations: codes are short, and what a text tells is told beside it.
OF_OTHERS = {"code", "text"}
SECRETS = {name for names in DECLARED.values() for name in names} - OF_OTHERS
# Shorter ones are words that stand elsewhere as well.
SHORTEST = 12


class Watch(logging.Handler):
    """Is told of inputs and answers, and of all that anybody may print; hears what is logged meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.secrets: set[str] = set()
        # What callers give beside them, which is no secret: a password may be somebody's name.
        self.open: set[str] = set()
        self.shown: list[str] = []

    def given(self, value: Any, is_secret: bool = False, is_answer: bool = False) -> None:
        """Settings, or an input."""
        match value:
            case str() if len(value) >= SHORTEST:
                is_token = value.startswith("eyJ") and "." in value
                if is_secret or is_token:
                    self.secrets.add(value)
                elif is_answer:
                    self.shown.append(value)
                else:
                    self.open.add(value)
            case list():
                for item in value:
                    self.given(item, is_secret, is_answer)
            case dict():
                for name, item in value.items():
                    # What a notice tells has its secrets in it.
                    if not is_answer or name not in OF_OTHERS:
                        self.given(item, name in SECRETS, is_answer)

    def answered(self, value: Any) -> None:
        """An answer as JSON: what is in it beside its secrets is shown."""
        self.given(value, is_answer=True)

    def printed(self, value: Any) -> None:
        self.shown.append(f"{value!r} {value}")

    def failed(self, error: RolekeepError) -> None:
        """An error, in every form in which it comes to somebody's eyes."""
        self.shown.append(f"{error!r} {error} {error.__dict__} {''.join(traceback.format_exception_only(error))}")

    def emit(self, record: logging.LogRecord) -> None:
        self.shown.append(f"{record.getMessage()} {record.__dict__}")

    def leak(self) -> str | None:
        """The first secret that was shown, and where."""
        everything = "\n".join(self.shown)
        for secret in self.secrets - self.open:
            if (at := everything.find(secret)) >= 0:
                return f"{secret!r} is shown: …{everything[max(0, at - 80) : at + 160]}…"
        return None
