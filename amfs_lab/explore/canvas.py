"""plotly's FigureWidget with less traffic: its script is sent once a kernel, and nobody reads back its defaults."""

import copy
from pathlib import Path
from typing import Any

import ipywidgets
import plotly
import plotly.graph_objects as go
import traitlets

SCRIPT = str(go.FigureWidget._esm)  # what plotly would send with every single figure


def script(name: str) -> str:
    """A script of ours for the page, with what all of them need to outlive a busy one before it (`heal.js`)."""
    here = Path(__file__).parent
    return "\n".join((here / part).read_text(encoding="utf-8") for part in ("heal.js", name))


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
    """A FigureWidget that loads plotly by `canvas.js`: the page does not report each default that it filled in."""

    _esm = script("canvas.js")

    _script = traitlets.Instance(Script).tag(sync=True, **ipywidgets.widget_serialization)

    @traitlets.default("_script")
    def _shared_script(self) -> Script:
        return Script.get()

    def get_state(self, *arguments: Any, **settings: Any) -> dict[str, Any]:
        """What a page that asks anew is told: the figure as it is now, where plotly's keeps it as it began."""
        state: dict[str, Any] = super().get_state(*arguments, **settings)
        for key, now in (("_widget_data", "_data"), ("_widget_layout", "_layout")):
            if state.get(key):
                to_json = self.trait_metadata(key, "to_json", self._trait_to_json)
                state[key] = to_json(copy.deepcopy(getattr(self, now)), self)
        return state
