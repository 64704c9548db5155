"""The host's side: forks, cancelled tasks, storages written in Python."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64decode
from uuid import UUID

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from persisters import AsyncPersister, LogPersister
from rolekeep import Batch, ExternalIdentity, Loaded, Reason, Unavailable

ROLES = {"roles": {"editor": ["document:edit"]}, "permissions": ["document:delete"]}


@pytest.mark.parametrize("kind", [LogPersister, AsyncPersister])
def test_persister_survives_a_restart(open_store, tmp_path, kind):
    path = tmp_path / "log"
    um = open_store(persister=kind(path), **ROLES)
    ada = um.system.users.create("ada@example.org", password=PASSWORD, roles=["editor"])
    um.system.users.delete(um.system.users.create("bob@example.org").id)
    token = um.login("ada@example.org", PASSWORD).done().access_token
    um.close()

    um = open_store(persister=kind(path), **ROLES)
    assert [user.id for user in um.system.users.list().items] == [ada.id]
    assert um.authenticate(token).can("document:edit")
    assert um.system.audit.verify().is_whole


def test_two_writers_of_one_log(open_store, tmp_path):
    first = open_store(persister=LogPersister(tmp_path / "log"), **ROLES)
    second = open_store(persister=LogPersister(tmp_path / "log"), **ROLES)
    ada = first.system.users.create("ada@example.org", roles=["editor"])
    me = second.acting_as(ada.id)
    assert me.can("document:edit")
    with pytest.raises(rolekeep.Duplicate):
        second.system.users.create("ada@example.org")
    second.system.users.create("bob@example.org")
    first.system.roles.unassign(ada.id, "editor")
    assert second.system.users.list().total == first.system.users.list().total == 2
    assert not me.can("document:edit")


class OwnPersister:
    """Rows by id, in a file that nobody else uses: deleted and forgotten ones leave nothing behind."""

    is_shared = False

    def __init__(self, path) -> None:
        self.path, self.loads, self.forgotten = path, 0, []

    def kept(self) -> dict:
        return json.loads(self.path.read_text()) if self.path.exists() else {"position": 0, "rows": {}}

    def load(self, since: int) -> Loaded:
        self.loads += 1
        kept = self.kept()
        return {"position": kept["position"], "changes": list(kept["rows"].values()), "is_whole": True}

    def persist(self, batch: Batch) -> str:
        kept = self.kept()
        if batch["base"] != kept["position"]:
            return "stale"
        for change in batch["changes"]:
            if change["row"] is None:
                kept["rows"].pop(change["id"], None)
            else:
                kept["rows"][change["id"]] = change
        self.path.write_text(json.dumps({"position": batch["position"], "rows": kept["rows"]}))
        return "done"

    def forget(self, ids: list[str]) -> None:
        kept = self.kept()
        for id in ids:
            del kept["rows"][id]
        self.forgotten += ids
        self.path.write_text(json.dumps(kept))


class OwnAsyncPersister(OwnPersister):
    async def forget(self, ids: list[str]) -> None:
        await asyncio.sleep(0)
        super().forget(ids)


def test_nothing_is_looked_for_where_nobody_else_writes(open_store, tmp_path):
    persister = OwnPersister(tmp_path / "own")
    um = open_store(persister=persister, **ROLES)
    me = um.acting_as(um.system.users.create("ada@example.org", roles=["editor"]).id)
    time.sleep(1.3)
    assert me.can("document:edit"), "rights do not grow old"
    um.system.users.list()
    assert persister.loads == 1

    persister.is_shared = True
    other = open_store(persister=persister, **ROLES)
    end = time.monotonic() + 30
    while persister.loads <= 3:
        assert time.monotonic() < end, f"{persister.loads} loads"
        time.sleep(0.01)
    other.close()


class KeepingPersister(OwnPersister):
    forget = None


def commits(um) -> int:
    """How many a store with one lane has seen: its position holds a format, the lane, their number (LEB128) and a tag."""
    number = urlsafe_b64decode(um.position + "==")[2:-4]
    return sum((byte & 0x7F) << 7 * at for at, byte in enumerate(number))


def eight_days_later(persister: OwnPersister) -> list[str]:
    """Makes what was written old, and its commits the last ones before the 998th; answers with their ids but the newest's, whose line stays."""
    kept = persister.kept()
    ahead, rows = 998 - kept["position"], {}
    for change in kept["rows"].values():
        if change["table"] == "commits":
            row = change["row"]
            row["position"] += ahead
            row["at"] -= 8 * 24 * 3600 * 1_000_000
            change["id"] = f"commits/{row['position']}"
        rows[change["id"]] = change
    persister.path.write_text(json.dumps({"position": 998, "rows": rows}))
    return [id for id in rows if id.startswith("commits/") and id != "commits/998"]


