"""Draggable points on a figure. Each point also has two number boxes for its coordinates."""

from collections.abc import Mapping
from typing import Any, ClassVar

import ipywidgets as w

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.controls import Fields, Slider, WidgetBinding
from amfs_lab.widgets.explorer import Explorer


class Coordinate(Slider):
    """One coordinate of a draggable point: a number box without a slider, because the figure replaces the slider."""

    def __init__(self, label: str, start: float, *, low: float = -3.0, high: float = 3.0, **rest: Any) -> None:
        super().__init__(label, low, high, start=start, step=0.05, rare=True, **rest)

    def fields(self, value: Any, label_width: str = "") -> Fields:
        box = w.FloatText(
            value=value,
            step=self.step,
            description=self.label,
            tooltip=f"{self.label}: type a value {self.extent}",
            style=dict(description_width="1.8em"),
            layout=w.Layout(width="90px"),
        )
        fields = self._together(WidgetBinding(box, from_widget=float))
        fields.box.layout = w.Layout(flex="0 0 auto", width="90px")
        return fields


def coordinates(n: int, start: Mapping[str, Any], help: str) -> tuple[Coordinate, Coordinate]:
    """The controls of the two coordinates of point `n`. Their start values are `start["x_n"]` and `start["y_n"]`."""
    digit = chr(ord("₀") + n)
    return Coordinate(f"x{digit}", start[f"x_{n}"], help=help), Coordinate(f"y{digit}", start[f"y_{n}"])


class DraggableExplorer(Explorer):
    """An explorer with draggable points. `places[name]` has the names of the x and y controls of the point `name`."""

    places: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def __init__(self, preset: str | None = None, **start: Any) -> None:
        super().__init__(preset, **start)
        self._place()
        self.live_figure.state.observe(self._dragged, "places")

    def rows(self, rare: bool) -> list[w.Widget]:
        """The boxes of the controls, as in `Explorer.rows`. The two boxes of a point are rare, and side by side."""
        if not rare:
            return super().rows(rare)
        theirs = [self.controls[name].box for pair in self.places.values() for name in pair]
        others = [box for box in super().rows(rare) if box not in theirs]
        apart = w.Layout(margin="0 6px 0 0")
        pairs = [w.HBox([self.controls[name].box for name in pair], layout=apart) for pair in self.places.values()]
        together = w.HBox(pairs, layout=w.Layout(flex_flow="row wrap"))
        together.add_class("amfs-places")
        return [*others, together]

    def present(self) -> int:
        """The number of points to show, in the order of `places`. All later points and their boxes are hidden."""
        return len(self.places)

    def _place(self) -> None:
        """Moves the rings, which the user drags, to the coordinates in the state."""
        x, y = (self.declared[name] for name in next(iter(self.places.values())))
        assert isinstance(x, Coordinate)
        assert isinstance(y, Coordinate)
        page = self.live_figure.state
        page.rings = {
            "panel": 0,
            "names": list(self.places),
            "bounds": [x.low, x.high, y.low, y.high],
            "grid": x.step,  # the coordinates of a dragged point are multiples of this step
            "places": [[self.state[x], self.state[y]] for x, y in self.places.values()],
            "present": self.present(),
            "answers": page.places.get("n", 0),  # the number of the last drag that was handled
        }
        for n, pair in enumerate(self.places.values()):
            for name in pair:
                self.controls[name].box.layout.display = "" if n < self.present() else "none"

    def _dragged(self, change: Any) -> None:
        names = [name for pair in self.places.values() for name in pair]
        numbers = [number for place in _checked(change["new"].get("places"), len(self.places)) for number in place]
        changes = {
            name: self.declared[name].nearest(number)
            for name, number in zip(names, numbers, strict=True)
            if number != self.state[name]
        }
        if changes:
            self._change(changes)
        else:
            self._place()

    def _change(self, changes: Mapping[str, Any], leave: w.Widget | None = None) -> None:
        try:
            super()._change(changes, leave)
        finally:  # after an interrupt, the state is the previous one
            self._showing = True
            try:
                self._place()
            finally:
                self._showing = False


def _checked(value: Any, n: int) -> list[list[float]]:
    """The value as a list of n points [x, y]. Raises ConfigError for any other value."""
    try:
        places = [[float(x), float(y)] for x, y in value]
    except (TypeError, ValueError):
        places = []
    if len(places) != n or any(number != number for place in places for number in place):
        raise ConfigError(f"`places` must be a list of {n} points [x, y]. Got {value!r}.")
    return places
