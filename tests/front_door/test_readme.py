"""The README keeps its word: its commands exist, its code runs, its map lists the lessons, its links lead somewhere."""

import re
import shlex

import nbformat
import pytest

from amfs_lab import cli
from tests.front_door.conftest import ROOT, load

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")]


def blocks(page: str) -> list[list[str]]:
    """The indented blocks: commands and code."""
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
def test_what_run_py_is_told_in_a_sentence_is_in_its_help(place):
    """Verb and options, wherever a page or a lesson names them."""
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


def test_the_python_in_it_runs():
    (code,) = [
        "\n".join(line[4:] for line in block) for block in blocks(README) if any("import" in line for line in block)
    ]
    scope = {}
    exec(code, scope)
    assert scope["alpha"].shape == (25, 1)


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)", "".join(PAGES)))
def test_a_link_leads_somewhere(target):
    assert (ROOT / target).exists()
