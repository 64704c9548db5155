"""The program finds what the library finds, though it shares nothing with it."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
import rolekeep
import verify
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

SECRET = "0123456789abcdef" * 2
PROGRAM = Path(__file__).with_name("verify.py")


@pytest.fixture(scope="module")
def log():
    """An exported log, and its head."""
    with rolekeep.open(audit_key=SECRET, roles={"editor": ["document:edit"]}) as um:
        users, ids = um.system.users, []
        for number in range(6):
            user = users.create(f"user{number}@example.org", full_name="Ada é \U0001f600", roles=["editor"])
            ids.append(user.id)
            users.suspend(user.id, reason='lost its "badge"\n')
        stranger = um.anonymous(ip="192.0.2.1", user_agent="App/1")
        with pytest.raises(rolekeep.errors.Unauthorized):
            stranger.sessions.login("user1@example.org", password="a wrong battery staple")
        users.erase(ids[2])
        while not um.system.audit.list(action="users.erased").total:
            time.sleep(0.01)
        lines = [entry.line for entry in um.system.audit.export_all(limit=7)]
        assert len(lines) == um.system.audit.list().total
        assert "user2@" not in "".join(lines)
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
    sealed, mac = head.rsplit(".", 1)
    assert "none of the keys" in faulty(lines, f"{sealed}.{mac[::-1]}")


def test_what_was_erased_is_said(log):
    lines, head = log
    entries = [json.loads(line) for line in lines]
    blank = [entry["seq"] for entry in entries if entry["payload"] is None]
    assert len(blank) == 3, "created, given a role, suspended"
    # What nobody said was erased is missed.
    at = next(at for at, entry in enumerate(entries) if entry["payload"] not in (None, "{}"))
    entries[at]["payload"] = entries[at]["salt"] = None
    changed = [*lines[:at], json.dumps(entries[at]), *lines[at + 1 :]]
    assert faulty(changed, head) == f"entry {at + 1} of chain 0 has lost its payload, and no entry says that it was erased"
    # So is what was, where the entry that said so is gone.
    said = next(at for at, entry in enumerate(entries) if entry["action"] == "audit.erased")
    assert faulty(lines[:said]).startswith(f"entry {blank[0]} of chain 0 has lost its payload")


def test_who_has_the_public_key_alone_verifies_by_a_signed_head(tmp_path):
    private = ed25519.Ed25519PrivateKey.generate()
    jwk = OKPAlgorithm.to_jwk(private, as_dict=True) | {"kid": "audit-1"}
    public = json.dumps({name: jwk[name] for name in ("kty", "crv", "x", "kid")})
    with rolekeep.open(audit_signing_key=json.dumps(jwk)) as um:
        ada, bea = (um.system.users.create(f"{name}@example.org") for name in ("ada", "bea"))
        um.system.users.erase(ada.id)
        while not um.system.audit.list(action="users.erased").total:
            time.sleep(0.01)
        signed = um.system.audit.head().signed
        um.system.users.ban(bea.id)
        lines = [entry.line for entry in um.system.audit.export_all()]
    count = len(lines) - 1
    assert verify.verify_signed(lines, public, signed) == count, "what came behind it is not counted"

    def fault(lines, key=public, head=signed):
        with pytest.raises(verify.Fault) as raised:
            verify.verify_signed(lines, key, head)
        return str(raised.value)

    entry = json.loads(lines[1])
    entry["actor"] = "nobody"
    assert fault([lines[0], json.dumps(entry), *lines[2:]]) == "entry 2 of chain 0 was altered"
    # Whoever writes another log can hash it, but not sign its end.
    entry["hash"] = verify.hash_of(entry)
    assert fault([lines[0], json.dumps(entry), *lines[2:]]) == "entry 3 of chain 0 does not follow the entry before it"
    assert fault(lines[: count - 1]) == f"chain 0 ends before entry {count}, which the head names"
    other = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key())
    assert "was not signed" in fault(lines, key=other)
    assert "is no head" in fault(lines, head=jwt.encode({"heads": []}, private, "EdDSA"))

    file, key = tmp_path / "log.jsonl", tmp_path / "audit.jwk"
    file.write_text("\n".join(lines))
    key.write_text(public)
    command = [sys.executable, PROGRAM, file, "--public-key", key, "--signed-head", signed]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, f"{count} entries are what was written\n"), run.stderr
    run = subprocess.run(command[:-2], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "go together" in run.stderr


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
