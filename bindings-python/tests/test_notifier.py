"""Notifiers written in Python."""

import asyncio
import inspect
import json
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from mails import AsyncOutbox, Outbox
from rolekeep import Notice, NoticeKind, Reason, ValidationError
from rolekeep import _notifier as own
from rolekeep._codec import encode
from test_face import mypy
from test_host import in_child, pytestmark_fork

PAGE = "https://app.example.org/account"
AGAIN = "the notifier failed with the notice"


def forgets(um, email="ada@example.org"):
    um.anonymous(ip="192.0.2.1", user_agent="App/1").passwords.forgot(email)


class Watching:
    """Sees where it runs."""

    def __init__(self):
        self.threads, self.loops = set(), set()


class WatchingOutbox(Outbox, Watching):
    def send(self, notice):
        self.threads.add(threading.current_thread())
        return super().send(notice)


class WatchingAsyncOutbox(AsyncOutbox, Watching):
    async def send(self, notice):
        self.threads.add(threading.current_thread())
        self.loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return await super().send(notice)


def watching(kind):
    made = kind()
    Watching.__init__(made)
    return made


@pytest.mark.parametrize("kind", [WatchingOutbox, WatchingAsyncOutbox])
def test_a_notice_is_typed_and_whole(open_store, kind):
    outbox = watching(kind)
    um = open_store(notifier=outbox, link_url=PAGE)
    ada = um.system.users.create("ada@example.org", password=PASSWORD)
    before = datetime.now(timezone.utc)
    forgets(um, "ADA@example.org")
    [notice] = outbox.wait()
    assert isinstance(notice, Notice) and isinstance(notice.id, UUID) and notice.kind is NoticeKind.PASSWORD_RESET
    assert (notice.address, notice.user_id, notice.subject) == ("ada@example.org", ada.id, "Choose a new password")
    assert notice.token and notice.link == f"{PAGE}#{notice.token}" and notice.link in notice.text
    assert (notice.ip, notice.user_agent) == ("192.0.2.1", "App/1")
    assert before - timedelta(seconds=1) <= notice.at < notice.expires_at
    for shown in (repr(notice), str(notice)):
        assert notice.token not in shown and "ada@example.org" in shown
    um.anonymous().passwords.reset(notice.token, "another " + PASSWORD)
    changed = outbox.wait(2)[1]
    assert changed.kind is NoticeKind.PASSWORD_CHANGED and changed.token is changed.link is changed.expires_at is None
    assert threading.main_thread() not in outbox.threads
    assert len(outbox.loops) == (1 if kind is WatchingAsyncOutbox else 0)


def test_both_faces_and_an_own_loop():
    outbox = watching(WatchingAsyncOutbox)

    async def main():
        async with rolekeep.open_async(notifier=outbox, **CHEAP) as um:
            await um.system.users.create("ada@example.org", password=PASSWORD)
            await um.anonymous(ip="192.0.2.1").passwords.forgot("ada@example.org")
            await asyncio.to_thread(outbox.wait)
            assert asyncio.get_running_loop() not in outbox.loops

    asyncio.run(main())
    assert outbox.given[0].link is None and outbox.given[0].token in outbox.given[0].text
    # The thread of the loop ends with the store, when the library is next called.
    deadline = time.monotonic() + 10
    while any(thread.is_alive() for thread in outbox.threads) and time.monotonic() < deadline:
        rolekeep.open().close()
        time.sleep(0.01)
    assert not [thread for thread in outbox.threads if thread.is_alive()]


def test_what_failed_comes_again(open_store, caplog):
    asked = []

    class Noting(Outbox):
        def send(self, notice):
            asked.append(time.monotonic())
            return super().send(notice)

    outbox = Noting(OSError("the cable is out"), timedelta(seconds=1))
    um = open_store(notifier=outbox)
    um.system.users.create("ada@example.org", password=PASSWORD)
    forgets(um)
    first, second, third = outbox.wait(3)
    assert asked[1] - asked[0] > 9
    # As soon as it asked for.
    assert asked[2] - asked[1] < 9
    assert (first.id, first.token) == (second.id, second.token) == (third.id, third.token)
    [warned] = [each for each in caplog.records if each.name == "rolekeep"]
    assert warned.levelno == logging.WARNING and str(first.id) in warned.getMessage()
    assert "the cable is out" in caplog.text and first.token not in caplog.text


