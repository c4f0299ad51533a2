"""The lessons in the tree, and what their kernel runs before and after them."""

from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

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
