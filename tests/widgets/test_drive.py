"""`drive` fails on each fault of an explorer that a user would notice, and the page gets all that it needs to draw."""

import base64
import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest

import amfs_lab.explore as explore
from amfs_lab.widgets.controls import Slider
from amfs_lab.widgets.drive import drive
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays
from amfs_lab.widgets.plotly_widget import PREFIX
from amfs_lab.widgets.traces import curve

ALL = [getattr(explore, name) for name in explore.__all__ if isinstance(getattr(explore, name), type)]
ALL = [kind for kind in ALL if kind.declared]  # the bases declare no control
STARTED = [kind for kind in ALL if kind.__name__ != "CompareExplorer"]  # it needs data

LESSONS = Path(__file__).parents[2] / "notebooks"


def test_every_explorer_is_driven_in_a_lesson_or_here():
    """A cell that notebooks/conftest.py adds to each lesson drives the explorers of the lesson."""
    lessons = [json.loads(path.read_text(encoding="utf-8"))["cells"] for path in LESSONS.glob("[0-9][0-9]_*.ipynb")]
    code = "".join("".join(cell["source"]) for cells in lessons for cell in cells if cell["cell_type"] == "code")
    assert len(ALL) > 20
    for kind in ALL:
        if f"explore.{kind.__name__}(" not in code:
            drive(kind())


@pytest.mark.parametrize("kind", STARTED, ids=lambda kind: kind.__name__)
def test_every_preset_is_a_start(kind):
    for preset in kind.presets:
        assert kind(preset=preset).arrays


@pytest.mark.parametrize("kind", STARTED, ids=lambda kind: kind.__name__)
def test_after_a_preset_the_controls_show_the_computed_state(kind, monkeypatch):
    """Each widget of each control shows the state that `compute` got. No control shows a value that is not used."""
    given = []
    explorer, compute = kind(), kind.compute
    monkeypatch.setattr(kind, "compute", lambda self, state: given.append(state) or compute(self, state))
    for preset in kind.presets:
        explorer.set(**explorer.preset(preset))
        for name, fields in explorer.controls.items():
            for part in fields.parts:
                shown = part.widget.value
                assert shown == part.to_widget(given[-1][name]), f"{preset}: {name} shows {shown!r}"
        if "state" in explorer.arrays:
            assert explorer.arrays.state == given[-1] == explorer.state
    if kind.__name__ == "EpisodeExplorer":
        assert all(made.arrays.asked == made.state.query for made in map(kind, kind.presets))


def put(part, path, value):
    """Sets a value by its path, as plotly.js does: only dots and brackets separate the parts of a path."""
    *way, last = (int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))
    for step in way:
        part = part[step] if isinstance(step, int) else part.setdefault(step, {})
    part[last] = value


def as_page(explorer):
    """The figure that `plotly_widget.js` draws: the specification with the arrays of the page."""
    state = explorer.live_figure.state
    sent = {name.removeprefix(PREFIX): value for name, value in state.get_state().items() if name.startswith(PREFIX)}
    page, data, layout = copy.deepcopy(state.specification), {}, {}
    for n, panel in enumerate(page["panels"], 1):
        for trace in panel["traces"]:
            for path, name in trace["feeds"]:
                put(trace["style"], path, numbers(sent[name]))
            data[trace["name"]] = trace["style"]
        for path, name in panel["frame"]:
            put(panel["layout"], path, numbers(sent[name]))
        layout |= {f"{axis}{n if n > 1 else ''}": panel["layout"][axis] for axis in ("xaxis", "yaxis")}
    return [data[name] for name in explorer.traces], layout


def as_figure(explorer):
    """The traces and axes of the plotly figure, without the properties that place them among other panels."""
    figure = json.loads(explorer.figure.to_json())
    data = [{k: v for k, v in trace.items() if k not in ("xaxis", "yaxis", "legend")} for trace in figure["data"]]
    return data, {k: v for k, v in figure["layout"].items() if k[1:5] == "axis"}


def numbers(value):
    """The value with lists in place of arrays. Our arrays are converted like `read` in `plotly_widget.js`."""
    if isinstance(value, dict) and "bytes" in value:
        return np.frombuffer(value["bytes"], value["type"]).reshape(value["shape"]).tolist()
    if isinstance(value, dict) and "bdata" in value:
        shape = [int(n) for n in str(value.get("shape", -1)).split(",")]
        return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).reshape(shape).tolist()
    if isinstance(value, dict):
        return {name: numbers(each) for name, each in value.items()}
    return [numbers(each) for each in value] if isinstance(value, (list, tuple)) else value


