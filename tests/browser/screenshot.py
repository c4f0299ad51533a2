"""Takes the picture of a lesson for the README: `python tests/browser/screenshot.py 01_rbf_kernels docs/lesson.png`."""

import sys
import tempfile
from pathlib import Path

from lab import Lesson
from playwright.sync_api import sync_playwright
from serving import jupyter, open_browser


def picture(name: str, target: Path) -> None:
    """The lesson's first explorer as JupyterLab shows it after Run All Cells, with some of the text above it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyter(Path(folder)) as server,
        sync_playwright() as playwright,
        open_browser(playwright, Path(folder) / "profile") as browser,
    ):
        lesson = Lesson(browser, server, name)
        lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.collapseRight(); }")
        lesson.run()
        explorer = lesson.explorers()[0]
        explorer.act("the mouse goes away", lambda: lesson.page.mouse.move(0, 0))
        # A reader has just come to it: its sentence stands at the lower edge.
        explorer.box.evaluate("box => box.closest('.jp-Cell').scrollIntoView({ block: 'end' })")
        explorer.act("everything comes to rest", lambda: None)
        lesson.check("before the picture")
        target.parent.mkdir(parents=True, exist_ok=True)
        lesson.page.screenshot(path=target)
        lesson.close()


if __name__ == "__main__":
    picture(sys.argv[1], Path(sys.argv[2]))
