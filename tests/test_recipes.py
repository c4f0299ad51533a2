"""The recipes of CONTRIBUTING, followed word by word in a temporary copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

TRAIN = """
from amfs_lab import config, tasks, training
settings = config.TrainingConfig.from_dict(config.preset("i-amfs", {settings}, steps=2, tasks=2, width=4,
    validate_every=0, episode=tasks.EpisodeConfig(3, 1, 2)).to_dict())
print([progress.step for progress in training.MetaTrainer(settings, device="cpu").run()])
"""


def steps(heading: str) -> list[tuple[str, Path, str]]:
    """("Make" or "Add", file, code) for each indented block of a recipe, by the sentence before it."""
    section = re.search(rf"^### {re.escape(heading)}.*?\n(.*?)(?=^## |^### )", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    found = []
    for before, block in re.findall(r"(.+?)\n\n((?:    [^\n]*\n|\n(?=\n?    ))+)", section[1], re.DOTALL):
        verb, name = re.findall(r"(Make|Add)[^`]*`([\w/.]+)`", before)[-1]
        found.append((verb, Path(name), re.sub(r"^    ", "", block, flags=re.MULTILINE).rstrip() + "\n"))
    return found


@pytest.fixture
def copy(tmp_path) -> Path:
    """The package and its data, and nothing else."""
    shutil.copytree(ROOT / "amfs_lab", tmp_path / "amfs_lab", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    for name in ("glyphs.npz", "pretrained"):
        (tmp_path / "data" / name).symlink_to(ROOT / "data" / name)
    return tmp_path


def follow(heading: str, files: int, copy: Path) -> None:
    found = steps(heading)
    assert f"### {heading}: {'one file' if files == 1 else 'two files'}" in PAGE
    assert len({name for _, name, _ in found}) == files
    for verb, name, code in found:
        there = copy / name
        assert there.exists() == (verb == "Add"), name
        there.write_text((there.read_text(encoding="utf-8") + "\n\n" if verb == "Add" else "") + code, encoding="utf-8")


def run(code: str, copy: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_aggregation_rule(copy):
    follow("An aggregation rule", 1, copy)
    settings = 'outer=__import__("amfs_lab.outer").outer.AGGREGATORS["unit-mean"]()'
    assert run(TRAIN.format(settings=settings), copy) == "[1, 2]\n"


def test_an_inner_loop(copy):
    follow("An inner loop", 2, copy)
    settings = 'inner=__import__("amfs_lab.inner").inner.INNER_LOOPS["nearest"]()'
    assert run(TRAIN.format(settings=settings), copy) == "[1, 2]\n"


def test_a_data_set(copy):
    follow("A data set", 2, copy)
    assert run(TRAIN.format(settings='source="stripes"'), copy) == "[1, 2]\n"


def test_an_explorer(copy):
    follow("An explorer", 2, copy)
    code = "from amfs_lab import explore, widgets\ne = explore.BumpExplorer()\nwidgets.drive(e)\nprint(e.sentence.text)"
    assert run(code, copy).startswith("With σ = 1 the similarity to 0 is 0.61 at x = 1.")


def test_a_lesson(copy):
    """A copy of lesson 01 is built, and its row in the README is asked for by a test of the README."""
    shutil.copytree(ROOT / "notebooks", copy / "notebooks", ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    source = copy / "notebooks" / "source"
    shutil.copy(source / "01_rbf_kernels.py", source / "99_another_lesson.py")
    done = subprocess.run([sys.executable, "notebooks/build.py"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (copy / "notebooks" / "99_another_lesson.ipynb").exists()
    assert (copy / "notebooks" / "solutions" / "99_another_lesson.ipynb").exists()
