"""Each feature of the core is built without each other that it does not need."""

import importlib.machinery
import importlib.util
import sys
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "feature-sets"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("feature_sets", str(SCRIPT))
spec = importlib.util.spec_from_loader("feature_sets", loader)
assert spec
feature_sets = importlib.util.module_from_spec(spec)
loader.exec_module(feature_sets)


class FeatureSets(unittest.TestCase):
    def untold(self, named: dict[str, list[str]]) -> set[tuple[str, str]]:
        """The pairs of which no set has the first without the second."""
        sets = feature_sets.fewest(named)
        pairs = {(name, other) for name in named for other in named if name != other}
        return {(name, other) for name, other in pairs if not any(name in names and other not in names for names in sets)}

    def test_only_what_is_needed_is_never_missing(self) -> None:
        named = {"a": [], "b": ["a"], "c": ["b"], "d": [], "e": ["d", "a"]}
        self.assertEqual(self.untold(named), {("b", "a"), ("c", "a"), ("c", "b"), ("e", "d"), ("e", "a")})

    def test_sets_are_whole(self) -> None:
        named = {"a": [], "b": ["a"], "c": ["b"], "d": []}
        for names in feature_sets.fewest(named):
            self.assertLessEqual({need for name in names for need in named[name]}, set(names))

    def test_of_the_core(self) -> None:
        named = feature_sets.features()
        self.assertIn("sqlite", named)
        self.assertLess(len(feature_sets.fewest(named)), len(named))
        self.assertIn(("sqlite", "sql"), self.untold(named))
        self.assertNotIn(("sqlite", "postgres"), self.untold(named))


if __name__ == "__main__":
    unittest.main()