PLACES = ("anchor", "matches", "domain", "scaleanchor", "automargin")


def own(axis):
    """The axis without the properties that place it on the page and among other axes."""
    return numbers({k: v for k, v in axis.items() if k not in PLACES})


@pytest.mark.parametrize("kind", STARTED, ids=lambda kind: kind.__name__)
def test_the_page_draws_the_figure_of_the_present_state(kind):
    explorer = kind()
    moves = [explorer.preset(preset) for preset in kind.presets]
    moves += [{name: control.probes()[-1]} for name, control in kind.declared.items()]
    for move in ({}, *moves):
        explorer.set(**move)
    (data, axes), (expected, expected_axes) = as_page(explorer), as_figure(explorer)
    assert len(data) == len(kind.traces)
    assert numbers(data) == numbers(expected)
    for name, axis in axes.items():
        assert own(axis) == own(expected_axes[name])
    assert set(axes) == set(expected_axes)


class Line(Explorer):
    slope = Slider("slope", -1, 1, start=0.5)
    scale = Slider("scale", 0.1, 10, scale="log", start=1.0)
    traces = {"line": curve("x", "y")}

    def compute(self, state):
        x = np.linspace(0, 1, 5)
        return Arrays(x=x, y=state.slope * x * state.scale)

    def say(self, a):
        return f"ends at {a.y[-1]:.3f}"


def test_a_sound_explorer_passes():
    assert drive(Line()) == 2 * (2 * 4 + 2)  # four values by slider and by box, and two values out of range


def test_a_slider_without_effect_fails():
    class Dead(Line):
        def compute(self, state):
            return Arrays(x=[0.0, 1.0], y=np.array([0.0, state.slope]))

    with pytest.raises(AssertionError, match=r"Dead\.scale has no effect: no value of .* changed the figure"):
        drive(Dead())


def test_a_slider_that_changes_only_the_sentence_fails():
    class Parrot(Line):
        def compute(self, state):
            return Arrays(x=[0.0, 1.0], y=np.array([0.0, state.slope]), scale=state.scale)

        def say(self, a):
            return f"At scale {a.scale} it ends at {a.y[-1]:.3f}"

    with pytest.raises(AssertionError, match=r"Parrot\.scale has no effect"):
        drive(Parrot())


def test_a_slider_with_a_reason_to_be_inert_passes():
    class Excused(Line):
        scale = Slider("scale", 0.1, 10, scale="log", start=1.0, inert="only the slope counts here")

        def compute(self, state):
            return Arrays(x=[0.0, 1.0], y=np.array([0.0, state.slope]))

    drive(Excused())


def test_an_unwired_slider_fails():
    explorer = Line()
    explorer.controls["slope"].parts[0].widget.unobserve_all()
    with pytest.raises(AssertionError, match=r"slope = -1 by IntSlider: the explorer holds 0\.5"):
        drive(explorer)


def test_a_corrected_number_without_a_note_fails():
    explorer = Line()
    explorer.controls["slope"].remark = lambda words: None
    with pytest.raises(AssertionError, match=r"slope, -2 typed: it became -1 and no note says so"):
        drive(explorer)


def test_an_error_off_the_default_fails():
    class Breaks(Line):
        def compute(self, state):
            if state.scale == 10:
                raise ZeroDivisionError("at the far end")
            return super().compute(state)

    with pytest.raises(ZeroDivisionError, match="at the far end"):
        drive(Breaks())


def test_an_error_in_a_sentence_fails():
    class Mute(Line):
        def say(self, a):
            return f"ends at {[1, 2][int(a.y[-1] < 0) * 2]}"

    with pytest.raises(IndexError):
        drive(Mute())


def test_numbers_that_are_not_finite_fail():
    class Infinite(Line):
        def compute(self, state):
            with np.errstate(divide="ignore"):
                return Arrays(
                    x=np.linspace(0, 1, 5), y=np.log(np.linspace(0.1, 1, 5) * (1 - state.slope)) * state.scale
                )

    with pytest.raises(AssertionError, match=r"slope = 1 .*the trace 'line' has a value in trace.y that is not finite"):
        drive(Infinite())


def test_an_explorer_that_remembers_more_than_its_state_fails():
    class Drifting(Line):
        moves = 0

        def compute(self, state):
            self.moves += 1
            return Arrays(x=[0.0, 1.0], y=np.array([self.moves, state.slope * state.scale]))

    with pytest.raises(AssertionError, match=r"reset after moving slope does not restore the start"):
        drive(Drifting())
