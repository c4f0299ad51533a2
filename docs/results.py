"""Writes the tables of `results.md` and `distributed.md` from the stored results: `python docs/results.py`.

The lines `<!-- NAME -->` and `<!-- end -->` enclose a table. All other text of a page stays unchanged.
"""

import json
import re
from pathlib import Path

from amfs_lab.bench import ranks, tables
from amfs_lab.experiments import EXPERIMENTS
from amfs_lab.experiments.benchmark_tables import PARTS
from amfs_lab.experiments.claims import claims_table
from amfs_lab.experiments.result import Result

ROOT = Path(__file__).resolve().parents[1]
PAGE, STORED = ROOT / "docs" / "results.md", ROOT / "data" / "results"
PAGES = (PAGE, ROOT / "docs" / "distributed.md")


def table(name: str) -> str:
    """The Markdown table of a stored result, or of one part of a result or of the stored benchmark."""
    if name == "claims":
        return claims_table(loaded(folder.name) for folder in sorted(STORED.glob("table[124]-*")))
    if name.startswith("bench "):
        part, baseline = {"bench meta-step": ("meta-steps", "baseline"), "bench adaptation": ("adaptation", "i-amfs")}[
            name
        ]
        found = json.loads((STORED / "bench-cpu.json").read_text(encoding="utf-8"))[part]
        return tables.markdown(found, name.removeprefix("bench "), baseline)
    folder, _, part = name.partition(" ")
    if folder == "ranks":
        return ranks.tables(json.loads((STORED / "ranks-cpu.json").read_text(encoding="utf-8")))[part]
    result = loaded(folder)
    return PARTS[part](result) if part else EXPERIMENTS[result.experiment].table(result)


def loaded(name: str) -> Result:
    """A stored result, whose rows, summary and configuration are checked."""
    return EXPERIMENTS[Result.load(STORED / name).experiment].load(STORED / name)


def written(page: str) -> str:
    """The page, with all tables generated again."""
    return re.sub(
        r"<!-- (.+?) -->\n.*?<!-- end -->",
        lambda found: f"<!-- {found[1]} -->\n\n{table(found[1])}\n\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(written(each.read_text(encoding="utf-8")), encoding="utf-8")
