"""What is in the repository: sources, and nothing that was built from them."""

import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# The longest of ours, which a generator writes, is two thirds of it.
MOST_BYTES = 2_500_000
BUILT = {"target", "node_modules", "__pycache__", "dist"}


class Tree(unittest.TestCase):
    def test_nothing_that_is_built_is_tracked(self) -> None:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        files = [Path(name) for name in listed.split("\0") if name]
        self.assertGreater(len(files), 100)
        self.assertEqual([str(file) for file in files if BUILT & set(file.parts)], [])
        sizes = {str(file): (ROOT / file).stat().st_size for file in files if (ROOT / file).exists()}
        self.assertEqual({file: size for file, size in sizes.items() if size > MOST_BYTES}, {})


if __name__ == "__main__":
    unittest.main()
