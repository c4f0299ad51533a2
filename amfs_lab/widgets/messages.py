"""Messages of an explorer: its sentence, which screen readers announce, and the banner for errors."""

import html
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

HERE = Path(__file__).parent


class Page(anywidget.AnyWidget):
    """The help of the page for a sentence and its controls. It shows nothing, and may fail without harm to either.

    Its script (`page.js`) makes the sentence a live region, so that screen readers speak each change, and gives the
    slider handles their names, which ipywidgets does not send.
    """

    _esm = (HERE / "page.js").read_text(encoding="utf-8")
    _css = (HERE / "page.css").read_text(encoding="utf-8")


class Words(ipywidgets.HTML):
    """Words on the page, shown as they are: no character of theirs is markup. The only HTML that an explorer makes.

    Args:
        frame: the markup around them, with `{}` in their place. kind: their CSS class. layout: of ipywidgets.
    """

    def __init__(self, words: str = "", kind: str = "", frame: str = "{}", **layout: Any) -> None:
        super().__init__(layout=ipywidgets.Layout(**layout))
        if kind:  # a page refuses an empty class
            self.add_class(kind)
        self._frame = frame
        self.say(words)

    def say(self, words: str) -> None:
        self.value = self._frame.format(html.escape(words)) if words else ""


class Sentence(ipywidgets.VBox):
    """A sentence that changes its words.

    The words are a widget of ipywidgets itself: anywidget gives up on one of its own that is not ready within two
    seconds, as on a busy machine, and from then on the words would stand still without a word of it.
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
    """Red, above the controls, empty while all is well."""

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
