"""The status page says what is played, the results that it passed, and no column is green by accident."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "status"
loader = importlib.machinery.SourceFileLoader("status", str(SCRIPT))
status = importlib.util.module_from_spec(importlib.util.spec_from_loader("status", loader))
sys.modules["status"] = status
loader.exec_module(status)

ROWS = [
    {"id": "USR-1", "title": "Create", "in": "RPWM", "state": "whole"},
    {"id": "USR-4", "title": "List", "in": "RPWM", "state": "part", "missing": "An index."},
    {"id": "STO-1", "title": "Store", "in": "R", "state": "whole"},
    {"id": "USR-8", "title": "Import", "in": "RPWM", "state": "none"},
]
SCENARIOS = [
    {"name": "one", "covers": ["USR-1", "STO-1"], "steps": [{"call": "users.create"}]},
    {"name": "two", "covers": ["USR-1", "USR-4"], "steps": [{"call": "users.list"}]},
    {"name": "three", "covers": ["USR-1"], "steps": [{"reopen": True}]},
]


class Status(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for part in ("docs", "tests/conformance/scenarios", "target/conformance"):
            (self.root / part).mkdir(parents=True)
        self.requirements(ROWS)
        self.scenarios(SCENARIOS)

    def requirements(self, rows: list[dict]) -> None:
        (self.root / "docs/requirements.json").write_text(json.dumps(rows))

    def scenarios(self, scenarios: list[dict]) -> None:
        (self.root / "tests/conformance/scenarios/users.json").write_text(json.dumps({"scenarios": scenarios}))

    def result(self, column: str, passed: list[str], failed: list[str] | None = None) -> None:
        result = {
            "column": column,
            "passed": [f"users: {name}" for name in passed],
            "failed": [f"users: {name}" for name in failed or []],
        }
        (self.root / f"target/conformance/{column}.json").write_text(json.dumps(result))

    def run_status(self, *arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = status.main(list(arguments), self.root)
        return code, out.getvalue()

    def cells(self, row: str) -> list[str]:
        page = (self.root / "docs/status.md").read_text()
        line = next(line for line in page.splitlines() if line.startswith(f"| {row} |"))
        return [text.strip() for text in line.strip("|").split("|")][3:]

    def test_counts_what_is_played(self) -> None:
        self.result("rust-sqlite", ["one", "two", "three"])
        self.assertEqual(self.run_status(), (0, ""))
        # Memory is gone when its store is closed.
        self.assertEqual(self.cells("USR-1"), ["2", *["3"] * 8])
        self.assertEqual(self.cells("USR-4"), ["part 1"] * 9)
        # Meant for Rust alone.
        self.assertEqual(self.cells("STO-1"), [*["1"] * 4, *["-"] * 5])
        self.assertEqual(self.cells("USR-8"), ["-"] * 9)
        self.assertEqual(self.run_status("--check"), (0, ""))

    def test_a_page_that_is_not_fresh_fails(self) -> None:
        self.assertEqual(self.run_status("--check")[0], 1)
        self.run_status()
        self.scenarios(SCENARIOS[:2])
        self.assertEqual(self.run_status("--check"), (1, "docs/status.md is not fresh; run scripts/status\n"))
        self.run_status()
        self.assertEqual(self.run_status("--check"), (0, ""))

    def test_what_a_column_cannot_play_is_not_missed_there(self) -> None:
        mails = {"name": "four", "covers": ["USR-1"], "store": {"notifier": True}, "steps": [{"mail": "password_reset"}]}
        self.scenarios([*SCENARIOS, mails])
        self.run_status()
        self.assertEqual(self.cells("USR-1"), ["3", "4", "4", "4", "4", "4", "4", "3", "4"])
        self.result("chromium", ["one", "two", "three"])
        self.result("rust-memory", ["one", "two", "four"])
        self.assertEqual(self.run_status("--check"), (0, ""))
        self.result("node", ["one", "two"])
        self.assertEqual(self.run_status("--check"), (1, "node: not played: users: four\nnode: not played: users: three\n"))

    def test_what_failed_was_not_played_or_is_gone_is_told(self) -> None:
        self.result("python", ["one", "gone"], ["three"])
        self.run_status()
        code, told = self.run_status("--check")
        self.assertEqual(code, 1)
        self.assertEqual(
            told.splitlines(),
            ["python: failed: users: three", "python: there is no such scenario: users: gone", "python: not played: users: two"],
        )

    def test_contradictions_are_told(self) -> None:
        rows = [{**row} for row in ROWS]
        rows[1] = {**rows[1], "state": "whole"}
        rows[2] = {**rows[2], "state": "part"}
        self.requirements(rows)
        self.scenarios([{"name": "one", "covers": ["USR-1", "USR-8", "XYZ-1"], "steps": []}])
        code, told = self.run_status()
        self.assertEqual(code, 1)
        self.assertEqual(
            told.splitlines(),
            [
                "USR-4: say what is missing",
                "STO-1: say what is missing",
                "USR-4 is whole, but nothing shows it",
                "USR-8 is not built, but scenarios cover it",
                "users: one: covers XYZ-1, which is no requirement",
            ],
        )

    def test_a_whole_row_is_shown_in_each_of_its_languages(self) -> None:
        row = {"id": "USR-1", "title": "Accounts", "in": "RPM", "state": "whole", "tests": "core/tests/a.rs, bindings-python/tests/b.py"}
        self.requirements([row])
        self.scenarios([])
        self.assertEqual(self.run_status(), (1, "USR-1 is whole, but nothing shows it in M\n"))
        self.requirements([{**row, "tests": row["tests"] + ", bindings-mobile/kotlin/c.kt"}])
        self.assertEqual(self.run_status()[0], 0)


if __name__ == "__main__":
    unittest.main()
