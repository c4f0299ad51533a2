"""The picture of an explorer replaces it without a kernel: in a notebook opened again, and in an exported notebook."""

import nbformat
import pytest
from planting import plant
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PICTURED = """
import os
del os.environ["AMFS_LAB_FAST"]  # under test, no picture is drawn
from amfs_lab import explore
print("before")
"""
PICTURE, LIVE, NAME = 'img[width="900"]', ".amfs-explorer", "pictured"
WIDE = "image => image.complete && image.naturalWidth"  # 0 if the image could not be read


@pytest.fixture(scope="module")
def saved(server, browser):
    """A notebook with an explorer after a run, saved; its kernel has ended. The page is checked before that."""
    lesson = plant(server, browser, NAME, PICTURED, "explore.RbfExplorer()\n")
    try:
        lesson.run()
        picture, live = lesson.page.locator(PICTURE), lesson.page.locator(LIVE)
        lesson.until("the picture is drawn", lambda: picture.count() == 1 and picture.evaluate(WIDE) == 900)
        expect(live).to_be_visible()
        expect(picture).to_be_hidden()
        expect(lesson.page.get_by_text("before", exact=True)).to_be_visible()
        lesson.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1; }")
        lesson.ask("command('notebook:create-output-view')")
        expect(live).to_have_count(2)
        expect(live.nth(1).locator(".js-plotly-plot").first).to_be_visible()
        assert [picture.nth(n).is_visible() for n in range(picture.count())] == [False, False]
        lesson.page.evaluate("() => window.jupyterapp.shell.currentWidget.close()")
        expect(live).to_have_count(1)
        lesson.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save-all')")
        path = server.lessons / f"{NAME}.ipynb"
        lesson.until("the notebook is saved", lambda: "image/png" in path.read_text(encoding="utf-8"))
    finally:
        lesson.close()
    return path


def test_a_notebook_opened_again_shows_picture_and_sentence(server, browser, saved):
    outputs = nbformat.read(saved, 4).cells[1].outputs
    assert list(outputs[0].data) == ["image/png", "text/plain"]
    assert "points 2 and 3 lie 0.60 apart" in outputs[0].data["text/plain"]
    page = browser.new_page()
    page.goto(f"{server.url}lab/tree/{NAME}.ipynb?token={server.token}")
    picture = page.locator(PICTURE)
    expect(picture).to_be_visible(timeout=60_000)
    assert picture.evaluate(WIDE) == 900
    lost = page.get_by_text("model not found")
    expect(lost).to_be_visible()
    assert picture.bounding_box()["y"] < lost.bounding_box()["y"], "the picture must be above the error line"
    page.close()


def test_an_exported_notebook_shows_picture_and_sentence_offline(browser, saved, tmp_path):
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_filename(str(saved))
    (tmp_path / "saved.html").write_text(html, encoding="utf-8")
    page = browser.new_page()
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.goto((tmp_path / "saved.html").as_uri())
    picture = page.locator(PICTURE)
    expect(picture).to_be_visible()
    assert picture.evaluate(WIDE) == 900
    page.close()
