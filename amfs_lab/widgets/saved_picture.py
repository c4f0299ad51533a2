"""The display of an explorer in a notebook cell: its widget, and a static picture for a page without a kernel.

The picture is a separate output above the widget, and `page.css` hides the picture while the widget is shown. If the
notebook is opened again, the line "Error displaying widget: model not found" is below the picture. `page.css` cannot
hide this line, because a page loads `page.css` only with a live widget.
"""

import base64
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import display

from amfs_lab.widgets.png import picture

if TYPE_CHECKING:
    from amfs_lab.widgets.explorer import Explorer

WIDTH = 900  # pixels; `page.css` selects the picture by this width
NOTE = "This is a picture from when the cell ran. Run the cell for the live figure."
NOTHING = picture(np.zeros((1, 1), np.uint8), ["#FFFFFF"]).partition(",")[2]


def show(explorer: "Explorer") -> None:
    """Displays an empty output and the widget below it, and then draws the picture in the empty output."""
    drawn = pictured()
    if drawn:
        _put(explorer, NOTHING, update=False, height=1)
    bundle, metadata = explorer._repr_mimebundle_()
    display(bundle, raw=True, metadata=metadata)
    if drawn:
        renew(explorer)


def renew(explorer: "Explorer") -> None:
    """Draws the picture of a displayed explorer again. If this fails, one line with the error replaces the picture."""
    if not pictured():
        return
    try:
        _put(explorer, base64.b64encode(png(explorer)).decode(), update=True)
    except Exception as error:
        words = {"text/plain": f"There is no picture of this figure. {type(error).__name__}: {error}"}
        display(words, raw=True, display_id=_place(explorer), update=True)


def pictured() -> bool:
    """True if pictures are saved: in a Jupyter kernel, but not in tests, where a picture would take half a second."""
    return hasattr(get_ipython(), "kernel") and os.environ.get("AMFS_LAB_FAST") != "1"


def png(explorer: "Explorer") -> bytes:
    """The picture as a small PNG with 128 colours, which are enough for curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    from amfs_lab.widgets.static_figure import still

    words = f"{explorer.sentence.text}\n{NOTE}"
    canvas = FigureCanvasAgg(still(explorer.figure, explorer.live_figure.state.specification, explorer.title, words))
    canvas.draw()
    file = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(128).save(file, "PNG", optimize=True)
    return file.getvalue()


def _put(explorer: "Explorer", image: str, update: bool, **size: int) -> None:
    words = f"{explorer.alt} {explorer.sentence.text}"
    metadata: dict[str, Any] = {"image/png": {"width": WIDTH, "alt": words, **size}}
    bundle = {"image/png": image, "text/plain": repr(explorer)}
    display(bundle, raw=True, metadata=metadata, display_id=_place(explorer), update=update)


def _place(explorer: "Explorer") -> str:
    return f"{explorer.widget.model_id}-picture"