@pytest.mark.parametrize("kind", [Outbox, AsyncOutbox])
def test_what_is_refused_is_gone(open_store, kind):
    outbox = kind("refused")
    um = open_store(notifier=outbox)
    um.system.users.create("ada@example.org", password=PASSWORD)
    forgets(um)
    deadline = time.monotonic() + 20
    while not um.system.audit.list(action="notices.failed").items:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(outbox.given) == 1


NOTICE = Notice(
    id=UUID(int=1), kind=NoticeKind.PASSWORD_CHANGED, address="ada@example.org", user_id=UUID(int=2), subject="", text="",
    at=datetime.now(timezone.utc),
)
ANSWERS = [
    (None, None), ("sent", "sent"), ("refused", "refused"), (timedelta(minutes=2), 120), (timedelta(milliseconds=1500), 1.5),
    (timedelta(0), 0),
]


@pytest.mark.parametrize("kind", [Outbox, AsyncOutbox])
@pytest.mark.parametrize("answer, plain", ANSWERS)
def test_answers(kind, answer, plain):
    assert json.loads(own.Mailer(kind(answer)).send(encode(NOTICE))) == plain


@pytest.mark.parametrize("answer", [True, False, "later", "SENT", 5, 0, {}, []])
def test_other_answers_count_as_sent(caplog, answer):
    assert json.loads(own.Mailer(Outbox(answer)).send(encode(NOTICE))) == "sent"
    assert f"{answer!r} counts as 'sent'" in caplog.text


def test_a_time_before_now_is_a_failure(caplog):
    with pytest.raises(ValueError, match="before now"):
        own.Mailer(Outbox(timedelta(seconds=-1))).send(encode(NOTICE))
    assert f"{AGAIN} {NOTICE.id}" in caplog.text


@pytest.mark.parametrize("kind", [Outbox, AsyncOutbox])
def test_what_ends_programs_is_a_failure(caplog, kind):
    outbox = kind(SystemExit("once"))
    mailer, outcomes = own.Mailer(outbox), []

    def send():
        try:
            outcomes.append(mailer.send(encode(NOTICE)))
        except SystemExit as problem:
            outcomes.append(str(problem))

    for _ in range(2):
        work = threading.Thread(target=send, daemon=True)
        work.start()
        work.join(10)
    assert outcomes == ["once", "null"] and AGAIN in caplog.text


def test_what_takes_too_long_is_cancelled(caplog, monkeypatch):
    monkeypatch.setattr(own, "SECONDS", 0.05)
    ended = []

    class Slow:
        async def send(self, notice):
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(notice.id)

    with pytest.raises(asyncio.TimeoutError):
        own.Mailer(Slow()).send(encode(NOTICE))
    assert ended == [NOTICE.id] and AGAIN in caplog.text


def test_four_at_a_time_and_those_that_hang_keep_nobody(open_store):
    first, rest, hanging = threading.Event(), threading.Event(), []

    class Hanging(Outbox):
        def send(self, notice):
            super().send(notice)
            hanging.append(notice.id)
            (first if len(self.given) == 1 else rest).wait(20)
            hanging.remove(notice.id)

    outbox = Hanging()
    um = open_store(notifier=outbox)
    names = [f"user{number}@example.org" for number in range(7)]
    for name in names:
        um.system.users.create(name, password=PASSWORD)
        um.anonymous().passwords.forgot(name)
    first.set()
    outbox.wait(5)
    time.sleep(0.2)
    assert len(hanging) == 4 and len(outbox.given) == 5
    assert um.login(names[0], PASSWORD).done().user.email == names[0]
    rest.set()
    assert len({notice.id for notice in outbox.wait(7)}) == 7


