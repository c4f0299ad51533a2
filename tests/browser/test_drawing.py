"""Characters drawn on the page by mouse and by finger, and sheets used with the keyboard only."""

import pytest
from hand import Explorer
from planting import plant

pytestmark = pytest.mark.browser

CELL = "from amfs_lab import explore\nexplore.DrawExplorer()"

# Five letters, each as strokes through a few points; and the same letters smaller and slanted, as by another person.
LETTERS = (
    [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]],
    [[(0.5, 0.2), (0.72, 0.3), (0.8, 0.5), (0.7, 0.72), (0.5, 0.8), (0.28, 0.7), (0.2, 0.5), (0.3, 0.28), (0.5, 0.2)]],
    [[(0.3, 0.15), (0.3, 0.8), (0.75, 0.8)]],
    [[(0.2, 0.2), (0.8, 0.2)], [(0.5, 0.2), (0.5, 0.85)]],
    [[(0.15, 0.8), (0.3, 0.2), (0.5, 0.75), (0.7, 0.2), (0.85, 0.8)]],
)
AGAIN = tuple(
    [[(0.12 + 0.62 * x + 0.05 * y, 0.25 + 0.66 * y - 0.04 * x) for x, y in stroke] for stroke in letter]
    for letter in LETTERS
)

# A script that measures the milliseconds from the end of the last stroke to the last change of the sentence.
WATCH = """box => {
    const seen = { lifted: 0, said: 0 };
    box.addEventListener('pointerup', () => { seen.lifted = performance.now(); }, true);
    new MutationObserver(() => requestAnimationFrame(() => { seen.said = performance.now(); }))
        .observe(box.querySelector('.amfs-say'), { childList: true, characterData: true, subtree: true });
    box.seen = seen;
}"""


@pytest.fixture(scope="module")
def lesson(server, browser):
    lesson = plant(server, browser, "drawing", CELL)
    lesson.run()
    yield lesson
    lesson.close()


@pytest.fixture
def desk(lesson):
    """The explorer in its initial state."""
    (desk,) = lesson.explorers()
    desk.reset()
    return desk


def sheet(desk: Explorer, n: int):
    return desk.box.locator(".amfs-sheet").nth(n)


def button(desk: Explorer, words: str):
    return desk.box.locator(f".amfs-toolbar button:has-text('{words}')")


def says(desk: Explorer, *words: str) -> None:
    """Waits for the words in the sentence."""
    sentence = desk.box.locator(".amfs-say")
    desk.lesson.until(f"{words} is said", lambda: all(word in sentence.inner_text() for word in words))


def draw(desk: Explorer, n: int, strokes) -> None:
    for stroke in strokes:
        desk.act(f"a stroke on sheet {n + 1}", lambda stroke=stroke: desk.draw(sheet(desk, n), stroke))


def test_a_letter_that_is_drawn_again_is_read(desk, record_property):
    desk.act("my own sheets", button(desk, "my own sheets").click)
    says(desk, "All five sheets are blank")
    for n, letter in enumerate(LETTERS):
        draw(desk, n, letter)
    says(desk, "The five examples are learned")
    desk.box.evaluate(WATCH)
    waits = []
    for n, letter in enumerate(AGAIN):
        draw(desk, 5, letter)
        says(desk, f"recognised as letter {n + 1}")
        assert sheet(desk, n).evaluate("sheet => sheet.classList.contains('amfs-chosen')")
        seen = desk.box.evaluate("box => box.seen")
        waits.append(max(0.0, seen["said"] - seen["lifted"]))
        desk.act("Clear", sheet(desk, 5).get_by_text("Clear").click)
        says(desk, "The five examples are learned")
    record_property("From last stroke to verdict", waits)


def test_it_is_used_without_a_mouse(desk):
    page, menu = desk.page, desk.box.locator("select").nth(1)
    menu.focus()
    desk.act("Down", lambda: page.keyboard.press("ArrowDown"))
    assert menu.evaluate("menu => menu.selectedIndex") == 2
    says(desk, "letter 3")
    clear, undo = (sheet(desk, 1).get_by_role("button", name=name) for name in ("Clear letter 2", "Undo on letter 2"))
    clear.focus()
    desk.act("Clear by the space bar", lambda: page.keyboard.press("Space"))
    says(desk, "No prediction yet: letter 2 is blank")
    undo.focus()
    desk.act("Undo by Enter", lambda: page.keyboard.press("Enter"))
    says(desk, "The query is recognised as")
    assert sheet(desk, 1).locator("canvas").get_attribute("aria-label") == "letter 2: Bengali"


def test_a_stored_letter_gives_way_to_a_drawing_and_undo_brings_it_back(desk):
    paper = sheet(desk, 0).locator("canvas")
    draw(desk, 0, LETTERS[0])
    assert paper.get_attribute("aria-label") == "letter 1: your drawing of 2 strokes"
    for left in ("letter 1: your drawing of 1 stroke", "letter 1: Bengali"):
        desk.act("Undo", sheet(desk, 0).get_by_text("Undo").click)
        assert paper.get_attribute("aria-label") == left


def test_drawings_below_another_script_are_not_lost(desk):
    """A choice in the menu replaces all five letters. Undo brings each drawing back, and it is classified again."""
    desk.act("my own sheets", button(desk, "my own sheets").click)
    for n, letter in enumerate(LETTERS):
        draw(desk, n, letter)
    draw(desk, 5, AGAIN[2])
    says(desk, "recognised as letter 3")
    menu = desk.box.locator("select").first
    desk.act("Syriac", lambda: menu.select_option("Syriac"))
    papers = [sheet(desk, n).locator("canvas") for n in range(5)]
    labels = lambda: [paper.get_attribute("aria-label").partition(": ")[2] for paper in papers]  # noqa: E731
    desk.lesson.until("five Syriac letters lie there", lambda: labels() == ["Syriac"] * 5)
    for n in range(6):
        desk.act("Undo", sheet(desk, n).get_by_text("Undo").click)
    assert all(label.startswith("your drawing of") for label in labels())
    says(desk, "recognised as letter 3")
    desk.act("Undo", sheet(desk, 3).get_by_text("Undo").click)
    assert labels()[3] == "your drawing of 1 stroke", "Undo also restores the earlier strokes"


def test_a_finger_draws(desk):
    desk.act("my own sheets", button(desk, "my own sheets").click)
    paper = sheet(desk, 0).locator("canvas")
    paper.scroll_into_view_if_needed()
    at, finger = paper.bounding_box(), desk.page.context.new_cdp_session(desk.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": at["x"] + x * at["width"], "y": at["y"] + y * at["height"]} for x, y in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def stroke() -> None:
        touch("touchStart", (0.2, 0.2))
        for step in range(1, 7):
            touch("touchMove", (0.2 + 0.1 * step, 0.2 + 0.05 * step))
        touch("touchEnd")

    desk.act("a stroke by a finger", stroke)
    says(desk, "letters 2, 3, 4 and 5 are blank")
    assert paper.get_attribute("aria-label") == "letter 1: your drawing of 1 stroke"
