"""Controls: class attributes of an explorer, each with a label, a range, a unit and a start value.

    bandwidth = Slider("σ", 0.05, 5.0, scale="log", start=0.6, unit="same unit as x")

A control defines the values that it accepts, its test values for the function `drive`, and the widgets that show its
value. Every slider has a number box beside it, so that the user can also type a value. The box accepts any number.
A number out of range becomes the nearest number in range, and a note reports the change. (The bounded boxes of
ipywidgets show no note.)
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as w

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.messages import Words

Number = int | float
SCALES = ("linear", "log", "zero-log")


@dataclass
class WidgetBinding:
    """One ipywidget of a control, with the conversions between the control's value and the widget's value."""

    widget: Any  # has a `value`
    to_widget: Callable[[Any], Any] = lambda value: value
    from_widget: Callable[[Any], Any] = lambda value: value


@dataclass
class Fields:
    """The widgets of one control in one explorer: the box around all widgets, the parts with the value, and a note."""

    box: w.Widget
    parts: list[WidgetBinding]
    note: Words

    def show(self, value: Any, *, leave: w.Widget | None = None) -> None:
        """Shows the value in all parts, except in the widget `leave`, which the user is moving."""
        for part in self.parts:
            if part.widget is not leave:
                part.widget.value = part.to_widget(value)

    def remark(self, words: str) -> None:
        """Shows a note under the control; an empty string removes it."""
        if words or self.note.value:
            self.note.say(words)
            self.note.layout.display = "" if words else "none"


class Control:
    """The base class of all controls. A control's value is an attribute of the explorer: `explorer.bandwidth = 2.0`.

    Args:
        label: short name beside the control. help: one line below the control, about the effect of the control.
        rare: if True, the control is hidden until the user clicks "More controls".
        inert: the reason why a move of only this control does not change the initial figure. Without a reason, `drive`
            requires a change.
    """

    name = ""
    extent = ""  # the range of the control, in words

    def __init__(self, label: str, start: Any, *, help: str = "", rare: bool = False, inert: str = "") -> None:
        self.label, self.help, self.rare, self.inert = label, help, rare, inert
        self.start = self.check(start)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, explorer: Any, owner: type | None = None) -> Any:
        return self if explorer is None else explorer.state[self.name]

    def __set__(self, explorer: Any, value: Any) -> None:
        explorer.set(**{self.name: value})

    def check(self, value: Any) -> Any:
        """The value in the form that the explorer stores. Raises ConfigError for a value that is not accepted."""
        raise NotImplementedError

    def nearest(self, value: Any) -> Any:
        """The accepted value that is closest to the value that the user typed."""
        return value

    def probes(self) -> list[Any]:
        """The test values that `drive` sets. For a slider: both ends, the start, and one value between the ends."""
        raise NotImplementedError

    def beyond(self) -> list[Any]:
        """Test values out of range, which a user can type but this control does not accept. `drive` types them."""
        return []

    def fields(self, value: Any, label_width: str = "") -> Fields:
        """New widgets that show `value`. `label_width` is the CSS width of all labels in the explorer."""
        raise NotImplementedError

    def refuse(self, value: Any, expected: str) -> ConfigError:
        return ConfigError(f"`{self.name or self.label}` must be {expected}. Got {value!r}.")


class Slider(Control):
    """A number in a range, set with a slider or a numeric box.

    Args:
        low, high: both ends of the range, included. With the scale "zero-log", `low` is the smallest value above 0.
        scale: "linear"; "log", which gives every decade the same length; "zero-log", which is "log" with 0 at the left
            end.
        integer: True allows only whole numbers.
        step: step of a linear scale; by default 1/100 of the range, or 1 for whole numbers.
    Raises:
        ConfigError: an unknown scale, a logarithmic scale with `low` <= 0, or a start out of range.
    """

    def __init__(
        self,
        label: str,
        low: Number,
        high: Number,
        *,
        start: Number,
        scale: str = "linear",
        integer: bool = False,
        step: Number | None = None,
        unit: str = "",
        **rest: Any,
    ) -> None:
        if scale not in SCALES:
            raise ConfigError(f"`scale` must be one of {', '.join(map(repr, SCALES))}. Got {scale!r}.")
        if scale != "linear" and low <= 0:
            raise ConfigError(
                f"The slider `{label}` must begin above 0 on a logarithmic scale. Got {low!r}. "
                "The scale 'zero-log' adds 0 at the left end."
            )
        self.least, self.high, self.scale, self.integer, self.unit = low, high, scale, integer, unit
        self.low = low if scale != "zero-log" else 0 if integer else 0.0
        self.step = step if step is not None else 1 if integer else (high - low) / 100
        super().__init__(label, start, **rest)

    @property
    def extent(self) -> str:
        return f"from {self.low:g} to {self.high:g}"

    def check(self, value: Any) -> Any:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not self.low <= number <= self.high:
            raise self.refuse(value, f"a number between {self.low:g} and {self.high:g}")
        if self.integer and number != round(number):
            raise self.refuse(number, "a whole number")
        return round(number) if self.integer else number

    def nearest(self, value: Any) -> Any:
        inside = min(max(value, self.low), self.high)
        return round(inside) if self.integer else inside

    def probes(self) -> list[Any]:
        return [self.low, self.start, self.high, self.at(self.first + round(0.37 * self.ticks))]

    def beyond(self) -> list[Any]:
        return [self.low - 1, 10 * self.high + 1]

    # The slider counts ticks, from `first` to `first + ticks`. A slider in the value's own unit would round the value
    # to its grid and report the rounding as a move by the user: 0.6 would become 0.601. A whole number is its own tick.

    @property
    def first(self) -> int:
        return round(self.low) if self.integer else 0

    @property
    def ticks(self) -> int:
        if self.scale == "linear":
            return round((self.high - self.low) / self.step)
        return 120 if self.integer else 200

    def tick(self, value: Number) -> int:
        if self.scale == "linear":
            return self.first + round((value - self.low) / (self.high - self.low) * self.ticks)
        zero = self.scale == "zero-log"
        if zero and value <= 0:
            return 0
        share = math.log(value / self.least) / math.log(self.high / self.least)
        return zero + round(max(0.0, share) * (self.ticks - zero))

    def at(self, tick: int) -> Number:
        """The value at a tick (position) of the slider, rounded to few digits. The start and both ends are exact."""
        exact = {self.first: self.low, self.first + self.ticks: self.high, self.tick(self.start): self.start}
        return exact[tick] if tick in exact else self._between(tick)

    def _between(self, tick: int) -> Number:
        if self.scale == "linear":
            value = float(f"{self.low + (tick - self.first) / self.ticks * (self.high - self.low):.6g}")
            return round(value) if self.integer else value
        zero = self.scale == "zero-log"
        value = self.least * (self.high / self.least) ** ((tick - zero) / (self.ticks - zero))
        return round(float(f"{round(value):.2g}")) if self.integer else float(f"{value:.3g}")

    def fields(self, value: Any, label_width: str = "") -> Fields:
        slider = w.IntSlider(
            value=self.tick(value),
            min=self.first,
            max=self.first + self.ticks,
            description=self.label,
            readout=False,
            tooltip=self.help or self.label,
            style=dict(description_width=label_width),
            layout=w.Layout(flex="1 1 130px", width="auto"),
        )
        # Not an integer box: it would read 2.5 as 25.
        box = w.FloatText(
            value=value, step=self._box_step(), **self._box(), layout=w.Layout(flex="0 0 68px", width="68px")
        )
        return self._together(WidgetBinding(slider, self.tick, self.at), WidgetBinding(box))

    def _box_step(self) -> Number:
        if self.scale == "log":
            return 10 ** math.floor(math.log10(self.start)) / 10
        return self.step if self.scale == "linear" else self.least

    def _box(self) -> dict[str, str]:
        return dict(tooltip=f"{self.label}: type a value {self.extent}")

    def _together(self, *parts: WidgetBinding) -> Fields:
        row = [part.widget for part in parts]
        if self.unit:
            row.append(Words(self.unit, "amfs-unit"))
        return _fields(w.HBox(row, layout=w.Layout(align_items="center", width="100%")), self.help, list(parts))


class PlaySlider(Slider):
    """A slider for whole numbers with buttons that start, pause and rewind an animation of its value.

    Args:
        stride: increment of the value per tenth of a second of the animation.
    """

    def __init__(self, label: str, low: int, high: int, *, stride: int = 2, **rest: Any) -> None:
        self.stride = stride
        super().__init__(label, low, high, integer=True, **rest)

    def fields(self, value: Any, label_width: str = "") -> Fields:
        fields = super().fields(value, label_width)
        play = w.Play(
            value=value,
            min=self.low,
            max=self.high,
            step=self.stride,
            interval=100,
            show_repeat=False,
            tooltip=f"{self.label}: play, pause, back to the first",
            layout=w.Layout(flex="0 0 auto"),
        )
        fields.parts.append(WidgetBinding(play))
        row = fields.box.children[0]
        row.children = (play, *row.children)
        fields.box.add_class("amfs-film")
        return fields


class Choice(Control):
    """A menu of names. If `options` is a mapping, its keys are the names."""

    def __init__(
        self, label: str, options: Sequence[str] | Mapping[str, Any], *, start: str | None = None, **rest: Any
    ) -> None:
        self.options = tuple(options)
        super().__init__(label, start if start is not None else self.options[0], **rest)

    def check(self, value: Any) -> Any:
        if value not in self.options:
            raise self.refuse(value, "one of " + ", ".join(repr(option) for option in self.options))
        return value

    def probes(self) -> list[Any]:
        return list(self.options)

    def fields(self, value: Any, label_width: str = "") -> Fields:
        select = w.Dropdown(
            options=list(self.options),
            value=value,
            description=self.label,
            tooltip=self.help or self.label,
            style=dict(description_width=label_width),
            layout=w.Layout(width="100%"),
        )
        return _fields(select, self.help, [WidgetBinding(select)])


class Toggle(Control):
    """A switch: True or False."""

    def __init__(self, label: str, *, start: bool = False, **rest: Any) -> None:
        super().__init__(label, start, **rest)

    def check(self, value: Any) -> Any:
        if value is not True and value is not False:
            raise self.refuse(value, "True or False")
        return value

    def probes(self) -> list[Any]:
        return [False, True]

    def fields(self, value: Any, label_width: str = "") -> Fields:
        box = w.Checkbox(
            value=value,
            description=self.label,
            indent=False,
            tooltip=self.help or self.label,
            layout=w.Layout(width="100%"),
        )
        return _fields(box, self.help, [WidgetBinding(box)])


class HiddenState:
    """A part of the state that the user cannot set, for example the record of a run. Its value is immutable."""

    name = ""

    def __init__(self, start: Any) -> None:
        self.start = start

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, explorer: Any, owner: type | None = None) -> Any:
        return self if explorer is None else explorer.state[self.name]

    def check(self, value: Any) -> Any:
        return value


def _fields(row: w.Widget, help: str, parts: list[WidgetBinding]) -> Fields:
    note = Words("", "amfs-note", width="100%", display="none")
    children = [row, note, Words(help, "amfs-help", width="100%")] if help else [row, note]
    box = w.VBox(children)
    box.add_class("amfs-control")
    return Fields(box, parts, note)
