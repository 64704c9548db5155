"""README.md keeps its word: its programs run, one after another, and print what stands beside them."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_programs_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) >= 7
    names = {"__name__": "readme"}
    for block in BLOCKS:
        wanted = re.findall(r"^\s*print\(.*\)  # (.*)$", block, re.MULTILINE)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(block, str(README), "exec"), names)  # noqa: S102
        assert said.getvalue().splitlines() == wanted, block


def test_types_hold(tmp_path):
    # A name may come to mean something else from one program to the next, as in a notebook.
    (tmp_path / "readme.py").write_text("\n".join(BLOCKS))
    options = ["--strict", "--allow-redefinition", "--cache-dir", str(README.parents[1] / "target/mypy")]
    checked = subprocess.run([sys.executable, "-m", "mypy", *options, "readme.py"], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
