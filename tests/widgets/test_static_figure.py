"""`picture()`: matplotlib draws the same numbers and properties that plotly gets."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.colors import to_rgba

from amfs_lab import explore
from amfs_lab.errors import ConfigError
from amfs_lab.widgets import saved_picture
from amfs_lab.widgets.static_figure import floats, paths, still

NAMES = [name for name in explore.__all__ if name.endswith("Explorer") and getattr(explore, name).declared]


def made(name, **start):
    if name == "CompareExplorer":
        return explore.CompareExplorer(explore.training.compare.equal_learners(seed=22), episodes="the first 150")
    return getattr(explore, name)(**start)


def numbers(values, every):
    """The coordinates of a trace. A word becomes its index among all words of the axis."""
    if any(isinstance(value, str) for value in values):
        known = list(dict.fromkeys(value for axis in every for value in axis))
        return np.array([known.index(value) for value in values], float)
    return floats(values)


def drawn_of(figure, index):
    return figure.findobj(lambda artist: artist.get_gid() == f"trace-{index}")


def same(a, b):
    assert np.shape(a) == np.shape(b)
    assert np.allclose(a, b, equal_nan=True)


def compare(plotly, figure):
    """Compares each trace with its drawing. Returns the types of the traces."""
    seen = set()
    for index, trace in enumerate(plotly.data):
        drawn, where = drawn_of(figure, index), f"trace {index}"
        empty = trace.type in ("scatter", "bar") and (trace.x is None or not len(trace.x))
        if trace.visible is False or empty:
            assert not [a for a in drawn if len(getattr(a, "get_xdata", list)())], where
            continue
        seen.add(trace.type)
        kinds = {type(a).__name__: a for a in drawn}
        if trace.type == "image":
            assert kinds["AxesImage"].get_array().ndim >= 2
        elif trace.type == "heatmap":
            same(np.ma.filled(kinds["QuadMesh"].get_array().astype(float), np.nan), np.array(trace.z, float))
        elif trace.type == "contour":
            assert kinds["QuadContourSet"].zmax == pytest.approx(np.nanmax(np.array(trace.z, float)))
        elif trace.type == "bar":
            bars = [a for a in drawn if type(a).__name__ == "Rectangle"]
            same([bar.get_height() for bar in bars], floats(trace.y))
        else:
            others = [t for t in plotly.data if t.type == "scatter" and t.xaxis == trace.xaxis]
            x = numbers(trace.x, [t.x for t in others if t.x is not None])
            y = numbers(trace.y, [t.y for t in others if t.y is not None])
            points, symbols = np.stack([x, y], 1), np.array(trace.marker.symbol, object)
            if "arrow" in symbols.ravel():
                if len(x) > 1:
                    for arrow in (a for a in drawn if getattr(a, "arrow_patch", None)):
                        same([arrow.xyann, arrow.xy], points)
                continue
            if "lines" in trace.mode and trace.line.width != 0:
                same(np.stack(kinds["Line2D"].get_data(), 1), points)
                assert to_rgba(kinds["Line2D"].get_color()) == to_rgba(trace.line.color or kinds["Line2D"].get_color())
            if "markers" in trace.mode:
                marks = kinds["PathCollection"]
                same(np.ma.filled(marks.get_offsets(), np.nan), points)
                sizes = floats(np.atleast_1d(6 if trace.marker.size is None else trace.marker.size))
                same(np.resize(marks.get_sizes(), len(x)), np.resize(np.nan_to_num(sizes) * 0.36, len(x)) ** 2)
            if "text" in trace.mode:
                words = [str(text) for text in trace.text if str(text).strip()]
                assert sum(type(a).__name__ == "Annotation" for a in drawn) <= len(words)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_the_numbers_the_titles_and_the_sentence_of_the_live_figure(name):
    explorer = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # for example a glyph that is missing in the font
        figure = explorer.picture()
        figure.set_layout_engine("none")  # it takes half a second
        figure.draw_without_rendering()
    plotly = explorer.figure
    assert compare(plotly, figure) or "Nothing has run yet" in explorer.sentence.text
    words = [text.get_text() for text in figure.texts]
    assert re.sub(r"\s+", " ", " ".join(words)) == re.sub(r"\s+", " ", f"{explorer.title} {explorer.sentence.text}")
    shown = {t.name for t in plotly.data if t.name and t.showlegend is not False and t.visible is not False}
    listed = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert len(listed) == (len(shown) if plotly.layout.showlegend is not False else 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_draws(name):
    """Among presets that use the same properties of the same traces, one preset is drawn."""
    explorer, drawn = made(name), set()
    for controls in explorer.presets.values():
        explorer.set(**controls)
        plotly = explorer.figure
        used = str([sorted(paths(trace.to_plotly_json())) for trace in plotly.data])
        if used not in drawn:
            compare(plotly, explorer.picture())
        drawn.add(used)


def test_a_run_is_drawn():
    race = explore.MetaTrainingExplorer()
    for step in (1, 2, 3):
        race.push(SimpleNamespace(method="amfs", step=step, seconds=step, loss=1 / step, accuracy=0.5, validation=None))
    race.refresh()
    assert compare(race.figure, race.picture()) == {"scatter"}


def figure_of(*traces, **layout):
    figure = go.Figure(list(traces), layout)
    spec = {"columns": [1], "rows": [1], "panels": [{"area": [1, 1, 2, 2], "layout": {}}]}
    return still(figure, spec)


def test_gaps_strings_logarithms_and_single_cells_are_drawn():
    assert len(figure_of(go.Heatmap(z=[[1.0]], colorscale=[[0, "white"], [1, "black"]])).axes) == 2
    log = figure_of(go.Scatter(x=[1, None, 3], y=[1e-3, 2, 1e4], mode="lines"), yaxis=dict(type="log", range=[-4, 5]))
    assert log.axes[0].get_ylim() == (1e-4, 1e5)
    turned = figure_of(go.Bar(x=["a", "b"], y=[1, 2], marker={}), xaxis=dict(type="category", autorange="reversed"))
    assert turned.axes[0].get_xlim() == (1.5, -0.5)
    figure_of(go.Scatter(x=[], y=[], mode="markers")).draw_without_rendering()
    fill = figure_of(
        go.Scatter(x=[0, 1], y=[0, 0], mode="lines"), go.Scatter(x=[0, 1], y=[1, 1], fill="tonexty", mode="lines")
    )
    (area,) = fill.axes[0].patches
    assert area.get_xy()[:4].tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_bars_stand_where_plotly_puts_them():
    def lefts(mode):
        figure = figure_of(go.Bar(x=[0, 1], y=[1, 2], marker={}), go.Bar(x=[0, 1], y=[3, -4], marker={}), barmode=mode)
        return [(round(bar.get_x(), 2), bar.get_y(), bar.get_height()) for bar in figure.axes[0].patches]

    assert lefts("group") == [(-0.4, 0, 1), (0.6, 0, 2), (0, 0, 3), (1, 0, -4)]
    assert lefts("overlay") == [(-0.4, 0, 1), (0.6, 0, 2), (-0.4, 0, 3), (0.6, 0, -4)]
    assert lefts("stack") == [(-0.4, 0, 1), (0.6, 0, 2), (-0.4, 1, 3), (0.6, 0, -4)]


POINT = dict(x=[1], y=[1])


@pytest.mark.parametrize(
    ("trace", "layout", "words"),
    [
        (go.Box(y=[1, 2]), {}, "traces of scatter, bar, heatmap, contour, image. Got 'box'"),
        (go.Scatter(**POINT, marker_gradient_type="radial"), {}, "`marker.gradient.type` of scatter"),
        (go.Scatter(**POINT, marker_symbol="bowtie"), {}, "symbol must be one of 'circle'.*Got 'bowtie'"),
        (go.Scatter(x=[1, 2], y=[1, 2], mode="lines", fill="tozeroy"), {}, "fill must be one of.*Got 'tozeroy'"),
        (go.Bar(**POINT, orientation="h"), {}, "`orientation` of bar"),
        (go.Scatter(**POINT), dict(xaxis_rangebreaks=[{}]), "`rangebreaks` of axis"),
        (go.Scatter(**POINT), dict(shapes=[{}]), "`shapes` of layout"),
        (go.Scatter(**POINT), dict(yaxis_tickformat=".2f"), "must be '.0%'. Got '.2f'"),
    ],
)
def test_a_property_that_cannot_be_drawn_is_refused(trace, layout, words):
    with pytest.raises(ConfigError, match=words):
        figure_of(trace, **layout)


def test_a_panel_alone_has_neither_title_nor_sentence():
    explorer = explore.RbfExplorer()
    figure = explorer.picture(panel=2)
    assert not figure.texts
    assert len(figure.axes) == 2  # the Gram matrix and its scale
    with pytest.raises(ConfigError, match=r"`panel` must be one of 1 to 3. Got 4"):
        explorer.picture(panel=4)


class TestInACell:
    @pytest.fixture
    def shown(self, monkeypatch):
        """The arguments of all calls that would display something in a kernel."""
        told = []
        monkeypatch.delenv("AMFS_LAB_FAST", raising=False)
        monkeypatch.setattr(saved_picture, "display", lambda bundle, **rest: told.append((bundle, rest)))
        monkeypatch.setattr(saved_picture, "get_ipython", lambda: SimpleNamespace(kernel=None))
        return told

    def test_the_widget_does_not_wait_for_the_picture_above_it(self, shown):
        explorer = explore.RbfExplorer()
        explorer._ipython_display_()
        (place, kept), (live, _), (image, put) = shown
        assert live["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.widget.model_id
        assert kept["display_id"] == put["display_id"]
        assert (kept["update"], put["update"]) == (False, True)
        assert 1e4 < len(image["image/png"]) < 1e5
        assert len(place["image/png"]) < 200
        assert explorer.sentence.text in image["text/plain"]
        assert explorer.sentence.text in put["metadata"]["image/png"]["alt"]
        assert kept["display_id"] != saved_picture._place(explore.RbfExplorer())

    def test_an_error_of_the_picture_is_one_line_beside_the_live_figure(self, shown, monkeypatch):
        monkeypatch.setattr(saved_picture, "png", lambda _: 1 / 0)
        explore.RbfExplorer()._ipython_display_()
        assert shown[-1][0] == {"text/plain": "There is no picture of this figure. ZeroDivisionError: division by zero"}
        assert len(shown) == 3

    def test_under_test_and_outside_a_kernel_there_is_none(self, shown, monkeypatch):
        explorer = explore.RbfExplorer()
        monkeypatch.setenv("AMFS_LAB_FAST", "1")
        explorer._ipython_display_()
        monkeypatch.delenv("AMFS_LAB_FAST")
        monkeypatch.setattr(saved_picture, "get_ipython", lambda: None)
        explorer._ipython_display_()
        assert [("image/png" in bundle, "text/plain" in bundle) for bundle, _ in shown] == [(False, True)] * 2

    def test_a_run_that_ends_renews_its_picture(self, shown):
        race = explore.MetaTrainingExplorer()
        race.finish("finished")
        ((bundle, rest),) = shown
        assert "image/png" in bundle
        assert rest["update"]
