"""What a reader can change: declared as class attributes of an explorer, each with label, range, unit and start.

    bandwidth = LogSlider("σ", 0.05, 5.0, start=0.6, unit="same unit as x")

A control knows which values it accepts, which of them `drive` must visit, and the widgets that show it. Every slider
stands beside a numeric box, so that everything that can be dragged can be typed. The box takes any number: one that the
control can't have becomes the nearest that it can, and a note says so (ipywidgets' bounded boxes say nothing).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as w

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.messages import Words

Number = int | float


@dataclass
class WidgetBinding:
    """One ipywidget of a control, with the two translations between the reader's value and the widget's."""

    widget: Any  # has a `value`
    to_widget: Callable[[Any], Any] = lambda value: value
    from_widget: Callable[[Any], Any] = lambda value: value


@dataclass
class Fields:
    """A control as it stands in one explorer: the box that is shown, the parts with its value, a line for notes."""

    box: w.Widget
    parts: list[WidgetBinding]
    note: Words

    def show(self, value: Any, *, leave: w.Widget | None = None) -> None:
        """Sets every part but the one that the reader is holding."""
        for part in self.parts:
            if part.widget is not leave:
                part.widget.value = part.to_widget(value)

    def remark(self, words: str) -> None:
        """Shows words under the control, or nothing."""
        if words or self.note.value:
            self.note.say(words)
            self.note.layout.display = "" if words else "none"


class Control:
    """Base of all controls; read and set through the explorer: `explorer.bandwidth = 2.0`.

    Args:
        label: what stands beside it, short. help: what it does, one line below it.
        rare: it is folded away until the reader asks for more dials.
        inert: the reason why moving it alone, from the start, may leave the figure as it is; `drive` asks.
    """

    name = ""
    extent = ""  # where its values lie, in words

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
        """The value as the explorer keeps it. Raises ConfigError for one that this control can't have."""
        raise NotImplementedError

    def nearest(self, value: Any) -> Any:
        """The value closest to what a reader typed that this control can have."""
        return value

    def probes(self) -> list[Any]:
        """The values that `drive` visits: both ends, the start, something between."""
        raise NotImplementedError

    def beyond(self) -> list[Any]:
        """Values that a reader can type and this control can't have; `drive` types them."""
        return []

    def fields(self, value: Any, label_width: str = "") -> Fields:
        """New widgets that show `value`, their labels all of one width (CSS)."""
        raise NotImplementedError

    def refuse(self, value: Any, expected: str) -> ConfigError:
        return ConfigError(f"`{self.name or self.label}` must be {expected}. Got {value!r}.")


class Slider(Control):
    """A number between `low` and `high` in steps of `step`."""

    def __init__(
        self,
        label: str,
        low: Number,
        high: Number,
        *,
        start: Number,
        step: Number | None = None,
        unit: str = "",
        **rest: Any,
    ) -> None:
        self.low, self.high, self.unit = low, high, unit
        self.step = step if step is not None else (high - low) / 100
        super().__init__(label, start, **rest)

    def check(self, value: Any) -> Any:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not self.low <= number <= self.high:
            raise self.refuse(value, f"a number between {self.low:g} and {self.high:g}")
        return number

    def nearest(self, value: Any) -> Any:
        return min(max(value, self.low), self.high)

    def probes(self) -> list[Any]:
        return [self.low, self.start, self.high, self.at(round(0.37 * self.ticks))]

    def beyond(self) -> list[Any]:
        return [self.low - 1, 10 * self.high + 1]

    # The slider counts ticks. A slider in the value's own unit snaps it to its grid and sends that back as if the
    # reader had moved it: a start of 0.6 would show as 0.601.

    @property
    def ticks(self) -> int:
        return round((self.high - self.low) / self.step)

    def tick(self, value: Number) -> int:
        return round((value - self.low) / (self.high - self.low) * self.ticks)

    def at(self, tick: int) -> Number:
        """The value at a tick, in few digits; the start's tick means the start, and the ends mean the ends."""
        exact = {0: self.low, self.ticks: self.high, self.tick(self.start): self.start}
        return exact[tick] if tick in exact else self._between(tick / self.ticks)

    def _between(self, share: Number) -> Number:
        return float(f"{self.low + share * (self.high - self.low):.6g}")

    def fields(self, value: Any, label_width: str = "") -> Fields:
        slider = w.IntSlider(value=self.tick(value), min=0, max=self.ticks, **self._slider(label_width))
        box = w.FloatText(value=value, step=self._box_step(), **self._box())
        return self._together(WidgetBinding(slider, self.tick, self.at), WidgetBinding(box, from_widget=float))

    def _box_step(self) -> Number:
        return self.step

    def _slider(self, label_width: str) -> dict[str, Any]:
        return dict(
            description=self.label,
            readout=False,
            tooltip=self.help or self.label,
            style=dict(description_width=label_width),
            layout=w.Layout(flex="1 1 130px", width="auto"),
        )

    @property
    def extent(self) -> str:
        return f"from {self.low:g} to {self.high:g}"

    def _box(self) -> dict[str, Any]:
        return dict(
            tooltip=f"{self.label}: type a value {self.extent}",
            layout=w.Layout(width="68px", flex="0 0 68px"),
        )

    def _together(self, *parts: WidgetBinding) -> Fields:
        row = [part.widget for part in parts]
        if self.unit:
            row.append(Words(self.unit, "amfs-unit"))
        return _fields(w.HBox(row, layout=w.Layout(align_items="center", width="100%")), self.help, list(parts))


