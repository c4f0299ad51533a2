"""Notebooks that only a test uses, added to the folder of the server's lessons."""

import nbformat
from lab import Lesson
from playwright.sync_api import BrowserContext
from serving import Server

# An explorer without a fault. The cell moves it before it shows it.
LINE = """
import ipywidgets as w
import numpy as np
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.controls import Slider
from amfs_lab.widgets.figure import Arrays, LiveFigure
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.traces import curve
from amfs_lab.widgets.plotly_widget import Figure

class Line(Explorer):
    title, alt = "sound", "A line."
    slope = Slider("slope", 0, 2, start=1)
    panels = Panels(figure=Panel(y=axis(range=(0, 2))))
    traces = {"line": curve("x", "y", hover="")}
    layout = dict(height=200)

    def compute(self, state):
        x = np.linspace(0, 1, 5)
        return Arrays(x=x, y=state.slope * x, slope=state.slope)

    def say(self, arrays):
        return f"The line rises by {arrays.slope:g}."

class Early(Line):
    title = "moved early"

early = Early()
early.slope = 1.5
early.slope = 2  # before plotly can have arrived on the page: nothing may be lost
early
"""


def plant(server: Server, browser: BrowserContext, name: str, *sources: str) -> Lesson:
    """A new notebook with its own name and kernel. It is open, and its cells have not run."""
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, server.lessons / f"{name}.ipynb")
    return Lesson(browser, server, name)
