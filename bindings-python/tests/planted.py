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
SECRETS = {name for names in DECLARED.values() for name in names} - {"code", "text"}
# Shorter ones are words that stand elsewhere as well.
SHORTEST = 12


class Watch(logging.Handler):
    """Is told of inputs and answers, and of all that anybody may print; hears what is logged meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.secrets: set[str] = set()
        # What stands beside them is no secret: a password that is somebody's name is told as that.
        self.open: set[str] = set()
        self.shown: list[str] = []

    def exchanged(self, value: Any, is_secret: bool = False) -> None:
        """An input, or an answer as JSON."""
        match value:
            case str() if len(value) >= SHORTEST:
                is_token = value.startswith("eyJ") and "." in value
                (self.secrets if is_secret or is_token else self.open).add(value)
            case list():
                for item in value:
                    self.exchanged(item, is_secret)
            case dict():
                for name, item in value.items():
                    self.exchanged(item, name in SECRETS)

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
