"""Moves everything that can be moved in an explorer on the page, and checks that the drawing changes.

`amfs_lab.widgets.drive` tries every value of every control, in the kernel. Here the messages between page and kernel
are tested. The first control of each kind is moved in all ways, and the others only until the drawing changes.
"""

import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Locator, expect

if TYPE_CHECKING:
    from lab import Lesson

REST_SECONDS = 60  # longest wait for a drawing at rest; a test that waits longer fails

# The XPath from a slider's handle to the box for its number.
NUMBER = "xpath=ancestor::*[contains(@class, 'amfs-control')][1]//input[@type='number']"

NOTE = "xpath=ancestor::*[contains(@class, 'amfs-control')][1]//*[contains(@class, 'amfs-note')]"

BESIDE_A_SLIDER = ".amfs-control:has(.noUi-handle)"

RESET = "button:has-text('Reset')"

# The positions of the mouse in a figure: they cover the left, right and lower panels.
PLACES = ((0.25, 0.4), (0.7, 0.3), (0.75, 0.7))

Action = Callable[[], Any]


class Explorer:
    """A box with controls and a figure. A fault raises an AssertionError that names lesson, box and control."""

    def __init__(self, lesson: "Lesson", box: Locator) -> None:
        self.lesson, self.page, self.box = lesson, lesson.page, box
        title = box.locator(".amfs-title")
        self.title = title.text_content() if title.count() else "outside an explorer"

    def drive(self, again: bool = False) -> int:
        """Moves everything that can be moved, and resets it. Returns the number of moves.

        Args:
            again: True if another explorer of this class is fully tested in this or an earlier lesson. One working
                slider is then enough.
        """
        if not self.reset():
            self.act("before anything is moved", lambda: None)
        start, moves = self.reading(), 0
        for name, move in self.sliders()[:1] if again else self.controls():
            moves += move(name)
            if self.reset():
                self.compare(start, name)
        return moves

    def sliders(self) -> list[tuple[str, Callable[[str], int]]]:
        """The sliders: each slider's name, and a function that moves it by keys."""
        return [
            (f"slider {label(handle)!r}", lambda name, handle=handle: self.press_keys(name, handle, enough=1))
            for handle in self.visible(".noUi-handle")
        ]

    def controls(self) -> list[tuple[str, Callable[[str], int]]]:
        """Everything that can be moved: each item's name, and a function that moves it."""
        found = self.sliders()
        for handle in self.visible(".noUi-handle")[:1]:
            found[0] = (found[0][0], lambda name, handle=handle: self.slide(name, handle))
        for n, menu in enumerate(self.visible("select:enabled")):
            enough = 1 if n else None
            found.append((f"menu {label(menu)!r}", lambda name, m=menu, enough=enough: self.choose(name, m, enough)))
        for n, box in enumerate(self.visible("input[type=checkbox]:enabled")):
            clicks = [("clicked", box.click), ("clicked again", box.click)][: 1 if n else 2]
            found.append((f"checkbox {label(box)!r}", lambda name, clicks=clicks: self.changes(name, clicks)))
        buttons = self.visible(f".amfs-toolbar button:enabled:not({RESET})")
        if buttons:
            found.append(("the buttons", lambda _: self.press(buttons)))
        for n, sheet in enumerate(self.visible(".amfs-sheet")):
            name = f"sheet {sheet.get_attribute('aria-label')!r}"
            found.append((name, lambda name, sheet=sheet, wholly=n == 0: self.scribble(name, sheet, wholly)))
        numbers = self.visible(f"input[type=number]:not({BESIDE_A_SLIDER} *)")
        if numbers:
            found.append(("the numbers", lambda _: self.fill_in(numbers)))
        for player in self.visible(".widget-play"):
            found.append(("the play button", lambda name, player=player: self.play(name, player)))
        rings = self.visible(".amfs-handle")
        if rings:
            found.append(("the rings", lambda _: self.drag_about(rings)))
        for plot in self.visible(".amfs-panels"):
            found.append(("the mouse", lambda name, plot=plot: self.point(name, plot)))
        return found

    # One method for each kind of control.

    def slide(self, name: str, handle: Locator) -> int:
        """Moves a slider by keys, and then by numbers typed into its box, also out of range."""
        moves = self.press_keys(name, handle, enough=2)
        number = handle.locator(NUMBER)
        if number.count():
            # A screen reader must speak the value in the box, not the slider's tick.
            expect(handle).to_have_attribute("aria-valuetext", number.input_value())
            _, high = extent(number)
            self.type(name, handle, number, f"{10 * high + 1:g}", "aria-valuemax")
            note = number.locator(NOTE)
            if f"became {high:g}" not in note.text_content() or float(number.input_value()) != high:
                raise self.wrong(f"{name} says nothing when {10 * high + 1:g} is typed into its box.")
            moves += 1
        return moves

    def press_keys(self, name: str, handle: Locator, enough: int) -> int:
        """Presses keys. Each key must move the slider unless it is already there; one key must change the drawing.

        The drawing may be the same at the start and at both ends, and differ in between: PageUp tests this case.
        """
        handle.scroll_into_view_if_needed()

        def action(key: str) -> None:
            end = "aria-valuemin" if key == "Home" else "aria-valuemax"
            before = handle.get_attribute("aria-valuenow")
            handle.press(key)
            after = handle.get_attribute("aria-valuenow")
            if before == after != handle.get_attribute(end):
                raise self.wrong(f"{name} stays at {before} when {key} is pressed.")

        moves = [(key, lambda key=key: action(key)) for key in ("End", "Home", "PageUp")]
        return self.changes(name, moves, timed=True, enough=enough)

    def type(self, name: str, handle: Locator, number: Locator, value: str, end: str) -> None:
        def type_in() -> None:
            number.fill(value)
            number.press("Enter")

        self.act(f"{name}, {value} typed into its box", type_in)
        if handle.get_attribute("aria-valuenow") != handle.get_attribute(end):
            raise self.wrong(f"{name} does not follow when {value} is typed into its box.")

    def fill_in(self, numbers: list[Locator]) -> int:
        """Types into number boxes without a slider.

        The first box gets both ends of its range and a number out of range. The last box gets the more distant end.
        """
        moves = self.enter(f"number {label(numbers[0])!r}", numbers[0])
        for number in numbers[1:][-1:]:
            low, high = extent(number)
            value = low if 2 * float(number.input_value()) > low + high else high
            number.fill(f"{value:g}")
            moves += self.changes(
                f"number {label(number)!r}", [(f"{value:g} typed", lambda n=number: n.press("Enter"))]
            )
        return moves

    def enter(self, name: str, number: Locator) -> int:
        """Types all test numbers into one box."""
        low, high = extent(number)

        def action(value: float) -> None:
            number.fill(f"{value:g}")
            number.press("Enter")

        values = (low, high, 10 * high + 1)
        moves = self.changes(name, [(f"{value:g} typed", lambda v=value: action(v)) for value in values])
        if f"became {high:g}" not in number.locator(NOTE).text_content() or float(number.input_value()) != high:
            raise self.wrong(f"{name} says nothing when {10 * high + 1:g} is typed into it.")
        return moves

    def play(self, name: str, player: Locator) -> int:
        """Rewinds a player to the first step, starts it, and stops it when it runs."""
        start, stop = player.locator("button").nth(0), player.locator("button").nth(1)
        number = player.locator(NUMBER)

        def action() -> None:
            start.click()
            self.lesson.until(f"{name} runs", lambda: float(number.input_value()) > extent(number)[0])
            start.click()

        return self.changes(name, [("back", stop.click), ("played", action)])

    def drag_about(self, rings: list[Locator]) -> int:
        """Drags every ring on the figure with the mouse, and moves the first ring also by keys."""
        moves = 0
        for n, ring in enumerate(rings):
            moves += self.drag(f"ring {ring.get_attribute('aria-label')!r}", ring, with_keys=n == 0)
        return moves

    def drag(self, name: str, ring: Locator, with_keys: bool) -> int:
        ring.scroll_into_view_if_needed()

        def pull() -> None:
            at = ring.bounding_box()
            assert at is not None
            x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
            self.page.mouse.move(x, y)
            self.page.mouse.down()
            self.page.mouse.move(x + 30, y - 20, steps=2)
            self.page.mouse.up()

        keys = [(key, lambda key=key: ring.press(key)) for key in ("ArrowLeft", "Shift+ArrowUp") if with_keys]
        before = ring.get_attribute("aria-valuetext")
        moves = self.changes(name, [("dragged", pull), *keys])
        if ring.get_attribute("aria-valuetext") == before:
            raise self.wrong(f"{name} stays at {before} when it is dragged.")
        return moves

    def choose(self, name: str, menu: Locator, enough: int | None) -> int:
        """Chooses the options of a menu, the last option first, because most menus start at the first option."""
        options = list(enumerate(menu.locator("option").all_inner_texts()))[::-1]
        moves = [(option, lambda n=n: menu.select_option(index=n)) for n, option in options]
        return self.changes(name, moves, enough=enough)

    def press(self, buttons: list[Locator]) -> int:
        """Presses the buttons one after the other, like a user who tries all presets."""
        for button in buttons:
            self.act(f"button {button.inner_text()!r}", button.click)
        return len(buttons)

    def scribble(self, name: str, sheet: Locator, wholly: bool) -> int:
        """Draws a random stroke, the same in every run. On the first sheet it also draws a second stroke and tests the
        buttons."""
        chance = random.Random(name)
        strokes = [[(chance.uniform(0.1, 0.9), chance.uniform(0.1, 0.9)) for _ in range(6)] for _ in range(1 + wholly)]
        actions: list[tuple[str, Action]] = [
            (f"stroke {n}", lambda stroke=stroke: self.draw(sheet, stroke)) for n, stroke in enumerate(strokes, 1)
        ]
        for word in ("Undo", "Clear", "Undo") if wholly else ():
            actions.append((word, lambda word=word: sheet.get_by_text(word, exact=True).click()))
        return self.changes(name, actions)

    def draw(self, sheet: Locator, points: list[tuple[float, float]]) -> None:
        """Draws one stroke with the mouse, through points in [0, 1]."""
        paper = sheet.locator("canvas")
        paper.scroll_into_view_if_needed()
        at = paper.bounding_box()
        assert at is not None
        (x, y), *rest = ((at["x"] + x * at["width"], at["y"] + y * at["height"]) for x, y in points)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for x, y in rest:
            self.page.mouse.move(x, y, steps=4)
        self.page.mouse.up()

    def point(self, name: str, plot: Locator) -> int:
        """Moves the mouse over the figure and clicks: the callbacks of hovers and clicks must not fail."""
        plot.scroll_into_view_if_needed()
        for x, y in PLACES:

            def action(x: float = x, y: float = y) -> None:
                at = plot.bounding_box()
                assert at is not None
                self.page.mouse.move(at["x"] + x * at["width"], at["y"] + y * at["height"], steps=3)
                self.page.mouse.down()
                self.page.mouse.up()

            self.act(f"{name} at {x:.0%} from the left and {y:.0%} from the top of the figure", action, still=120)
        self.page.mouse.move(0, 0)
        return len(PLACES)

    def reset(self) -> bool:
        """Presses Reset if the explorer has this button. Returns True if it has."""
        buttons = self.visible(RESET)
        for button in buttons:
            self.act("button 'Reset'", button.click)
        return bool(buttons)

    # Methods that read the page.

    def visible(self, css: str) -> list[Locator]:
        found = self.box.locator(css)
        return list(filter(Locator.is_visible, map(found.nth, range(found.count()))))

    def reading(self) -> dict[str, Any]:
        """The texts of the box and the values of its controls."""
        return self.box.evaluate("box => window.course.reading(box)")

    def compare(self, start: dict[str, Any], name: str) -> None:
        for part, now in self.reading().items():
            if now != start[part]:
                raise self.wrong(f"Reset after {name} does not restore its {part}: {start[part]!r}. Got {now!r}.")

    def act(self, what: str, action: Action, timed: bool = False, still: int = 20) -> tuple[str, str]:
        """Runs `action` and waits until kernel and drawing are at rest for `still` milliseconds. Returns the drawings
        before and after."""
        self.box.evaluate("(box, still) => window.course.arm(box, still)", still)
        action()
        seen = self.page.evaluate("seconds => window.course.rest(seconds)", REST_SECONDS)
        self.lesson.check(f"{self.title!r}, {what}")
        if not seen["rested"]:
            raise self.wrong(f"no rest {REST_SECONDS} s after {what}. {self.lesson.condition()}")
        if timed and seen["ms"] is not None:
            self.lesson.latencies.append(seen["ms"])
        return seen["before"], seen["after"]

    def changes(
        self, name: str, actions: list[tuple[str, Action]], timed: bool = False, enough: int | None = None
    ) -> int:
        """Runs the actions, or only the first `enough` if one of these changes the drawing. Returns how many ran.

        At least one action must change the drawing.
        """
        drawings: set[str] = set()
        for done, (what, action) in enumerate(actions):
            if done == enough and len(drawings) > 1:
                return done
            drawings |= set(self.act(f"{name}, {what}", action, timed))
        if len(drawings) == 1:
            done = ", ".join(what for what, _ in actions)
            raise self.wrong(f"{name} has no effect: the drawing has not changed after {done}.")
        return len(actions)

    def wrong(self, what: str) -> AssertionError:
        return AssertionError(f"{self.lesson.name}, {self.title!r}: {what}")


def extent(number: Locator) -> tuple[float, float]:
    """The range of a number, from the tooltip of its box."""
    low, high = re.search(r"from (\S+) to (\S+)$", number.get_attribute("title") or "").groups()
    return float(low), float(high)


def label(field: Locator) -> str:
    """The label beside a control."""
    return field.evaluate(
        """field => {
            const widget = field.closest('.jupyter-widgets');
            return widget?.querySelector('label')?.textContent || widget?.innerText || '';
        }"""
    )
