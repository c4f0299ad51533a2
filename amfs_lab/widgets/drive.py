"""The function `drive`, for tests and lessons: it moves all controls of an explorer, and fails on any error."""

import math
from collections.abc import Iterator
from typing import Any

import ipywidgets as w
import numpy as np

from amfs_lab.widgets.explorer import Explorer

View = tuple[tuple[Any, ...], tuple[Any, ...], str]


def drive(explorer: Explorer) -> int:
    """Tests an explorer: moves each control to all its test values (`Control.probes`), and applies all presets.

    After each move, the control must have the value, and all its widgets must show the value. There must be no error,
    and all data must be finite. A typed number out of range must become the nearest number in range, with a note.
    Each control must change the figure at least once, or `inert` must give the reason. (A change of only the sentence
    is not enough.) After a reset, the figure and the sentence must be the same as at the start.

    Returns:
        the number of moves made.
    Raises:
        AssertionError: names the explorer, the control and the value. Errors of the explorer are not caught.
    """
    explorer.reset()
    moves = 0

    def sound(where: str) -> View:
        assert explorer.error is None, f"{where}: {explorer.error!r}"
        assert explorer.sentence.text.strip(), f"{where}: the sentence is empty."
        traces = explorer.live_figure.data()
        for name, trace in traces.items():
            for path in not_finite(trace):
                raise AssertionError(f"{where}: the trace {name!r} has a value in {path} that is not finite.")
        return view(explorer, traces)

    start = sound(f"{type(explorer).__name__} at its start")
    for name, control in explorer.declared.items():
        seen: list[View] = []
        for part in explorer.controls[name].parts:
            for value in control.probes():
                where = f"{type(explorer).__name__}.{name} = {value!r} by {type(part.widget).__name__}"
                move(explorer, part, value)
                seen.append(sound(where))
                got, expected = explorer.state[name], part.from_widget(part.to_widget(value))
                assert got == expected, f"{where}: the explorer holds {got!r}. Is the widget's change observed?"
                for other in explorer.controls[name].parts:
                    shown = other.widget.value
                    assert shown == other.to_widget(got), f"{where}: its {type(other.widget).__name__} shows {shown!r}."
                moves += 1
            for value in control.beyond() if isinstance(part.widget, (w.FloatText, w.IntText)) else []:
                where = f"{type(explorer).__name__}.{name}, {value!r} typed"
                move(explorer, part, value)
                sound(where)
                expected = control.nearest(value)
                assert explorer.state[name] == part.widget.value == expected, f"{where}: expected {expected!r}."
                assert explorer.controls[name].note.value, f"{where}: it became {expected!r} and no note says so."
                moves += 1
            explorer.reset()
            assert sound(f"{type(explorer).__name__}, reset after {name}") == start, (
                f"{type(explorer).__name__}: reset after moving {name} does not restore the start."
            )
        assert control.inert or any(each[:2] != start[:2] for each in seen), (
            f"{type(explorer).__name__}.{name} has no effect: no value of {control.probes()} changed the figure. "
            "Use it in compute and draw what it changes, or declare `inert` with the reason."
        )
    for preset in explorer.presets:
        explorer.set(**explorer.preset(preset))
        sound(f"{type(explorer).__name__}, preset {preset!r}")
        moves += 1
    explorer.reset()
    return moves


def move(explorer: Explorer, part: Any, value: Any) -> None:
    """Moves one control with the same message that the page sends. Exceptions of the explorer are not caught."""
    state = {"value": part.to_widget(value)}
    if hasattr(part.widget, "index") and "index" in part.widget.keys:
        state = {"index": part.widget.options.index(value)}
    part.widget.set_state(state)


def view(explorer: Explorer, traces: dict[str, Any]) -> View:
    """The visible state for comparisons: the traces, the parts of the layout that arrays set, and the sentence."""
    frame = tuple(freeze(explorer.arrays[name]) for name in explorer.frame.values())
    return tuple(map(freeze, traces.values())), frame, explorer.sentence.text


def not_finite(value: Any, path: str = "trace") -> Iterator[str]:
    """The paths of all values in a trace that are not finite."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from not_finite(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        if not all(map(math.isfinite, (inner for inner in value if isinstance(inner, float)))):
            yield path
        for inner in value:
            if not isinstance(inner, (str, int, float)):
                yield from not_finite(inner, path)
    elif isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            yield path
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
        yield path


def freeze(value: Any) -> Any:
    """The value as nested tuples, which can be compared and hashed."""
    if isinstance(value, dict):
        return tuple((key, freeze(inner)) for key, inner in sorted(value.items()))
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes() if value.dtype.kind != "O" else tuple(value.ravel()))
    if isinstance(value, (list, tuple)):
        # A list of floats becomes a tuple at once: a curve can have thousands of floats.
        return tuple(value) if all(type(inner) is float for inner in value) else tuple(map(freeze, value))
    return value
