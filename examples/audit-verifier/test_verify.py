"""The program finds what the library finds, though it shares nothing with it."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import rolekeep
import verify

SECRET = "0123456789abcdef" * 2
PROGRAM = Path(__file__).with_name("verify.py")


@pytest.fixture(scope="module")
def log():
    """An exported log, and its head."""
    with rolekeep.open(audit_key=SECRET, roles={"editor": ["document:edit"]}) as um:
        users = um.system.users
        for number in range(6):
            user = users.create(f"user{number}@example.org", full_name="Ada é \U0001f600", roles=["editor"])
            users.suspend(user.id, reason='lost its "badge"\n')
        stranger = um.anonymous(ip="192.0.2.1", user_agent="App/1")
        with pytest.raises(rolekeep.errors.Unauthorized):
            stranger.sessions.login("user1@example.org", password="a wrong battery staple")
        lines = [entry.line for entry in um.system.audit.export_all(limit=7)]
        assert len(lines) == um.system.audit.list().total
        return lines, um.system.audit.head().head


def faulty(lines, head=None, secret=SECRET):
    with pytest.raises(verify.Fault) as raised:
        verify.verify(lines, [verify.Key(secret.encode())], head)
    return str(raised.value)


def test_what_was_written_is_whole(log):
    lines, head = log
    key = verify.Key(SECRET.encode())
    assert verify.verify(lines, [verify.Key(b"another"), key], head) == len(lines)
    assert verify.verify(lines, [key]) == len(lines)


def test_each_change_is_found_where_it_is(log):
    lines, head = log
    choose = random.Random(42)
    for _ in range(500):
        at = choose.randrange(len(lines))
        entry = json.loads(lines[at])
        field = choose.choice(sorted(entry))
        before = entry[field]
        entry[field] = before + 1 if isinstance(before, int) else "0" if before is None else before[:-1] + "~"
        changed = [*lines[:at], json.dumps(entry), *lines[at + 1 :]]
        # An entry that says to be of another chain leaves its place empty.
        place = 1 if field == "lane" else at + 1
        assert faulty(changed, head).startswith(f"entry {place} of chain"), (field, at)


def test_entries_that_are_missing_or_moved_are_found(log):
    lines, head = log
    assert faulty(lines[:4] + lines[5:]) == "entry 5 of chain 0 is missing"
    assert faulty([lines[1], lines[0], *lines[2:]]) == "entry 1 of chain 0 is missing"
    # A log that ends early is whole by itself.
    assert verify.verify(lines[:-1], [verify.Key(SECRET.encode())]) == len(lines) - 1
    assert faulty(lines[:-1], head) == f"chain 0 ends before entry {len(lines)}, which the head names"
    assert "none of the keys" in faulty(lines, secret="x" * 32)
    assert "none of the keys" in faulty(lines, head[:-2] + "AA")


def test_it_is_a_program(log, tmp_path):
    lines, head = log
    file, key = tmp_path / "log.jsonl", tmp_path / "key"
    file.write_text("\n".join(lines) + "\n")
    key.write_text(SECRET + "\n")
    command = [sys.executable, PROGRAM, file, "--key-file", key, "--head", head]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, f"{len(lines)} entries are what was written\n"), run.stderr
    file.write_text("\n".join(lines[1:]))
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (1, "entry 1 of chain 0 is missing\n")
