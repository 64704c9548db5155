"""All packages have one version, and the script that writes it finds every place."""

import importlib.machinery
import importlib.util
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
loader = importlib.machinery.SourceFileLoader("version", str(ROOT / "scripts/version"))
version = importlib.util.module_from_spec(importlib.util.spec_from_loader("version", loader))
loader.exec_module(version)


class Version(unittest.TestCase):
    def test_all_manifests_say_the_same(self) -> None:
        numbers = version.found()
        self.assertEqual({number for _, number in numbers}, {numbers[0][1]}, numbers)

    def test_the_python_package_takes_it_from_cargo(self) -> None:
        self.assertIn('dynamic = ["version"]', (ROOT / "bindings-python/pyproject.toml").read_text())

    def test_every_crate_of_the_workspace_is_in_the_lock_file(self) -> None:
        blocks = (ROOT / "Cargo.lock").read_text().split("[[package]]")
        own = [block for block in blocks if 'name = "' in block and "source = " not in block]
        known = [file for file, _ in version.found() if file == "Cargo.lock"]
        self.assertEqual(len(own), len(known))

    def test_a_new_number_is_written_everywhere_and_nothing_else_is(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for file in version.PLACES:
                (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, Path(folder) / file)
            version.write("9.8.7", Path(folder))
            self.assertEqual({number for _, number in version.found(Path(folder))}, {"9.8.7"})
            for file, patterns in version.PLACES.items():
                before, after = ((root / file).read_text().splitlines() for root in (ROOT, Path(folder)))
                changed = [line for line, old in zip(after, before, strict=True) if line != old]
                self.assertEqual(len(changed), len(patterns), file)


if __name__ == "__main__":
    unittest.main()
