"""plotly's FigureWidget with less traffic: its script is sent once a kernel, and nobody reads back its defaults."""

from pathlib import Path
from typing import Any

import ipywidgets
import plotly
import plotly.graph_objects as go
import traitlets

SCRIPT = str(go.FigureWidget._esm)  # what plotly would send with every single figure


class Script(ipywidgets.Widget):
    """Carries plotly's script to the page."""

    code = traitlets.Unicode().tag(sync=True)
    version = traitlets.Unicode().tag(sync=True)

    shared: "Script | None" = None

    @classmethod
    def get(cls) -> "Script":
        """The one that all figures of this kernel use; a new one after `Widget.close_all()`."""
        script = cls.shared
        if script is None or script.comm is None:
            script = cls.shared = cls(code=SCRIPT, version=plotly.__version__)
        return script


class Canvas(go.FigureWidget):
    """A FigureWidget that loads plotly by `canvas.js`, and does not read back what the page filled in.

    After each drawing plotly's page side reports every default that it chose, 25 kB a time; its Python side would echo
    and merge them. No explorer asks for them, and a slider in a hand has to wait while they are handled.
    """

    _esm = Path(__file__).parent / "canvas.js"

    _script = traitlets.Instance(Script).tag(sync=True, **ipywidgets.widget_serialization)

    @traitlets.default("_script")
    def _shared_script(self) -> Script:
        return Script.get()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        super().set_state(
            {key: value for key, value in sync_data.items() if key not in ("_js2py_traceDeltas", "_js2py_layoutDelta")}
        )
