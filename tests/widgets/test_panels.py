"""Panels by name: their positions, their numbers in plotly, and the grids that are refused."""

import pytest

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.figure import Arrays, LiveFigure
from amfs_lab.widgets.panels import EQUAL_X, EQUAL_Y, Panel, Panels, axis, log_axis
from amfs_lab.widgets.traces import curve

PANELS = Panels(
    "left upper / left lower",
    widths=(2, 1),
    heights=(3, 1),
    left=Panel("on the left", axis("x", (0, 1)), axis("y")),
    upper=Panel("", axis(**EQUAL_X), axis(**EQUAL_Y)),
    lower=Panel("below"),
)


def test_a_panel_covers_all_cells_with_its_name():
    assert [PANELS.area(name) for name in PANELS] == [(0, 0, 2, 1), (0, 1, 1, 2), (1, 1, 2, 2)]
    assert [PANELS.share(name) for name in PANELS] == [1, 0.75, 0.25]
    assert PANELS.subplots()["specs"] == [
        [dict(rowspan=2, colspan=1), dict(rowspan=1, colspan=1)],
        [None, dict(rowspan=1, colspan=1)],
    ]


def test_without_a_grid_panels_stand_side_by_side():
    row = Panels(one=Panel(), two=Panel())
    assert [row.area(name) for name in row] == [(0, 0, 1, 1), (0, 1, 1, 2)]


def test_axes_are_numbered_as_plotly_numbers_them():
    layout = PANELS.layout()
    assert list(layout) == ["xaxis", "yaxis", "xaxis2", "yaxis2", "xaxis3", "yaxis3"]
    assert layout["xaxis"] == dict(title="x", range=[0, 1])
    assert layout["yaxis2"]["scaleanchor"] == "x2"  # the x axis of the same panel
    assert "scaleanchor" not in layout["yaxis"]


def test_tick_labels_are_given_by_tick_value():
    assert log_axis("s", ticks={0.1: "⅒", 1: "1"}) == dict(
        title="s", tickvals=[0.1, 1], ticktext=["⅒", "1"], type="log"
    )
    assert axis(ticks=(0, 1), zero="#000000") == dict(tickvals=[0, 1], zeroline=True, zerolinecolor="#000000")


@pytest.mark.parametrize("grid", ["one", "one two three", "one one / two", ". ."])
def test_a_grid_that_does_not_fit_the_panels_is_refused(grid):
    with pytest.raises(ConfigError, match=r"must have rows of equal length and name each of the panels one, two\. Got"):
        Panels(grid, one=Panel(), two=Panel())


def figure(**changes):
    table = dict(panels=PANELS, traces={"a": curve("x", "y", at="lower")}, frame={}, layout={})
    arrays = Arrays(x=[0, 1], y=[1, 2], title="moved", range=[0, 5])
    return LiveFigure(**table | changes, arrays=arrays)


def test_frame_and_traces_reach_their_panel_by_name():
    drawn = figure(frame={"lower.title": "title", "lower.y.range": "range", "upper.x.range": "range"})
    assert drawn.trace("a").xaxis == "x3"
    layout = drawn.figure.layout
    assert [note.text for note in layout.annotations] == ["on the left", "moved"]
    assert (layout.yaxis3.range, layout.xaxis2.range, layout.xaxis.range) == ((0, 5), (0, 5), (0, 1))
    left, upper, lower = drawn.state.specification["panels"]
    assert sorted(lower["frame"]) == [["title.text", "title"], ["yaxis.range", "range"]]
    assert ([trace["name"] for trace in lower["traces"]], left["traces"], upper["traces"]) == (["a"], [], [])


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"A panel must be one of left, upper, lower\. Got 'right'"):
        figure(traces={"a": curve("x", "y", at="right")})
    with pytest.raises(ConfigError, match=r"A panel must be one of left, upper, lower\. Got 'xaxis'"):
        figure(frame={"xaxis.range": "range"})
    with pytest.raises(ConfigError, match=r"A trace must be one of a\. Got 'b'"):
        figure().trace("b")
