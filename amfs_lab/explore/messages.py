"""What an explorer says: its sentence for eye and screen reader, and the banner that no error gets past."""

import html
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

HERE = Path(__file__).parent


class Page(anywidget.AnyWidget):
    """What the page does for a sentence and the figure beside it, shows nothing, and may fail without harm to either.

    Its script (`page.js`) makes the sentence a live region, so that screen readers speak each change, gives the figure
    its alternative text and the slider handles their names, which neither plotly nor ipywidgets sends, and has the
    figure follow the width of the cell.
    """

    _esm = (HERE / "page.js").read_text(encoding="utf-8")
    _css = (HERE / "page.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode().tag(sync=True)


class Sentence(ipywidgets.VBox):
    """A sentence that changes its words.

    The words are a widget of ipywidgets itself: anywidget gives up on one of its own that is not ready within two
    seconds, as on a busy machine, and from then on the words would stand still without a word of it.
    """

    text = traitlets.Unicode()
    alt = traitlets.Unicode()

    def __init__(self, text: str = "", alt: str = "") -> None:
        self.words = ipywidgets.HTML(layout=ipywidgets.Layout(width="100%", margin="0"))
        self.words.add_class("amfs-say")
        page = Page(alt=alt, layout=ipywidgets.Layout(height="0", margin="0"))
        super().__init__([self.words, page], layout=ipywidgets.Layout(width="100%", margin="0"))
        self.alt, self.text = alt, text

    @traitlets.observe("text")
    def _write(self, change: Any) -> None:
        self.words.value = html.escape(change["new"])


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
