"""Figures on the page: on one screen, the same in every view, in both themes, at every width and after the tab was hidden."""

import json

import pytest
from planting import plant

from amfs_lab import explore

pytestmark = pytest.mark.browser

KINDS = [name for name in explore.__all__ if name.endswith("Explorer") and getattr(explore, name).declared]
WITH_DATA = {"CompareExplorer": 'explore.compare.equal_learners(seed=22), episodes="the first 150"'}
CELLS = ["from amfs_lab import explore", *(f"explore.{kind}({WITH_DATA.get(kind, '')})" for kind in KINDS)]
SCREEN = 620  # pixels of height that JupyterLab leaves a notebook at 1366 × 768
DATA = """box => [...box.querySelectorAll('.js-plotly-plot')].map(plot => plot.data.map(trace => {
    const { x, y, z, text, marker, visible, mode } = trace;
    return { x, y, z, text, visible, mode, symbol: marker?.symbol, color: marker?.color, size: marker?.size };
}))"""


@pytest.fixture(scope="module")
def lesson(server, browser):
    """All explorers, on the screen of a laptop."""
    lesson = plant(server, browser, "figures", *CELLS)
    lesson.page.set_viewport_size({"width": 1366, "height": 768})
    lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.collapseRight(); }")
    lesson.run()
    yield lesson
    lesson.close()


def heights(lesson) -> dict[str, int]:
    boxes = zip(KINDS, lesson.explorers(), strict=True)
    return {kind: round(explorer.box.bounding_box()["height"]) for kind, explorer in boxes}


def test_dials_sentence_and_figure_are_seen_together(lesson, record_property):
    at = heights(lesson)
    record_property("heights at 1366", at)
    assert {kind: height for kind, height in at.items() if height > SCREEN} == {}


def test_a_smaller_page_has_one_column_and_nothing_is_cut(lesson, record_property):
    page = lesson.page
    for width in (1024, 800):
        page.set_viewport_size({"width": width, "height": 768})
        lesson.until("every figure has its width", lambda: not lesson.ask("missing()") and lesson.ask("settled()"))
        record_property(f"heights at {width}", heights(lesson))
        cut = page.evaluate(
            """() => [...document.querySelectorAll('.amfs-explorer')].filter(box => box.scrollWidth > box.clientWidth + 1)
                .map(box => box.querySelector('.amfs-title').textContent)"""
        )
        assert cut == [], f"at {width} px"
    page.set_viewport_size({"width": 1366, "height": 768})


def test_every_view_shows_the_same_after_a_move(lesson):
    """In another cell, and by "Create New View for Output"; rings, markers and matrices included."""
    views = plant(
        lesson.server,
        lesson.page.context,
        "views",
        "from amfs_lab import explore\ndial = explore.RbfExplorer()\nwalk = explore.TrajectoryExplorer()",
        "dial",
        "walk",
        'dial.set(bandwidth=1.7, points="a point twice", row=4)\nwalk.set(x_1=2.5, tasks=2)',
        "dial",
        "walk",
    )
    views.run()
    views.page.evaluate(
        """async () => {
            const notebook = jupyterapp.shell.currentWidget.content;
            notebook.activeCellIndex = 1;
            await jupyterapp.commands.execute('notebook:create-output-view');
        }"""
    )
    views.until("there are three views of the dial", lambda: views.page.locator(".amfs-explorer").count() == 5)
    boxes = views.page.locator(".amfs-explorer")
    moved = boxes.nth(1).locator(".noUi-handle").first

    def seen() -> list[list[str]]:
        at = [json.dumps(box.evaluate(DATA)) for box in boxes.all()]
        words = [box.evaluate("box => box.querySelector('.amfs-title').textContent") for box in boxes.all()]
        return [[data for data, title in zip(at, words, strict=True) if title == name] for name in sorted(set(words))]

    for key in (None, "End"):
        if key:
            moved.press(key)
        views.until("nothing is asked any more", lambda: views.ask("settled()"))
        views.until(f"all views show the same after {key}", lambda: all(len(set(of_one)) == 1 for of_one in seen()))
        assert sorted(map(len, seen())) == [2, 3]
    assert '"symbol": ["diamond"' in json.dumps(boxes.first.evaluate(DATA)) or "diamond" in seen()[-1][0]
    places = [box.locator(".amfs-handle").first.get_attribute("aria-valuetext") for box in boxes.all()[1:4:2]]
    assert len(set(places)) == 1
    views.check("with three views")
    views.close()


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_figures_follow_the_theme_at_once(lesson):
    page = lesson.page
    paper = "() => [...document.querySelectorAll('.amfs-panel .main-svg')].map(svg => svg.style.background)"
    seen = {}
    for theme, dark in (("JupyterLab Dark", True), ("JupyterLab Light", False)):
        page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
        lesson.explorers()
        lesson.until("every figure is drawn", lambda: not lesson.ask("missing()"))
        seen[dark] = {colour for colour in page.evaluate(paper) if colour and colour != "transparent"}
    assert seen == {True: {"rgb(17, 17, 17)"}, False: {"white"}} or seen[True].isdisjoint(seen[False])
    lesson.check("after two themes")
