"""Rules of the architecture: imports go down the layers, no module is unused, importing the package is fast.

The layers are read from the table in docs/architecture.md.
"""

import ast
import importlib.util
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

SPEC = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
assert SPEC is not None
assert SPEC.loader is not None
architecture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(architecture)

LAYERS = architecture.layers(architecture.PAGE.read_text(encoding="utf-8"))
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
# Modules that are started, not imported.
ENTRY_POINTS = {"amfs_lab.__main__", "amfs_lab.lab.__main__"}
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


def offences(source: str, path: str) -> list[str]:
    """Forbidden imports in the source of `path` (relative to the package), as `file:line: reason`."""
    parts = Path(path).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = ".".join(["amfs_lab", *(parts[:-1] if is_package else parts)])
    package = parts[0]
    if package not in LAYER and package != "__init__":
        return [f"amfs_lab/{path}:1: `{package}` has no layer: give it one in docs/architecture.md"]
    found = []
    for line, other in architecture.imports(source, module, is_package):
        if other == package:
            continue
        if package == "__init__":
            if other == "moved":
                continue  # in a function
            reason = "the package itself imports no module, so that `import amfs_lab` stays light"
        elif other not in LAYER:
            reason = "it has no layer"
        elif LAYER[other] > LAYER[package]:
            reason = f"`{other}` is above `{package}`"
        elif LAYER[other] == LAYER[package]:
            reason = f"`{other}` is on the same layer as `{package}`"
        else:
            continue
        found.append(f"amfs_lab/{path}:{line}: imports `amfs_lab.{other}`: {reason}")
    return found


def test_imports_go_down_the_layers():
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
        ("", "attic.py", "amfs_lab/attic.py:1: `attic` has no layer"),
    ],
)
def test_an_import_that_goes_up_is_named_with_file_and_line(source, path, expected):
    assert any(expected in offence for offence in offences(source, path))


def test_the_table_names_what_there_is():
    there = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    names = [name for layer in LAYERS for name in layer]
    assert sorted(names) == sorted(there - {"__init__"})


def test_the_drawing_shows_the_imports_of_today():
    drawn = architecture.draw(LAYERS, architecture.direct(architecture.graph(PACKAGE)))
    assert architecture.DRAWING.read_text(encoding="utf-8") == drawn, "run `python docs/architecture.py`"


def test_an_arrow_that_others_imply_is_left_out():
    arrows = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert architecture.direct(arrows) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_imports_within_a_package_and_downwards_are_free():
    assert (
        offences("from . import theme\nfrom .. import kernels\nfrom amfs_lab import __version__", "explore/rbf.py")
        == []
    )


def modules() -> dict[str, Path]:
    """The path of each module of the package, by dotted name."""
    found = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def unused(sources: dict[str, str]) -> set[str]:
    """The dotted names of modules that no other module imports. A package counts as used if it has modules."""
    used = set(ENTRY_POINTS)
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                targets = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            used |= {target for target in targets if target != name}
    packages = {name.rpartition(".")[0] for name in sources}
    return sources.keys() - used - packages


def test_every_module_is_imported_by_another():
    assert unused({name: file.read_text(encoding="utf-8") for name, file in modules().items()}) == set()


def test_a_module_that_nothing_imports_is_found():
    sources = {"amfs_lab": "", "amfs_lab.a": "from amfs_lab import b", "amfs_lab.b": "", "amfs_lab.c": "import torch"}
    assert unused(sources) == {"amfs_lab.a", "amfs_lab.c"}


def test_a_plain_import_stays_light():
    packages = ["amfs_lab", "amfs_lab.cli", "amfs_lab.evaluation", "amfs_lab.training"]
    code = f"import sys, {', '.join(packages)}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_first_cell_of_a_lesson_waits_for_nothing_that_it_does_not_need():
    """Libraries for figures on paper and for parsing are imported only when they are used."""
    needless = ["matplotlib", "rfc3987_syntax"]
    code = f"import sys, amfs_lab.explore; print(*[name for name in {needless} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_shapes_and_types_are_checked_in_every_test():
    """jaxtyping checks signatures with shapes, and beartype alone checks the others. See conftest.py."""
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
            continue  # an image or an array
        found += [
            f"{file.relative_to(ROOT)}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if path.search(line)
        ]
    assert not found, "\n" + "\n".join(found)
