"""Laws of every explorer, tested on a small explorer: state, presets, reset, errors, and messages to the page."""

import numpy as np
import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.controls import Choice, Slider, Toggle
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays
from amfs_lab.widgets.traces import curve, dots, notes


class Wave(Explorer):
    title, alt = "A wave", "one curve"
    length = Slider("length", 0.1, 10.0, scale="log", start=1.0, unit="m")
    count = Slider("count", 1, 9, integer=True, start=3)
    shape = Choice("shape", ["round", "square"])
    fails = Toggle("fails")
    presets = {"long": {"length": 5.0, "shape": "square"}, "many": {"count": 9}}
    traces = {"wave": curve("x", "y"), "zeros": dots("x", "zero")}
    frame = {"figure.x.range": "window"}

    def compute(self, state):
        if state.fails:
            raise ZeroDivisionError("off the default")
        x = np.linspace(0, state.count, 20)
        y = np.sin(x / state.length)
        y = np.sign(y) if state.shape == "square" else y
        return Arrays(x=x, y=y, zero=np.zeros(20), window=[0.0, float(state.count)])

    def say(self, a):
        return f"the largest is {a.y.max():.3f}"


@pytest.fixture
def wave():
    return Wave()


@pytest.fixture
def sent(wave, monkeypatch):
    """The messages that the figure sends to the page."""
    messages = []
    monkeypatch.setattr(wave.live_figure.state, "_send", lambda message, buffers=None: messages.append(message))
    return messages


def page(wave, name, **state):
    """A message from the page to the first widget of a control."""
    wave.controls[name].parts[0].widget.set_state(state)


def test_the_first_state_is_drawn_at_once(wave):
    assert np.array_equal(wave.trace("wave").y, wave.arrays.y)
    assert tuple(wave.figure.layout.xaxis.range) == (0.0, 3.0)
    assert wave.sentence.text == "the largest is 1.000"
    assert wave.live_figure.state.specification["alt"] == "one curve"
    assert (wave.banner.value, wave.error) == ("", None)


def test_a_control_reads_and_sets_as_an_attribute(wave):
    wave.length = 5.0
    assert wave.length == wave.state.length == 5.0
    assert np.allclose(wave.trace("wave").y, np.sin(np.linspace(0, 3, 20) / 5))


@pytest.mark.parametrize(
    ("name", "typed", "kept", "words"),
    [
        ("length", 70.0, 10.0, "length goes from 0.1 to 10: 70 became 10."),
        ("length", -1.0, 0.1, "length goes from 0.1 to 10: -1 became 0.1."),
        ("count", 12, 9, "count goes from 1 to 9: 12 became 9."),
        ("count", 2.5, 2, "count goes from 1 to 9 in whole numbers: 2.5 became 2."),
    ],
)
def test_a_number_out_of_range_becomes_the_nearest_and_a_note_says_so(wave, name, typed, kept, words):
    slider, box = (part.widget for part in wave.controls[name].parts)
    for _ in range(2):  # and again, from the corrected value
        box.set_state({"value": typed})
        assert (wave.state[name], box.value, wave.controls[name].note.value) == (kept, kept, words)
        assert slider.value == wave.controls[name].parts[0].to_widget(kept)
        assert wave.controls[name].note.layout.display == ""
    assert wave.error is None
    wave.set(shape="square")
    assert wave.controls[name].note.value == ""
    assert wave.controls[name].note.layout.display == "none"


def test_slider_and_box_follow_each_other(wave):
    slider, box = (part.widget for part in wave.controls["length"].parts)
    box.value = 10.0
    assert (wave.length, slider.value) == (10.0, slider.max)
    slider.value = 0
    assert (wave.length, box.value) == (0.1, 0.1)


def test_every_slider_has_a_name_and_a_box_that_can_be_typed_into(wave):
    for name in ("length", "count"):
        slider, box = (part.widget for part in wave.controls[name].parts)
        assert slider.description == name
        assert "type a value" in box.tooltip