@pytest.mark.parametrize("kind", [OwnPersister, OwnAsyncPersister, KeepingPersister])
def test_what_a_persister_is_told_to_forget_is_gone(open_store, tmp_path, kind):
    persister = kind(tmp_path / "own")
    um = open_store(persister=persister, **ROLES)
    um.system.users.create("ada@example.org", roles=["editor"])
    um.system.users.delete(um.system.users.create("bob@example.org").id)
    um.close()

    old = eight_days_later(persister)
    um = open_store(persister=persister, **ROLES)
    # After each thousandth commit what is old is let go of.
    um.system.users.create("cleo@example.org")
    um.system.users.create("dora@example.org")
    deadline = time.monotonic() + 10
    while kind.forget and len(persister.forgotten) < len(old) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert commits(um) == 1_000
    um.close()
    assert sorted(persister.forgotten) == (sorted(old) if kind.forget else [])
    assert all((id in persister.kept()["rows"]) != bool(kind.forget) for id in old)

    um = open_store(persister=persister, **ROLES)
    names = sorted(user.email.split("@")[0] for user in um.system.users.list().items)
    assert names == ["ada", "cleo", "dora"]
    assert commits(um) == 1_000 and um.system.audit.verify().is_whole
    assert um.system.users.create("eve@example.org")


def test_a_file_of_ones_own(open_store, tmp_path):
    path = str(tmp_path / "own.db")
    um = open_store(sqlite=path, exclusive=True, **ROLES)
    me = um.acting_as(um.system.users.create("ada@example.org", roles=["editor"]).id)
    look = f"import rolekeep\ntry: rolekeep.open(sqlite={path!r})\nexcept rolekeep.Unavailable as error: print(error.reason)"
    out = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60)
    assert out.stdout.strip() == str(Reason.STORAGE_UNAVAILABLE), out
    time.sleep(1.2)
    assert me.can("document:edit")
    um.close()
    for wrong in ({"exclusive": True}, {"sqlite": path, "persister": LogPersister(tmp_path / "log")}):
        with pytest.raises(rolekeep.ValidationError) as refused:
            open_store(**wrong)
        assert refused.value.reason == Reason.CONFIG_INVALID


def test_refresh_reads_what_others_wrote(open_store, tmp_path):
    path = str(tmp_path / "shared.db")
    here, there = open_store(sqlite=path, **ROLES), open_store(sqlite=path, **ROLES)
    for number in range(20):
        there.system.users.create(f"user{number}@example.org")
        if number % 2:
            here.refresh()
        else:
            asyncio.run(here.aio.refresh())
        assert here.position == there.position
    here.close()
    with pytest.raises(rolekeep.Unavailable):
        here.refresh()


def test_async_persister_has_one_loop(tmp_path):
    persister = AsyncPersister(tmp_path / "log")

    async def main(um):
        await um.system.users.list()
        return asyncio.get_running_loop()

    um = rolekeep.open(persister=persister, **CHEAP)
    loops = [asyncio.run(main(um.aio)) for _ in range(3)]
    um.system.users.create("ada@example.org")
    assert len(persister.loops) == 1 and not persister.loops & set(loops)
    assert threading.main_thread() not in persister.threads
    um.close()
    assert persister.is_closed


def test_the_persister_of_a_store_that_could_not_be_opened_is_closed(tmp_path):
    class Broken(AsyncPersister):
        async def load(self, since):
            raise OSError("the cable is out")

    persister = Broken(tmp_path / "log")
    with pytest.raises(Unavailable):
        rolekeep.open(persister=persister, **CHEAP)
    assert persister.is_closed


def test_a_failing_persister(open_store, tmp_path):
    class Failing(LogPersister):
        error = None

        def persist(self, batch):
            if self.error:
                raise self.error
            return super().persist(batch)

    persister = Failing(tmp_path / "log")
    um = open_store(persister=persister)
    um.system.users.create("ada@example.org")
    for error, reason in (
        (OSError("the cable is out"), Reason.STORAGE_UNAVAILABLE),
        (Unavailable("the disk is full", reason=Reason.STORAGE_FULL), Reason.STORAGE_FULL),
        (Unavailable("the lock is held"), Reason.STORAGE_UNAVAILABLE),
    ):
        persister.error = error
        with pytest.raises(Unavailable, match=str(error)) as caught:
            um.system.users.create("bob@example.org")
        assert caught.value.reason is reason
        assert caught.value.__cause__ is error
    persister.error = None
    assert um.system.users.list().total == 1
    persister.persist = lambda batch: None
    with pytest.raises(Unavailable, match="stale"):
        um.system.users.create("bob@example.org")
    persister.load = lambda since: {"changes": []}
    with pytest.raises(rolekeep.RolekeepError, match="position"):
        um.system.users.list()


