"""`pytest notebooks`: nbval runs each lesson by its short path, on this checkout's library, and we ask what it said.

nbval sees an error in a cell. It sees no error of a callback and no slider that does nothing, so every student notebook
ends with a drive of its explorers; and a solved lesson is, once it has run, what docs/teaching.md has to tell.
"""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

NOTEBOOKS = Path(__file__).resolve().parent
sys.path.insert(0, str(NOTEBOOKS))  # guide.py: under importlib mode no folder of tests is on the path

os.environ.setdefault("AMFS_LAB_FAST", "1")  # loops end after a few steps
os.environ["AMFS_LAB_CHECKS"] = "raise"  # a wrong answer is a box for a reader, and an error for a test
os.environ.setdefault("OMP_NUM_THREADS", "1")  # many kernels in a row beside other tests: threads only fight
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH"))))

# Runs in the kernel before the lesson: remembers each explorer that is made, whatever it is called and shown or not.
REMEMBER = """
import amfs_lab.explore
from amfs_lab.widgets.explorer import Explorer
_made, _init = [], Explorer.__init__
def _remembering(self, *args, **kwargs):
    _init(self, *args, **kwargs)
    _made.append(self)
Explorer.__init__ = _remembering
"""

# Runs in the kernel after the lesson: whoever adds an explorer to a lesson has it driven, one of each kind.
DRIVE = """
from amfs_lab.widgets.drive import drive
_moves = {name: drive(made) for name, made in {type(made).__name__: made for made in _made}.items()}
assert len(_moves) >= 2, f"too few live explorers: {_moves}"
assert all(_moves.values()), f"an explorer without anything to move: {_moves}"
"""


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """In nbval's place for a notebook comes one of ours."""
    found = yield
    kind = SolvedLesson if file_path.parent.name == "solutions" else Lesson
    return [kind.from_parent(parent, path=file_path) if isinstance(each, IPyNbFile) else each for each in found]


class Lesson(IPyNbFile):
    """A notebook under nbval, between two more cells."""

    def around(self) -> tuple[str, str]:
        """The code before the lesson and after it."""
        return REMEMBER, DRIVE

    def wrong(self, cell: nbformat.NotebookNode) -> str:
        """What is wrong with what a cell said; "" if nothing."""
        if is_check(cell) and said(cell) != "○ not attempted yet\n":
            return f"expected of a check: not attempted yet. Got {said(cell)!r}."
        return ""

    def collect(self):
        items = [Cell.from_parent(self, **parts(item)) for item in super().collect()]
        self.first, self.last = map(nbformat.v4.new_code_cell, self.around())
        for name, number, cell in (("before", -1, self.first), ("after", len(items), self.last)):
            more = Cell.from_parent(self, name=name, cell_num=number, cell=cell, options=items[0].options)
            items.insert(0 if number < 0 else number + 1, more)
        return items


class SolvedLesson(Lesson):
    """A solution: its checks praise it, and the teaching guide says what it does."""

    def around(self):
        import guide  # a hand-out has none, and no solutions either

        return guide.RECORD, guide.REPORT

    def wrong(self, cell):
        if is_check(cell) and not said(cell).startswith("✓ "):
            return f"expected praise. Got {said(cell)!r}."
        if cell is not self.last:
            return ""
        return self.unlike_the_guide() if any(map(is_check, self.nb.cells)) else "expected checks. Got none."

    def unlike_the_guide(self) -> str:
        import guide

        performed = nbformat.v4.new_notebook(cells=[self.first, *self.nb.cells, self.last])
        written = guide.split(guide.PLACE.read_text(encoding="utf-8"))[self.path.name[:2]]
        told = guide.section(self.path.stem, performed)
        if guide.comparable(written.strip()) == guide.comparable(told.strip()):
            return ""
        return f"docs/teaching.md: run `python3 run.py notebooks --guide`. Expected {told}"


class Cell(IPyNbCell):
    """A cell that keeps what it said."""

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
    """What a cell printed, and what its boxes say as text."""
    return "".join(each.get("text") or f"{each.get('data', {}).get('text/plain', '')}\n" for each in cell.outputs)
