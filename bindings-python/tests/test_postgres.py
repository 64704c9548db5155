"""Stores in PostgreSQL. What needs a server takes the one that `ROLEKEEP_POSTGRES` leads to, in schemas of its own."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from uuid import uuid4

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from rolekeep import Reason, Unavailable, ValidationError
from test_host import ROLES, LogPersister, in_child, pytestmark_fork

URL = os.environ.get("ROLEKEEP_POSTGRES", "")
SECRET = "hunter2hunter2"
NOBODY = f"postgres://ada:{SECRET}@127.0.0.1:1/app?sslmode=disable"

needs_server = pytest.mark.skipif(not URL, reason="needs a server, by ROLEKEEP_POSTGRES")


@pytest.fixture
def place():
    return {"postgres": URL, "postgres_schema": f"s{uuid4().hex}"}


def refusal(**settings) -> rolekeep.RolekeepError:
    """The same error from both faces, which tells no password."""

    async def open_async() -> None:
        await rolekeep.open_async(**settings)

    errors = []
    for attempt in (lambda: rolekeep.open(**settings), lambda: asyncio.run(open_async())):
        with pytest.raises(rolekeep.RolekeepError) as caught:
            attempt()
        assert SECRET not in f"{caught.value} {caught.value!r} {vars(caught.value)} {caught.value.__cause__!r}"
        errors.append(caught.value)
    assert (errors[0].reason, errors[0].message) == (errors[1].reason, errors[1].message)
    return errors[0]


def fields(error: rolekeep.RolekeepError) -> list[tuple[str, str]]:
    return [(field.field, str(field.code)) for field in error.fields]


@pytest.mark.parametrize("url", [
    "", " ", "localhost", "app", f"mysql://ada:{SECRET}@db/app", f"http://ada:{SECRET}@db/app", "sqlite://app.db",
    f"postgres:ada:{SECRET}@db/app", f"postgres://ada:{SECRET}@db:port/app", f"postgres://ada:{SECRET}@db:99999/app",
    f"postgres://ada:{SECRET}@/app db", f"postgres://ada:{SECRET}@db/app?sslmode={SECRET}", f"postgres://ada:{SECRET}%ff@db/app",
    f" postgres://ada:{SECRET}@db/app", f"postgres://ada:{SECRET}@db/app?port={SECRET}", f"postgres://ada:{SECRET}@[::/app",
])
def test_a_url_is_a_url(url):
    error = refusal(postgres=url)
    assert isinstance(error, ValidationError) and error.reason is Reason.CONFIG_INVALID
    assert error.message.startswith("postgres: ")


@pytest.mark.parametrize("schema", [
    "", " ", "Accounts", "1st", "pg_accounts", "a-b", "a b", "a,b", "a.b", 'a"', "a'; DROP SCHEMA public", "\u00fcber", "a" * 64,
])
def test_a_schema_is_a_name(schema):
    error = refusal(postgres=NOBODY, postgres_schema=schema)
    assert isinstance(error, ValidationError) and error.reason is Reason.CONFIG_INVALID
    assert [field for field, _ in fields(error)] == ["postgres_schema"]


@pytest.mark.parametrize("wrong, field", [
    ({"postgres_schema": "accounts"}, "postgres_schema"),
    ({"sqlite": "app.db", "postgres_schema": "accounts"}, "postgres_schema"),
    ({"postgres": NOBODY, "exclusive": True}, "exclusive"),
])
def test_settings_that_go_with_another_storage(wrong, field):
    error = refusal(**wrong)
    assert error.reason is Reason.CONFIG_INVALID and fields(error) == [(field, "disagrees")]


@pytest.mark.parametrize("wrong", [
    {"postgres": 5}, {"postgres": ["x"]}, {"postgres": NOBODY, "postgres_schema": 5}, {"postgres": NOBODY, "postgres_schema": "a\0"},
])
def test_values_of_another_type(wrong):
    error = refusal(**wrong)
    assert error.code == "VALIDATION_ERROR" and fields(error)[0][0] in wrong


def test_a_store_has_one_storage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for other in ({"sqlite": "app.db"}, {"persister": LogPersister(tmp_path / "log")}):
        error = refusal(postgres=NOBODY, **other)
        assert error.reason is Reason.CONFIG_INVALID and "two storages" in error.message
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def server(answer: bytes | None):
    """Answers whatever is said with the same, or with silence."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])
                    if answer is not None and held[-1].recv(1000):
                        held[-1].sendall(answer)
                        held[-1].close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


