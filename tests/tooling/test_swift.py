"""The Swift cannot be compiled here; whatever its README and example name is at least declared in the package."""

import re
import unittest
from pathlib import Path

SWIFT = Path(__file__).resolve().parents[2] / "bindings-mobile/swift"
DECLARED = "\n".join(path.read_text() for path in (SWIFT / "Sources/Rolekeep").glob("*.swift"))
# Of Swift's own library, and of the app.
OTHERS = {"UUID", "Taste", "uuidString", "path", "self", "map"}


def programs() -> list[str]:
    """The blocks of the README but that of a manifest, and the example."""
    blocks = re.findall(r"^```swift\n(.*?)^```$", (SWIFT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if not block.startswith(".package")] + [(SWIFT / "Examples/Taste.swift").read_text()]


def undeclared(program: str) -> set[str]:
    """Types, members and labels that the package does not have."""
    text = re.sub(r"^import \w+$", "", program, flags=re.MULTILINE)
    text = re.sub(r"\\\(|\\\.", ".", text)
    text = re.sub(r'"[^"\n]*"', '""', text)
    types = {name for name in re.findall(r"\b[A-Z]\w+", text) if not re.search(rf"\b(?:class|struct|enum|protocol|case) {name}\b", DECLARED + text)}
    labels = {name for name in re.findall(r"[(,] ?([a-z]\w*): ", text) if not re.search(rf"[(,]\s*`?{name}`?(?: \w+)?: ", DECLARED)}
    members = {
        name for name in re.findall(r"\.([a-z]\w*)\b", text) if not re.search(rf"\b(?:func|var|let|case|,) `?{name}\b|, {name}\(", DECLARED)
    }
    return types | labels | members


def sizes(pattern: str) -> set[tuple[str, int]]:
    """How many values the cases of enumerations have that stand there like this."""
    text = re.sub(r"/\*.*?\*/", "", DECLARED, flags=re.DOTALL)
    return {(name, values.count(",") + 1) for name, values in re.findall(pattern + r"\(([^)]*)\)", text)}


class Swift(unittest.TestCase):
    def test_patterns_have_as_many_values_as_their_cases(self) -> None:
        patterns = sizes(r"let \.(\w+)")
        self.assertGreater(len(patterns), 9)
        self.assertEqual(patterns - sizes(r"[ ,](\w+)"), set())

    def test_what_is_named_is_declared(self) -> None:
        self.assertGreater(len(programs()), 5)
        for program in programs():
            self.assertEqual(undeclared(program) - OTHERS, set())

    def test_what_is_not_is_found(self) -> None:
        wrong = 'try um.system().users.craete(input: CraeteUser(emial: "a: b"))'
        self.assertEqual(undeclared(wrong), {"craete", "CraeteUser", "emial"})


if __name__ == "__main__":
    unittest.main()
