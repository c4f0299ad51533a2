"""The hand-out has the lessons and no solutions, works without the project, and overwrites no student's work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import guide
import handout
import nbformat
import pytest
from lessons import NOTEBOOKS, lesson_paths

ROOT = NOTEBOOKS.parent
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AMFS_LAB_"))}


def build(*arguments):
    """Runs the builder on the command line."""
    command = [sys.executable, str(NOTEBOOKS / "build.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """A hand-out for all tests of this file."""
    folder = tmp_path_factory.mktemp("students") / "a course"
    done = build("--students", folder)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"wrote \d+ files of a complete course into {re.escape(str(folder))}\n", done.stdout)
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_has_the_lessons_and_the_files_that_they_need(out):
    there = files(out)
    assert {name for name in there if name.endswith(".ipynb")} == {f"notebooks/{path.name}" for path in lesson_paths()}
    assert {"run.py", "pyproject.toml", "constraints.txt", "environment.yml", "README.md", "LICENSE"} <= there
    assert {"data/glyphs.npz", "data/LICENSE-glyphs.md"} <= there
    shipped = {f"data/{kind}/{name}" for kind in ("pretrained", "results") for name in files(ROOT / "data" / kind)}
    assert shipped
    assert shipped <= there
    package = {f"amfs_lab/{name}" for name in files(ROOT / "amfs_lab")}
    assert {name for name in package if "__pycache__" not in name and "/." not in name} <= there


def test_it_has_no_solution_no_source_and_no_test(out):
    assert {path.name for path in (out / "notebooks").iterdir()} == {
        "conftest.py",
        *(path.name for path in lesson_paths()),
    }
    assert not any(
        set(Path(name).parts) & {"tests", "source", "solutions", ".git", "__pycache__"} for name in files(out)
    )
    for name in files(out):
        assert b"BEGIN SOLUTION" not in (out / name).read_bytes(), name
    assert not (out / "docs" / "teaching.md").exists()


def test_its_readme_is_for_students_and_its_link_targets_exist(out):
    readme = (out / "README.md").read_text(encoding="utf-8")
    ours = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## .+$", ours, re.MULTILINE)
    assert "## If you teach" in headings
    assert re.findall(r"^## .+$", readme, re.MULTILINE) == [each for each in headings if each != "## If you teach"]
    for page in (*out.glob("*.md"), *(out / "data").glob("*.md")):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        assert [target for target in targets if not (page.parent / target).exists()] == []


def test_caches_and_hidden_files_are_left_out(tmp_path):
    for name in ("a.py", "b/c.js", "b/__pycache__/c.pyc", ".DS_Store", "b/.ipynb_checkpoints/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in handout.library(tmp_path)] == ["a.py", "b/c.js"]


def test_a_section_is_removed_with_its_subsections():
    page = "# Title\n\n## Mine\n\ntext\n\n### Deeper\n\n## Yours\n\nmore\n"
    assert handout.without("Mine", page) == "# Title\n\n## Yours\n\nmore\n"
    assert handout.without("Yours", page) == "# Title\n\n## Mine\n\ntext\n\n### Deeper\n\n"


def test_its_lessons_run_on_its_own_library(out):
    """They run in the folder of the hand-out. The library of the project cannot be imported there."""
    lesson = nbformat.read(out / "notebooks" / lesson_paths()[0].name, 4)
    asked = "import amfs_lab\nfrom amfs_lab.tasks import glyphs\nprint(amfs_lab.__file__)\nprint(glyphs.find())"
    notebook = guide.run(lesson, after=asked, root=out)
    package, data = guide.printed(notebook.cells[-1]).split("\n")[:2]
    assert Path(package) == out / "amfs_lab" / "__init__.py"
    assert os.environ.get("AMFS_LAB_DATA") or Path(data) == out / "data" / "glyphs.npz"


def test_it_can_be_installed(out, tmp_path):
    """As `run.py lab` does first: all files that pyproject.toml names exist."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=out, env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.whl"))) == 1


@pytest.mark.parametrize(
    ("command", "word"),
    [(["-m", "amfs_lab.lab", "--solutions"], "has no"), (["run.py", "notebooks"], "no sources")],
)
def test_its_run_py_says_what_is_missing(out, command, word):
    done = subprocess.run([sys.executable, *command], env=CLEAN, cwd=out, capture_output=True, text=True)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stderr.count("\n") == 1


# --- files with a student's work ---


@pytest.mark.parametrize("name", ["notebooks/00_start_here.ipynb", "README.md", "data/glyphs.npz"])
def test_a_hand_out_never_overwrites_a_changed_file(tmp_path, out, name):
    out, a_course = tmp_path / "out", out
    shutil.copytree(a_course, out)
    assert build("--students", out).returncode == 0  # no file differs
    (out / name).write_text("mine", encoding="utf-8")
    (out / "run.py").unlink()
    done = build("--students", out)
    assert done.returncode == 2
    assert f"must not overwrite files. Got {out / name}, which exists. Name an empty folder." in done.stderr
    assert (out / name).read_text(encoding="utf-8") == "mine"
    assert not (out / "run.py").exists()  # no file was written
