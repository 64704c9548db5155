"""The security page claims no test that is not there, and forgets no row."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "security-status"
loader = importlib.machinery.SourceFileLoader("security_status", str(SCRIPT))
security = importlib.util.module_from_spec(importlib.util.spec_from_loader("security_status", loader))
loader.exec_module(security)

PARTS = {"V": (2, "ASVS", "Of the web."), "N": (1, "NIST", "By section."), "SEC": (1, "Attacks", "Our own.")}
FILES = {
    "a.rs": "#[test]\nfn plain() {}\n\n/// Helps.\nfn helper() {}\n\n#[tokio::test(flavor = \"multi_thread\")]\n"
    "#[allow(unused, reason = \"x\")]\nasync fn later() {}\n\n// #[test]\n// fn gone() {}\n",
    "b.py": "async def test_b(um):\n    pass\n",
    "c.mjs": 'test("c holds", async () => {});\n  test(`c of ${kind}`, () => {});\n// test("c is gone");\n',
    "D.kt": "    @Test\n    fun `d holds`() = runBlocking<Unit> {\n    private fun `helps`() {}\n",
    "e.json": '{"scenarios": [{"name": "e: holds"}]}',
}
TESTS = ["a.rs::plain", "a.rs::later", "b.py::test_b", "c.mjs::c holds", "c.mjs::c of ${kind}", "D.kt::d holds", "e.json: e: holds"]
ROWS = [
    {"id": "V1.2.3", "title": "All", "state": "shown", "tests": TESTS},
    {"id": "V2.1.1", "title": "Some", "state": "part", "why": "Half of it.", "tests": TESTS[:1]},
    {"id": "N 3.1/3.2", "title": "Others", "state": "host", "why": "It alone knows."},
    {"id": "SEC-1", "title": "Guesses", "state": "none", "why": "Not yet."},
]


@mock.patch.object(security, "PARTS", PARTS)
class SecurityStatus(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "docs").mkdir()
        for name, text in FILES.items():
            (self.root / name).write_text(text)
        self.rows(ROWS)

    def rows(self, rows: list[dict]) -> None:
        (self.root / "docs/security.json").write_text(json.dumps(rows))

    def run_script(self, *arguments: str) -> tuple[int, list[str]]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = security.main(list(arguments), self.root)
        return code, out.getvalue().splitlines()

    def told(self, **changes: object) -> list[str]:
        """What is wrong where the first row is so."""
        self.rows([{**ROWS[0], **changes}, *ROWS[1:]])
        code, told = self.run_script("--check")
        self.assertEqual(code, 1)
        return told

    def test_every_row_is_on_the_page(self) -> None:
        self.assertEqual(self.run_script(), (0, []))
        self.assertEqual(self.run_script("--check"), (0, []))
        page = (self.root / "docs/security-status.md").read_text()
        self.assertIn("| V2.1.1 | Some | part | Half of it. Shown: [plain](../a.rs) |", page)
        self.assertIn("| N 3.1/3.2 | Others | host | It alone knows. |", page)
        self.assertIn("[e: holds](../e.json)", page)

    def test_a_page_that_is_not_fresh_fails(self) -> None:
        self.assertEqual(self.run_script("--check")[0], 1)
        self.run_script()
        stale = ["docs/security-status.md is not what docs/security.json says; run scripts/security-status"]
        self.assertEqual(self.told(title="Everything"), stale)

    def test_a_test_that_is_not_there_fails(self) -> None:
        self.run_script()
        unknown = ["a.rs::helper", "a.rs::gone", "a.rs::plai", "a.rs", "f.rs::plain", "b.py::test_", "e.json: e"]
        unknown += ["c.mjs::c is gone", "c.mjs::c", "D.kt::helps"]
        self.assertEqual(self.told(tests=unknown), [f"V1.2.3: there is no test {test}" for test in unknown])
        # Nor is a page written of it.
        self.assertEqual(self.run_script()[0], 1)

    def test_a_row_that_is_missing_or_doubled_fails(self) -> None:
        self.run_script()
        self.rows(ROWS[1:])
        self.assertEqual(self.run_script("--check"), (1, ["ASVS has 1 rows, not 2"]))
        self.rows([*ROWS, ROWS[3]])
        self.assertEqual(self.run_script("--check"), (1, ["SEC-1 is there twice", "Attacks has 2 rows, not 1"]))
        self.rows([*ROWS, {**ROWS[3], "id": "X-1"}])
        self.assertEqual(self.run_script("--check"), (1, ["X-1 is of no list"]))

    def test_contradictions_fail(self) -> None:
        self.run_script()
        self.assertEqual(self.told(tests=[]), ["V1.2.3 is shown, but names no test"])
        self.assertEqual(self.told(state="part"), ["V1.2.3: say why it is not shown, and only then"])
        self.assertEqual(self.told(why="Because."), ["V1.2.3: say why it is not shown, and only then"])
        self.assertEqual(self.told(state="done", why="x"), ["V1.2.3: no state 'done'"])


if __name__ == "__main__":
    unittest.main()
