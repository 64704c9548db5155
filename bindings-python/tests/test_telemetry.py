"""Log records and metrics, as Python hears of them."""

import asyncio
import json
import logging
import os
import threading
import time

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from rolekeep import Forbidden, Unauthorized, Unavailable, ValidationError


class Failing:
    """A persister that fails or is slow, where it is told to."""

    def __init__(self):
        self.fails, self.seconds, self.batches = False, 0.0, []

    def load(self, since):
        newer = [change for batch in self.batches if batch["position"] > since for change in batch["changes"]]
        return {"position": len(self.batches), "changes": newer}

    def persist(self, batch):
        time.sleep(self.seconds)
        if self.fails:
            raise OSError("the disk of ada@example.org is gone")
        self.batches.append(batch)
        return "done"


@pytest.fixture
def persister():
    return Failing()


@pytest.fixture
def stored(persister):
    """A store that tells of no slow calls: on a busy machine any may be one."""
    with rolekeep.open(persister=persister, slow_statement_millis=0, **CHEAP) as um:
        yield um


@pytest.fixture
def slowing(persister):
    """A store that tells of slow calls."""
    with rolekeep.open(persister=persister, slow_statement_millis=100, **CHEAP) as um:
        yield um


def ours(caplog):
    return [record for record in caplog.records if record.name.startswith("rolekeep")]


def test_ops_8_a_commit_that_fails_is_a_warning(stored, persister, caplog):
    me = stored.system.with_request(request_id="req-7")
    me.users.create("ada@example.org", password=PASSWORD)
    assert ours(caplog) == []
    persister.fails = True
    began = time.time()
    with pytest.raises(Unavailable) as failed:
        me.users.create("grace@example.org", password=PASSWORD)
    assert failed.value.request_id == "req-7"
    [record] = ours(caplog)
    assert (record.name, record.levelno) == ("rolekeep", logging.WARNING)
    assert record.getMessage() == "users.create failed: storage_unavailable"
    assert (record.operation, record.request_id, record.reason) == ("users.create", "req-7", "storage_unavailable")
    assert began - 1 < record.created < time.time() + 1 and record.millis >= 0
    told = json.dumps(record.__dict__, default=str)
    assert PASSWORD not in told and "example.org" not in told


def test_ops_8_a_slow_call_is_heard_by_its_own_logger(slowing, persister, caplog):
    persister.seconds = 0.2
    slowing.system.with_request(request_id="req-8").users.create("ada@example.org")
    slow = [record for record in ours(caplog) if record.name == "rolekeep.storage" and record.call == "commit"]
    assert slow and "users" in slow[0].tables and slow[0].millis >= 100
    assert "a slow call of the storage: commit took" in slow[0].getMessage()
    assert slow[0].request_id == "req-8"


def test_ops_8_levels_are_those_of_the_loggers(um, caplog):
    def told():
        caplog.clear()
        um.anonymous(request_id="req-9").sessions.login("ada@example.org", "no")
        return [record.getMessage() for record in ours(caplog)]

    def fails():
        with pytest.raises(Unauthorized):
            told()
        return [record.getMessage() for record in ours(caplog)]

    assert fails() == []
    caplog.set_level(logging.DEBUG, "rolekeep")
    assert fails() == ["sessions.login failed: invalid_credentials"]
    caplog.set_level(logging.INFO, "rolekeep")
    assert fails() == []
    caplog.set_level(logging.DEBUG, "rolekeep")
    logging.disable(logging.DEBUG)
    try:
        assert fails() == []
    finally:
        logging.disable(logging.NOTSET)
    # One logger hears less than the other.
    caplog.set_level(logging.ERROR, "rolekeep")
    caplog.set_level(logging.DEBUG, "rolekeep.storage")
    assert fails() == []


def test_ops_8_what_ends_the_program_is_raised(um, caplog):
    class Ending(logging.Handler):
        def handle(self, record):
            raise SystemExit(3)

    caplog.set_level(logging.DEBUG, "rolekeep")
    handler = Ending()
    logging.getLogger("rolekeep").addHandler(handler)
    try:
        with pytest.raises(SystemExit):
            um.system.users.list()
    finally:
        logging.getLogger("rolekeep").removeHandler(handler)
    assert um.system.users.list().items == []


def test_ops_8_handlers_that_wait_hold_up_no_other_call(tmp_path, caplog):
    main, waiting, go_on = threading.get_ident(), threading.Semaphore(0), threading.Event()

    class Waiting(logging.Handler):
        in_vain = False

        def handle(self, record):
            if threading.get_ident() != main:
                waiting.release()
                Waiting.in_vain |= not go_on.wait(30)

    async def ask():
        await um.aio.system.users.list()

    caplog.set_level(logging.DEBUG, "rolekeep")
    handler = Waiting()
    with rolekeep.open(sqlite=str(tmp_path / "x.db"), hashing_memory_kib=7168, hashing_iterations=5) as um:
        logging.getLogger("rolekeep").addHandler(handler)
        try:
            # More than the library has threads for its own work.
            threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(3):
                assert waiting.acquire(timeout=30)
            assert um.system.users.list().items == []
            go_on.set()
            for thread in threads:
                thread.join()
        finally:
            go_on.set()
            logging.getLogger("rolekeep").removeHandler(handler)
    assert not Waiting.in_vain


