"""Writes the tables of `docs/results.md` from the stored results. Run it as `python docs/results.py`.

The lines `<!-- NAME -->` and `<!-- end -->` enclose a table. All other text of the page stays unchanged.
"""

import json
import re
from pathlib import Path

from amfs_lab.bench import tables
from amfs_lab.experiments import EXPERIMENTS
from amfs_lab.experiments.result import Result

ROOT = Path(__file__).resolve().parents[1]
PAGE, STORED = ROOT / "docs" / "results.md", ROOT / "data" / "results"


def table(name: str) -> str:
    """The Markdown table of a stored result, or of one part of the stored benchmark."""
    if name.startswith("bench "):
        part, baseline = {"bench meta-step": ("meta-steps", "baseline"), "bench adaptation": ("adaptation", "i-amfs")}[
            name
        ]
        found = json.loads((STORED / "bench-cpu.json").read_text(encoding="utf-8"))[part]
        return tables.markdown(found, name.removeprefix("bench "), baseline)
    experiment = EXPERIMENTS[Result.load(STORED / name).experiment]
    return experiment.table(experiment.load(STORED / name))


def written(page: str) -> str:
    """The page, with all tables generated again."""
    return re.sub(
        r"<!-- (.+?) -->\n.*?<!-- end -->",
        lambda found: f"<!-- {found[1]} -->\n\n{table(found[1])}\n\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
