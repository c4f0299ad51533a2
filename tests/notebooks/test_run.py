"""Each lesson in a kernel: it runs whole, its checks answer as they should, and every explorer in it can be driven.

nbval runs the same notebooks (`pytest notebooks`) and sees an error in a cell; it can't see a callback's error or a
slider that does nothing. The run of a solved lesson is also what its part of the teaching guide is held against.
"""

import functools
import json

import guide
import nbformat
from guide import printed, run
from lessons import DRIVE, REMEMBER, solution_of


def checks(notebook):
    """The cells with self-checks, and what they printed."""
    return [cell for cell in notebook.cells if cell.metadata.get("tags") == ["check"]]


@functools.cache
def performed(path):
    """A solved lesson after its run; two tests look at it."""
    return run(nbformat.read(path, 4), guide.RECORD, guide.REPORT)


def test_the_student_notebook_runs_unsolved_and_its_explorers_can_be_driven(lesson):
    notebook = run(nbformat.read(lesson, 4), before=REMEMBER, after=DRIVE)
    for cell in checks(notebook):
        assert printed(cell) == "○ not attempted yet\n", cell.source
    driven = json.loads(printed(notebook.cells[-1]))
    assert len(driven) >= 2, f"too few live explorers: {driven}"
    assert all(moves > 0 for _, moves in driven)


def test_the_solution_passes_its_own_checks(lesson):
    notebook = performed(solution_of(lesson))
    assert checks(notebook)
    for cell in checks(notebook):
        assert printed(cell).startswith("✓ "), f"{cell.source}\n{printed(cell)}"


def test_the_teaching_guide_says_what_the_lesson_does(lesson):
    written = guide.split(guide.PLACE.read_text(encoding="utf-8"))[lesson.name[:2]]
    told = guide.section(lesson.stem, performed(solution_of(lesson)))
    assert guide.comparable(written.strip()) == guide.comparable(told.strip()), "run `python3 run.py notebooks --guide`"
