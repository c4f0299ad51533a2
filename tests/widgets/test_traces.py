"""Named traces: the properties that plotly gets, and the properties that arrays set."""

import plotly.graph_objects as go
import pytest

from amfs_lab.widgets.arrows import arrow
from amfs_lab.widgets.style import BLUE, GREEN, INK, SIMILARITY, Look
from amfs_lab.widgets.traces import (
    area,
    bars,
    contours,
    curve,
    dots,
    dotted_curve,
    hatched,
    heat_map,
    image,
    notes,
    reference_line,
    vector,
)

ALL = {
    "curve": curve("x", "y", dash="dot", name="a"),
    "reference_line": reference_line([0, 1], [2, 2]),
    "dots": dots("x", "y", GREEN, [3, 4], ["x", "cross"], (INK, 1), hover="%{x}"),
    "notes": notes("x", "y", "words", "top left"),
    "dotted_curve": dotted_curve("x", "y", Look(GREEN, "dash", "square"), inside="white"),
    "area": area("x", "y", GREEN),
    "bars": bars("x", "y", BLUE, (INK, 1), hatched("/"), numbers="words"),
    "vector": vector("step", INK, 2),
    "heat_map": heat_map([1, 2], [1, 2], "K", SIMILARITY),
    "contours": contours([1, 2], [1, 2], "K", SIMILARITY),
    "image": image("source", 1, "y"),
}


@pytest.mark.parametrize("trace", ALL.values(), ids=ALL.keys())
def test_plotly_knows_every_property(trace):
    trace.kind(trace.style)


def test_array_names_become_feeds_and_values_stay():
    mixed = curve([0.0, 1.0], "heights", marker_size="sizes")
    assert mixed.feeds == {"y": "heights", "marker_size": "sizes"}
    assert mixed.style["x"] == [0.0, 1.0]


def test_the_legend_lists_what_has_a_name_and_is_not_unlisted():
    assert [curve("x", "y", **a).style.get("showlegend", True) for a in ({}, {"name": "a"}, {"named": "names"})] == [
        False,
        True,
        True,
    ]
    assert curve("x", "y", name="a", listed=False).style["showlegend"] is False
    fed = curve("x", "y", named="names", showlegend="there")
    assert "showlegend" not in fed.style
    assert fed.feeds["name"] == "names"


def test_hover_texts():
    """None gives no text, "" gives plotly's own text. A text has no box with the name, unless the name can change."""
    assert curve("x", "y").style["hoverinfo"] == "skip"
    assert {"hoverinfo", "hovertemplate"}.isdisjoint(dots("x", "y").style)
    assert dots("x", "y", hover="%{x}").style["hovertemplate"] == "%{x}<extra></extra>"
    assert dots("x", "y", hover="%{x}", named="names").style["hovertemplate"] == "%{x}"


def test_points_of_different_sizes_are_opaque():
    assert go.Scatter(ALL["dots"].style).marker.opacity == 1


def test_an_arrow_has_all_its_arrays():
    fed = arrow((0, 0), (3, 4), 15, scale=100).arrays("step")
    assert set(fed) == set(ALL["vector"].feeds.values())
