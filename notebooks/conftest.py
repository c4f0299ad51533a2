"""Tests of the lessons: `pytest notebooks` runs each lesson with nbval, in fast mode, on the library of this checkout.

nbval detects an error in a cell. It does not detect an error in a callback, or a slider without effect. So after each
student notebook, a test moves the controls of its explorers. After each solved lesson, docs/teaching.md must agree with
the outputs of the lesson.
"""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

NOTEBOOKS = Path(__file__).resolve().parent
sys.path.insert(0, str(NOTEBOOKS))  # for guide.py, because pytest's importlib mode does not add this folder

os.environ.setdefault("AMFS_LAB_FAST", "1")  # loops end after a few steps
os.environ["AMFS_LAB_CHECKS"] = "raise"  # a wrong answer is an error in a test; a student sees a box
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run in parallel, and more threads would slow them down
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH"))))

# Runs in the kernel before the lesson: records every explorer, even without a variable and without display.
REMEMBER = """
import amfs_lab.explore
from amfs_lab.widgets.explorer import Explorer
_made, _init = [], Explorer.__init__
def _remembering(self, *args, **kwargs):
    _init(self, *args, **kwargs)
    _made.append(self)
Explorer.__init__ = _remembering
"""

# Runs in the kernel after the lesson: moves the controls of one explorer of each kind.
DRIVE = """
from amfs_lab.widgets.drive import drive
_moves = {name: drive(made) for name, made in {type(made).__name__: made for made in _made}.items()}
assert len(_moves) >= 2, f"too few live explorers: {_moves}"
assert all(_moves.values()), f"an explorer without anything to move: {_moves}"
"""


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """Replaces nbval's collector of a notebook by `Lesson` or `SolvedLesson`."""
    found = yield
    kind = SolvedLesson if file_path.parent.name == "solutions" else Lesson
    return [kind.from_parent(parent, path=file_path) if isinstance(each, IPyNbFile) else each for each in found]


class Lesson(IPyNbFile):
    """A notebook that nbval runs, with one additional cell before it and one after it."""

    def around(self) -> tuple[str, str]:
        """The code of the additional cells before and after the lesson."""
        return REMEMBER, DRIVE

    def wrong(self, cell: nbformat.NotebookNode) -> str:
        """The error in a cell's output, as a sentence; "" if there is none."""
        if is_check(cell) and said(cell) != "○ not attempted yet\n":
            return f"a check must print: not attempted yet. Got {said(cell)!r}."
        return ""

    def collect(self):
        items = [Cell.from_parent(self, **parts(item)) for item in super().collect()]
        self.first, self.last = map(nbformat.v4.new_code_cell, self.around())
        for name, number, cell in (("before", -1, self.first), ("after", len(items), self.last)):
            more = Cell.from_parent(self, name=name, cell_num=number, cell=cell, options=items[0].options)
            items.insert(0 if number < 0 else number + 1, more)
        return items


class SolvedLesson(Lesson):
    """A solved lesson: all checks must accept its answers, and the teaching guide must agree with its outputs."""

    def around(self):
        import guide  # not at the top, because a hand-out has no guide.py

        return guide.RECORD, guide.REPORT

    def wrong(self, cell):
        if is_check(cell) and not said(cell).startswith("✓ "):
            return f"a check must accept the answer. Got {said(cell)!r}."
        if cell is not self.last:
            return ""
        return self.unlike_the_guide() if any(map(is_check, self.nb.cells)) else "a lesson must have checks. Got none."

    def unlike_the_guide(self) -> str:
        import guide

        performed = nbformat.v4.new_notebook(cells=[self.first, *self.nb.cells, self.last])
        written = guide.split(guide.PLACE.read_text(encoding="utf-8"))[self.path.name[:2]]
        told = guide.section(self.path.stem, performed)
        if guide.comparable(written.strip()) == guide.comparable(told.strip()):
            return ""
        return f"docs/teaching.md: run `python3 run.py notebooks --guide`. Expected {told}"


class Cell(IPyNbCell):
    """A cell that keeps its outputs."""

    def runtest(self):
        super().runtest()
        self.cell.outputs = self.test_outputs
        if wrong := self.parent.wrong(self.cell):
            self.raise_cell_error(wrong)


def parts(item: IPyNbCell) -> dict:
    return dict(name=item.name, cell_num=item.cell_num, cell=item.cell, options=item.options)


def is_check(cell: nbformat.NotebookNode) -> bool:
    return cell.metadata.get("tags") == ["check"]


def said(cell: nbformat.NotebookNode) -> str:
    """The printed output of a cell, with its boxes as text."""
    return "".join(each.get("text") or f"{each.get('data', {}).get('text/plain', '')}\n" for each in cell.outputs)
