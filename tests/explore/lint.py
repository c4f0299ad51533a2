"""Rules of accessibility. Each rule is a function that takes an explorer and yields a text for each fault."""

import itertools
import re

import ipywidgets as w

from amfs_lab.explore import looks
from amfs_lab.widgets import style

SLIDERS = (w.IntSlider, w.FloatSlider, w.FloatLogSlider, w.IntRangeSlider, w.FloatRangeSlider, w.SelectionSlider)
BOXES = (w.IntText, w.FloatText, w.BoundedIntText, w.BoundedFloatText)
FIELDS = (*SLIDERS, *BOXES, w.Dropdown, w.Select, w.Checkbox, w.ToggleButton, w.Text, w.Textarea, w.RadioButtons)

NAMED = {value.upper(): name for name, value in vars(style).items() if name.isupper() and str(value).startswith("#")}
LOOKS = looks.METHODS | looks.RULES | looks.IN_THE_PLANE
SMALLEST_FONT = 11
WIDER = 1.4  # widths or sizes that differ by this factor are visibly different


def states(explorer):
    """Sets the explorer to its start, to each preset and to each probe of each control. Yields a name of each state."""
    changes = [("start", {})]
    changes += [(f"preset {name!r}", explorer.preset(name)) for name in explorer.presets]
    changes += [
        (f"{name} = {value!r}", {name: value}) for name, part in explorer.declared.items() for value in part.probes()
    ]
    for where, change in changes:
        explorer.reset()
        explorer.set(**change)
        yield f"{type(explorer).__name__}, {where}"
    explorer.reset()


def words(explorer):
    """An explorer must have a title, an alternative text that describes the figure, and a sentence on the state."""
    alt, said = explorer.live_figure.state.specification["alt"].strip(), explorer.sentence.text.strip()
    if not explorer.title.strip():
        yield "no title"
    if len(alt) < 40 or not alt.endswith(".") or alt != type(explorer).alt:
        yield f"its alt must describe the figure in 40 characters or more and end with a full stop: {alt!r}"
    if len(said) < 10 or not said.endswith((".", "?", "!")):
        yield f"its state must be a sentence: {said!r}"


def names(explorer):
    """A control must have a label, a button a text, and every field for values a description or a tooltip."""
    for name, control in explorer.declared.items():
        if not control.label.strip():
            yield f"the control {name} has no label"
        first = explorer.controls[name].parts[0].widget
        if first.description != control.label:
            yield f"the control {name} shows {first.description!r} instead of its label {control.label!r}"
    for widget in tree(explorer.widget):
        if isinstance(widget, w.Button) and not widget.description.strip():
            yield "a button has no text"
        if isinstance(widget, FIELDS) and not (widget.description.strip() or (widget.tooltip or "").strip()):
            yield f"a {type(widget).__name__} has no name"


def boxes(explorer):
    """Each slider must have a box for its number beside it."""
    for parent in tree(explorer.widget):
        beside = getattr(parent, "children", ())
        for slider in beside:
            if isinstance(slider, SLIDERS) and not any(isinstance(other, BOXES) for other in beside):
                yield f"the slider {slider.description!r} has no numeric box beside it"


def palette(explorer):
    """Colours of traces must be those of style.py, or white, with any transparency."""
    for name, _, trace in drawn(explorer):
        for path, color in colors(trace.to_plotly_json()):
            if solid(color) not in {*NAMED, "#FFFFFF"}:
                yield f"trace {name!r}: {path} is {color!r}, no colour of style.py"


def looks(explorer):
    """Series of one panel, and the points of one series, must differ by more than colour."""
    panels = {}
    for name, index, trace in drawn(explorer):
        if trace.type in ("scatter", "bar"):
            panels.setdefault(trace.xaxis, []).append((name, trace, main_color(trace, index)))
            yield from (f"trace {name!r}: {fault}" for fault in points_by_colour_alone(trace))
    for series in panels.values():
        for (i, a, color), (j, b, other) in itertools.combinations(series, 2):
            if color != other and alike(a, b):
                yield f"traces {i!r} and {j!r} differ by their colour alone"


def table(explorer):
    """A method or rule must have its own colour and dash, the same in every figure."""
    for name, index, trace in drawn(explorer):
        look = LOOKS.get(trace.name)
        if look and trace.type in ("scatter", "bar"):
            color, *_ = main_color(trace, index)
            if color != look.color:
                yield f"trace {name!r} has the colour {color}, not {look.color}"
            curve = trace.type == "scatter" and "lines" in (trace.mode or "lines")
            if curve and trace.marker.angleref != "previous" and (trace.line.dash or "solid") != look.dash:
                yield f"trace {name!r} has the dash {trace.line.dash or 'solid'}, not {look.dash}"


