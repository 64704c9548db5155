"""Policy files: what is wrong with them, and their names as source text."""

import subprocess
import sys
from pathlib import Path

import pytest
import rolekeep
from rolekeep import Reason, ValidationError

from test_face import mypy

NAMES = Path(__file__).parents[2] / "core/tests/names"
FAULTY = """\
[roles.clerk]
inherits = ["gest"]
allow = ["drone:raed"]

[roles.guest]
"""
REPORT = """\
error: there is no role `gest`
 --> policy:2:13
  |
2 | inherits = ["gest"]
  |             ^^^^^^ not declared
  |
  = help: did you mean `guest`?

error: there is no permission `drone:raed`
 --> policy:3:10
  |
3 | allow = ["drone:raed"]
  |          ^^^^^^^^^^^^ not declared
  |
  = help: did you mean `drone:read`?"""


def test_an_error_shows_the_lines(open_store):
    with pytest.raises(ValidationError) as caught:
        open_store(policy_toml=FAULTY)
    error = caught.value
    assert error.report == REPORT
    assert str(error) == f"the policy has errors\n\n{REPORT}"
    assert error.reason is Reason.POLICY_INVALID
    assert [(each.line, each.column, each.help) for each in error.problems] == [
        (2, 13, "did you mean `guest`?"), (3, 10, "did you mean `drone:read`?"),
    ]
    with pytest.raises(ValidationError) as caught:
        open_store(password_min_length=3)
    assert caught.value.report is None


@pytest.mark.parametrize("policy", [b"[roles.r]", 7, ["a"]])
def test_what_is_no_text_is_no_policy(open_store, policy):
    with pytest.raises((ValidationError, TypeError)):
        open_store(policy_toml=policy)


@pytest.mark.parametrize("language, file", [
    ("typescript", "names.ts"), ("python", "names.py"), ("kotlin", "Names.kt"), ("swift", "Names.swift"), ("rust", "names.rs"),
])
def test_names_are_those_of_the_core(language, file):
    text = (NAMES / file).read_text(encoding="utf-8")
    assert run("permissions", NAMES / "policy.toml", f"--{language}") == (0, text, "")


def run(*arguments):
    command = [sys.executable, "-m", "rolekeep", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    return done.returncode, done.stdout, done.stderr


def test_the_command_tells_what_is_wrong(tmp_path):
    def file(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    main = file("main.toml", FAULTY.encode())
    expected = "the policy has errors\n\n" + REPORT.replace("policy:", f"{main}:") + "\n"
    assert run("check", main) == run("permissions", main, "--rust") == (1, "", expected)
    assert run("check", file("good.json", b'{"roles": {"r": {"allow": ["drone:read"]}}}')) == (0, "", "")
    code, _, err = run("check", file("latin1.toml", "description = 'ä'".encode("latin-1")))
    assert code == 1 and "line 1, column 16: byte 0xe4 is not valid UTF-8" in err
    code, _, err = run("check", tmp_path / "nothing.toml")
    assert code == 1 and "No such file" in err and "Traceback" not in err
    assert run("check", "preset:flyos") == (0, "", "")
    assert run()[0] == 2 and "usage:" in run()[2]


PROGRAM = """\
import rolekeep
from names import DronePermission, Permission, Role, permission

one: Permission = "user-group:set_status"
drone: DronePermission = "drone:read"
role: Role = "operatorOnCall"


def may(me: rolekeep.Caller) -> bool:
    return me.can(permission("drone:read")) and me.can(permission("user:update", "full_name"))
"""


def test_names_are_types(tmp_path):
    (tmp_path / "names.py").write_text((NAMES / "names.py").read_text(encoding="utf-8"), encoding="utf-8")
    assert mypy(tmp_path, PROGRAM).startswith("Success"), mypy(tmp_path, PROGRAM)
    for right, wrong in [
        ('"user-group:set_status"', '"user-group:set_statu"'), ('DronePermission = "drone:read"', 'DronePermission = "user:read"'),
        ("operatorOnCall", "operatorOnCal"), ('permission("drone:read")', 'permission("drone:raed")'),
    ]:
        found = mypy(tmp_path, PROGRAM.replace(right, wrong))
        assert "Found 1 error" in found, found