@pytest.mark.parametrize("place", ["sqlite", "slow", "slow async"])
def test_cancelling_tears_no_commit(tmp_path, place):
    """Whatever the moment of cancelling, a user is whole or not there, and the store goes on."""
    path = tmp_path / "store"
    settings = CHEAP | ROLES

    def opened():
        match place:
            case "sqlite":
                return rolekeep.open(sqlite=path, **settings)
            case "slow":
                return rolekeep.open(persister=LogPersister(path, 0.03), **settings)
        return rolekeep.open(persister=AsyncPersister(path, 0.03), **settings)

    async def main(um):
        cancelled = 0
        for number in range(24):
            create = um.system.users.create(f"user{number}@example.org", roles=["editor"])
            task = asyncio.create_task(create)
            await asyncio.sleep(0.002 * (number % 12) if place != "sqlite" else 0.0002 * number)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1
        # Writes come one after the other: by now those that were begun are done.
        await um.system.users.create("last@example.org", roles=["editor"])
        page = await um.system.users.list(limit=100)
        for user in page.items:
            assert (await um.acting_as(user.id)).can("document:edit")
        return cancelled, {user.email for user in page.items}

    um = opened()
    cancelled, emails = asyncio.run(main(um.aio))
    assert cancelled > 0
    um.close()
    um = opened()
    assert {user.email for user in um.system.users.list(limit=100).items} == emails
    assert um.system.audit.verify().is_whole
    entries = um.system.audit.list(action="users.create", limit=100).items
    assert {entry.after["email"] for entry in entries} == emails
    um.close()


def test_cancelled_before_and_after(um, ada):
    async def main():
        shared = um.aio
        task = asyncio.create_task(shared.login("ada@example.org", PASSWORD))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(shared.login("ada@example.org", PASSWORD), 0.001)
        assert (await shared.login("ada@example.org", PASSWORD)).done().user.id == ada.id

    asyncio.run(main())
    # A loop that is closed while a call runs.
    loop = asyncio.new_event_loop()
    loop.create_task(um.aio.login("ada@example.org", PASSWORD))
    loop.run_until_complete(asyncio.sleep(0.001))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert um.login("ada@example.org", PASSWORD).done().user.id == ada.id


def in_child(work) -> int:
    """Runs a function in a forked child, ten seconds at most; 0: it was true."""
    process = os.fork()
    if process == 0:
        signal.alarm(10)
        try:
            os._exit(0 if work() else 3)
        except BaseException as error:  # noqa: BLE001
            print(repr(error), file=sys.stderr)
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


pytestmark_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytestmark_fork
@pytest.mark.parametrize("place", ["memory", "sqlite", "persister", "async persister"])
def test_fork(tmp_path, open_store, place):
    path = tmp_path / "store"
    storage = {
        "memory": {}, "sqlite": {"sqlite": path}, "persister": {"persister": LogPersister(path)},
        "async persister": {"persister": AsyncPersister(path)},
    }[place]
    # Before anything was used in this process.
    assert in_child(lambda: rolekeep.open(**CHEAP).system.users.list().total == 0) == 0

    um = open_store(**storage, **ROLES)
    ada = um.system.users.create("ada@example.org", password=PASSWORD, roles=["editor"])
    me, token = um.acting_as(ada.id), um.login("ada@example.org", PASSWORD).done().access_token
    signed_in = um.authenticate(token)
    staff = ExternalIdentity(issuer="staff", subject="17")
    bob = um.system.users.create(identity=staff)
    vouched = um.acting_as_identity("staff", "17")

    def use(name: str) -> bool:
        assert me.can("document:edit") and not me.can("document:delete")
        assert signed_in.can("document:edit") and signed_in.users.me().id == ada.id
        assert vouched.users.me().id == bob.id and vouched.users.me().identities == [staff]
        assert um.login("ada@example.org", PASSWORD).done().user.id == ada.id
        assert asyncio.run(um.aio.login("ada@example.org", PASSWORD)).done().user.id == ada.id
        um.system.users.create(f"{name}@example.org")
        return um.system.users.find(email=f"{name}@example.org").email == f"{name}@example.org"

    assert in_child(lambda: use("child")) == 0
    assert in_child(lambda: use("second") and in_child(lambda: use("grandchild")) == 0) == 0
    assert use("parent")
    # What children wrote is there, unless it was in their memory.
    assert um.system.users.list().total == (3 if place == "memory" else 6)


