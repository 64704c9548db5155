"""Mail that the application sends."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable
from datetime import timedelta
from typing import Literal, Protocol, Union

from ._codec import decode
from ._loop import OwnLoop
from .records import Notice

LOG = logging.getLogger("rolekeep")

SECONDS = 30
"""The library itself waits no longer than that."""

Delivery = Union[Literal["sent", "refused"], timedelta, None]
"""What became of a notice.

- `None` or `"sent"`: it is durably on its way.
- `"refused"`: it never will be, for example because there is no such address. The audit log says so, and the notice is gone.
- a `timedelta`: not now; it is to be given again after that time, a second at least and an hour at most.

Anything else counts as `"sent"`, with a warning to the logger `rolekeep`.
"""


class Notifier(Protocol):
    """Sends notices to people, by mail as a rule: the library has no mail client of its own.

    A notice is stored together with what it tells of, and is given to the notifier of one process after that, so
    the caller never sees a mail failure. If `send` raises or takes more than 30 seconds, or its process ends, the notice is
    given again, with the same id and token, after ten seconds at first and an hour at last, until its token expires, at
    most for a day. What it raises goes to the logger `rolekeep` as a warning.

    `send` may be `async`. It never runs on the program's event loop: a plain one runs on threads, an `async` one on an
    event loop that belongs to the store, always the same in a process, so connections of it are best made within
    `send`. Up to four are called at a time. Where a program forks, a notifier needs a store in a file or in a persister:
    a child sends nothing for a store in memory.

    ```python
    from email.message import EmailMessage
    from smtplib import SMTP

    class Mail:
        def send(self, notice: Notice) -> None:
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = "accounts@example.org", notice.address, notice.subject
            mail.set_content(notice.text)
            with SMTP("localhost") as server:
                server.send_message(mail)

    um = rolekeep.open(sqlite="app.db", link_url="https://app.example.org/account", notifier=Mail())
    ```
    """

    def send(self, notice: Notice) -> Delivery | Awaitable[Delivery]:
        """Sends a notice, and says what became of it."""
        ...


class Mailer:
    """What the native part asks: JSON text in and out, on threads of its own."""

    def __init__(self, notifier: Notifier) -> None:
        if isinstance(notifier, type) or not callable(getattr(notifier, "send", None)):
            from .errors import ValidationError
            from .records import Reason

            raise ValidationError("the notifier is no object with a method `send`", reason=Reason.CONFIG_INVALID)
        self._notifier = notifier
        self._loop = OwnLoop("rolekeep-notifier")

    def send(self, text: str) -> str:
        notice = decode(Notice, text)
        try:
            return json.dumps(_plain(self._loop.wait(self._notifier.send(notice), SECONDS)))
        except BaseException:
            LOG.warning("the notifier failed with the notice %s, which is given again later", notice.id, exc_info=True)
            raise

    def __del__(self) -> None:
        # One without a loop was refused.
        if hasattr(self, "_loop"):
            self._loop.stop()


def _plain(delivery: object) -> object:
    if isinstance(delivery, timedelta) and delivery >= timedelta(0):
        return delivery.total_seconds()
    if delivery in (None, "sent", "refused"):
        return delivery
    if isinstance(delivery, timedelta):
        raise ValueError(f"a notifier answers no time before now: {delivery!r}")
    # By then the mail is out, as a rule; `return server.send_message(mail)` must not send it again and again.
    LOG.warning("a notifier answers None, 'sent', 'refused' or a timedelta; %r counts as 'sent'", delivery)
    return "sent"
