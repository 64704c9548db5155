"""Importing users from what Python reads: files, iterators and streams, for blocking code and for asyncio."""

import asyncio
import inspect
import io
import json
import runpy
from pathlib import Path

import pytest
import rolekeep
from conftest import CHEAP
from rolekeep import Import, ImportFormat, ImportLevel, ImportStatus, NotFound, ValidationError
from rolekeep.areas.blocking.imports import Imports

REPOSITORY = Path(__file__).parents[2]
TABLE = b"foreign_id,email,full_name\n1,ada@example.org,Ada Lovelace\n2,bob@example.org,\n"


class Stop(Exception):
    pass


def lines(count):
    return [json.dumps({"foreign_id": str(at), "email": f"user{at}@example.org"}).encode() + b"\n" for at in range(count)]


def stops(heard):
    """Breaks off after the first piece."""

    def progress(done):
        heard.append(done)
        raise Stop

    return progress


def test_the_program_of_the_guide(monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    runpy.run_path("bindings-python/examples/import_users.py")
    assert capsys.readouterr().out == "3 records read\nfinished 2 1\n3 VALIDATION_ERROR ['email']\n"


def test_from_a_file(um, tmp_path):
    path = tmp_path / "users.csv"
    path.write_bytes(TABLE)
    heard = []
    with path.open("rb") as file:
        done = rolekeep.import_users(um.system, file, "old-shop", ImportFormat.CSV, progress=heard.append)
    assert isinstance(done, Import) and done.status is ImportStatus.FINISHED and done.counts.created == 2
    assert [[item.number for item in each.items] for each in heard] == [[1, 2]]
    assert um.system.users.find(email="ada@example.org").full_name == "Ada Lovelace"


@pytest.mark.parametrize("data", [TABLE, bytearray(TABLE), [TABLE[:5], b"", memoryview(TABLE)[5:]], iter([TABLE]), io.BytesIO(TABLE)], ids=str)
def test_from_bytes(um, data):
    assert rolekeep.import_users(um.system, data, "old", ImportFormat.CSV).counts.created == 2


def test_an_empty_source(um):
    assert rolekeep.import_users(um.system, b"", "old", ImportFormat.JSON_LINES).status is ImportStatus.FINISHED


@pytest.mark.parametrize("data", ["users.csv", io.StringIO("email\n"), io.StringIO(""), [1, 2]], ids=["path", "text", "no text", "numbers"])
def test_what_gives_no_bytes(um, data):
    with pytest.raises(TypeError, match="not bytes"):
        rolekeep.import_users(um.system, data, "old", ImportFormat.CSV)
    with pytest.raises(TypeError, match="not bytes"):
        asyncio.run(rolekeep.import_users_async(um.aio.system, data, "old", ImportFormat.CSV))


def test_a_progress_that_raises_breaks_the_import_off(um):
    source, heard = lines(1200), []
    with pytest.raises(Stop):
        rolekeep.import_users(um.system, source, "old", ImportFormat.JSON_LINES, progress=stops(heard))
    assert len(heard) == 1 and um.system.users.list().total == heard[0].import_.counts.created == 500
    begun = heard[0].import_.id
    assert um.system.imports.get(begun).status is ImportStatus.OPEN
    again = []
    done = rolekeep.import_users(um.system, source, "old", ImportFormat.JSON_LINES, resume=begun, progress=again.append)
    assert (done.id, done.status, done.counts.created, done.counts.skipped) == (begun, ImportStatus.FINISHED, 1200, 0)
    assert [item.number for each in again for item in each.items] == list(range(501, 1201))


def test_a_record_that_is_longer_than_a_piece(um):
    users = [{"email": f"user{at}@example.org", "attributes": {"note": "x" * 1000}} for at in range(3)]
    users[1]["ignored"] = "y" * 200_000
    data = json.dumps({"users": users}).encode()
    done = rolekeep.import_users(um.system, io.BytesIO(data), "old", ImportFormat.JSON, level=ImportLevel.CHECK)
    assert done.status is ImportStatus.FINISHED and done.counts.read == 3


def test_an_import_that_has_stopped_is_given_back_and_nothing_more_is_read(um):
    read = []

    def endless():
        while True:
            assert len(read) < 100
            read.append(b"x\n" * 10_000)
            yield read[-1]

    done = rolekeep.import_users(um.system, endless(), "old", ImportFormat.JSON_LINES)
    assert done.status is ImportStatus.STOPPED and done.counts.failed == 10_000


def test_errors_of_the_import_are_raised(um):
    with pytest.raises(ValidationError) as caught:
        rolekeep.import_users(um.system, TABLE, "no name", ImportFormat.CSV)
    assert caught.value.fields[0].field == "source"
    with pytest.raises(ValidationError):
        rolekeep.import_users(um.system, b"nobody\n1\n", "old", ImportFormat.CSV)
    with pytest.raises(NotFound):
        rolekeep.import_users(um.system, TABLE, "old", ImportFormat.CSV, resume=um.system.users.create("ada@example.org").id)


def test_from_what_asyncio_reads():
    async def story():
        async with rolekeep.open_async(preset="standard", **CHEAP) as um:
            me, heard, source = um.system, [], lines(1200)

            async def chunks():
                for line in source:
                    await asyncio.sleep(0)
                    yield line

            async def progress(done):
                await asyncio.sleep(0)
                heard.append(done)
                if len(heard) == 1:
                    raise Stop

            with pytest.raises(Stop):
                await rolekeep.import_users_async(me, chunks(), "old", ImportFormat.JSON_LINES, progress=progress)
            assert (await me.users.list()).total == 500
            again = {"resume": heard[0].import_.id, "progress": progress}
            done = await rolekeep.import_users_async(me, chunks(), "old", ImportFormat.JSON_LINES, **again)
            assert done.status is ImportStatus.FINISHED and done.counts.created == 1200

            stream = asyncio.StreamReader()
            stream.feed_data(TABLE)
            stream.feed_eof()
            assert (await rolekeep.import_users_async(me, stream, "stream", ImportFormat.CSV)).counts.created == 2
            for data in (io.BytesIO(TABLE), TABLE, [TABLE], iter([TABLE])):
                assert (await rolekeep.import_users_async(me, data, "stream", ImportFormat.CSV)).counts.skipped == 2

    asyncio.run(story())


def test_the_options_are_those_of_begin():
    """And the two faces are one."""
    begin = inspect.signature(Imports.begin).parameters
    for helper in (rolekeep.import_users, rolekeep.import_users_async):
        own = dict(inspect.signature(helper).parameters)
        for name in ("caller", "data", "resume", "progress"):
            del own[name]
        assert {name: (each.kind, each.default, each.annotation) for name, each in own.items()} == {
            name: (each.kind, each.default, each.annotation) for name, each in begin.items() if name != "self"
        }
