"""A slow page: anywidget gives up a widget that is not ready after two seconds, and ignores later messages to it.

The explorers must work all the same.
"""

import pytest
from planting import LINE, plant

pytestmark = pytest.mark.browser

CELLS = (LINE, "Line()", "from amfs_lab import explore\nexplore.DrawExplorer()")


@pytest.fixture(scope="module")
def explorers(server, browser):
    """The explorers of the page, by title."""
    lesson = plant(server, browser, "hurried", *CELLS)
    lesson.faults.expected = ("[anywidget] Failed to initialize model",)
    lesson.ask("hurry()")
    lesson.run()
    assert lesson.faults.came
    yield {explorer.title: explorer for explorer in lesson.explorers()}
    lesson.close()


def test_a_figure_moves(explorers):
    assert explorers["sound"].drive() >= 4
    assert "The line rises by 2." in explorers["moved early"].reading()["sentence"]
    assert explorers["moved early"].drive() >= 4


def test_sheets_get_new_letters_and_can_be_drawn_on(explorers):
    desk = next(each for title, each in explorers.items() if title.startswith("Draw"))
    desk.act("Syriac", desk.box.locator(".amfs-toolbar button:has-text('Syriac')").click)
    papers = desk.box.locator(".amfs-sheet canvas")
    desk.lesson.until(
        "all sheets show Syriac letters",
        lambda: [paper.get_attribute("aria-label").split(": ")[1] for paper in papers.all()] == ["Syriac"] * 6,
    )
    stroke = [(0.2, 0.2), (0.8, 0.8)]
    desk.act("a stroke", lambda: desk.draw(desk.box.locator(".amfs-sheet").first, stroke))
    assert papers.first.get_attribute("aria-label") == "letter 1: your drawing of 1 stroke"
    sentence = desk.box.locator(".amfs-say")
    desk.lesson.until("the query is recognised", lambda: "The query is recognised as" in sentence.inner_text())
