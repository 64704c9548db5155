"""What is kept is encrypted where there is a key: in a file of SQLite its secrets, of a host's persister every row."""

import asyncio
import contextlib
import sqlite3

import pytest
import rolekeep
from conftest import CHEAP, PASSWORD
from persisters import LogPersister

KEY = "a key of the application's: 32 bytes and more"
OTHER = "another key of the application, as long as that"


def refused(**settings) -> str:
    with pytest.raises(rolekeep.RolekeepError) as caught:
        rolekeep.open(**CHEAP, **settings)
    return caught.value.reason


def secrets(path) -> list[str]:
    """What is in the columns that are secret, as the file has it. Of a store that is closed: two SQLites in one process break each other's locks."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        tables = {"credentials": "password_hash", "store_secrets": "secret"}
        return [value for table, column in tables.items() for (value,) in file.execute(f"SELECT {column} FROM {table}") if value]


def use(um) -> None:
    um.login("ada@example.org", PASSWORD).done()


def test_a_file_has_no_secret_in_plain_and_is_read_with_its_key_alone(tmp_path):
    path = tmp_path / "store.db"
    with rolekeep.open(sqlite=path, encryption_key=KEY, **CHEAP) as um:
        um.system.users.create("ada@example.org", password=PASSWORD)
        use(um)
    kept = secrets(path)
    assert len(kept) > 2 and all(value.startswith("e1.") for value in kept)
    assert b"$argon2" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert refused(sqlite=path) == refused(sqlite=path, encryption_key=OTHER) == "encryption_key_wrong"
    assert secrets(path) == kept
    with rolekeep.open(sqlite=path, encryption_key=KEY, **CHEAP) as um:
        use(um)


def test_a_key_is_given_later_and_changed(tmp_path):
    path = tmp_path / "store.db"
    with rolekeep.open(sqlite=path, **CHEAP) as um:
        um.system.users.create("ada@example.org", password=PASSWORD)
    # Plain at first.
    assert not any(value.startswith("e1.") for value in secrets(path))
    newest = set()
    for keys in ({"encryption_key": KEY}, {"encryption_key": OTHER, "retired_encryption_keys": [KEY]}):
        before = set(secrets(path))
        with rolekeep.open(sqlite=path, **keys, **CHEAP) as um:
            use(um)
            um.system.users.create(f"bob{len(newest)}@example.org", password=PASSWORD)
        made = {value.split(".")[1] for value in set(secrets(path)) - before}
        assert len(made) == 1
        newest |= made
    assert len(newest) == 2
    assert refused(sqlite=path) == refused(sqlite=path, encryption_key=KEY) == "encryption_key_wrong"


def rotating(path):
    return {"sqlite": path, "encryption_key": OTHER, "retired_encryption_keys": [KEY], **CHEAP}


def left_under_the_old_key(path) -> set[str]:
    """A store whose key is being changed, and what its secrets are under."""
    with rolekeep.open(sqlite=path, encryption_key=KEY, **CHEAP) as um:
        um.system.users.create("ada@example.org", password=PASSWORD)
    with rolekeep.open(**rotating(path)):
        pass
    # Too soon: there are values under the old key still.
    assert refused(sqlite=path, encryption_key=OTHER) == "encryption_key_wrong"
    under = {value.split(".")[1] for value in secrets(path)}
    assert len(under) == 2
    return under


def test_a_change_of_the_key_is_over_once_nothing_is_left_to_tidy(tmp_path):
    path = tmp_path / "store.db"
    before = left_under_the_old_key(path)
    with rolekeep.open(**rotating(path)) as um:
        while um.tidy().has_more:
            pass
    after = {value.split(".")[1] for value in secrets(path)}
    assert len(after) == 1 and after < before
    with rolekeep.open(sqlite=path, encryption_key=OTHER, **CHEAP) as um:
        use(um)
        assert um.tidy() == rolekeep.Tidied(lines=0, rows=0, users=0, has_more=False)
    with pytest.raises(rolekeep.Unavailable) as caught:
        um.tidy()
    assert caught.value.reason == "closed"


def test_a_change_of_the_key_is_over_for_asyncio(tmp_path):
    path = tmp_path / "store.db"
    left_under_the_old_key(path)

    async def tidy():
        async with rolekeep.open_async(**rotating(path)) as um:
            while (await um.tidy()).has_more:
                pass

    asyncio.run(tidy())
    with rolekeep.open(sqlite=path, encryption_key=OTHER, **CHEAP) as um:
        use(um)


def test_a_persister_sees_nothing_of_a_row(tmp_path):
    path = tmp_path / "log"
    with rolekeep.open(persister=LogPersister(path), encryption_key=KEY, **CHEAP) as um:
        um.system.users.create("ada@example.org", password=PASSWORD)
        use(um)
    for told in ("ada@example.org", "example", "users", "credentials", "$argon2", "commits"):
        assert told not in path.read_text()
    for keys in ({}, {"encryption_key": OTHER}):
        assert refused(persister=LogPersister(path), **keys) == "encryption_key_wrong"
    with rolekeep.open(persister=LogPersister(path), encryption_key=OTHER, retired_encryption_keys=[KEY], **CHEAP) as um:
        use(um)
    assert refused(persister=LogPersister(path), encryption_key=KEY) == "encryption_key_wrong"
    # All rows are encrypted anew when it is opened, under other ids.
    newest = LogPersister(path).load(0)["changes"]
    rows = {change["id"]: change["row"] for change in newest}
    assert len({row["encrypted"].split(".")[1] for row in rows.values() if row}) == 1


def test_what_is_no_key_is_refused():
    assert refused(encryption_key="short") == refused(retired_encryption_keys=[KEY]) == "config_invalid"