@pytest.mark.parametrize("url", [
    NOBODY, f"postgres://ada:{SECRET}@nobody.invalid/app", f"postgres://ada:{SECRET}@%2Fnowhere/app",
    f"postgres:///app?host=/nowhere&user=ada&password={SECRET}",
])
def test_a_server_that_is_not_there(url):
    error = refusal(postgres=url)
    assert isinstance(error, Unavailable) and error.reason is Reason.STORAGE_UNAVAILABLE


@pytest.mark.parametrize("answer, mode, reason", [
    (None, "?sslmode=disable", Reason.STORAGE_UNAVAILABLE),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "?sslmode=disable", Reason.STORAGE_UNAVAILABLE),
    (b"", "?sslmode=disable", Reason.STORAGE_UNAVAILABLE),
    # It has no TLS, which is what a URL asks for that does not say otherwise.
    (b"N", "", Reason.STORAGE_DENIED),
])
def test_a_server_that_is_none(answer, mode, reason):
    with server(answer) as port:
        begun = time.monotonic()
        error = refusal(postgres=f"postgres://ada:{SECRET}@localhost:{port}/app{mode}")
        assert time.monotonic() - begun < 30
    assert isinstance(error, Unavailable) and error.reason is reason, error


@needs_server
@pytest.mark.parametrize("url, reason", [
    (URL.replace("postgres@", f"guarded:{SECRET}@"), Reason.STORAGE_DENIED),
    (URL.replace("postgres@", "guarded@"), Reason.STORAGE_DENIED),
    (URL.replace("postgres@", f"nobody:{SECRET}@"), Reason.STORAGE_DENIED),
    (URL.removesuffix("/postgres") + "/nowhere", Reason.STORAGE_MISSING),
])
def test_nobody_is_let_in(place, url, reason):
    error = refusal(**place | {"postgres": url})
    assert isinstance(error, Unavailable) and error.reason is reason, error


@needs_server
def test_a_password_lets_in(open_store, place):
    um = open_store(**place | {"postgres": URL.replace("postgres@", "guarded:correct%20horse@")})
    assert um.system.users.create("ada@example.org").id


@needs_server
def test_an_account_that_may_make_no_schema(place):
    error = refusal(**place | {"postgres": URL.replace("postgres@", f"guest:{SECRET}@")})
    assert isinstance(error, Unavailable) and error.reason is Reason.STORAGE_DENIED


@needs_server
def test_each_schema_is_a_store(open_store, place):
    """Two instances of one store, and another beside it."""
    here, there = open_store(**place, **ROLES), open_store(**place)
    other = open_store(**place | {"postgres_schema": f"{place['postgres_schema']}_2"})
    ada = here.system.users.create("ada@example.org", password=PASSWORD, roles=["editor"])
    there.refresh()
    assert there.acting_as(ada.id).can("document:edit") and other.system.users.list().total == 0
    here.close()
    with pytest.raises(Unavailable) as closed:
        here.system.users.list()
    assert closed.value.reason is Reason.CLOSED
    again = open_store(**place)
    assert again.login("ada@example.org", PASSWORD).done().user.id == ada.id

    async def use() -> None:
        async with rolekeep.open_async(**CHEAP, **place) as um:
            await asyncio.gather(*(um.system.users.create(f"u{number}@example.org") for number in range(20)))
            assert (await um.system.users.list()).total == 21

    asyncio.run(use())


@needs_server
def test_calls_that_are_given_up(open_store, place):
    """A connection in the middle of something is given back wherever its call is let go of, and none is missing afterwards."""
    um = open_store(**place)
    ada = um.system.users.create("ada@example.org")

    async def cancel() -> None:
        for turn in range(40):
            work = [asyncio.ensure_future(um.aio.system.users.list()) for _ in range(8)]
            work += [asyncio.ensure_future(um.aio.system.users.update(ada.id, full_name=f"Ada {turn}"))]
            await asyncio.sleep(turn / 10_000)
            for one in work:
                one.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    asyncio.run(cancel())
    for _ in range(20):
        # No loop is running: begun, then let go of on a thread of Python's.
        with pytest.raises(RuntimeError, match="no asyncio event loop"):
            um.aio.system.users.list().send(None)
    # What is missing stays so: a busy machine is not as slow each time.
    took: list[float] = []
    while len(took) < 3 and min(took, default=9) > 4:
        begun = time.monotonic()
        assert [um.system.users.list().total for _ in range(20)] == [1] * 20
        took.append(time.monotonic() - begun)
    assert min(took) < 4, took


@needs_server
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_an_opening_that_is_interrupted(open_store, place):
    class Interrupted(Exception):
        pass

    def interrupt(*_) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for turn in range(10):
            signal.setitimer(signal.ITIMER_REAL, 0.01 + turn / 100)
            try:
                rolekeep.open(**CHEAP, **place | {"postgres_schema": f"{place['postgres_schema']}_{turn}"}).close()
            except Interrupted:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    for turn in range(10):
        um = open_store(**place | {"postgres_schema": f"{place['postgres_schema']}_{turn}"})
        assert um.system.users.create("ada@example.org").id


