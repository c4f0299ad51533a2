"""Accessibility of every explorer: texts, names, number boxes, and looks that do not depend on colour alone.

The rules of lint.py hold for every explorer of the package, in every state that a control or a preset sets. For each
rule, a test shows an explorer that breaks it. The browser tests check keys and screen readers.
"""

import importlib
import pkgutil
import re

import ipywidgets as w
import plotly.graph_objects as go
import pytest
import torch

import amfs_lab.explore as explore
from amfs_lab.widgets import style
from amfs_lab.widgets.controls import Fields, Slider, WidgetBinding
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays
from amfs_lab.widgets.messages import Words
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.traces import Trace, curve
from tests.explore.lint import RULES, axes, boxes, fonts, looks, names, palette, states, table, words

# All explorers: every module of the package is imported, so that no explorer is missing.

for module in pkgutil.walk_packages(explore.__path__, "amfs_lab.explore."):
    importlib.import_module(module.name)


def descendants(kind):
    return {kind}.union(*map(descendants, kind.__subclasses__()))


KINDS = sorted(
    (
        kind
        for kind in descendants(Explorer)
        if (kind.declared or kind.traces) and kind.__module__.startswith("amfs_lab.")
    ),
    key=lambda kind: kind.__name__,
)


def accuracies():
    draw = torch.Generator().manual_seed(0)
    return {name: torch.rand(40, generator=draw) for name in ("i-amfs", "amfs", "maml")}


ARGUMENTS = {"CompareExplorer": (accuracies(),)}  # of the explorers that need data


