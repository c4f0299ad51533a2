"""Makes the animation of the README: `python tests/browser/moving_picture.py docs/explorer.gif`."""

import io
import sys
import tempfile
from pathlib import Path

import nbformat
from lab import Lesson
from PIL import Image
from playwright.sync_api import sync_playwright
from serving import jupyter, open_browser

CELLS = ("from amfs_lab import explore", "figure = explore.RbfExplorer(bandwidth=0.1)\nfigure")
VALUES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.1, 1.5, 2.0, 2.7, 3.6, 5.0)  # of σ, first up and then down
FRAME, REST, COLORS, WIDTH = 220, 900, 64, 860  # ms for a frame, ms at both ends, colours, pixels


def frames(lesson: Lesson) -> list[Image.Image]:
    """Pictures of the explorer on the page, one for each value of σ."""
    explorer, found = lesson.explorers()[0], []
    for value in VALUES:
        lesson.execute(f"figure.set(bandwidth={value})")
        lesson.until("the figure is drawn", lambda: lesson.ask("settled()"))
        found.append(Image.open(io.BytesIO(explorer.box.screenshot())).convert("RGB"))
    return found


def moving_picture(target: Path) -> None:
    """Writes an animated GIF that repeats without end."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    )
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as notebooks:
        nbformat.write(notebook, Path(notebooks) / "picture.ipynb")
        with (
            jupyter(Path(folder), notebooks=Path(notebooks)) as server,
            sync_playwright() as playwright,
            open_browser(playwright, Path(folder) / "profile") as browser,
        ):
            lesson = Lesson(browser, server, "picture")
            lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.collapseRight(); }")
            lesson.run()
            shots = frames(lesson)
            lesson.close()
    size = (WIDTH, round(shots[0].height * WIDTH / shots[0].width))
    small = [shot.resize(size, Image.Resampling.LANCZOS).quantize(COLORS) for shot in shots]
    loop = [*small, *small[-2:0:-1]]
    times = [REST if index in (0, len(small) - 1) else FRAME for index in range(len(loop))]
    loop[0].save(target, save_all=True, append_images=loop[1:], duration=times, loop=0, optimize=True)


if __name__ == "__main__":
    moving_picture(Path(sys.argv[1]))