class Nothing:
    send = "later"


@pytest.mark.parametrize("wrong", [object(), "smtp://localhost", 7, Nothing(), Outbox, print])
def test_what_is_no_notifier_is_refused(wrong):
    for opening in (lambda: rolekeep.open(notifier=wrong), lambda: asyncio.run(opened(wrong))):
        with pytest.raises(ValidationError, match="`send`") as refused:
            opening()
        assert refused.value.reason is Reason.CONFIG_INVALID


async def opened(notifier):
    return await rolekeep.open_async(notifier=notifier)


def test_without_one(um, ada):
    with pytest.raises(rolekeep.Unavailable) as refused:
        um.anonymous().passwords.forgot("ada@example.org")
    assert refused.value.reason is Reason.NOT_OFFERED


class OfTheChild(Outbox):
    """Leaves Bob to the child."""

    parent = os.getpid()

    def send(self, notice):
        super().send(notice)
        return timedelta(seconds=1) if os.getpid() == self.parent and notice.address == "bob@example.org" else None


class AsyncOfTheChild(OfTheChild):
    async def send(self, notice):
        return super().send(notice)


@pytestmark_fork
@pytest.mark.parametrize("kind", [OfTheChild, AsyncOfTheChild])
def test_fork(tmp_path, open_store, kind):
    outbox = kind()
    um = open_store(notifier=outbox, sqlite=tmp_path / "store.db")
    um.system.users.create("ada@example.org", password=PASSWORD)
    forgets(um)
    outbox.wait()

    def child() -> bool:
        um.system.users.create("bob@example.org", password=PASSWORD)
        forgets(um, "bob@example.org")
        return outbox.wait(2, seconds=8)[1].address == "bob@example.org"

    assert in_child(child) == 0


@pytest.mark.parametrize("how", ["", "um.close()", "del um"])
def test_the_end_of_a_program(how):
    """Stores that are left open while notices are sent do no harm at exit."""
    for kind in ("Outbox", "AsyncOutbox"):
        program = f"""
import rolekeep, mails
outbox = mails.{kind}()
um = rolekeep.open(notifier=outbox, hashing_memory_kib=7168, hashing_iterations=5)
um.system.users.create("ada@example.org")
um.anonymous().passwords.forgot("ada@example.org")
outbox.wait()
{how}
"""
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30,
            env=os.environ | {"PYTHONPATH": os.path.dirname(__file__)},
        )
        assert ran.returncode == 0 and ran.stderr == "", ran.stderr


EXAMPLE = textwrap.dedent(re.findall(r"```python\n(.*?)```", inspect.getdoc(rolekeep.Notifier), re.DOTALL)[0])


def test_the_example_runs(tmp_path, monkeypatch):
    mails, came = [], threading.Event()

    class Server:
        def __init__(self, host):
            assert host == "localhost"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            came.set()

        def send_message(self, mail):
            mails.append(mail)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("smtplib.SMTP", Server)
    names = {"rolekeep": rolekeep, "Notice": Notice}
    exec(EXAMPLE, names)  # noqa: S102
    with names["um"] as um:
        um.system.users.create("ada@example.org")
        forgets(um)
        assert came.wait(20)
    assert mails[0]["To"] == "ada@example.org" and f"{PAGE}#rkp_" in mails[0].get_content()


def test_types_of_notifiers(tmp_path):
    program = f"import rolekeep\nfrom datetime import timedelta\nfrom rolekeep import Delivery, Notice\n{EXAMPLE}" + """
class Later:
    async def send(self, notice: Notice) -> Delivery:
        return timedelta(minutes=1) if notice.user_agent else "refused"

rolekeep.open_async(notifier=Later())
"""
    assert mypy(tmp_path, program).startswith("Success"), mypy(tmp_path, program)
    for right, wrong in (('"refused"', '"later"'), ("notice.subject", "notice.title"), ("def send", "def post")):
        assert "error:" in mypy(tmp_path, program.replace(right, wrong)), wrong
