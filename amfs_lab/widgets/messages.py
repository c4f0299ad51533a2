"""Messages of an explorer: its sentence, which screen readers read aloud, and the banner for errors."""

import html
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

HERE = Path(__file__).parent


class Page(anywidget.AnyWidget):
    """An invisible widget that makes a sentence and the controls accessible to screen readers.

    Its script (`page.js`) makes the sentence a live region, so that screen readers read each change aloud. The script
    also gives names to the slider handles, because ipywidgets does not send the names. The sentence and the controls
    also work if this widget fails.
    """

    _esm = (HERE / "page.js").read_text(encoding="utf-8")
    _css = (HERE / "page.css").read_text(encoding="utf-8")


class Words(ipywidgets.HTML):
    """Plain text on the page: all markup in it is escaped. An explorer has no other kind of HTML widget.

    Args:
        frame: the markup around the text; `{}` marks its position. kind: CSS class. layout: ipywidgets layout.
    """

    def __init__(self, words: str = "", kind: str = "", frame: str = "{}", **layout: Any) -> None:
        super().__init__(layout=ipywidgets.Layout(**layout))
        if kind:  # a page rejects an empty class
            self.add_class(kind)
        self._frame = frame
        self.say(words)

    def say(self, words: str) -> None:
        self.value = self._frame.format(html.escape(words)) if words else ""


class Sentence(ipywidgets.VBox):
    """A sentence whose text can change.

    The text is a plain ipywidgets widget, not an anywidget. anywidget cancels a widget that is not ready within two
    seconds, for example on a busy machine. The text would then never change again, and no error would be shown.
    """

    text = traitlets.Unicode()

    def __init__(self, text: str = "") -> None:
        self.words = Words(kind="amfs-say", width="100%", margin="0")
        page = Page(layout=ipywidgets.Layout(height="0", margin="0"))
        super().__init__([self.words, page], layout=ipywidgets.Layout(width="100%", margin="0"))
        self.text = text

    @traitlets.observe("text")
    def _write(self, change: Any) -> None:
        self.words.say(change["new"])


class Banner(Words):
    """A red error message above the controls; empty if there is no error."""

    FRAME = (
        '<div role="alert"><b>This explorer met an error.</b> {}<br>'
        "The figure shows the last state that worked. Press <b>Reset</b> to go back to the start.</div>"
    )

    def __init__(self) -> None:
        super().__init__(kind="amfs-banner", frame=self.FRAME, display="none", width="100%")

    def show(self, error: BaseException) -> None:
        self.say(f"{type(error).__name__}: {error}")
        self.layout.display = ""

    def hide(self) -> None:
        if self.value:
            self.say("")
            self.layout.display = "none"
