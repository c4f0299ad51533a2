"""Private parts of other libraries that we use. Each has one file, an upper bound in pyproject.toml and a test here.

When such a library changes, a test here fails first. Then read the changes of the library, correct the file that the
test names, and only after that raise the upper bound.
"""

import ast
import gzip
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import ipywidgets
import plotly.offline
import pytest
from ipykernel.kernelbase import Kernel
from packaging.requirements import Requirement
from packaging.version import Version

from amfs_lab.widgets.plotly_widget import BUNDLE, BUNDLE_VERSION

ROOT = Path(__file__).resolve().parents[1]
WIDGETS = ROOT / "amfs_lab" / "widgets"
JUPYTER = Path(sys.prefix, "share", "jupyter")

CEILINGS = ("anywidget", "ipykernel", "ipywidgets", "jupyterlab", "plotly")
# Names with an underscore that are not private, because their libraries document them.
DOCUMENTED = {"_asdict", "_exit", "_fields", "_render_traceback_", "_replace", "_repr_html_", "_repr_mimebundle_"}
PYTHON = {("widgets/explorer.py", "_handle_custom_msg")}  # (file, private name of ipywidgets)
JAVASCRIPT = {  # (file, private name of plotly.js, or name that anywidget will remove)
    *(("plotly_widget.js", name) for name in ("_fullLayout", "_length", "_offset", "l2p", "p2l")),
    *((name, "widget_manager") for name in ("drawing_pad.js", "mount.js")),
}


def foreign(sources: dict[str, str]) -> set[tuple[str, str]]:
    """(file, name) of each private name that is used but not defined in any of the files."""
    own, used = set(), set()
    for file, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add((file, node.attr))
                if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self":
                    own.add(node.attr)
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("amfs_lab"):
                used |= {(file, part) for part in (node.module or "").split(".")}
                used |= {(file, alias.name) for alias in node.names}
    return {(file, name) for file, name in used if re.match("_[a-zA-Z]", name) and name not in own}


def test_private_names_are_used_only_in_their_files():
    package = ROOT / "amfs_lab"
    sources = {path.relative_to(package).as_posix(): path.read_text("utf-8") for path in package.rglob("*.py")}
    assert {(file, name) for file, name in foreign(sources) if name not in DOCUMENTED} == PYTHON


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("widget._comm.close()", {"_comm"}),
        ("from torch._C import x", {"_C"}),
        ("from torch import _dynamo", {"_dynamo"}),
        ("self._own = 1\nother._own", set()),
        ("def _own(): ...\nmodule._own()", set()),
        ("x.__class__", set()),
    ],
)
def test_a_private_name_is_found(source, found):
    assert foreign({"a.py": source}) == {("a.py", name) for name in found}


def test_private_names_of_javascript_are_used_only_in_their_files():
    name = re.compile(r"(?<=\.)_\w+|\b(?:l2p|p2l|widget_manager)\b")
    code = {path.name: re.sub(r"//.*", "", path.read_text(encoding="utf-8")) for path in WIDGETS.glob("*.js")}
    assert {(file, found) for file, text in code.items() for found in name.findall(text)} == JAVASCRIPT


# --- upper bounds ---


def required() -> dict[str, Requirement]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {Requirement(line).name: Requirement(line) for line in extras["lab"]}


@pytest.mark.parametrize("name", CEILINGS)
def test_the_ceiling_lies_below_the_next_major_version(name):
    """For versions 0.x, breaking changes increase x."""
    (pin,) = re.findall(rf"^{name}==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    version = Version(pin)
    ceiling = f"0.{version.minor + 1}" if version.major == 0 else str(version.major + 1)
    assert [str(s) for s in required()[name].specifier if s.operator == "<"] == [f"<{ceiling}"]


# --- ipywidgets: explorer.py puts its own handlers around the two through which a message from the page comes ---


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("_handle_custom_msg", {"method": "custom", "content": {"event": "click"}}),
        ("set_state", {"method": "update", "state": {"value": 3}}),
    ],
)
def test_ipywidgets_hands_messages_to_handlers_that_can_be_replaced(handler, message):
    widget, heard = ipywidgets.IntSlider(), []
    setattr(widget, handler, lambda *given: heard.append(given[0]))
    widget._handle_msg({"content": {"data": message}, "buffers": []})
    assert heard == [message.get("content", message.get("state"))]


def front_end(*folders: str) -> str:
    """The JavaScript code in these folders."""
    return "".join(
        file.read_text(encoding="utf-8", errors="ignore")
        for folder in folders
        for file in sorted((JUPYTER / folder / "static").glob("*.js"))
    )


IPYWIDGETS = front_end("labextensions/@jupyter-widgets/jupyterlab-manager")
CLASSES = re.compile(r"[.\"'](widget-[\w-]+|noUi-[\w-]+|jupyter-widgets[\w-]*|slider-container)")


def test_ipywidgets_has_the_classes_that_our_styles_name():
    """page.css and page.js use these classes."""
    files = [*WIDGETS.glob("*.css"), *WIDGETS.glob("*.js")]
    named = {name for path in files for name in CLASSES.findall(path.read_text(encoding="utf-8"))}
    assert {"noUi-handle", "widget-slider"} <= named
    assert [name for name in sorted(named) if name not in IPYWIDGETS] == []


def test_a_model_tells_what_changed_and_its_manager_finds_others():
    """mount.js and drawing_pad.js use `state.changed`, `get_model` and `kernel.disposed`."""
    assert "get_model(" in IPYWIDGETS
    assert "IPY_MODEL_" in IPYWIDGETS
    assert re.search(r"\.changed\b", IPYWIDGETS)


# --- JupyterLab ---


def test_jupyterlab_has_the_classes_and_marks_that_we_name():
    """page.css, page.js and mount.js use these names."""
    lab = front_end("lab")
    for name in ("jp-OutputArea-child", "lm-suppress-shortcuts", "jpThemeLight"):
        assert name in lab, name


# --- ipykernel: jupyter.py acknowledges a message in the kernel's place ---


def test_ipykernel_has_what_an_acknowledgement_needs():
    assert list(inspect.signature(Kernel.send_response).parameters)[1:4] == ["stream", "msg_or_type", "content"]
    assert "ident" in inspect.signature(Kernel.send_response).parameters
    assert callable(Kernel.get_parent)
    assert Kernel.class_traits().keys() >= {"iopub_socket"}


# --- IPython: jupyter.py's one line in the place of a traceback ---


def test_ipython_asks_an_exception_for_its_own_traceback():
    code = "e = KeyboardInterrupt(); e._render_traceback_ = lambda: ['Stopped.']; raise e"
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--quick", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Stopped." in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# --- anywidget: a view reaches the models of other widgets ---


def test_anywidget_gives_a_view_the_manager_of_models():
    """mount.js and drawing_pad.js use it. anywidget's source says that a later version will remove parts."""
    assert re.search(r"widget_manager: model\.widget_manager", front_end("labextensions/anywidget"))


# --- plotly ---


def test_the_plotly_js_that_is_shipped_has_the_private_parts_of_dragging():
    """plotly_widget.js places its rings by the axes of `_fullLayout`."""
    code = gzip.decompress(BUNDLE.read_bytes()).decode()
    for file, name in JAVASCRIPT:
        if file == "plotly_widget.js":
            assert re.search(rf"\.{name}\b", code), name


def test_it_draws_what_the_installed_plotly_describes():
    """plotly in Python makes the specification, and the shipped plotly.js draws it."""
    assert Version(plotly.offline.get_plotlyjs_version()).major == Version(BUNDLE_VERSION).major
