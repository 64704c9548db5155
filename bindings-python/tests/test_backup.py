"""OPS-4: backups from Python, from one storage to another, and what is refused."""

import asyncio
import io
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import rolekeep
from conftest import CHEAP
from rolekeep.backup import BackupSummary, BackupTable, Restore, verify, verify_async

URL = os.environ.get("ROLEKEEP_POSTGRES", "")
KEY = "what seals backups, kept elsewhere"
LOG = ("audit_entries", "audit_heads")


def filled(path: Path) -> rolekeep.UserManagement:
    um = rolekeep.open(sqlite=path, preset="standard", **CHEAP)
    for number in range(20):
        um.system.users.create(f"u{number}@example.org")
    return um


def but_the_log(summary: BackupSummary) -> list[BackupTable]:
    return [table for table in summary.tables if table.name not in LOG]


def restores(um: rolekeep.UserManagement) -> int:
    assert um.system.audit.verify().fault is None
    return len(um.system.audit.list(action="store.restored").items)


def is_empty(path: Path) -> None:
    """A store that nothing was restored into takes a backup."""
    with rolekeep.open(sqlite=path, preset="standard", **CHEAP) as um:
        assert um.system.users.list().items == [] and restores(um) == 0
    path.unlink()


def test_there_and_back_by_paths_and_files(tmp_path: Path) -> None:
    file = tmp_path / "x.backup"
    with filled(tmp_path / "x.db") as um:
        written = um.backup(file, key=KEY)
        assert file.stat().st_size == written.bytes and written.is_sealed
        assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["x.backup"]
        if os.name == "posix":
            assert file.stat().st_mode & 0o777 == 0o600
        sink = io.BytesIO()
        assert um.backup(sink, key=KEY).tables == written.tables
    assert verify(file, key=KEY) == written and verify(io.BytesIO(sink.getvalue())).rows == written.rows
    with open(file, "rb") as source:
        restored = rolekeep.open(restore=Restore(source, key=KEY, keep_sessions=True), **CHEAP)
        assert not source.closed
    with restored:
        assert but_the_log(restored.backup(io.BytesIO())) == but_the_log(written)
        assert restores(restored) == 1
    assert KEY not in repr(Restore(file, key=KEY))


def test_asyncio(tmp_path: Path) -> None:
    async def run() -> None:
        filled(tmp_path / "x.db").close()
        async with rolekeep.open_async(sqlite=tmp_path / "x.db", **CHEAP) as um:
            written = await um.backup(tmp_path / "x.backup")
        assert await verify_async(tmp_path / "x.backup") == written
        async with rolekeep.open_async(restore=Restore(tmp_path / "x.backup"), **CHEAP) as um:
            assert (await um.system.audit.list(action="store.restored")).items[0].after["sha256"] == written.sha256

    asyncio.run(run())


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    with filled(tmp_path / "x.db") as um:
        um.backup(tmp_path / "x.backup", key=KEY)
        whole = (tmp_path / "x.backup").read_bytes()
        taken = tmp_path / "x.db"
        with pytest.raises(rolekeep.Conflict) as refused:
            rolekeep.open(sqlite=taken, restore=Restore(io.BytesIO(whole)), **CHEAP)
        assert refused.value.reason == "store_not_empty"
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    target = tmp_path / "y.db"
    for content, key, reason in [
        (damaged, KEY, "backup_invalid"),
        (whole[:middle], KEY, "backup_invalid"),
        (whole[: whole.rindex(b"\n", 0, -1) + 1], KEY, "backup_invalid"),
        (b"PK\x03\x04 something else\n", None, "backup_invalid"),
        (b"", None, "backup_invalid"),
        (whole, "another key", "backup_key_wrong"),
    ]:
        with pytest.raises(rolekeep.RolekeepError) as refused:
            verify(io.BytesIO(content), key=key)
        with pytest.raises(rolekeep.RolekeepError) as again:
            rolekeep.open(sqlite=target, restore=Restore(io.BytesIO(content), key=key), **CHEAP)
        assert refused.value.reason == again.value.reason == reason
        is_empty(target)


