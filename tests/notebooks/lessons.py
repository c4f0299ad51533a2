"""The lessons in the tree, and a kernel to run one in."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CELL_SECONDS = 120

# Runs in the kernel before the lesson: remembers each explorer that is made, whatever it is called and shown or not.
REMEMBER = """
import amfs_lab.explore
from amfs_lab.explore.base import Explorer
_made, _init = [], Explorer.__init__
def _remembering(self, *args, **kwargs):
    _init(self, *args, **kwargs)
    _made.append(self)
Explorer.__init__ = _remembering
"""

# Runs in the kernel after the lesson: whoever adds an explorer to a lesson has it driven.
DRIVE = """
import json
from amfs_lab.explore.drive import drive
print(json.dumps([(type(explorer).__name__, drive(explorer)) for explorer in list(_made)]))
"""


def lesson_paths() -> list[Path]:
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def solution_of(lesson: Path) -> Path:
    return NOTEBOOKS / "solutions" / lesson.name


def run(notebook: nbformat.NotebookNode, before: str = "", after: str = "") -> nbformat.NotebookNode:
    """Executes a notebook in a kernel of this Python, by its short path, up to the first error; it then has outputs."""
    cells = [nbformat.v4.new_code_cell(source) for source in (before, after)]
    notebook.cells = [cells[0], *notebook.cells, cells[1]]
    env = {**os.environ, "AMFS_LAB_FAST": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(NOTEBOOKS.parent)}
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    client.execute(env=env)
    return notebook


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)
