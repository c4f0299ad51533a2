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

# Runs in the kernel after the lesson: whoever adds an explorer to a lesson has it driven, one of each kind.
DRIVE = """
import json
from amfs_lab.explore.drive import drive
_one_of_each = {type(made).__name__: made for made in _made}
print(json.dumps([(name, drive(explorer)) for name, explorer in _one_of_each.items()]))
"""


def lesson_paths() -> list[Path]:
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def solution_of(lesson: Path) -> Path:
    return NOTEBOOKS / "solutions" / lesson.name
