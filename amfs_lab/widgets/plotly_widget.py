"""The figure of an explorer on a page: a specification, arrays by name, and rings that can be dragged.

`plotly_widget.js` draws the figure with plotly.js, one plot per panel, and `mount.js` adds it to a notebook. The whole
state of the figure is in one `FigureState`, which every view reads. So a second view, or a page that connects again,
shows the same figure.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets

HERE = Path(__file__).parent
PREFIX = "array_"  # of the names of arrays in the state
BUNDLE = HERE / "plotly-cartesian.min.js.gz"  # plotly.js 4.1.1 from npm (plotly.js-cartesian-dist-min), see its LICENSE
BUNDLE_VERSION = "4.1.1"


class Script(ipywidgets.Widget):
    """A widget that sends the compressed plotly.js to the page."""

    code = traitlets.Bytes().tag(sync=True)
    version = traitlets.Unicode().tag(sync=True)

    shared: "Script | None" = None

    @classmethod
    def get(cls) -> "Script":
        """The single instance that all figures of this kernel use. It is made again after `Widget.close_all()`."""
        script = cls.shared
        if script is None or script.comm is None:
            script = cls.shared = cls(code=BUNDLE.read_bytes(), version=BUNDLE_VERSION)
        return script


class FigureState(ipywidgets.Widget):
    """The whole content of a figure and the user's actions on it.

    Args:
        specification: the constant part, see `LiveFigure._specification`.
        arrays: the arrays by name. Each array is one trait, so a change is one message with only the changed arrays.
    """

    specification = traitlets.Dict().tag(sync=True)
    rings = traitlets.Dict().tag(sync=True)  # panel, names, grid, bounds, places, present
    # Set by the page. Each event has a count `n`, so that two equal clicks are two changes.
    places = traitlets.Dict().tag(sync=True, echo_update=False)
    hover = traitlets.Dict().tag(sync=True, echo_update=False)
    click = traitlets.Dict().tag(sync=True, echo_update=False)

    def __init__(self, specification: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        self.add_traits(
            **{PREFIX + name: traitlets.Any(value).tag(sync=True, to_json=packed) for name, value in arrays.items()}
        )
        super().__init__(specification=dict(specification))

    def show(self, arrays: Mapping[str, Any]) -> None:
        """Sends changed arrays in one message."""
        with self.hold_sync():
            for name, value in arrays.items():
                setattr(self, PREFIX + name, value)


class Figure(anywidget.AnyWidget):
    """A view of a `FigureState`."""

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("plotly_widget.js", "mount.js"))
    _css = (HERE / "plotly_widget.css").read_text(encoding="utf-8")

    state = traitlets.Instance(FigureState).tag(sync=True, **ipywidgets.widget_serialization)
    script = traitlets.Instance(Script).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(self, state: FigureState) -> None:
        super().__init__(state=state, script=Script.get(), layout=ipywidgets.Layout(width="100%", margin="0"))


def packed(value: Any, widget: Any = None) -> Any:
    """A value in the form that is sent to the page.

    Numeric arrays with at most two axes become bytes with shape and dtype. Other arrays become lists, and other values
    are unchanged.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiu" or value.ndim > 2:
            return value.tolist()
        kind = value.dtype.name if value.dtype.name in ("float64", "float32", "int32", "uint8") else "float64"
        numbers = np.ascontiguousarray(value, dtype=kind)
        return {"type": kind, "shape": list(numbers.shape), "bytes": numbers.tobytes()}
    return value
