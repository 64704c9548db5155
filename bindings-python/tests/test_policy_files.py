"""Policy files: what is wrong with them, and their names as source text."""

import subprocess
import sys
from pathlib import Path

import pytest
import rolekeep
from rolekeep import Reason, ValidationError
from rolekeep.__main__ import main

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
    assert error.reason is Reason.POLICY_INVALID and error.timestamp is not None
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
    command = [sys.executable, "-m", "rolekeep", "permissions", str(NAMES / "policy.toml"), f"--{language}"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert run.stdout == (NAMES / file).read_text(encoding="utf-8")
    assert run.stderr == ""


def test_the_command_tells_what_is_wrong(tmp_path, capsys):
    def told(name, content, *arguments):
        (tmp_path / name).write_bytes(content)
        code = main([*arguments, str(tmp_path / name)] if "check" in arguments else ["permissions", str(tmp_path / name), *arguments])
        out, err = capsys.readouterr()
        assert out == "" and "\x1b" not in err
        return code, err

    code, err = told("main.toml", FAULTY.encode(), "check")
    assert code == 1
    assert err.rstrip() == "the policy has errors\n\n" + REPORT.replace("policy:", f"{tmp_path}/main.toml:")
    assert told("good.json", b'{"roles": {"r": {"allow": ["drone:read"]}}}', "check") == (0, "")
    code, err = told("main.json", b'{"roles": {}, "roles": {}}', "--rust")
    assert code == 1 and "given twice" in err
    code, err = told("latin1.toml", "description = 'ä'".encode("latin-1"), "check")
    assert code == 1 and "line 1, column 16: byte 0xe4 begins no character of UTF-8" in err
    assert main(["check", str(tmp_path / "nothing.toml")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["check", "preset:flyos"]) == 0
    assert main(["check", "preset:flyoss"]) == 1
    for wrong in ([], ["permissions", "x.toml"], ["permissions", "x.toml", "--rust", "--swift"], ["frobnicate"]):
        with pytest.raises(SystemExit) as caught:
            main(wrong)
        assert caught.value.code == 2


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