def test_ops_8_a_handler_that_raises_harms_nothing(um, caplog, monkeypatch):
    class Raising(logging.Handler):
        heard = 0

        def handle(self, record):
            Raising.heard += 1
            # It may also ask the library, which does not tell of that.
            um.system.users.list()
            raise RuntimeError("no log today")

    caplog.set_level(logging.DEBUG, "rolekeep")
    handler = Raising()
    logging.getLogger("rolekeep").addHandler(handler)
    try:
        assert um.system.users.list().items == []
        assert 1 <= Raising.heard <= 3
    finally:
        logging.getLogger("rolekeep").removeHandler(handler)
        caplog.set_level(logging.ERROR, "rolekeep")
    assert um.system.users.list().items == []


def test_sec_13_no_record_holds_a_secret_or_says_who_somebody_is(um, ada, caplog):
    caplog.set_level(logging.DEBUG, "rolekeep")
    signed_in = um.login("ada@example.org", PASSWORD, request_id="req-13").done()
    me = um.authenticate(signed_in.access_token)
    key = me.api_keys.create("a key for backups", patterns=["document:edit"])
    renewed = um.anonymous().sessions.refresh(signed_in.refresh_token)
    with pytest.raises(Unauthorized):
        um.login("grace.hopper@example.org", "a wrong password")
    me.users.me()
    secrets = [PASSWORD, "a wrong password", signed_in.access_token, signed_in.refresh_token, key.key, renewed.access_token]
    told = "\n".join(json.dumps(record.__dict__, default=str) for record in ours(caplog))
    assert told.count("done") >= 5 and "req-13" in told
    assert [secret for secret in [*secrets, "example.org", "a key for backups"] if secret in told] == []


def test_ops_8_asyncio_and_what_nobody_waits_for(stored, persister, caplog):
    async def fail(um):
        await um.aio.system.with_request(request_id="req-10").users.create("ada@example.org")

    persister.fails = True
    with pytest.raises(Unavailable):
        asyncio.run(fail(stored))
    assert [record.request_id for record in ours(caplog)] == ["req-10"]

    async def give_up():
        persister.fails, persister.seconds = True, 2
        await asyncio.wait_for(fail(slowing), 0.05)

    persister.fails = False
    with rolekeep.open(persister=persister, slow_statement_millis=100, **CHEAP) as slowing:
        caplog.clear()
        with pytest.raises(TimeoutError if hasattr(asyncio, "timeout") else asyncio.TimeoutError):
            asyncio.run(give_up())
        until = time.monotonic() + 30
        while "rolekeep.storage" not in {record.name for record in ours(caplog)}:
            assert time.monotonic() < until, "nobody told of it"
            time.sleep(0.02)


def test_ops_8_errors_have_the_id_of_their_request(um, ada):
    def of(error, ask):
        with pytest.raises(error) as failed:
            ask()
        return failed.value

    me = um.acting_as(ada.id).with_request(request_id="req-11")
    stranger = um.anonymous(request_id="req-11")
    errors = [
        of(Forbidden, lambda: me.users.list()),
        of(Forbidden, lambda: me.require("document:delete")),
        of(Forbidden, lambda: me.require_role("admin")),
        of(Forbidden, me.require_admin),
        of(ValidationError, lambda: me.can("document:eidt")),
        of(ValidationError, lambda: um.system.with_request(request_id="req-11").users.create("nobody")),
        of(Unauthorized, lambda: stranger.require("document:delete")),
        of(Unauthorized, lambda: um.authenticate("no token", request_id="req-11")),
        of(Unauthorized, lambda: um.login("ada@example.org", "no", request_id="req-11")),
        of(Unauthorized, lambda: asyncio.run(um.aio.login("ada@example.org", "no", request_id="req-11"))),
    ]
    assert [error.request_id for error in errors] == ["req-11"] * len(errors)
    assert of(Forbidden, lambda: um.acting_as(ada.id).users.list()).request_id is None


def parse(text):
    """Each name and labels with its value."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    assert len(values) == len(lines)
    return values


def test_ops_1_metrics_count_what_is_done(um):
    rolekeep.metrics()
    name = 'rolekeep_operations_total{operation="users.list",outcome="%s"}'
    before = parse(rolekeep.metrics())
    for _ in range(3):
        um.system.users.list()
    with pytest.raises(Unauthorized):
        um.anonymous(request_id="req-12").users.list()
    text = rolekeep.metrics()
    after = parse(text)
    assert after[name % "OK"] - before.get(name % "OK", 0) == 3
    assert after[name % "UNAUTHORIZED"] - before.get(name % "UNAUTHORIZED", 0) == 1
    assert after['rolekeep_operation_duration_seconds_bucket{operation="users.list",le="+Inf"}'] >= 4
    assert "# TYPE rolekeep_operations_total counter" in text and "# HELP rolekeep_operations_total " in text
    assert "req-12" not in text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_ops_1_a_child_counts_and_logs_for_itself(stored, persister, caplog):
    rolekeep.metrics()
    stored.system.users.list()
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            counted = 'operation="users.list"' in rolekeep.metrics()
            caplog.clear()
            persister.fails = True
            try:
                stored.system.users.create("ada@example.org")
            except Unavailable:
                pass
            heard = [record.getMessage() for record in ours(caplog)]
            os.write(here, json.dumps([counted, heard, "users.create" in rolekeep.metrics()]).encode())
        finally:
            os._exit(0)
    os.close(here)
    with os.fdopen(there) as told:
        assert json.load(told) == [False, ["users.create failed: storage_unavailable"], True]
    os.waitpid(child, 0)
    assert ours(caplog) == []
