"""No text from a user, a file or an error becomes markup on the page."""

import ast
import re
from pathlib import Path

import ipywidgets
import torch

import amfs_lab
from amfs_lab import explore, widgets
from amfs_lab.errors import ConfigError
from amfs_lab.widgets.box import Box
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.messages import Words
from tests.widgets.test_explorer import Wave

HOSTILE = "<img src=x onerror=alert(1)>"
SHOWN = "&lt;img src=x onerror=alert(1)&gt;"
FOLDER = Path(amfs_lab.__file__).parent


def pages(widget: ipywidgets.Widget) -> list[str]:
    """The values of all HTML widgets inside `widget`."""
    own = [widget.value] if isinstance(widget, ipywidgets.HTML) else []
    return own + [page for child in getattr(widget, "children", ()) for page in pages(child)]


def test_only_one_widget_of_ours_takes_markup():
    """`Words` escapes its text, and no other widget that could hold markup is created."""
    markup, found = {"HTML", "HTMLMath", "description_allow_html", "tooltip_allow_html"}, {}
    for path in sorted(FOLDER.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
        names += [word.arg for node in nodes if isinstance(node, ast.Call) for word in node.keywords]
        names += [each.name for node in nodes if isinstance(node, ast.ImportFrom) for each in node.names]
        if markup & set(names):
            found[path.name] = [name for name in names if name in markup]
    assert found == {"messages.py": ["HTML"]}


def test_no_script_of_ours_makes_markup():
    scripts = sorted(FOLDER.rglob("*.js"))
    assert scripts
    for path in scripts:
        assert not re.search(r"(inner|outer)HTML|insertAdjacentHTML|document\.write", path.read_text(encoding="utf-8"))


def test_text_is_shown_unchanged():
    words = Words(HOSTILE, "amfs-help", "<b>{}</b>")
    assert words.value == f"<b>{SHOWN}</b>"
    words.say("{} & {0}")
    assert words.value == "<b>{} &amp; {0}</b>"
    words.say("")
    assert words.value == ""


class Hostile(Wave):
    title = f"title {HOSTILE}"
    height = Slider(f"label {HOSTILE}", 0.0, 1.0, start=0.5, unit=f"unit {HOSTILE}", help=f"help {HOSTILE}")
    kind = Choice("kind", [f"option {HOSTILE}"], help="of name")


def test_an_explorer_shows_every_word_of_its_author_and_of_an_error():
    explorer = Hostile()
    explorer.controls["height"].parts[1].widget.value = 7.0  # out of range: a note says which value it became
    explorer.show_error(ConfigError(f"error {HOSTILE}"))
    explorer.sentence.text = f"sentence {HOSTILE}"
    shown = pages(explorer.widget)
    assert not [page for page in shown if "<img" in page]
    told = "\n".join(shown)
    for place in ("title", "label", "unit", "help", "error", "sentence"):
        assert f"{place} {SHOWN}" in told, place


def test_names_of_methods_are_escaped():
    accuracies = {HOSTILE: torch.rand(40), f"maml {HOSTILE}": torch.rand(40)}
    shown = pages(explore.CompareExplorer(accuracies).widget)
    assert any(SHOWN in page for page in shown)
    assert not any("<img" in page for page in shown)


def test_a_question_and_its_answers_are_escaped():
    asked = widgets.predict(HOSTILE, [HOSTILE, "no"], HOSTILE, {HOSTILE: HOSTILE})
    asked.choose(HOSTILE)
    assert sum(SHOWN in page for page in pages(asked.widget)) == 2
    assert not any("<img" in page for page in pages(asked.widget))


def test_a_box_escapes_text_and_code():
    shown = Box("wrong", f"Got `{HOSTILE}` of {HOSTILE}.")._repr_html_()
    assert shown.count(SHOWN) == 2
    assert "<img" not in shown


def test_text_without_a_kind_has_no_css_class():
    """An empty CSS class would raise an error on the page."""
    assert "" not in Words("plain")._dom_classes
    assert "amfs-help" in Words("plain", "amfs-help")._dom_classes
