"""The package itself: nothing is missing in the faces, types hold, the wheel has what it must."""

import dataclasses
import inspect
import keyword
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import rolekeep
from rolekeep import _rolekeep, areas, records

PACKAGE = Path(__file__).parents[1]
CATALOGUE = _rolekeep.catalogue()


def missing(catalogue, blocking=areas.Areas, asynchronous=areas.AsyncAreas, of=records) -> list[str]:
    """What the list of operations has and the faces have not."""
    lacking = []
    inputs = {line.split()[1] for line in catalogue if line.startswith("parameter")}
    for line in catalogue:
        kind, name, *rest = line.split(" ", 2)
        if kind in ("operation", "parameter"):
            area, _, method = name.partition(".")
            method += "_" if keyword.iskeyword(method) else ""
            for face in (blocking, asynchronous):
                found = getattr(area_class(face, area), method, None)
                if found is None or inspect.iscoroutinefunction(found) != (face is asynchronous):
                    lacking.append(line)
                elif rest and not {rest[0], rest[0] + "_"} & inspect.signature(found).parameters.keys():
                    lacking.append(line)
        elif kind == "word" and rest[0] not in [word.value for word in getattr(of, name, ())]:
            lacking.append(line)
        elif kind == "field" and name == "Config":
            for function in (rolekeep.open, rolekeep.open_async):
                if rest[0] not in inspect.signature(function).parameters:
                    lacking.append(line)
        elif kind == "field" and (record := getattr(of, name, None)):
            if not {rest[0], rest[0] + "_"} & {field.name for field in dataclasses.fields(record)}:
                lacking.append(line)
    answered = {name for name, value in vars(of).items() if dataclasses.is_dataclass(value)}
    assert inputs and answered
    return lacking


def area_class(face, area: str):
    made = getattr(face, area, None)
    return type(made.fget(None)) if isinstance(made, property) else None


def test_nothing_is_missing():
    assert len(CATALOGUE) > 300
    assert missing(CATALOGUE) == []
    table = (PACKAGE.parent / "docs/operations.md").read_text()
    for line in CATALOGUE:
        if line.startswith("operation "):
            assert f"| `{line.split()[1]}` |" in table


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.delattr(areas.Users, "ban")
    monkeypatch.delattr(areas.AsyncDrones, "assign")
    monkeypatch.setattr(areas.Regions, "create", lambda self, code: None)
    words = [word.value for word in records.Code if word.value != "CONFLICT"]
    monkeypatch.setattr(records, "Code", records.Word("Code", {word: word for word in words}))
    monkeypatch.setattr(records, "Problem", dataclasses.make_dataclass("Problem", ["line", "column", "message"]))
    lacking = missing(CATALOGUE)
    assert {
        "operation users.ban", "operation drones.assign", "parameter regions.create name", "word Code CONFLICT",
        "field Problem help",
    } <= set(lacking)


def test_every_record_is_exported():
    of_catalogue = {line.split()[1] for line in CATALOGUE if line.startswith(("field", "word"))}
    inputs = {name for name in of_catalogue if not hasattr(records, name)}
    assert "CreateUser" in inputs and "User" not in inputs
    assert set(records.__all__) - {"Page", "Word"} == of_catalogue - inputs
    assert all(hasattr(rolekeep, name) for name in rolekeep.__all__)
    # The one record that is written by hand in the generator.
    with rolekeep.open(hashing_memory_kib=7168, hashing_iterations=5) as um:
        assert set(__import__("json").loads(um.system.call("users.list"))) == {
            field.name for field in dataclasses.fields(records.Page)
        }


PROGRAM = '''\
from datetime import date
from uuid import UUID
import rolekeep

with rolekeep.open(sqlite="app.db", roles={"editor": ["document:edit"]}) as um:
    ada = um.system.users.create("ada@example.org", birth_date=date(1999, 12, 31))
    ids: list[UUID] = [user.id for user in um.system.users.list(status=rolekeep.UserStatus.ACTIVE).items]
    name: str | None = um.system.users.update(ada.id, full_name=None).user.full_name
    allowed: bool = um.acting_as(ada.id).can("document:edit", {"type": "document"})
    print(um.login("ada@example.org", "…").done().expires_at.isoformat(), ids, name, allowed)
'''


def mypy(tmp_path, program: str) -> str:
    (tmp_path / "program.py").write_text(program)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(PACKAGE.parent / "target/mypy"), "program.py"],
        cwd=tmp_path, capture_output=True, text=True,
    )
    return checked.stdout


def test_types_hold(tmp_path):
    assert mypy(tmp_path, PROGRAM).startswith("Success"), mypy(tmp_path, PROGRAM)


@pytest.mark.parametrize("right, wrong", [
    ("birth_date=", "birthdate="), ("full_name=None", "full_name=7"), (".expires_at", ".expires"),
    ("UserStatus.ACTIVE", "UserStatus.ACTIV"), ("sqlite=", "sqllite="), ("date(1999, 12, 31)", "'1999-12-31'"),
])
def test_a_slip_is_found(tmp_path, right, wrong):
    assert right in PROGRAM
    found = mypy(tmp_path, PROGRAM.replace(right, wrong))
    assert "error:" in found and "Found 1 error" in found, found


@pytest.mark.filterwarnings("ignore")
def test_wheel(request):
    wheels = list((PACKAGE.parent / "target/wheels").glob("rolekeep-*.whl"))
    if not wheels:
        pytest.skip("build one first: scripts/areas/python")
    names = sorted(name for name in zipfile.ZipFile(max(wheels, key=lambda path: path.stat().st_mtime)).namelist())
    version = _rolekeep.__version__
    shown = [name.replace(f"rolekeep-{version}", "rolekeep-VERSION") for name in names]
    assert shown == (Path(__file__).parent / "wheel.txt").read_text().splitlines()