def fonts(explorer):
    """No text may be smaller than 11."""
    for where, size in sizes(explorer.figure.to_plotly_json()):
        if size < SMALLEST_FONT:
            yield f"the font at {where} has size {size:g}"


def axes(explorer):
    """A visible axis must have a title, or words at its ticks. The title of a panel also names its vertical axis."""
    layout = explorer.figure.layout
    for n, panel in enumerate(explorer.panels.values()):
        shown = [f"xaxis{n + 1 if n else ''}"] + ([] if panel.title.strip() else [f"yaxis{n + 1 if n else ''}"])
        for key in shown:
            axis = layout[key]
            ticks = axis.ticktext or ()
            says = axis.type == "category" or (len(ticks) > 0 and all(any(map(str.isalpha, tick)) for tick in ticks))
            silent = axis.visible is False or axis.showticklabels is False
            if not silent and not says and not (axis.title.text or "").strip():
                yield f"{key} has no title"


RULES = (words, names, boxes, palette, looks, table, fonts, axes)


# Functions that the rules use.


def tree(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def drawn(explorer):
    """The name of each trace in the table, the trace's index in the figure, and the trace."""
    return zip(explorer.traces, itertools.count(), explorer.figure.data, strict=False)


def leaves(value, path=""):
    """All values in a trace or layout that are not dictionaries, each with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def colors(trace):
    """All colours in a trace. Numbers that a colour scale turns into colours do not count."""
    for path, value in leaves(trace):
        if path.endswith("color") and "colorscale" not in path and "colorbar" not in path:
            several = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "dtype") else [value]
            yield from ((path, color) for color in several if isinstance(color, str))


def solid(color):
    """A colour without its transparency, as #RRGGBB."""
    color = color.strip().lower()
    if channels := re.fullmatch(r"rgba?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?:,\s*[\d.]+\s*)?\)", color):
        return "#" + "".join(f"{int(channel):02X}" for channel in channels.groups())
    return "#FFFFFF" if color == "white" else color[:7].upper()


def main_color(trace, index):
    """The colour of a series: of its line, or of its markers. Without both, it is plotly's default colour."""
    found = [color for path, color in colors(trace.to_plotly_json()) if path in ("line.color", "marker.color")]
    return tuple(map(solid, found)) or index


def size(trace):
    return 6 if trace.marker.size is None else trace.marker.size


def alike(a, b):
    """True if two series differ at most in colour: same marks, dashes, symbols, widths, sizes and fills."""
    if a.type != b.type:
        return False
    if a.type == "bar":
        return outline(a) == outline(b) and hollow(a) == hollow(b) and a.marker.pattern.shape == b.marker.pattern.shape
    modes = [set((trace.mode or "lines+markers").split("+")) - {"text"} for trace in (a, b)]
    if modes[0] != modes[1] or (a.fill or "none") != (b.fill or "none"):
        return False
    same = True
    if "lines" in modes[0]:
        same &= (a.line.dash or "solid") == (b.line.dash or "solid") and close(a.line.width or 2, b.line.width or 2)
    if "markers" in modes[0]:
        same &= as_list(a.marker.symbol or "circle") == as_list(b.marker.symbol or "circle")
        same &= hollow(a) == hollow(b) and close(largest(size(a)), largest(size(b)))
    return same and bool(modes[0])


def points_by_colour_alone(trace):
    """A text for each two points of one series that differ only in colour, not in symbol, size, outline or words."""
    color = trace.marker.color
    if not isinstance(color, (list, tuple)) or not all(isinstance(each, str) for each in color):
        return
    n = len(color)
    others = [trace.marker.symbol if trace.type != "bar" else trace.marker.pattern.shape, trace.marker.line.width]
    others += [trace.text, trace.marker.size if trace.type != "bar" else None]
    rows = [[as_list(value, n)[i] for value in others] for i in range(n)]
    for i, j in itertools.combinations(range(n), 2):
        if solid(color[i]) != solid(color[j]) and rows[i] == rows[j]:
            yield f"points {i} and {j} differ by their colour alone, {color[i]} and {color[j]}"
            return


def outline(trace):
    return largest(trace.marker.line.width or 0)


def hollow(trace):
    color = trace.marker.color
    return isinstance(color, str) and solid(color) == "#FFFFFF"


def as_list(value, n=1):
    return list(value) if isinstance(value, (list, tuple)) or hasattr(value, "dtype") else [value] * n


def largest(value):
    return max(as_list(value), default=0)


def close(a, b):
    return max(a, b) < WIDER * max(min(a, b), 1e-9)


def sizes(figure):
    for path, value in leaves(figure):
        if path.endswith("font.size"):
            yield from ((path, float(size)) for size in as_list(value))
        elif isinstance(value, (list, tuple)):  # traces, annotations
            for i, inner in enumerate(value):
                if isinstance(inner, dict):
                    yield from ((f"{path}[{i}].{deeper}", size) for deeper, size in sizes(inner))
