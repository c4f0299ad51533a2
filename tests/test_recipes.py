"""The recipes of CONTRIBUTING, followed exactly in a temporary copy of the package."""

import os
import re
import shlex
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
    """A copy of the package, its data and its tests."""
    for folder in ("amfs_lab", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("glyphs.npz", "pretrained", "results"):
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


def run(copy: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(copy: Path, heading: str) -> None:
    """Runs the tests that a recipe names, all of which must pass."""
    (command,) = re.findall(rf"### {re.escape(heading)}.*?`python3 run.py test ([^`]*)`", PAGE, re.DOTALL)[:1]
    told = run(copy, "-m", "pytest", *shlex.split(command), "-q", "-p", "no:cacheprovider")
    assert re.search(r"[1-9]\d* passed", told)


def test_an_aggregation_rule(copy):
    follow("An aggregation rule", 1, copy)
    settings = 'outer=__import__("amfs_lab.outer").outer.AGGREGATORS["median-length"]()'
    assert run(copy, "-c", TRAIN.format(settings=settings)) == "[1, 2]\n"
    check(copy, "An aggregation rule")


def test_a_rule_with_a_look_is_in_the_benchmark_and_breaks_no_explorer(copy):
    follow("An aggregation rule", 1, copy)
    with (copy / "amfs_lab" / "methods.py").open("a", encoding="utf-8") as file:
        file.write("from amfs_lab.outer.aggregation import MedianLength\n")
        file.write('RULES["median length"] = Rule(MedianLength(), BLUE, "solid", "star")\n')
    code = """
from amfs_lab import explore
from amfs_lab.bench.methods import rules
explorers = [explore.ConflictExplorer, explore.EndpointExplorer, explore.TrajectoryExplorer]
print(len([kind().sentence.text for kind in explorers]), "median length" in rules(3, 10))"""
    assert run(copy, "-c", code) == "3 True\n"


def test_an_inner_loop(copy):
    follow("An inner loop", 2, copy)
    settings = 'inner=__import__("amfs_lab.inner").inner.INNER_LOOPS["nearest"]()'
    assert run(copy, "-c", TRAIN.format(settings=settings)) == "[1, 2]\n"


def test_a_data_set(copy):
    follow("A data set", 2, copy)
    assert run(copy, "-c", TRAIN.format(settings='source="stripes"')) == "[1, 2]\n"


def test_an_explorer(copy):
    follow("An explorer", 2, copy)
    code = "from amfs_lab import explore, widgets\ne = explore.BumpExplorer()\nwidgets.drive(e)\nprint(e.sentence.text)"
    assert run(copy, "-c", code).startswith("With σ = 1 the similarity to 0 is 0.61 at x = 1.")
    run(copy, "-c", 'from amfs_lab import explore; explore.BumpExplorer().picture().savefig("bump.png")')
    assert (copy / "bump.png").stat().st_size > 10_000
    check(copy, "An explorer")


def test_a_lesson(copy):
    """Builds a copy of lesson 01. A test of the README then requires a row for it."""
    shutil.copytree(ROOT / "notebooks", copy / "notebooks", ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    source = copy / "notebooks" / "source"
    shutil.copy(source / "01_rbf_kernels.py", source / "99_another_lesson.py")
    done = subprocess.run([sys.executable, "notebooks/build.py"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (copy / "notebooks" / "99_another_lesson.ipynb").exists()
    assert (copy / "notebooks" / "solutions" / "99_another_lesson.ipynb").exists()
