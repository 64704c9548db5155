"""Reads how many tests passed and failed from what a test tool printed."""

import re
from dataclasses import dataclass

# One pattern per tool; the named groups are added up. A line of a tool's summary only, never of a single test.
PATTERNS = [
    # cargo test
    r"^test result: \w+\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<skipped>\d+) ignored",
    # node --test, spec and TAP
    r"^(?:#|ℹ) pass (?P<passed>\d+)$",
    r"^(?:#|ℹ) (?:fail|cancelled) (?P<failed>\d+)$",
    r"^(?:#|ℹ) skipped (?P<skipped>\d+)$",
    # scripts/lib.sh
    r"^check (?P<one_passed>passed): ",
    r"^check (?P<one_failed>failed): ",
    r"^check (?P<one_skipped>skipped): ",
]
# Maven Surefire; the lines of single classes go on with the time.
SUREFIRE = r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)$"
# unittest: the total, then what of it went wrong.
UNITTEST = r"^Ran (\d+) tests? in [\d.]+s\n+(?:OK|FAILED)(?: \((.*)\))?$"
# pytest
PYTEST = r"^=*\s?((?:\d+ \w+(?:, )?)+) in [\d.]+s(?: \([\d:]+\))?\s?=*$"
COLOUR = r"\x1b\[[0-9;]*m"


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0


def count(output: str) -> Counts:
    """Adds up every summary in the output."""
    output = re.sub(COLOUR, "", output)
    counts = Counts()
    for pattern in PATTERNS:
        for found in re.finditer(pattern, output, re.MULTILINE):
            for name, text in found.groupdict().items():
                field = name.removeprefix("one_")
                setattr(counts, field, getattr(counts, field) + (1 if name != field else int(text)))
    for found in re.finditer(SUREFIRE, output, re.MULTILINE):
        run, failures, errors, skipped = map(int, found.groups())
        add(counts, run - failures - errors - skipped, failures + errors, skipped)
    for found in re.finditer(UNITTEST, output, re.MULTILINE):
        parts = {name: int(number) for name, number in re.findall(r"([a-z][a-z ]*)=(\d+)", found[2] or "")}
        bad = parts.get("failures", 0) + parts.get("errors", 0) + parts.get("unexpected successes", 0)
        skipped = parts.get("skipped", 0)
        add(counts, int(found[1]) - bad - skipped, bad, skipped)
    for found in re.finditer(PYTEST, output, re.MULTILINE):
        parts = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", found[1])}
        bad = sum(parts.get(name, 0) for name in ("failed", "error", "errors"))
        add(counts, parts.get("passed", 0) + parts.get("xfailed", 0), bad, parts.get("skipped", 0))
    return counts


def add(counts: Counts, passed: int, failed: int, skipped: int) -> None:
    counts.passed += passed
    counts.failed += failed
    counts.skipped += skipped
