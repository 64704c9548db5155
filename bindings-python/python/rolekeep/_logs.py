"""Log records of the native part, for `logging`."""

from __future__ import annotations

import json
import logging

LIBRARY = logging.getLogger("rolekeep")
STORAGE = logging.getLogger("rolekeep.storage")

NUMBERS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}


def level() -> str:
    """The lowest level that one of the loggers hears now."""
    heard = max(min(LIBRARY.getEffectiveLevel(), STORAGE.getEffectiveLevel()), LIBRARY.manager.disable + 1)
    if heard > logging.ERROR:
        return "off"
    if heard > logging.WARNING:
        return "error"
    return "warn" if heard > logging.INFO else "info" if heard > logging.DEBUG else "debug"


def tell(level: str, name: str, message: str, seconds: float, fields: str) -> None:
    """Gives a record to its logger. The native part ignores what that raises, unless it is to end the program."""
    logger, number = logging.getLogger(name), NUMBERS[level]
    if not logger.isEnabledFor(number):
        return
    record = logger.makeRecord(name, number, "rolekeep", 0, message, (), None, extra=json.loads(fields))
    # When it happened, not when it was told.
    record.relativeCreated -= (record.created - seconds) * 1000
    record.created, record.msecs = seconds, seconds % 1 * 1000
    logger.handle(record)
