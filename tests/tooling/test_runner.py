"""The test runner counts what the tools say, and cannot be green by accident."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
sys.dont_write_bytecode = True

from counts import Counts, count  # noqa: E402

CARGO = """
running 3 tests
test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s

   Doc-tests rolekeep
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
"""
SUREFIRE = """
[INFO] Tests run: 6, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 9.007 s -- in ProofTest
[ERROR] Tests run: 3, Failures: 1, Errors: 1, Skipped: 1, Time elapsed: 0.007 s <<< FAILURE! -- in OtherTest
[INFO] Results:
[ERROR] Tests run: 9, Failures: 1, Errors: 1, Skipped: 1
"""


class Counting(unittest.TestCase):
    def test_cargo(self) -> None:
        self.assertEqual(count(CARGO), Counts(17, 2, 1))

    def test_pytest(self) -> None:
        self.assertEqual(count("......\n8 passed in 0.89s\n"), Counts(8, 0, 0))
        self.assertEqual(count("==== 1 failed, 7 passed, 2 skipped, 1 error in 62.10s (0:01:02) ===="), Counts(7, 2, 2))

    def test_node(self) -> None:
        self.assertEqual(count("ℹ tests 5\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 0\n"), Counts(3, 2, 0))
        self.assertEqual(count("# pass 4\n# fail 0\n# skipped 1\n"), Counts(4, 0, 1))

    def test_surefire_counts_the_total_once(self) -> None:
        self.assertEqual(count(SUREFIRE), Counts(6, 2, 1))

    def test_unittest(self) -> None:
        self.assertEqual(count("Ran 5 tests in 0.001s\n\nOK\n"), Counts(5, 0, 0))
        self.assertEqual(count("Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n"), Counts(1, 3, 1))

    def test_checks_and_colour(self) -> None:
        self.assertEqual(count("\x1b[32mcheck passed: a\x1b[0m\ncheck failed: b\ncheck skipped: c"), Counts(1, 1, 1))

    def test_talk_about_tests_is_no_count(self) -> None:
        self.assertEqual(count("the user said: 3 passed in 2s, then\n  test result: ok. 3 passed;\n"), Counts())


class Running(unittest.TestCase):
    def run_areas(self, seconds: int = 60, **areas: str) -> tuple[int, list[str]]:
        """Runs the real runner over these areas, each for so long; the answer is its exit code and its lines."""
        with tempfile.TemporaryDirectory() as folder:
            scripts = Path(folder) / "scripts"
            (scripts / "areas").mkdir(parents=True)
            for name in ("test", "counts.py"):
                shutil.copy(SCRIPTS / name, scripts)
            for name, body in areas.items():
                area = scripts / "areas" / name
                area.write_text(f"#!/bin/sh\n{body}\n")
                area.chmod(0o755)
            environment = {"PATH": "/usr/bin:/bin", "ROLEKEEP_AREA_SECONDS": str(seconds)}
            done = subprocess.run(
                [sys.executable, scripts / "test"], capture_output=True, text=True, timeout=180, env=environment
            )
            self.assertEqual(done.stderr, "")
            return done.returncode, done.stdout.splitlines()

    def test_green(self) -> None:
        code, lines = self.run_areas(a="echo check passed: x", b="echo 8 passed in 0.89s")
        self.assertEqual((code, lines[-1]), (0, "9 passed, 0 failed"))
        self.assertEqual(len(lines), 3)

    def test_a_failure_is_shown_whole(self) -> None:
        code, lines = self.run_areas(a="echo why; echo check failed: x; exit 1", b="echo check passed: y")
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))
        self.assertIn("why", lines)

    def test_a_crash_after_good_tests_is_a_failure(self) -> None:
        code, lines = self.run_areas(a="echo check passed: x; kill -SEGV $$")
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_an_area_without_tests_is_a_failure(self) -> None:
        self.assertEqual(self.run_areas(a="true")[1][-1], "0 passed, 1 failed")

    def test_an_area_that_hangs_is_ended(self) -> None:
        code, lines = self.run_areas(seconds=3, a="echo check passed: x; sleep 60")
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_an_area_whose_needs_are_absent_is_not_listed(self) -> None:
        self.assertEqual(self.run_areas(a="# Needs: nowhere\nfalse", b="echo check passed: x")[1][-1], "1 passed, 0 failed")

    def test_areas_run_at_once_unless_they_use_the_same(self) -> None:
        # Each waits for the other to have begun, but not for ever: for so many tenths of a second.
        def meets(other: str, turns: int) -> str:
            return (
                f"touch began.${{0##*/}}; for i in $(seq {turns}); do "
                f"[ -e began.{other} ] && echo check passed: met && exit; sleep 0.1; done; echo check failed: alone"
            )

        apart = (f"# Uses: x\n{meets('b', 300)}", f"# Uses: y\n{meets('a', 300)}")
        shared = (f"# Uses: x\n{meets('b', 6)}", f"# Uses: x\n{meets('a', 6)}")
        met = self.run_areas(a=apart[0], b=apart[1])
        alone = self.run_areas(a=shared[0], b=shared[1])
        if (os.cpu_count() or 1) > 1:
            self.assertEqual(met[1][-1], "2 passed, 0 failed")
        # The second finds what the first has left.
        self.assertEqual(alone[1][-1], "1 passed, 1 failed")


if __name__ == "__main__":
    unittest.main()