class LogSlider(Slider):
    """A positive number, dragged by its logarithm: every decade takes the same way."""

    @property
    def ticks(self) -> int:
        return 200

    def check(self, value: Any) -> Any:
        if self.low <= 0:
            raise self.refuse(self.low, "dragged over a range that begins above 0")
        return super().check(value)

    def tick(self, value: Number) -> int:
        return round(math.log(value / self.low) / math.log(self.high / self.low) * self.ticks)

    def _between(self, share: Number) -> Number:
        return float(f"{self.low * (self.high / self.low) ** share:.3g}")

    def _box_step(self) -> Number:
        return 10 ** math.floor(math.log10(self.start)) / 10


class IntSlider(Slider):
    """A whole number between `low` and `high`, both included."""

    def __init__(self, label: str, low: int, high: int, *, start: int, unit: str = "", **rest: Any) -> None:
        super().__init__(label, low, high, start=start, step=1, unit=unit, **rest)

    def check(self, value: Any) -> Any:
        return _whole(self, super().check(value))

    def nearest(self, value: Any) -> Any:
        return round(super().nearest(value))

    def _between(self, share: Number) -> int:
        return round(self.low + share * (self.high - self.low))

    def fields(self, value: Any, label_width: str = "") -> Fields:
        slider = w.IntSlider(value=value, min=self.low, max=self.high, step=1, **self._slider(label_width))
        box = w.FloatText(value=value, step=1, **self._box())  # a box for whole numbers would read 2.5 as 25
        return self._together(WidgetBinding(slider), WidgetBinding(box))


class PlaySlider(IntSlider):
    """A whole number that can also be played: buttons to start, pause and rewind stand before the slider."""

    def __init__(self, label: str, low: int, high: int, *, stride: int = 2, **rest: Any) -> None:
        self.stride = stride  # by how much it goes on, every tenth of a second
        super().__init__(label, low, high, **rest)

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


class ZeroLogSlider(LogSlider):
    """0 itself at the left end, and right of it a number dragged by its logarithm from `least` to `high`."""

    def __init__(self, label: str, least: Number, high: Number, **rest: Any) -> None:
        self.least = least
        Slider.__init__(self, label, 0.0, high, **rest)

    def check(self, value: Any) -> Any:
        return Slider.check(self, value)

    def tick(self, value: Number) -> int:
        if value <= 0:
            return 0
        share = math.log(value / self.least) / math.log(self.high / self.least)
        return 1 + round(max(0.0, share) * (self.ticks - 1))

    def _right_of_zero(self, share: Number) -> Number:
        decades = (share * self.ticks - 1) / (self.ticks - 1)
        return self.least * (self.high / self.least) ** decades

    def _between(self, share: Number) -> Number:
        return float(f"{self._right_of_zero(share):.3g}")

    def _box_step(self) -> Number:
        return self.least


class ZeroLogIntSlider(ZeroLogSlider):
    """A count from 0 to `high`, dragged by its logarithm."""

    def __init__(self, label: str, high: int, **rest: Any) -> None:
        super().__init__(label, 1, high, **rest)

    @property
    def ticks(self) -> int:
        return 120

    def check(self, value: Any) -> int:
        return _whole(self, super().check(value))

    def nearest(self, value: Number) -> int:
        return round(super().nearest(value))

    def _between(self, share: Number) -> int:
        return round(float(f"{round(self._right_of_zero(share)):.2g}"))


class Choice(Control):
    """One of several names; with a mapping, `options[name]` is what the name stands for."""

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
    """Yes or no."""

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
    """A part of the state that the reader does not set: what a run has recorded, say. Its values never change."""

    name = ""

    def __init__(self, start: Any) -> None:
        self.start = start

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, explorer: Any, owner: type | None = None) -> Any:
        return self if explorer is None else explorer.state[self.name]

    def check(self, value: Any) -> Any:
        return value


def _whole(control: Control, number: float) -> int:
    """The number as an int. Raises ConfigError for a broken one."""
    if number != round(number):
        raise control.refuse(number, "a whole number")
    return round(number)


def _fields(row: w.Widget, help: str, parts: list[WidgetBinding]) -> Fields:
    note = Words("", "amfs-note", width="100%", display="none")
    children = [row, note, Words(help, "amfs-help", width="100%")] if help else [row, note]
    box = w.VBox(children)
    box.add_class("amfs-control")
    return Fields(box, parts, note)
