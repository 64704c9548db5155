"""Passwords that are known from breaches: the application has the list."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Callable, Union

from ._loop import OwnLoop

LOG = logging.getLogger("rolekeep")

SECONDS = 5
"""The library itself waits no longer than that."""

BreachedPasswords = Callable[[str], Union[bool, Awaitable[bool]]]
"""Whether a password is known from a breach.

It is asked about each password that somebody chooses or the application sets, once the password fits the rule and before it
is hashed; not about those that are generated, and never at a sign-in. A password for which it answers `True` is refused with
the code `breached_password`.

If it raises, answers anything but a `bool` or takes more than 5 seconds, the password is refused with an `Unavailable`
(`breached_passwords_unavailable`), and nothing is written; an application that would rather take a password than wait
answers `False` itself. What it raises goes to the logger `rolekeep` as a warning.

It may be `async`. It never runs on the program's event loop: a plain one runs on threads, an `async` one on an event loop
that belongs to the store.

A service of ranges, such as that of Have I Been Pwned, gets the first five digits of a hash and never learns the password:

```python
import hashlib
from urllib.request import urlopen

def is_breached(password: str) -> bool:
    digits = hashlib.sha1(password.encode()).hexdigest().upper()
    with urlopen(f"https://api.pwnedpasswords.com/range/{digits[:5]}", timeout=4) as known:
        return digits[5:] in known.read().decode()

um = rolekeep.open(sqlite="app.db", breached_passwords=is_breached)
```
"""


class Breaches:
    """What the native part asks: text in and out, on threads of its own."""

    def __init__(self, contain: BreachedPasswords) -> None:
        if not callable(contain):
            from .errors import ValidationError
            from .records import Reason

            raise ValidationError("breached_passwords is no function of a password", reason=Reason.CONFIG_INVALID)
        self._contain = contain
        self._loop = OwnLoop("rolekeep-breached-passwords")

    def contain(self, password: str) -> str:
        try:
            answer = self._loop.wait(self._contain(password), SECONDS)
            if not isinstance(answer, bool):
                raise TypeError(f"breached_passwords answers True or False, not a {type(answer).__name__}")
            return "true" if answer else "false"
        except BaseException:
            LOG.warning("the list of breached passwords failed, so a password is refused", exc_info=True)
            raise

    def __del__(self) -> None:
        # One without a loop was refused.
        if hasattr(self, "_loop"):
            self._loop.stop()
