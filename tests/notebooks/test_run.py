"""Each lesson in a kernel: it runs whole, its checks answer as they should, and every explorer in it can be driven.

nbval runs the same notebooks (`pytest notebooks`) and sees an error in a cell; it can't see a callback's error or a
slider that does nothing.
"""

import json

import nbformat
from lessons import DRIVE, REMEMBER, printed, run, solution_of


def checks(notebook):
    """The cells with self-checks, and what they printed."""
    return [cell for cell in notebook.cells if cell.metadata.get("tags") == ["check"]]


def test_the_student_notebook_runs_unsolved_and_its_explorers_can_be_driven(lesson):
    notebook = run(nbformat.read(lesson, 4), before=REMEMBER, after=DRIVE)
    for cell in checks(notebook):
        assert printed(cell) == "○ not attempted yet\n", cell.source
    driven = json.loads(printed(notebook.cells[-1]))
    assert len(driven) >= 2, f"too few live explorers: {driven}"
    assert all(moves > 0 for _, moves in driven)


def test_the_solution_passes_its_own_checks(lesson):
    notebook = run(nbformat.read(solution_of(lesson), 4))
    assert checks(notebook)
    for cell in checks(notebook):
        assert printed(cell).startswith("✓ "), f"{cell.source}\n{printed(cell)}"
