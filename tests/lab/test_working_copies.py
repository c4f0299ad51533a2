"""Working copies are made once, are never overwritten, and a lesson can be started again."""

import os
from pathlib import Path

import pytest

from amfs_lab.errors import ConfigError
from amfs_lab.lab.working_copies import working_copies
from tests.lab.conftest import notebook

NAME = "01_rbf_kernels.ipynb"


@pytest.fixture
def copy(project) -> Path:
    """A working copy of a lesson, made some time ago."""
    working_copies(project)
    return project / "my_lessons" / NAME


def lesson_of(copy: Path) -> Path:
    return copy.parents[1] / "notebooks" / copy.name


def kept(project: Path) -> list[str]:
    """The names of the files in the backup."""
    return sorted(path.read_text() for path in (project / "my_lessons" / "backup").rglob("*.ipynb"))


def test_each_lesson_is_copied_and_the_first_is_opened(project):
    assert working_copies(project) == (project / "my_lessons", "00_start_here.ipynb")
    assert sorted(path.name for path in (project / "my_lessons").iterdir()) == ["00_start_here.ipynb", NAME]


def test_a_copy_is_never_overwritten_and_new_lessons_arrive(project, copy):
    work, new = notebook("my work"), notebook("a new lesson")
    copy.write_text(work)
    lesson_of(copy).write_text(notebook("an update"))
    (project / "notebooks" / "02_new.ipynb").write_text(new)
    working_copies(project)
    assert copy.read_text() == work
    assert (copy.parent / "02_new.ipynb").read_text() == new


@pytest.mark.parametrize("length", [0, 1, 20, -1])
def test_a_lesson_that_was_copied_in_part_is_copied_again(project, copy, capsys, length):
    """The copy is only the start of the lesson. No student has worked in it, so it is not kept."""
    copy.write_bytes(lesson_of(copy).read_bytes()[:length])
    working_copies(project)
    assert copy.read_bytes() == lesson_of(copy).read_bytes()
    assert f"{Path('my_lessons', NAME)} was an incomplete copy. It is copied again." in capsys.readouterr().out
    assert not (project / "my_lessons" / "backup").exists()
    working_copies(project)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("broken", [b"my work", notebook("my work").encode()[:-2], b'{"cells": 3}', b"[]"])
def test_a_broken_copy_that_may_hold_work_is_set_aside(project, copy, capsys, broken):
    copy.write_bytes(broken)
    working_copies(project)
    assert copy.read_bytes() == lesson_of(copy).read_bytes()
    assert kept(project) == [broken.decode()]
    said = capsys.readouterr().out
    assert "is broken: JupyterLab cannot open it. You get a new copy." in said
    assert f"is now {Path('my_lessons', 'backup')}" in said


def test_a_copy_that_is_not_text_counts_as_broken(project, copy):
    copy.write_bytes(b"\xff\xfe")
    working_copies(project)
    assert copy.read_bytes() == lesson_of(copy).read_bytes()


def test_a_broken_lesson_replaces_no_copy(project, copy):
    for path in (copy, lesson_of(copy)):
        path.write_text(f"<<<<<<< {path.parent.name}")
    working_copies(project)
    assert copy.read_text() == "<<<<<<< my_lessons"


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX systems")
def test_a_link_or_pipe_in_a_lesson_s_place_stays(project, copy):
    first = copy.with_name("00_start_here.ipynb")
    first.unlink()
    copy.unlink()
    (project / "elsewhere").write_text("broken, and not ours")
    first.symlink_to(project / "elsewhere")
    os.mkfifo(copy)
    working_copies(project)
    assert (project / "elsewhere").read_text() == "broken, and not ours"
    assert first.is_symlink()
    assert copy.is_fifo()


def test_a_broken_link_is_not_followed(project):
    (project / "my_lessons").mkdir()
    (project / "my_lessons" / NAME).symlink_to(project / "nowhere")
    working_copies(project)
    assert not (project / "nowhere").exists()


def test_a_copy_that_another_process_makes_is_kept(project, monkeypatch):
    """Another `lab` makes the copy after this `lab` has looked for it."""
    (project / "my_lessons").mkdir()
    (project / "my_lessons" / NAME).write_text(notebook("theirs"))
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    with pytest.raises(FileExistsError):
        working_copies(project)
    assert (project / "my_lessons" / NAME).read_text() == notebook("theirs")


@pytest.mark.parametrize("number", ["01", "1"])
def test_fresh_starts_one_lesson_again_and_keeps_the_old_copy(project, copy, number, capsys):
    other = copy.with_name("00_start_here.ipynb")
    other.write_text(notebook("my other work"))
    works = [notebook("my first try"), notebook("my second try")]
    for work in works:  # twice within one second: both are kept
        copy.write_text(work)
        assert working_copies(project, fresh=number)[1] == NAME
        assert copy.read_text() == lesson_of(copy).read_text()
    assert kept(project) == works
    assert other.read_text() == notebook("my other work")
    assert capsys.readouterr().out.count(f"Your old {NAME} is now") == 2


def test_a_lesson_that_does_not_exist_cannot_be_started_again(project):
    with pytest.raises(ConfigError, match=r"the number of a lesson, one of 00, 01\. Got 42\."):
        working_copies(project, fresh="42")


def test_solutions_are_copied_beside_the_lessons(project):
    assert working_copies(project, solutions=True) == (project / "my_lessons", "solutions/00_start_here.ipynb")
    for name in ("00_start_here.ipynb", NAME):
        for place in (Path(name), Path("solutions", name)):
            assert (project / "my_lessons" / place).read_text() == (project / "notebooks" / place).read_text()


def test_a_copy_of_a_solution_is_never_overwritten_either(project, copy):
    working_copies(project, solutions=True)
    solved = copy.parent / "solutions" / NAME
    notes, work, update = notebook("my notes"), notebook("my work"), notebook("an update")
    solved.write_text(notes)
    copy.write_text(work)
    (project / "notebooks" / "solutions" / NAME).write_text(update)
    working_copies(project, solutions=True)
    assert (solved.read_text(), copy.read_text()) == (notes, work)
    working_copies(project, fresh="1", solutions=True)
    assert (solved.read_text(), copy.read_text()) == (update, work)
    assert kept(project) == [notes]


def test_without_the_option_no_solution_is_copied(project, copy):
    assert not (copy.parent / "solutions").exists()


@pytest.mark.parametrize("solutions", [False, True])
def test_without_lessons_the_project_says_how_to_build_them(project, solutions):
    place = Path("notebooks", "solutions") if solutions else Path("notebooks")
    for lesson in (project / place).glob("*.ipynb"):
        lesson.unlink()
    with pytest.raises(ConfigError) as error:
        working_copies(project, solutions=solutions)
    assert str(error.value) == f"Expected lessons in {place}. Got none. Run `run.py notebooks` to build them."


def test_a_hand_out_says_that_it_has_no_solutions(project):
    (project / "notebooks" / "build.py").unlink()
    for solved in (project / "notebooks" / "solutions").iterdir():
        solved.unlink()
    with pytest.raises(ConfigError, match=r"has no .*solutions\. Ask the teacher who gave you this copy\."):
        working_copies(project, solutions=True)
    assert not (project / "my_lessons").exists()
