"""Writes the section of docs/benchmarks.md about the language border: report.py RESULTS DOCS, or report.py --again DOCS."""

import json
import sys
from datetime import date
from pathlib import Path

TITLE = "## Across the language border"
INTRO = """
A check of a principal of `rolekeep/rules` from another language, beside what one would write by hand there, and beside other
engines of that language. A document has five attributes, of which the policy reads two, `resource.owner == principal.id and
resource.status == "…"`; ten permissions, three roles, twenty users with two roles each, 2,000 questions drawn from a fixed seed
(`benches/border/workload.py`). Each engine's answers are compared with the reference before it is timed; then all have their
turn, for a short while in each round, and the least of the rounds counts. In brackets: to what is written by hand. **Read the
ratios**: other programs ran on the machine. Measured on {date} by `scripts/bench border`.

| | check | with a resource | ten about one resource | ten at once |
|---|--:|--:|--:|--:|
"""
PARTS = ("plain", "resource", "loop", "many")
FILES = ("python", "node", "page", "kotlin")


def shown(ns: float) -> str:
    for size, unit in ((1e6, "ms"), (1e3, "µs"), (1, "ns")):
        if ns >= size or unit == "ns":
            value = ns / size
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
    return ""


def times(ratio: float) -> str:
    return f"{ratio:.2g}×" if ratio < 10 else f"{ratio:,.0f}×"


def section(results: Path) -> str:
    lines, notes = [], []
    for name in FILES:
        if not (file := results / f"{name}.json").exists():
            continue
        run = json.loads(file.read_text())
        ns: dict[str, float] = run["ns"]
        engines = list(dict.fromkeys(key.split("|")[0] for key in ns))
        lines.append(f"| *{run['language']}* | | | | |")
        for engine in engines:
            cells = []
            for part in PARTS:
                value = ns.get(f"{engine}|{part}")
                base = ns.get(f"{engines[0]}|{'loop' if part == 'many' else part}")
                cells.append("" if value is None else shown(value) + ("" if engine == engines[0] or not base else f" ({times(value / base)})"))
            known = run["versions"].get(engine)
            lines.append(f"| {engine}{f' {known}' if known else ''} | {' | '.join(cells)} |")
        own = {part: ns[f"**Rolekeep**|{part}"] for part in PARTS}
        notes.append(
            f"- {run['language']}: a check with a resource takes {times(own['resource'] / own['plain'])} one without; "
            f"ten at once take {times(own['many'] / own['loop'])} the loop."
        )
    return f"{TITLE}\n{INTRO.format(date=date.today())}" + "\n".join(lines) + "\n\n" + "\n".join(notes) + "\n"


def main() -> None:
    results, docs = sys.argv[1], Path(sys.argv[2])
    kept, page = docs / "benchmarks" / "border.md", docs / "benchmarks.md"
    # What is written anew from other results keeps this section.
    text = kept.read_text() if results == "--again" else section(Path(results))
    kept.write_text(text)
    page.write_text(page.read_text().split(TITLE)[0].rstrip() + "\n\n" + text)


if __name__ == "__main__":
    main()
