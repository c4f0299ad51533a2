"""Figures on the page: they fit on one screen, and are right in every view, in both themes and at every width."""

import json

import pytest
from planting import plant

from amfs_lab import explore
from amfs_lab.widgets import style

pytestmark = pytest.mark.browser

KINDS = [name for name in explore.__all__ if name.endswith("Explorer") and getattr(explore, name).declared]
WITH_DATA = {"CompareExplorer": 'explore.training.compare.equal_learners(seed=22), episodes="the first 150"'}
CELLS = ["from amfs_lab import explore", *(f"explore.{kind}({WITH_DATA.get(kind, '')})" for kind in KINDS)]
SCREEN = 620  # pixels of height that a notebook has in JupyterLab at 1366 × 768
DATA = """box => [...box.querySelectorAll('.js-plotly-plot')].map(plot => plot.data.map(trace => {
    const { x, y, z, text, marker, visible, mode } = trace;
    return { x, y, z, text, visible, mode, symbol: marker?.symbol, color: marker?.color, size: marker?.size };
}))"""


@pytest.fixture(scope="module")
def lesson(server, browser):
    """A notebook with all explorers, on the screen of a laptop."""
    lesson = plant(server, browser, "figures", *CELLS)
    lesson.page.set_viewport_size({"width": 1366, "height": 768})
    lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.collapseRight(); }")
    lesson.run()
    yield lesson
    lesson.close()


def heights(lesson) -> dict[str, int]:
    boxes = zip(KINDS, lesson.explorers(), strict=True)
    return {kind: round(explorer.box.bounding_box()["height"]) for kind, explorer in boxes}


def test_controls_sentence_and_figure_fit_on_one_screen(lesson, record_property):
    at = heights(lesson)
    record_property("heights at 1366", at)
    assert {kind: height for kind, height in at.items() if height > SCREEN} == {}


CUT = """() => [...document.querySelectorAll('.amfs-explorer')].filter(box =>
    [box, ...box.querySelectorAll('.widget-box')].some(part => part.scrollWidth > part.clientWidth + 1)
).map(box => box.querySelector('.amfs-title').textContent)"""


def test_on_a_smaller_page_nothing_is_cut(lesson, record_property):
    for width in (1150, 1024, 800):
        lesson.page.set_viewport_size({"width": width, "height": 768})
        record_property(f"heights at {width}", heights(lesson))
        assert lesson.page.evaluate(CUT) == [], f"at {width} px"


@pytest.fixture(scope="module")
def views(server, browser):
    """Two explorers after a move, each shown in two cells. The first is also in a separate output view."""
    views = plant(
        server,
        browser,
        "views",
        "from amfs_lab import explore\nrbf = explore.RbfExplorer()\nplane = explore.TrajectoryExplorer()",
        "rbf",
        "plane",
        'rbf.set(bandwidth=1.7, points="a point twice", row=4)\nplane.set(x_1=2.5, tasks=2)',
        "rbf",
        "plane",
    )
    views.run()
    views.page.evaluate(
        """async () => {
            const panel = jupyterapp.shell.currentWidget;
            panel.content.activeCellIndex = 1;
            await jupyterapp.commands.execute('notebook:create-output-view');
            jupyterapp.shell.activateById(panel.id);
        }"""
    )
    views.until("the first explorer has three views", lambda: views.page.locator(".amfs-explorer").count() == 5)
    yield views
    views.close()


def seen(views) -> dict[str, list[str]]:
    """The drawn data of each view, by the explorer's title."""
    found: dict[str, list[str]] = {}
    for box in views.page.locator(".amfs-explorer").all():
        box.scroll_into_view_if_needed()  # a figure is drawn when it is seen
        views.until("it is drawn", lambda box=box: not box.locator(".amfs-figure[data-waits]").count())
        title = box.locator(".amfs-title").text_content()
        found.setdefault(title, []).append(json.dumps(box.evaluate(DATA)))
    return found


def test_every_view_shows_the_same_after_a_move(views):
    """Views in another cell and by "Create New View for Output" agree, also in rings, markers and matrices."""
    boxes = views.page.locator(".amfs-explorer")
    for key in (None, "End"):
        if key:
            boxes.first.locator(".noUi-handle").first.press(key)
        views.until("no request is open", lambda: views.ask("settled()"))
        views.until(f"all views are alike after {key}", lambda: all(len(set(of)) == 1 for of in seen(views).values()))
        assert sorted(map(len, seen(views).values())) == [2, 3]
    assert (
        '"symbol": ["circle", "circle", "square", "diamond"'
        in seen(views)[boxes.first.locator(".amfs-title").text_content()][0]
    )
    rings = views.page.locator(".amfs-handle[aria-label='task 1, a place']")
    assert [ring.get_attribute("aria-valuetext")[:6] for ring in rings.all()] == ["x 2.50"] * 2
    views.check("with three views")


def test_figures_follow_the_theme_at_once(views):
    def papers() -> set[str]:
        """The background colours of all visible panels."""
        drawn = ".amfs-figure:not([data-waits]) .amfs-panel .main-svg"
        papers = f"() => [...document.querySelectorAll('{drawn}')].map(svg => svg.style.background)"
        return set(views.page.evaluate(papers)) - {""}

    views.use_theme("JupyterLab Light")
    views.until("panels are visible", papers)
    light = papers()
    for name, dark in (("JupyterLab Dark", True), ("JupyterLab Light", False)):
        views.use_theme(name)
        views.until(f"all panels are in {name}", lambda dark=dark: papers() and light.isdisjoint(papers()) == dark)
    views.check("after two themes")


ENDS = {
    "lesson": "() => { jupyterapp.shell.currentWidget.sessionContext.shutdown(); }",
    "views": "() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }",
}
SAID = """() => [...document.querySelectorAll('.jp-Notebook .amfs-explorer')].map(
    box => getComputedStyle(box, '::before').content)"""


@pytest.mark.parametrize("name", ENDS)
def test_a_figure_whose_kernel_has_ended_says_so(name, request):
    page = request.getfixturevalue(name).page
    assert set(page.evaluate(SAID)) == {"none"}
    page.evaluate(ENDS[name])
    request.getfixturevalue(name).until(
        "every explorer says so", lambda: all("The kernel has ended" in words for words in page.evaluate(SAID))
    )


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_marks_and_words_stand_out_from_the_page(dark):
    paper = style.NIGHT["white"] if dark else "#FFFFFF"
    shown = (lambda colour: style.NIGHT.get(colour, colour)) if dark else str
    assert {colour for colour in style.COLORS if contrast(shown(colour), paper) < 3} == set()
    assert {colour for colour in (style.INK, style.FAINT) if contrast(shown(colour), paper) < 4.5} == set()
