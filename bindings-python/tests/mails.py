"""Notifiers of the tests, which keep what they are given."""

import time

from rolekeep import Delivery, Notice


class Outbox:
    """Answers what it is told to, by and by, and at last that all is sent; raises what is an exception."""

    def __init__(self, *answers: object) -> None:
        self.given: list[Notice] = []
        self.answers = list(answers)

    def send(self, notice: Notice) -> Delivery:
        self.given.append(notice)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def wait(self, count: int = 1, seconds: float = 60) -> list[Notice]:
        """What was given, once it is so much."""
        deadline = time.monotonic() + seconds
        while len(self.given) < count:
            assert time.monotonic() < deadline, f"{len(self.given)} of {count} notices came"
            time.sleep(0.01)
        return self.given

    def take(self, kind: str, address: str) -> Notice | None:
        """The next one of this kind to this address, once."""
        for notice in self.given:
            if notice.kind == kind and notice.address == address:
                self.given.remove(notice)
                return notice
        return None


class AsyncOutbox(Outbox):
    async def send(self, notice: Notice) -> Delivery:
        return super().send(notice)