@pytestmark_fork
def test_fork_while_others_work(um, ada):
    """A child finds no lock held by a thread that it has not got."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            with contextlib.suppress(rolekeep.Conflict):
                um.login("ada@example.org", PASSWORD)
                um.system.users.update(ada.id, full_name="Ada")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert in_child(lambda: um.login("ada@example.org", PASSWORD).done().user.id == ada.id) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytestmark_fork
def test_fork_while_others_wait_for_events(um, ada):
    """What waits for half a minute holds nothing that a child could inherit, and no fork waits for it."""
    heard, stop = threading.Event(), threading.Event()

    def listen():
        for event in rolekeep.subscribe(um.system, "earliest"):
            heard.set()
            if event.event_type is rolekeep.EventType.USER_SUSPENDED:
                return stop.set()

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    assert heard.wait(10)
    time.sleep(0.1)
    started = time.monotonic()
    assert in_child(lambda: um.login("ada@example.org", PASSWORD).done().user.id == ada.id) == 0
    # Where it does, it gives up after ten seconds.
    assert time.monotonic() - started < 8
    um.system.users.suspend(ada.id)
    assert stop.wait(10)
    listening.join()


@pytestmark_fork
def test_fork_of_a_file_that_is_in_use(tmp_path, open_store):
    """A child inherits no lock on the file that only its parent held, at whatever moment it is forked."""
    um = open_store(sqlite=tmp_path / "store.db")
    ada = um.system.users.create("ada@example.org")
    stop, failed, written = threading.Event(), [], 0

    def work(name: str) -> None:
        try:
            for turn in range(1_000_000):
                if stop.is_set():
                    return
                um.system.users.update(ada.id, full_name=f"{name} {turn}")
                assert um.system.users.list(limit=10).total
        except rolekeep.Conflict:
            work(name)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=work, args=[name]) for name in ("Ada", "Augusta")]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + 8
        while written < 200 and time.monotonic() < until:
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
    # What each of them was told is written is there.
    assert um.system.users.list().total == 1 + written


@pytestmark_fork
def test_fork_on_the_thread_of_an_event_loop(tmp_path, open_store):
    """What is under way needs neither the loop nor the interpreter, which the fork has stopped."""
    um = open_store(sqlite=tmp_path / "store.db", **ROLES)
    ada = um.system.users.create("ada@example.org")

    async def main() -> None:
        for turn in range(10):
            work = [um.aio.system.users.update(ada.id, full_name=f"{turn} {at}") for at in range(3)]
            work = [asyncio.ensure_future(one) for one in [*work, um.aio.system.users.list()]]
            await asyncio.sleep(turn / 1000)
            begun = time.monotonic()
            assert in_child(lambda: um.system.users.get(ada.id).id == ada.id) == 0
            assert time.monotonic() - begun < 9
            await asyncio.gather(*work)

    asyncio.run(main())


@pytestmark_fork
def test_a_parent_that_closes_leaves_the_file_to_its_child(tmp_path, open_store):
    """What the child writes afterwards is there: the parent, which holds the file last as it believes, tidies nothing away."""
    path = tmp_path / "store.db"
    um = open_store(sqlite=path)
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

    # Waits for the child's word, which comes after the fork.
    closing = threading.Thread(target=parent)
    closing.start()
    assert in_child(child) == 0
    closing.join()
    emails = {user.email for user in open_store(sqlite=path).system.users.list().items}
    assert emails == {f"{name}@example.org" for name in ("parent", "early", "late")}


@pytest.mark.parametrize("how", ["", "um.close()", "del um", "threading.Thread(target=um.system.users.list).start()"])
def test_the_end_of_a_program(tmp_path, how):
    """Stores that are left open with a task that polls a Python storage do no harm at exit."""
    program = f"""
import threading, rolekeep, test_host
from pathlib import Path
um = rolekeep.open(persister=test_host.LogPersister(Path({str(tmp_path / "log")!r})), hashing_memory_kib=7168, hashing_iterations=5)
um.system.users.create("ada@example.org")
{how}
"""
    for _ in range(3):
        (tmp_path / "log").unlink(missing_ok=True)
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30,
            env=os.environ | {"PYTHONPATH": os.path.dirname(__file__)},
        )
        assert ran.returncode == 0 and ran.stderr == "", ran.stderr


def test_ids_are_uuids(um, ada):
    assert um.acting_as(str(ada.id)).users.me() == um.acting_as(UUID(str(ada.id))).users.me() == ada
