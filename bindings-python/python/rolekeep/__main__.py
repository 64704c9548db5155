"""`python -m rolekeep`: what a policy file says wrong, and its names as source text."""

from __future__ import annotations

import argparse
import json
import os
import sys

from . import _rolekeep
from .errors import RolekeepError

LANGUAGES = ("typescript", "python", "kotlin", "swift", "rust")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rolekeep", description="Works with policy files.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="say what is wrong with a policy")
    permissions = commands.add_parser("permissions", help="write a policy's permissions and roles as source text")
    for command in (check, permissions):
        command.add_argument("policy", help="a file (.toml or .json), or preset:standard, preset:flyos")
    language = permissions.add_mutually_exclusive_group(required=True)
    for name in LANGUAGES:
        language.add_argument(f"--{name}", dest="language", action="store_const", const=name)
    given = parser.parse_args(arguments)
    try:
        settings = json.dumps(read(given.policy))
        is_colored = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        _rolekeep.check_policy(settings, given.policy, is_colored)
        if given.command == "permissions":
            sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
            sys.stdout.write(_rolekeep.names(settings, given.language))
    except OSError as problem:
        print(f"{given.policy}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except RolekeepError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def read(policy: str) -> dict[str, str]:
    """The settings that name this policy."""
    if policy.startswith("preset:"):
        return {"preset": policy.removeprefix("preset:")}
    with open(policy, "rb") as file:
        text = _rolekeep.policy_text(file.read())
    return {"policy_json" if policy.endswith(".json") else "policy_toml": text}


if __name__ == "__main__":
    sys.exit(main())
