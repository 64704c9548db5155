"""OPS-2: the schema of a database, forward and back, from Python."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rolekeep
from rolekeep.migrations import AsyncMigrations, Checksum, Migrations


def test_forward_back_and_history(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    migrations = Migrations(sqlite=path)
    before = migrations.status()
    assert (before.version, before.history, len(before.pending)) == (0, [], before.newest)
    assert not path.exists()
    assert "CREATE TABLE" in migrations.plan()
    with pytest.raises(rolekeep.Unavailable) as refused:
        rolekeep.open(sqlite=path, preset="standard", migrates=False)
    assert refused.value.reason == "schema_foreign"

    assert migrations.apply() == before.pending
    status = migrations.status()
    assert (status.version, status.pending, migrations.plan(), migrations.apply()) == (before.newest, [], "", [])
    assert all(step.checksum is Checksum.FITS and step.name and step.applied_at for step in status.history)
    taken = migrations.down()
    assert taken is not None and taken.version == before.newest and migrations.status().pending == [taken]
    migrations.apply()
    with rolekeep.open(sqlite=path, preset="standard", migrates=False) as um:
        um.system.users.create("ada@example.org")
    with pytest.raises(rolekeep.Conflict) as lost:
        for _ in range(before.newest):
            migrations.down()
    assert lost.value.reason == "data_would_be_lost" and "would be lost" in str(lost.value)


def test_asyncio_and_settings(tmp_path: Path) -> None:
    async def run() -> None:
        file = tmp_path / "app.toml"
        file.write_text(f'sqlite = "{tmp_path / "x.db"}"\n')
        migrations = AsyncMigrations(config_file=file)
        assert len(await migrations.apply()) == (await migrations.status()).newest
        assert await migrations.plan() == "" and (await migrations.down()) is not None
        with pytest.raises(rolekeep.RolekeepError) as refused:
            await migrations.grants()
        assert refused.value.reason == "not_offered"

    asyncio.run(run())
    with pytest.raises(rolekeep.ValidationError) as refused:
        Migrations().status()
    assert refused.value.reason == "config_invalid"


def test_ten_processes_at_once(tmp_path: Path) -> None:
    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        whole = [sys.executable, "-m", "rolekeep", "migrate", *arguments, "--sqlite", str(tmp_path / "x.db")]
        # The command reads its settings from the environment, which also holds variables of the test scripts.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROLEKEEP_")}
        return subprocess.run(whole, capture_output=True, text=True, timeout=120, env=environment)

    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda _: command("apply"), range(10)))
    assert [one.returncode for one in done] == [0] * 10, done
    newest = Migrations(sqlite=tmp_path / "x.db").status().newest
    # One of them applied all.
    assert sorted(one.stdout.count("applied") for one in done) == [0] * 9 + [newest]
    assert f"schema {newest}, newest known {newest}" in command("status").stdout
    assert "taken back" in command("down").stdout
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.executescript(command("plan").stdout)
    assert command("plan").stdout == ""
    wrong = command("sideways")
    assert wrong.returncode == 2 and "migrate status" in wrong.stderr
    # A password is no argument.
    url = command("status", "--postgres", "postgres://ada:hunter2@localhost/x")
    assert url.returncode == 2 and "ROLEKEEP_POSTGRES" in url.stderr and "hunter2" not in url.stderr + url.stdout