def test_several_to_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.backup"
    with filled(tmp_path / "x.db") as um, ThreadPoolExecutor(8) as pool:
        with pytest.raises(rolekeep.RolekeepError) as refused:
            um.backup(tmp_path / "x.db")
        assert refused.value.reason == "invalid_input"
        made = list(pool.map(lambda _: um.backup(path), range(32)))
    assert verify(path).sha256 in {one.sha256 for one in made}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_files_that_fail(tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        writes = 0

        def readable(self) -> bool:
            return True

        def readinto(self, _: object) -> int:
            raise OSError("the tape tore")

        def write(self, _: object) -> int:
            self.writes += 1
            raise OSError("the tape tore")

    with filled(tmp_path / "x.db") as um:
        broken = Broken()
        with pytest.raises(rolekeep.Unavailable, match="the tape tore"):
            um.backup(broken)
        assert broken.writes == 1
        with pytest.raises(rolekeep.Unavailable):
            um.backup(tmp_path / "nowhere" / "x.backup")
        # An earlier one stays as it was.
        (tmp_path / "x.backup").write_text("an earlier one")
        with pytest.raises(rolekeep.ValidationError):
            um.backup(tmp_path / "x.backup", key="")
        assert (tmp_path / "x.backup").read_text() == "an earlier one" and not list(tmp_path.glob("*.part"))
    with pytest.raises(rolekeep.Unavailable, match="the tape tore"):
        verify(Broken())
    with pytest.raises(rolekeep.Unavailable):
        verify(tmp_path / "nowhere")


def test_killed_while_it_restores(tmp_path: Path) -> None:
    with filled(tmp_path / "x.db") as um:
        written = um.backup(tmp_path / "x.backup")
    child = """
import io, os, sys, time
import rolekeep
from rolekeep.backup import Restore
class Slow(io.RawIOBase):
    def __init__(self, path): self.file = open(path, "rb")
    def readable(self): return True
    def readinto(self, into):
        time.sleep(0.01)
        print("read", flush=True)
        return self.file.readinto(memoryview(into)[:2000])
rolekeep.open(sqlite=sys.argv[2], restore=Restore(Slow(sys.argv[1])))
"""
    for number, reads in enumerate([1, 5, 10]):
        target = tmp_path / f"{number}.db"
        arguments = [sys.executable, "-c", child, str(tmp_path / "x.backup"), str(target)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(reads):
                assert process.stdout.readline() == "read\n"
            process.kill()
        with rolekeep.open(sqlite=target, restore=Restore(tmp_path / "x.backup", keep_sessions=True), **CHEAP) as um:
            assert but_the_log(um.backup(io.BytesIO())) == but_the_log(written)


def test_given_up_by_asyncio(tmp_path: Path) -> None:
    with filled(tmp_path / "x.db") as um:
        um.backup(tmp_path / "x.backup")

    class Slow(io.BytesIO):
        def read(self, _: int | None = None) -> bytes:
            time.sleep(0.02)
            return super().read(100)

    async def run() -> None:
        slow = Slow((tmp_path / "x.backup").read_bytes())
        opening = asyncio.ensure_future(_open(slow))
        # Some of it is read.
        while slow.tell() < 1_000:
            assert not opening.done()
            await asyncio.sleep(0.01)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        # The read that was under way ends.
        for _ in range(100):
            at = slow.tell()
            await asyncio.sleep(0.3)
            if at == slow.tell():
                break
        assert 0 < at == slow.tell() < len(slow.getvalue())

    async def _open(slow: io.BytesIO) -> None:
        await rolekeep.open_async(sqlite=tmp_path / "y.db", restore=Restore(slow), **CHEAP)

    asyncio.run(run())
    is_empty(tmp_path / "y.db")


def command(*arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`python -m rolekeep`, which reads settings from the environment: without the variables of the tests' own scripts."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ROLEKEEP_")}
    whole = [sys.executable, "-m", "rolekeep", *map(str, arguments)]
    return subprocess.run(whole, capture_output=True, text=True, timeout=120, env=others | variables)


def test_the_command_there_and_back(tmp_path: Path) -> None:
    secret = "a key of the application's: 32 bytes and more"
    with rolekeep.open(sqlite=tmp_path / "x.db", roles={"editor": ["document:edit"]}, encryption_key=secret, **CHEAP) as um:
        um.system.users.create("ada@example.org", roles=["editor"])
        um.system.roles.create("scribe")
        written = um.backup(io.BytesIO())
    (tmp_path / "key").write_text(KEY + "\n")
    file, target = tmp_path / "x.backup", tmp_path / "y.db"

    # Of what is encrypted no key is needed, and of the policy nothing changes.
    done = command("backup", file, "--key-file", tmp_path / "key", ROLEKEEP_SQLITE=str(tmp_path / "x.db"))
    assert (done.returncode, done.stderr) == (0, "") and f"{written.rows} rows" in done.stdout and "sealed" in done.stdout
    assert verify(file, key=KEY).tables == written.tables
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and not list(tmp_path.glob("*.part"))
    seen = command("verify", file, "--key-variable", "SEAL", SEAL=KEY)
    assert seen.returncode == 0 and seen.stdout == done.stdout

    options = ["--sqlite", target, "--key-file", tmp_path / "key", "--keep-sessions"]
    # The audit log tells of the restore, and its own secrets are encrypted.
    assert command("restore", file, *options).returncode == 1
    target.unlink(missing_ok=True)
    restored = command("restore", file, *options, ROLEKEEP_ENCRYPTION_KEY=secret)
    assert (restored.returncode, restored.stdout, restored.stderr) == (0, "restored\n", "")
    again = command("restore", file, *options, ROLEKEEP_ENCRYPTION_KEY=secret)
    assert again.returncode == 1 and "into an empty one" in again.stderr
    with rolekeep.open(sqlite=target, roles={"editor": ["document:edit"]}, encryption_key=secret, **CHEAP) as um:
        assert but_the_log(um.backup(io.BytesIO())) == but_the_log(written)
        assert restores(um) == 1


def test_what_the_command_refuses_leaves_nothing(tmp_path: Path) -> None:
    filled(tmp_path / "x.db").close()
    (tmp_path / "x.backup").write_text("an earlier one")
    sqlite = ["--sqlite", tmp_path / "x.db"]
    # A key is no argument.
    for wrong in (
        ["--key", KEY], ["--key-file"], ["--postgres", "postgres://ada:secret@localhost/x"], ["--end-api-keys"], ["more"],
        ["--key-file", "a", "--key-variable", "b"],
    ):
        refused = command("backup", tmp_path / "x.backup", *sqlite, *wrong)
        assert refused.returncode == 2 and "usage" in refused.stderr
    assert command("backup", *sqlite).returncode == 2
    assert command("verify", tmp_path / "x.backup", *sqlite).returncode == 2
    for arguments, told in [
        (["--sqlite", tmp_path / "slip.db"], "there is no file"),
        ([], "no database is given"),
        ([*sqlite, "--key-variable", "NOWHERE"], "the key cannot be read"),
        ([*sqlite, "--key-file", tmp_path / "nowhere"], "the key cannot be read"),
    ]:
        refused = command("backup", tmp_path / "y.backup", *arguments)
        assert refused.returncode == 1 and told in refused.stderr, refused
    # Nothing but a backup is replaced, the database least of all.
    database = (tmp_path / "x.db").read_bytes()
    for name in ("x.backup", "x.db"):
        refused = command("backup", tmp_path / name, *sqlite)
        assert refused.returncode == 1 and "is no backup" in refused.stderr, refused
    assert (tmp_path / "x.backup").read_text() == "an earlier one" and (tmp_path / "x.db").read_bytes() == database
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.backup", "x.db"]
    (tmp_path / "x.backup").unlink()
    if os.name == "posix":
        unread = command("backup", tmp_path / "x.backup", *sqlite, "--key-variable", "SEAL", SEAL="\udcff" + KEY)
        assert unread.returncode == 1 and "SEAL is not UTF-8" in unread.stderr and KEY not in unread.stderr

    assert command("backup", tmp_path / "x.backup", *sqlite, "--key-variable", "SEAL", SEAL=KEY).returncode == 0
    wrong_key = command("restore", tmp_path / "x.backup", "--sqlite", tmp_path / "y.db", "--key-variable", "SEAL", SEAL="another key")
    assert wrong_key.returncode == 1 and "key" in wrong_key.stderr and KEY not in wrong_key.stderr
    whole = command("restore", tmp_path / "x.backup", "--sqlite", tmp_path / "y.db")
    assert whole.returncode == 0


@pytest.mark.skipif(not URL, reason="needs a server, by ROLEKEEP_POSTGRES")
def test_sqlite_to_postgres_and_back(tmp_path: Path) -> None:
    with filled(tmp_path / "x.db") as um:
        written = um.backup(tmp_path / "1.backup", key=KEY)
        head = um.system.audit.head().head
    place = {"postgres": URL, "postgres_schema": f"s{uuid4().hex}"}
    damaged = (tmp_path / "1.backup").read_bytes()[:-10]
    with pytest.raises(rolekeep.RolekeepError):
        rolekeep.open(restore=Restore(io.BytesIO(damaged), key=KEY), **place, **CHEAP)
    with rolekeep.open(restore=Restore(tmp_path / "1.backup", key=KEY, keep_sessions=True), **place, **CHEAP) as um:
        second = um.backup(tmp_path / "2.backup", key=KEY)
        assert restores(um) == 1
    with rolekeep.open(
        sqlite=tmp_path / "y.db", restore=Restore(tmp_path / "2.backup", key=KEY, keep_sessions=True), **CHEAP
    ) as um:
        third = um.backup(tmp_path / "3.backup", key=KEY)
        assert restores(um) == 2
        assert um.system.audit.verify(expected=head).fault is None
    assert but_the_log(written) == but_the_log(second) == but_the_log(third)
