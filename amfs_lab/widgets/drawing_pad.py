"""A drawing sheet as a control of an explorer. Its value is a drawing, or None if the sheet shows a stored letter."""

from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as w
import traitlets
from jaxtyping import Float
from torch import Tensor

from amfs_lab.widgets.controls import Control, Fields, WidgetBinding
from amfs_lab.widgets.messages import Words
from amfs_lab.widgets.png import greys
from amfs_lab.widgets.strokes import Strokes, checked

HERE = Path(__file__).parent


class SheetState(w.Widget):
    """The content of a sheet: a stored letter or a drawing.

    This class is a plain ipywidgets model. The comments in `mount.js` give the reason.

    Strokes are sent as lists of numbers. (A trait of type Bytes rejects the memoryview that the page sends, without an
    error message.)
    """

    value = traitlets.List(default_value=None, allow_none=True).tag(sync=True, echo_update=False)
    description = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)  # the image shown while there is no drawing; see `printed`
    caption = traitlets.Unicode().tag(sync=True)  # the script of the stored letter
    remark = traitlets.Unicode().tag(sync=True)  # the result for this sheet, below the paper
    chosen = traitlets.Bool(False).tag(sync=True)  # True if this sheet is the answer


class Sheet(anywidget.AnyWidget):
    """The view of a sheet for drawing by mouse, touch or pen, with the buttons Undo and Clear (`drawing_pad.js`)."""

    _esm = (HERE / "drawing_pad.js").read_text(encoding="utf-8")
    _css = (HERE / "drawing_pad.css").read_text(encoding="utf-8")

    state = traitlets.Instance(SheetState).tag(sync=True, **w.widget_serialization)


class DrawingPad(Control):
    """A drawing sheet. Its value is the list of drawn strokes, or None while the stored letter is shown."""

    def __init__(self, label: str, **rest: Any) -> None:
        super().__init__(label, None, **rest)

    def check(self, value: Any) -> Strokes | None:
        return None if value is None else checked(value)

    def probes(self) -> list[Any]:
        return [None, (), CROSS, RING]

    def fields(self, value: Any, label_width: str = "") -> Fields:
        sheet = SheetState(description=self.label, value=_listed(value))
        note = Words(display="none")  # an invalid drawing is rejected, never corrected
        box = w.VBox([Sheet(state=sheet), note], layout=w.Layout(margin="0"))
        return Fields(box, [WidgetBinding(sheet, _listed, self.check)], note)


def printed(image: Float[Tensor, "28 28"]) -> str:
    """The image as hexadecimal digits (16 grey levels), row by row; "" if the image has no ink."""
    levels = greys(image).ravel().tolist()
    return "".join(f"{level:x}" for level in levels) if any(levels) else ""


def _listed(value: Strokes | None) -> list[Any] | None:
    return None if value is None else [[list(point) for point in stroke] for stroke in value]


CROSS: Strokes = (((0.2, 0.2), (0.8, 0.8)), ((0.8, 0.2), (0.2, 0.8)))
RING: Strokes = (((0.5, 0.2), (0.75, 0.35), (0.75, 0.65), (0.5, 0.8), (0.25, 0.65), (0.25, 0.35), (0.5, 0.2)),)
