"""Lists of breached passwords written in Python."""

import asyncio
import logging
import threading

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from rolekeep import FieldCode, Reason, Unavailable, ValidationError

LEAKED = "a phrase that leaked"
FAILED = "the list of breached passwords failed"


class Leaks:
    """Sees what it is asked, and where."""

    def __init__(self):
        self.asked, self.threads = [], set()

    def __call__(self, password):
        self.asked.append(password)
        self.threads.add(threading.current_thread())
        return password == LEAKED


class AsyncLeaks(Leaks):
    async def __call__(self, password):
        await asyncio.sleep(0)
        return super().__call__(password)


@pytest.mark.parametrize("kind", [Leaks, AsyncLeaks])
def test_what_leaked_is_refused(open_store, kind):
    leaks = kind()
    um = open_store(breached_passwords=leaks)
    with pytest.raises(ValidationError) as refused:
        um.system.users.create("ada@example.org", password=LEAKED)
    assert [(each.field, each.code) for each in refused.value.fields] == [("password", FieldCode.BREACHED_PASSWORD)]
    um.system.users.create("ada@example.org", password=PASSWORD)
    um.login("ada@example.org", PASSWORD).done()
    assert leaks.asked == [LEAKED, PASSWORD]
    assert threading.main_thread() not in leaks.threads


def test_both_faces():
    async def main():
        async with rolekeep.open_async(breached_passwords=AsyncLeaks(), **CHEAP) as um:
            with pytest.raises(ValidationError):
                await um.system.users.create("ada@example.org", password=LEAKED)
            await um.system.users.create("ada@example.org", password=PASSWORD)

    asyncio.run(main())


@pytest.mark.parametrize("answer", [OSError("the cable is out"), SystemExit("once"), None, 1, "yes", [], object()])
def test_what_cannot_be_told_is_no_yes(open_store, caplog, answer):
    def leaks(_password):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    um = open_store(breached_passwords=leaks)
    with pytest.raises(Unavailable) as refused:
        um.system.users.create("ada@example.org", password=PASSWORD)
    assert refused.value.reason is Reason.BREACHED_PASSWORDS_UNAVAILABLE
    assert not um.system.users.list().items
    [warned] = [each for each in caplog.records if each.name == "rolekeep" and FAILED in each.getMessage()]
    assert warned.levelno == logging.WARNING
    assert PASSWORD not in caplog.text


def test_what_hangs_is_waited_for_five_seconds(open_store):
    release = threading.Event()

    def leaks(_password):
        return release.wait(60)

    um = open_store(breached_passwords=leaks)
    with pytest.raises(Unavailable) as refused:
        um.system.users.create("ada@example.org", password=PASSWORD)
    release.set()
    assert refused.value.reason is Reason.BREACHED_PASSWORDS_UNAVAILABLE


def test_what_is_no_function_is_refused():
    with pytest.raises(ValidationError) as refused:
        rolekeep.open(breached_passwords=["a password"], **CHEAP)
    assert refused.value.reason is Reason.CONFIG_INVALID
