"""README and docs: commands exist, code runs, all lessons are listed, and link targets exist."""

import math
import re
import shlex

import nbformat
import pytest
from PIL import Image

from amfs_lab import cli, config, outer
from amfs_lab.runs.saved import load_learner
from tests.entry_point.conftest import ROOT, load

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESEARCH = (ROOT / "docs" / "research.md").read_text(encoding="utf-8")
PAGES = [README, RESEARCH, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")]


def blocks(page: str) -> list[list[str]]:
    """The indented blocks of a page, which are commands and code."""
    return [block.splitlines() for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", page, re.MULTILINE)]


def commands(first: str) -> list[list[str]]:
    lines = [line for page in PAGES for block in blocks(page) for line in block]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.strip().startswith(first)]


def test_the_map_lists_each_lesson_with_its_minutes():
    rows = re.findall(r"^\| (\d\d) \| .+? \| (\d+) \|", README, re.MULTILINE)
    lessons = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        header = nbformat.read(path, 4).cells[0].source
        lessons.append((path.name[:2], re.search(r"^(\d+) minutes", header, re.MULTILINE)[1]))
    assert rows == lessons


def test_the_verbs_of_run_py_exist():
    verbs = [arguments[1] for arguments in commands("python3 run.py")]
    assert verbs
    assert set(verbs) <= set(load(ROOT).VERBS)


@pytest.mark.parametrize("place", ["README.md", "CONTRIBUTING.md", "docs/teaching.md", "notebooks/source/*.py"])
def test_the_help_of_run_py_has_every_verb_and_option_of_the_pages(place):
    """For every verb and option that a page or a lesson names."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(place))]
    found = [words.split() for text in texts for words in re.findall(r"python3 run\.py ([^`#\n]+)", text)]
    assert found
    run = load(ROOT)
    for verb, *more in found:
        assert verb in run.VERBS
        options = {word for word in more if word.startswith("--")}
        assert verb == "test" or options <= set(re.findall(r"--[a-z-]+", run.__doc__)), f"run.py {verb} {options}"


def test_the_commands_of_amfs_lab_are_understood():
    found = commands("amfs-lab")
    assert found
    for arguments in found:
        cli.parser().parse_args(arguments)


def python(page: str) -> list[str]:
    return ["\n".join(line[4:] for line in block) for block in blocks(page) if any("import" in line for line in block)]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_its_example_learns_a_task():
    (code,), scope = python(README), {}
    exec(code, scope)
    assert scope["alpha"].shape == (25, 1)


@pytest.mark.parametrize("code", python(RESEARCH), ids=["backbone", "folder", "embeddings", "rule"])
def test_its_recipes_train(code, tmp_path, monkeypatch, images):
    """The recipes run unchanged except for the number of steps, in a folder with letters."""
    assert "steps=200" in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outer, "AGGREGATORS", dict(outer.AGGREGATORS))
    monkeypatch.setattr(config, "AGGREGATORS", outer.AGGREGATORS)
    for label, letters in enumerate(images.repeat(2, 1, 1, 1)):
        (tmp_path / "letters" / f"{label:02d}").mkdir(parents=True)
        for sample, letter in enumerate(letters):
            Image.fromarray(255 - letter.numpy()).save(tmp_path / "letters" / f"{label:02d}" / f"{sample}.png")
    scope = {"__name__": "recipe"}
    exec(code.replace("steps=200", "steps=3"), scope)
    last = scope.get("progress") or scope["last"]
    assert last.step == 3
    assert math.isfinite(last.loss)
    if "runs/" in code:
        assert load_learner("runs/shortest")[1].outer == scope["Shortest"]()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_its_link_targets_exist(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