def test_reset_restores_the_state_it_was_made_with():
    wave = Wave(preset="long", count=7)
    first = (wave.state, wave.sentence.text, np.array(wave.trace("wave").y))
    wave.set(length=0.2, count=2, shape="round")
    assert wave.state != first[0]
    wave.reset()
    assert (wave.state, wave.sentence.text) == first[:2]
    assert np.array_equal(wave.trace("wave").y, first[2])
    assert wave.controls["length"].parts[1].widget.value == 5.0


def test_a_preset_sets_its_controls_and_leaves_the_others(wave):
    wave.set(count=5)
    next(button for button in toolbar(wave) if button.description == "long").click()
    assert (wave.length, wave.shape, wave.count) == (5.0, "square", 5)


def toolbar(explorer):
    return [
        child for box in explorer.widget.children for child in getattr(box, "children", ()) if hasattr(child, "click")
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Wave(preset="short"), r"`preset` must be one of 'long', 'many'\. Got 'short'"),
        (lambda: Wave(width=1), r"A control of Wave must be one of length, count, shape, fails\. Got 'width'"),
        (lambda: Wave(length=0), r"`length` must be a number between 0\.1 and 10\. Got 0"),
    ],
)
def test_an_invalid_start_raises_in_the_cell(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_an_error_is_shown_until_the_next_success_and_raised(wave):
    with pytest.raises(ZeroDivisionError):
        wave.set(fails=True)
    assert "ZeroDivisionError: off the default" in wave.banner.value
    assert 'role="alert"' in wave.banner.value
    assert wave.banner.layout.display == ""
    assert isinstance(wave.error, ZeroDivisionError)
    wave.reset()
    assert (wave.banner.value, wave.banner.layout.display, wave.error) == ("", "none", None)


def test_an_error_under_a_moved_control_reaches_banner_and_caller(wave):
    with pytest.raises(ZeroDivisionError):
        page(wave, "fails", value=True)
    assert "off the default" in wave.banner.value


def test_an_error_under_a_button_reaches_the_banner():
    class Impossible(Wave):
        presets = {"endless": {"length": 500.0}}

    broken = Impossible()
    next(
        button for button in toolbar(broken) if button.description == "endless"
    ).click()  # in a kernel, ipywidgets raises the error
    assert "ConfigError" in broken.banner.value
    assert isinstance(broken.error, ConfigError)


@pytest.mark.parametrize(
    ("name", "state"), [("count", {"value": "many"}), ("shape", {"index": 9}), ("fails", {"value": "no"})]
)
def test_a_value_that_a_trait_refuses_reaches_banner_and_caller(wave, name, state):
    before = wave.state
    with pytest.raises(Exception, match=r".") as raised:
        page(wave, name, **state)
    assert wave.error is raised.value
    assert type(raised.value).__name__ in wave.banner.value
    assert wave.state == before


def test_a_message_that_the_figure_refuses_reaches_the_banner_too(wave):
    with pytest.raises(Exception, match=r"."):
        wave.live_figure.state.set_state({"click": "no dictionary"})
    assert wave.banner.value


def test_a_number_out_of_range_is_refused_by_the_control(wave):
    box = wave.controls["length"].parts[1].widget
    with pytest.raises(ConfigError, match="number between"):
        box.set_state({"value": float("nan")})
    assert "ConfigError" in wave.banner.value


def test_a_change_is_one_message_and_names_only_what_changed(wave, sent):
    wave.set(shape="square", length=2.0)
    assert [set(message["state"]) for message in sent] == [{"array_y"}]


def test_nothing_is_sent_if_nothing_changed(wave, sent):
    wave.set(length=wave.length)
    assert sent == []


def test_an_explorer_is_shown_as_widgets_and_as_text(wave):
    bundle, _ = wave._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == wave.widget.model_id
    assert bundle["text/plain"] == "Wave: the largest is 1.000"


def test_arrays_are_plain_values_read_by_name():
    import torch

    arrays = Arrays(a=torch.ones(2, requires_grad=True), b=torch.tensor(3.0), c="word")
    assert isinstance(arrays.a, np.ndarray)
    assert (arrays.b, arrays.c) == (3.0, "word")
    with pytest.raises(AttributeError, match=r"Arrays has the names a, b, c\. Got 'd'"):
        _ = arrays.d


def test_a_page_that_connects_again_gets_the_present_figure(wave):
    """The same holds for a second view, and for a page that lost its connection."""
    wave.set(length=0.2)
    told = wave.live_figure.state.get_state()["array_y"]
    assert np.array_equal(np.frombuffer(told["bytes"], told["type"]), wave.arrays.y)


def test_each_click_on_a_trace_with_events_is_passed_on_once():
    class Clicked(Wave):
        heard = ()
        traces = {"clicked": curve("x", "y", events=["click"])}

        def pointed(self, event):
            self.heard += ((event["trace"], event["index"]),)

    clicked = Clicked()
    (told,) = clicked.live_figure.state.specification["panels"][0]["traces"]
    assert (told["name"], told["events"]) == ("clicked", ["click"])
    for n in (1, 2):
        clicked.live_figure.state.set_state({"click": {"trace": told["name"], "x": 1.0, "y": 0.5, "index": 3, "n": n}})
    assert clicked.heard == (("clicked", 3),) * 2


def test_a_figure_is_computed_on_one_thread_only():
    class Counts(Wave):
        def compute(self, state):
            self.threads = torch.get_num_threads()
            return super().compute(state)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        counts = Counts()
        assert (counts.threads, torch.get_num_threads()) == (1, 3)
        with pytest.raises(ZeroDivisionError):
            counts.set(fails=True)
        assert (counts.threads, torch.get_num_threads()) == (1, 3)
    finally:
        torch.set_num_threads(before)


def test_no_empty_text_is_sent_to_the_page():
    """plotly removes the node of an empty text and never draws there again."""

    class Noted(Explorer):
        slope = Slider("slope", -2.0, 2.0, start=0.0)
        traces = {"notes": notes([0.0, 1.0], [0.0, 1.0], "notes")}

        def compute(self, state):
            return Arrays(notes=["steep" if state.slope > 1 else "", "always"])

        def say(self, arrays):
            return "."

    explorer = Noted()
    for slope, first in ((0.0, "\u00a0"), (2.0, "steep"), (-1.0, "\u00a0")):
        explorer.set(slope=slope)
        assert list(explorer.trace("notes").text) == [first, "always"]


def test_an_interrupted_move_restores_controls_sentence_and_figure(wave, monkeypatch):
    """An interrupt is not shown as an error: there is no banner, and the state is the one before the move."""
    before, said = wave.state, wave.sentence.text
    shown = [[part.widget.value for part in fields.parts] for fields in wave.controls.values()]
    drawn = wave.figure.to_dict()
    name, control = next(iter(wave.declared.items()))

    for stage in ("compute", "say"):
        with monkeypatch.context() as patch:
            patch.setattr(wave, stage, interrupted_once(getattr(wave, stage)))
            with pytest.raises(KeyboardInterrupt):
                wave.set(**{name: control.probes()[2]})
        assert (wave.state, wave.sentence.text, wave.error, wave.banner.value) == (before, said, None, "")
        assert [[part.widget.value for part in fields.parts] for fields in wave.controls.values()] == shown
        assert wave.figure.to_dict() == drawn
    wave.set(**{name: control.probes()[2]})
    assert wave.state != before


def test_an_interrupted_start_is_explained_and_stays_an_interrupt(monkeypatch):
    def interrupted(self, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(Wave, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt) as told:
        Wave()
    assert told.value._render_traceback_() == ["Stopped."]  # IPython shows this in a notebook


def interrupted_once(function):
    calls = []

    def called(argument):
        calls.append(argument)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return function(argument)

    return called
