"""Moves everything an explorer has, as a hand on the page would, and fails on what a reader would trip over."""

from typing import Any

import ipywidgets as w
import numpy as np

from amfs_lab.explore.base import Explorer


def drive(explorer: Explorer) -> int:
    """Visits every value that each control declares as a probe (both ends, start, interior) and every preset.

    After each move: the control holds the value, all parts of it show it, no error, finite data, the same figure with
    the same traces. A number out of range, typed, becomes the nearest in range, and a note says so. Over each control:
    the drawing changed at least once, or `inert` says why not (a sentence that only repeats the control's value proves
    nothing). Back at the start, everything is as it was.

    Returns:
        the number of moves made.
    Raises:
        AssertionError: naming the explorer, the control and the value. An exception of the explorer passes through.
    """
    explorer.reset()
    figure, uids = explorer.figure, [trace.uid for trace in explorer.figure.data]
    start, moves = look(explorer), 0

    def sound(where: str) -> None:
        assert explorer.error is None, f"{where}: {explorer.error!r}"
        assert explorer.figure is figure, f"{where}: a new figure was made. Update the traces of the old one."
        assert [trace.uid for trace in explorer.figure.data] == uids, (
            f"{where}: traces were added, removed or replaced."
        )
        assert explorer.sentence.text.strip(), f"{where}: the sentence is empty."
        for index, trace in enumerate(explorer.figure.data):
            for path, array in numbers(trace.to_plotly_json()):
                assert np.isfinite(array).all(), f"{where}: trace {index} has a value in {path} that is not finite."

    sound(f"{type(explorer).__name__} at its start")
    for name, control in explorer.declared.items():
        seen = [start]
        for part in explorer.controls[name].parts:
            for value in control.probes():
                where = f"{type(explorer).__name__}.{name} = {value!r} by {type(part.widget).__name__}"
                move(explorer, part, value)
                sound(where)
                got, expected = explorer.state[name], part.from_widget(part.to_widget(value))
                assert got == expected, f"{where}: the explorer holds {got!r}. Is the widget's change observed?"
                for other in explorer.controls[name].parts:
                    shown = other.widget.value
                    assert shown == other.to_widget(got), f"{where}: its {type(other.widget).__name__} shows {shown!r}."
                seen.append(look(explorer))
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
            assert look(explorer) == start, (
                f"{type(explorer).__name__}: reset after moving {name} does not restore the start."
            )
        assert control.inert or any(view[:2] != start[:2] for view in seen), (
            f"{type(explorer).__name__}.{name} is dead: nothing in the figure changed over {control.probes()}. "
            "Use it in compute and draw what it changes, or declare `inert` with the reason."
        )
    for preset in explorer.presets:
        explorer.set(**explorer.preset(preset))
        sound(f"{type(explorer).__name__}, preset {preset!r}")
        moves += 1
    explorer.reset()
    return moves


def move(explorer: Explorer, part: Any, value: Any) -> None:
    """One move as the page sends it; an exception anywhere on the way is raised."""
    state = {"value": part.to_widget(value)}
    if hasattr(part.widget, "index") and "index" in part.widget.keys:
        state = {"index": part.widget.options.index(value)}
    part.widget.set_state(state)


def look(explorer: Explorer) -> tuple[Any, ...]:
    """Everything a reader sees, in a form that compares: traces, the bound parts of the layout, the sentence."""
    drawn = tuple(freeze(trace.to_plotly_json()) for trace in explorer.figure.data)
    frame = tuple(freeze(explorer.arrays[name]) for name in explorer.frame.values())
    return drawn, frame, explorer.sentence.text


def numbers(value: Any, path: str = "trace") -> list[tuple[str, np.ndarray]]:
    """All numeric arrays and numbers inside a trace, with where they stand."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in numbers(inner, f"{path}.{key}")]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return [(path, value)]
    if isinstance(value, (list, tuple)):
        return [found for inner in value for found in numbers(inner, path)]
    return [(path, np.array(value))] if isinstance(value, float) else []


def freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, freeze(inner)) for key, inner in sorted(value.items()))
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes() if value.dtype.kind != "O" else tuple(value.ravel()))
    if isinstance(value, (list, tuple)):
        return tuple(freeze(inner) for inner in value)
    return value
