"""The hand-out for students: a complete folder with the lessons, without solutions, sources and tests.

A student starts it with `python3 run.py lab`, as in the complete project.
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    ".gitignore",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "constraints.txt",
    "data/GLYPHS.md",
    "data/LICENSE-glyphs.md",
    "data/glyphs.npz",
    "data/pretrained/meta_parameters.safetensors",
    "data/pretrained/run.json",
    *(
        f"data/results/{result}/{part}"
        for result in (
            *("accuracy-omniglot", "conflict-planes", "figure2-glyphs", "figure2-omniglot", "precision-glyphs"),
            *("table1-glyphs", "table2-glyphs", "table4-glyphs", "ablation-glyphs"),
        )
        for part in ("result.json", "rows.npz", "summary.json")
    ),
    "data/results/bench-cpu.json",
    "data/results/ranks-cpu.json",
    *(f"docs/{name}" for name in ("amfs_in_one_page.py", "architecture.md", "architecture.svg", "explorer.gif")),
    *(f"docs/{name}.md" for name in ("distributed", "research", "results", "statistics")),
    "environment.yml",
    "notebooks/conftest.py",
    "pyproject.toml",
    "run.py",
)  # files of a hand-out, in addition to the library and the lessons
FOR_TEACHERS = "If you teach"


def hand_out(lessons: dict[str, str], root: Path = ROOT) -> dict[Path, bytes]:
    """The content of each file of a hand-out, by relative path. `lessons`: text of each unsolved lesson, by name."""
    wanted = {Path(name): (root / name).read_bytes() for name in FILES}
    wanted |= {path.relative_to(root): path.read_bytes() for path in library(root / "amfs_lab")}
    wanted |= {Path("notebooks", f"{name}.ipynb"): text.encode() for name, text in lessons.items()}
    readme = (root / "README.md").read_text(encoding="utf-8")
    return wanted | {Path("README.md"): without(FOR_TEACHERS, readme).encode()}


def library(package: Path) -> Iterator[Path]:
    """The files of the package, without hidden files and caches of Python."""
    for path in sorted(package.rglob("*")):
        parts = path.relative_to(package).parts
        if path.is_file() and "__pycache__" not in parts and not any(part.startswith(".") for part in parts):
            yield path


def without(heading: str, page: str) -> str:
    """The page without the section under `heading`."""
    return re.sub(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", "", page, flags=re.MULTILINE | re.DOTALL)
