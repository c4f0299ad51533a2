"""What an explorer says: its sentence for eye and screen reader, and the banner that no error gets past."""

import html
from pathlib import Path

import anywidget
import ipywidgets
import traitlets

HERE = Path(__file__).parent


class Sentence(anywidget.AnyWidget):
    """A sentence in a live region that stays while its words change, so that screen readers speak each change.

    Its script (`page.js`) also gives the figure beside it its alternative text and the slider handles their names,
    which neither plotly nor ipywidgets sends, and has the figure follow the width of the cell.
    """

    _esm = (HERE / "page.js").read_text(encoding="utf-8")
    _css = (HERE / "page.css").read_text(encoding="utf-8")

    text = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)


class Banner(ipywidgets.HTML):
    """Red, above the controls, empty while all is well."""

    def __init__(self) -> None:
        super().__init__(layout=ipywidgets.Layout(display="none", width="100%"))
        self.add_class("amfs-banner")

    def show(self, error: BaseException) -> None:
        words = html.escape(f"{type(error).__name__}: {error}")
        self.value = (
            f'<div role="alert"><b>This explorer met an error.</b> {words}<br>'
            "The figure shows the last state that worked. Press <b>Reset</b> to go back to the start.</div>"
        )
        self.layout.display = ""

    def hide(self) -> None:
        if self.value:
            self.value = ""
            self.layout.display = "none"
