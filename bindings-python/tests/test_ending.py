"""Ctrl-C while a call waits, and stores that nobody closes."""

import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import rolekeep
from rolekeep import Reason, ValidationError

TOO_LATE = 3
INTERRUPTED = f"TOO_LATE = {TOO_LATE}" + """
import signal, sys, time, rolekeep
# Who was started in the background of a shell was told to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
um = rolekeep.open(sqlite=sys.argv[1], hashing_memory_kib=7168, hashing_iterations=5)
print("open", flush=True)
sys.stdin.readline()
start = time.monotonic()
try:
    um.system.users.create("ada@example.org")
except KeyboardInterrupt:
    print(time.monotonic() - start, flush=True)
except rolekeep.Unavailable:
    sys.exit(TOO_LATE)
sys.stdin.readline()
um.system.users.create("bob@example.org")
users = [user.email for user in um.system.users.list().items]
assert "bob@example.org" in users and len(users) <= 2, users
told = um.system.audit.list(action="users.create").total
assert um.system.audit.verify().is_whole and told == len(users), "a commit is whole or not there"
um.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for a child")
def test_ctrl_c_ends_a_call_that_waits(tmp_path):
    # On a machine that stands still for seconds the lock's five may be over before the signal comes: then again.
    for attempt in range(5):
        code, shown, complaint = interrupted(str(tmp_path / f"{attempt}.db"))
        if code != TOO_LATE:
            break
    assert code == 0, complaint
    # Without being heard the call would end by itself, when the lock's five seconds are over.
    assert float(shown) < 4, shown


def interrupted(path):
    """A child that gets Ctrl-C while it waits for a lock: its exit code, and what it printed."""
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert child.stdin is not None and child.stdout is not None and child.stdout.readline() == "open\n"
    # From another process: SQLite's locks do not hold within one.
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    child.stdin.write("go\n")
    child.stdin.flush()
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    shown = child.stdout.readline()
    lock.execute("ROLLBACK")
    lock.close()
    _, complaint = child.communicate("on\n" if shown else None, timeout=30)
    return child.returncode, shown, complaint


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
