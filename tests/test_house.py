"""The house keeps its order: imports go down the floors, a plain import stays light, no file names a machine.

The floors are the table of the design: a room may use what stands below it, and nothing beside or above it.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from amfs_lab.kernels import squared_distances
from amfs_lab.stats import holm
from amfs_lab.tasks.sinusoids import Wave

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "amfs_lab"

FLOORS = [
    {"errors", "lab_server"},
    {"arguments", "files", "plain"},
    {"kernels", "ridge", "backbones", "stats", "checkpoint", "distributed", "episode", "provenance"},
    {"inner", "outer", "tasks", "plots"},
    {"learner", "path", "planes"},
    {"config"},
    {"evaluation", "open_set", "state"},
    {"training"},
    {"classifier", "confusion", "experiments", "reader", "replay"},
    {"explore", "bench"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = [
    "IPython",
    "PIL",
    "anywidget",
    "cvxpy",
    "fontTools",
    "ipywidgets",
    "matplotlib",
    "plotly",
    "sklearn",
    "torchjd",
]


def imported_rooms(source: str, module: str, is_package: bool):
    """(line, room) for each import of one of our rooms, also inside functions and under TYPE_CHECKING."""
    here = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "amfs_lab" else [base]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "amfs_lab" and not rest.startswith("__version__"):
                yield node.lineno, rest.partition(".")[0]


def offences(source: str, path: str) -> list[str]:
    """What `path` (relative to the package) may not import, as `file:line: reason`."""
    parts = Path(path).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = ".".join(["amfs_lab", *(parts[:-1] if is_package else parts)])
    room = parts[0]
    if room not in FLOOR and room != "__init__":
        return [f"amfs_lab/{path}:1: the room `{room}` has no floor; give it one in FLOORS and in the design"]
    found = []
    for line, other in imported_rooms(source, module, is_package):
        if other == room:
            continue
        if room == "__init__":
            reason = "the package itself imports no room, so that `import amfs_lab` stays light"
        elif other not in FLOOR:
            reason = "this room has no floor"
        elif FLOOR[other] > FLOOR[room]:
            reason = f"`{other}` stands above `{room}`"
        elif FLOOR[other] == FLOOR[room]:
            reason = f"`{other}` stands on the same floor as `{room}`"
        else:
            continue
        found.append(f"amfs_lab/{path}:{line}: imports `amfs_lab.{other}`: {reason}")
    return found


def test_imports_go_down_the_floors():
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [
        offence
        for file in files
        for offence in offences(file.read_text(encoding="utf-8"), file.relative_to(PACKAGE).as_posix())
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "path", "expected"),
    [
        ("import torch\nfrom amfs_lab import config", "ridge.py", "amfs_lab/ridge.py:2: imports `amfs_lab.config`"),
        (
            "import amfs_lab.outer.aggregation",
            "inner/gradient.py",
            "amfs_lab/inner/gradient.py:1: imports `amfs_lab.outer`",
        ),
        ("def f():\n    from ..training import x", "tasks/glyphs.py", "tasks/glyphs.py:2: imports `amfs_lab.training`"),
        ("from .learner import MetaLearner", "kernels.py", "kernels.py:1: imports `amfs_lab.learner`"),
        ("from .. import cli", "explore/rbf.py", "explore/rbf.py:1: imports `amfs_lab.cli`"),
        ("from amfs_lab.kernels import RBF", "__init__.py", "__init__.py:1: imports `amfs_lab.kernels`"),
        ("", "attic.py", "amfs_lab/attic.py:1: the room `attic` has no floor"),
    ],
)
def test_an_import_that_goes_up_is_named_with_file_and_line(source, path, expected):
    assert any(expected in offence for offence in offences(source, path))


def test_imports_within_a_room_and_downwards_are_free():
    assert (
        offences("from . import theme\nfrom .. import kernels\nfrom amfs_lab import __version__", "explore/rbf.py")
        == []
    )


def test_a_plain_import_stays_light():
    rooms = ["amfs_lab", *(f"amfs_lab.{room}" for room in sorted(FLOOR) if room in {"cli", "training", "evaluation"})]
    code = f"import sys, {', '.join(rooms)}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_first_cell_of_a_lesson_waits_for_nothing_that_it_does_not_need():
    """Figures for paper are imported when one is asked for; constraints.txt tells of the grammar."""
    needless = ["matplotlib", "rfc3987_syntax"]
    code = f"import sys, amfs_lab.explore; print(*[name for name in {needless} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_shapes_and_types_are_checked_in_every_test():
    """By jaxtyping where a shape is named, by beartype alone where none is; see conftest.py."""
    with pytest.raises(TypeCheckError, match=r"parameters of amfs_lab.kernels.squared_distances"):
        squared_distances(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(TypeCheckError, match=r"Wave.__call__"):
        Wave(1.0, 0.0)(torch.zeros(3))
    with pytest.raises(TypeCheckError, match=r"Wave.__init__"):
        Wave("high", 0.0)
    with pytest.raises(BeartypeCallHintViolation, match="holm"):
        holm(3)


def test_no_file_names_a_machine():
    places = ["work", "root", "home/[a-z]", "Users/[A-Za-z]", "tmp/[a-z]", "opt/[a-z]", "mnt/[a-z]"]
    path = re.compile(r"(?<![\w.$~{<>/-])/(?:" + "|".join(places) + r")[\w.-]*/|[A-Z]:\\Users\\")
    files = [file for file in ROOT.iterdir() if file.is_file()]
    for folder in (".ci", "amfs_lab", "notebooks", "tests", "docs"):
        files += [file for file in (ROOT / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    found = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a picture or an array
        found += [
            f"{file.relative_to(ROOT)}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if path.search(line)
        ]
    assert not found, "\n" + "\n".join(found)