def test_every_explorer_is_exported():
    """Every explorer that a lesson can show is exported, and therefore tested."""
    assert len(KINDS) >= 6
    assert {kind.__name__ for kind in KINDS} <= set(explore.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_explorer_keeps_every_rule(kind):
    explorer, faults = kind(*ARGUMENTS.get(kind.__name__, ())), {}
    for where in states(explorer):
        for rule in RULES:
            for fault in rule(explorer):
                faults.setdefault(f"{rule.__name__}: {fault}", where)
    assert not faults, "\n".join(f"{where}: {fault}" for fault, where in faults.items())


# Each rule finds its fault.


class Sound(Explorer):
    title, alt = "A sound explorer", "One panel: a solid blue line and a dashed red one over five places."
    height = Slider("height", 0.1, 10.0, scale="log", start=1.0)
    presets = {"low": {"height": 0.2}}
    panels = Panels(figure=Panel("", axis("place"), axis("height")))
    traces = {"solid": curve("x", "y"), "dashed": curve("x", "y", style.VERMILLION, dash="dash")}

    def compute(self, state):
        return Arrays(x=torch.arange(5.0), y=state.height * torch.ones(5))

    def say(self, a):
        return f"It is {a.y[0]:g} high."


def changed(**attributes):
    return type("Changed", (Sound,), attributes)


def drawn(*styles, kind=go.Scatter):
    return changed(traces={name: Trace(kind, style, x="x", y="y") for name, style in zip("ab", styles, strict=False)})


def without_box(self, value, label_width=""):
    slider = w.FloatSlider(value=value, description=self.label)
    return Fields(w.HBox([slider]), [WidgetBinding(slider)], Words())


def without_name(self, value, label_width=""):
    box = w.FloatText(value=value)
    return Fields(w.HBox([box]), [WidgetBinding(box)], Words())


def control(fields, label="height"):
    return type("Odd", (Slider,), {"fields": fields})(label, 0.1, 10.0, start=1.0)


SOLID = {"mode": "lines", "line": {"color": style.BLUE}}
POINTS = {"mode": "markers", "marker": {"color": style.GREEN}}


def of(title="", x=None, y=None):
    return changed(panels=Panels(figure=Panel(title, x or {}, y or {})))


PLANTED = [
    (words, changed(title=" "), "no title"),
    (words, changed(alt=""), "its alt must describe"),
    (words, changed(alt="A figure."), "its alt must describe"),
    (words, changed(alt="Forty characters and more, that do not end in a stop"), "its alt must describe"),
    (words, changed(say=lambda self, a: ""), "its state must be a sentence"),
    (words, changed(say=lambda self, a: "It is high." if a.y[0] > 0.3 else "low"), "its state must .* 'low'"),
    (names, changed(height=Slider(" ", 0.1, 10.0, scale="log", start=1.0)), "the control height has no label"),
    (names, changed(height=control(without_name)), "shows '' instead of its label 'height'"),
    (names, changed(height=control(without_name)), "a FloatText has no name"),
    (names, changed(tools=lambda self: [w.Button(icon="stop")]), "a button has no text"),
    (boxes, changed(height=control(without_box)), "the slider 'height' has no numeric box"),
    (boxes, changed(tools=lambda self: [w.IntSlider(description="loose")]), "the slider 'loose' has no numeric box"),
    (palette, drawn({"line": {"color": "#123456"}}), r"line\.color is '#123456'"),
    (palette, drawn({"marker": {"color": ["red", "blue"]}}), r"marker\.color is 'red'"),
    (palette, drawn({"fill": "tozeroy", "fillcolor": "rgba(1, 2, 3, 0.5)"}), r"fillcolor is 'rgba\(1, 2, 3, 0\.5\)'"),
    (palette, drawn({"marker": {"line": {"color": "green"}}}), r"marker\.line\.color is 'green'"),
    (palette, drawn({"error_y": {"color": "#111111"}}), r"error_y\.color is '#111111'"),
    (looks, drawn(SOLID, {"mode": "lines", "line": {"color": style.GREEN, "width": 2.4}}), "differ by their colour"),
    (looks, drawn({"mode": "lines"}, {"mode": "lines"}), "traces 'a' and 'b' differ by their colour"),
    (looks, drawn(POINTS, {"mode": "markers", "marker": {"color": style.BLUE, "size": 7}}), "differ by their colour"),
    (looks, drawn({"marker": {"color": style.GREEN}}, {"marker": {"color": style.BLUE}}, kind=go.Bar), "differ by"),
    (looks, drawn({"mode": "markers", "marker": {"color": [style.BLUE, style.GREEN]}}), "points 0 and 1 differ by"),
    (looks, drawn({"marker": {"color": [style.BLUE, style.GREEN]}}, kind=go.Bar), "points 0 and 1 differ by"),
    (table, drawn(SOLID | {"name": "MAML"}), "trace 'a' has the colour #0072B2, not #D55E00"),
    (table, drawn(SOLID | {"name": "O-AMFS", "line": {"color": style.GREEN}}), "has the dash solid, not dot"),
    (fonts, of(x=axis(tickfont={"size": 9})), r"layout\.xaxis\.tickfont\.size has size 9"),
    (fonts, changed(layout={"annotations": [{"text": "a", "font": {"size": 8}}]}), r"annotations\[0\]\.font\.size"),
    (fonts, drawn({"textfont": {"size": 10}}), r"data\[0\]\.textfont\.size has size 10"),
    (axes, of(y=axis("height")), "xaxis has no title"),
    (axes, of(x=axis("x", ticks={1: "10"})), "yaxis has no title"),
    (axes, of("height"), "xaxis has no title"),
    (axes, of(" ", axis("x")), "yaxis has no title"),
]


def faults(kind, rule):
    explorer = kind()
    return [fault for _ in states(explorer) for fault in rule(explorer)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_explorer_has_no_faults(rule):
    assert faults(Sound, rule) == []


@pytest.mark.parametrize(("rule", "kind", "fault"), PLANTED, ids=[f"{r.__name__}: {f}" for r, _, f in PLANTED])
def test_each_rule_finds_its_fault(rule, kind, fault):
    assert re.search(fault, "\n".join(faults(kind, rule)))


ALLOWED = [
    (palette, drawn({"line": {"color": "rgba(0, 114, 178, 0.2)"}, "marker": {"color": "white"}})),
    (palette, drawn({"mode": "markers", "marker": {"color": [1, 2, 3, 4, 5], "colorscale": style.SIMILARITY}})),
    (looks, drawn(SOLID, SOLID)),
    (looks, drawn(SOLID, {"mode": "lines", "line": {"color": style.GREEN, "width": 4}})),
    (looks, drawn(POINTS, {"mode": "markers", "marker": {"color": "white"}})),
    (looks, drawn(POINTS, {"mode": "markers", "marker": {"color": style.BLUE, "symbol": "square"}})),
    (looks, drawn({"mode": "markers", "marker": {"color": [style.BLUE, "white"], "symbol": ["x", "square"]}})),
    (looks, drawn({"marker": {"color": [style.BLUE, style.GREEN]}, "text": ["own", ""]}, kind=go.Bar)),
    (axes, of(x=axis(visible=False), y=axis(ticks={0: "low", 1: "high"}))),
    (axes, of("height", axis("place"))),
    (axes, of(x=axis(showticklabels=False), y=axis(type="category"))),
]


@pytest.mark.parametrize(("rule", "kind"), ALLOWED)
def test_an_explorer_without_faults_passes(rule, kind):
    assert faults(kind, rule) == []
