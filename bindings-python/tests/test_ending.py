"""Ctrl-C while a call waits, and stores that nobody closes."""

import signal
import subprocess
import sys
import time

import pytest
import rolekeep
from rolekeep import Reason, ValidationError

INTERRUPTED = """
import sqlite3, sys, time, rolekeep
um = rolekeep.open(sqlite=sys.argv[1], hashing_memory_kib=7168, hashing_iterations=5)
lock = sqlite3.connect(sys.argv[1], isolation_level=None)
lock.execute("BEGIN IMMEDIATE")
print("waiting", flush=True)
start = time.monotonic()
try:
    um.system.users.create("ada@example.org")
except KeyboardInterrupt:
    print(time.monotonic() - start, flush=True)
lock.execute("ROLLBACK")
um.system.users.create("bob@example.org")
users = [user.email for user in um.system.users.list().items]
assert "bob@example.org" in users and len(users) <= 2, users
verified = um.system.audit.verify()
assert verified.is_whole and verified.verified == len(users), "a commit is whole or not there"
um.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a child")
def test_ctrl_c_ends_a_call_that_waits(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "app.db")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "waiting\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    shown, complaint = child.communicate(timeout=30)
    assert child.returncode == 0, complaint
    # Without being heard the call would end by itself, when the lock's five seconds are over.
    assert float(shown) < 2, shown


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_a_store_that_nobody_closes_loses_nothing(tmp_path, place):
    path = str(tmp_path / "app.db")
    program = """
import gc, sys, rolekeep
settings = {"sqlite": sys.argv[1]} if len(sys.argv) > 1 else {}
for number in range(20):
    um = rolekeep.open(hashing_memory_kib=7168, hashing_iterations=5, **settings)
    me = um.system
    me.users.create(f"u{number}@example.org")
    del um, me
    gc.collect()
rolekeep.open(hashing_memory_kib=7168, hashing_iterations=5, **settings).system.users.create("last@example.org")
"""
    command = [sys.executable, "-W", "error", "-c", program, *([path] if place == "sqlite" else [])]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    if place == "sqlite":
        with rolekeep.open(sqlite=path) as um:
            assert um.system.users.list().total == 21
            assert um.system.audit.verify().is_whole


@pytest.mark.parametrize("path", [":memory:", "", " ", "file:app.db?mode=ro", "sqlite://app.db"])
def test_a_path_is_a_path(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError) as caught:
        rolekeep.open(sqlite=path)
    assert caught.value.reason is Reason.CONFIG_INVALID and "sqlite" in caught.value.message
    assert list(tmp_path.iterdir()) == []