@needs_server
def test_a_store_that_nobody_closes_loses_nothing(open_store, place):
    program = """
import gc, sys, rolekeep
settings = {"postgres": sys.argv[1], "postgres_schema": sys.argv[2], "hashing_memory_kib": 7168, "hashing_iterations": 5}
for number in range(10):
    um = rolekeep.open(**settings)
    me = um.system
    me.users.create(f"u{number}@example.org")
    del um, me
    gc.collect()
rolekeep.open(**settings).system.users.create("last@example.org")
"""
    command = [sys.executable, "-W", "error", "-c", program, *place.values()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    um = open_store(**place)
    assert um.system.users.list().total == 11 and um.system.audit.verify().is_whole


def sockets() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {each for each in found if each.startswith("socket:")}


@needs_server
@pytestmark_fork
def test_a_child_connects_anew(open_store, place):
    um = open_store(**place, **ROLES)
    ada = um.system.users.create("ada@example.org", password=PASSWORD, roles=["editor"])
    me, token = um.acting_as(ada.id), um.login("ada@example.org", PASSWORD).done().access_token
    signed_in = um.authenticate(token)

    def use(name: str) -> bool:
        inherited = sockets() if os.path.exists("/proc/self/fd") else None
        assert me.can("document:edit") and signed_in.users.me().id == ada.id
        assert asyncio.run(um.aio.login("ada@example.org", PASSWORD)).done().user.id == ada.id
        um.system.users.create(f"{name}@example.org")
        if inherited is not None and name != "parent":
            assert inherited and sockets() - inherited, "no connection of its own"
        return um.system.users.find(email=f"{name}@example.org").email == f"{name}@example.org"

    def end() -> bool:
        um.close()
        return True

    assert in_child(lambda: use("child")) == 0
    assert in_child(lambda: use("second") and in_child(lambda: use("grandchild")) == 0 and end()) == 0
    # What a child ends is its own.
    assert use("parent") and um.system.users.list().total == 5


@needs_server
@pytestmark_fork
def test_a_child_lets_go_of_nothing_of_its_parent(place):
    """Neither sockets nor the list of them that the parent's runtime waits on, which both share."""
    held = [rolekeep.open(**CHEAP, **place)]
    held[0].system.users.create("ada@example.org")
    assert held[0].system.users.list().total == 1

    def forget() -> bool:
        held.clear()
        gc.collect()
        return not held

    assert in_child(forget) == 0
    begun = time.monotonic()
    assert [held[0].system.users.list().total for _ in range(20)] == [1] * 20
    # It would be twelve seconds until a connection that is lost is given up.
    assert time.monotonic() - begun < 10
    held[0].close()


@needs_server
@pytestmark_fork
def test_a_fork_while_others_work(open_store, place):
    """Children and their parent work at once, each on connections of its own."""
    um = open_store(**place)
    ada = um.system.users.create("ada@example.org")
    stop, failed, written = threading.Event(), [], 0

    def work(name: str) -> None:
        for turn in range(1_000_000):
            if stop.is_set():
                return
            try:
                um.system.users.update(ada.id, full_name=f"{name} {turn}")
                assert um.system.users.list(limit=10).total
            except rolekeep.Conflict:
                pass
            except BaseException as error:  # noqa: BLE001
                failed.append(error)
                return

    threads = [threading.Thread(target=work, args=[name]) for name in ("Ada", "Augusta")]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + 8
        while written < 40 and time.monotonic() < until:
            email = f"{written}@example.org"

            def child() -> bool:
                created = um.system.users.create(email)
                return um.system.users.get(created.id).email == email

            assert in_child(child) == 0, f"child {written}"
            written += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == [] and written > 5
    um.refresh()
    assert um.system.users.list().total == 1 + written


@needs_server
@pytestmark_fork
def test_a_parent_that_closes_leaves_the_store_to_its_child(open_store, place):
    um = open_store(**place)
    um.system.users.create("parent@example.org")
    (said, say), (heard, hear) = os.pipe(), os.pipe()

    def child() -> bool:
        um.system.users.create("early@example.org")
        os.write(say, b".")
        os.read(heard, 1)
        um.system.users.create("late@example.org")
        return um.system.users.list().total == 3

    def parent() -> None:
        os.read(said, 1)
        um.close()
        os.write(hear, b".")

    closing = threading.Thread(target=parent)
    closing.start()
    assert in_child(child) == 0
    closing.join()
    assert open_store(**place).system.users.list().total == 3
