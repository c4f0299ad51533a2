"""Laws of every control: the values it accepts and rejects, and that slider and box agree."""

import pytest

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.controls import Choice, Slider, Toggle

SLIDERS = [
    Slider("a", 0, 180, start=150, step=1),
    Slider("a", -1.0, 2.0, start=0.333),
    Slider("a", 0.05, 5.0, scale="log", start=0.6),
    Slider("a", 1e-4, 10.0, scale="log", start=0.1),
    Slider("a", 1, 6, integer=True, start=2),
    Slider("a", 2, 4, integer=True, start=3),
    Slider("a", 1e-3, 10.0, scale="zero-log", start=0.0),
]
CONTROLS = [
    *SLIDERS,
    Slider("a", 1, 1000, scale="zero-log", integer=True, start=0),
    Choice("a", ["x", "y", "z"]),
    Toggle("a", start=True),
]


@pytest.mark.parametrize("control", CONTROLS)
def test_probes_are_accepted_and_contain_the_start_and_another_value(control):
    probes = control.probes()
    assert control.start in probes
    assert len(set(probes)) >= 2
    assert [control.check(value) for value in probes] == probes


@pytest.mark.parametrize("control", SLIDERS)
def test_a_slider_reaches_its_ends_and_its_start_exactly(control):
    slider, box = control.fields(control.start).parts
    for value in (control.low, control.start, control.high):
        assert slider.from_widget(slider.to_widget(value)) == value
        assert box.from_widget(box.to_widget(value)) == value
    assert slider.widget.min <= slider.to_widget(control.start) <= slider.widget.max


@pytest.mark.parametrize("control", SLIDERS)
def test_every_tick_of_a_slider_is_a_different_accepted_value(control):
    slider = control.fields(control.start).parts[0]
    values = [slider.from_widget(tick) for tick in range(slider.widget.min, slider.widget.max + 1)]
    assert values == sorted(set(values))
    assert [control.check(value) for value in values] == values


def test_every_decade_of_a_logarithmic_slider_has_the_same_length():
    control = Slider("a", 1e-4, 1.0, scale="log", start=0.1)
    assert [control.tick(value) for value in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)] == [0, 50, 100, 150, 200]


def test_a_linear_slider_rounds_binary_fractions_to_decimals():
    assert Slider("noise", 0.0, 1.0, start=0.3, step=0.02).at(3) == 0.06


@pytest.mark.parametrize(
    ("control", "value", "words"),
    [
        (SLIDERS[2], 0.01, r"`a` must be a number between 0\.05 and 5\. Got 0\.01"),
        (SLIDERS[2], float("nan"), "number between"),
        (SLIDERS[2], "wide", "number between"),
        (SLIDERS[2], None, "number between"),
        (SLIDERS[4], 2.5, r"`a` must be a whole number\. Got 2\.5"),
        (SLIDERS[4], 7, "between 1 and 6"),
        (CONTROLS[-2], "w", r"one of 'x', 'y', 'z'\. Got 'w'"),
        (CONTROLS[-1], 1, "True or False"),
    ],
)
def test_an_invalid_value_is_refused_with_a_message(control, value, words):
    with pytest.raises(ConfigError, match=words):
        control.check(value)


def test_a_zero_log_slider_has_zero_only_at_its_left_end():
    count = Slider("k", 1, 1000, scale="zero-log", integer=True, start=20)
    assert [count.at(tick) for tick in (0, 1, 2)] == [0, 1, 1]
    assert count.probes()[:3] == [0, 20, 1000]
    assert Slider("μ", 0.01, 100.0, scale="zero-log", start=0.0).at(1) == 0.01


def test_whole_numbers_are_the_ticks_of_their_slider():
    control = Slider("a", 3, 9, integer=True, start=5)
    slider, box = control.fields(5).parts
    assert (slider.widget.min, slider.widget.max, slider.widget.value, box.widget.value) == (3, 9, 5, 5)
    assert (control.nearest(7.6), control.check(7.0)) == (8, 7)


def test_an_invalid_start_fails_at_the_declaration():
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Slider("a", 0, 1, start=2)
    with pytest.raises(ConfigError, match=r"slider `a` must begin above 0 on a logarithmic scale. Got 0\."):
        Slider("a", 0, 1, scale="log", start=0.5)
    with pytest.raises(ConfigError, match=r"`scale` must be one of 'linear', 'log', 'zero-log'\. Got 'square'"):
        Slider("a", 0, 1, scale="square", start=0.5)
