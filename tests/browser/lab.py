"""A lesson in JupyterLab: functions to open it, run it, stop it, and read its state.

Nothing here waits for a fixed time. Everything waits for a state, and an error names the state that did not come.
"""

import contextlib
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from faults import Faults
from hand import NUMBER, Explorer, extent
from playwright.sync_api import BrowserContext, Locator
from serving import START_SECONDS, Server

RUN_SECONDS, STATE_SECONDS = 300, 60  # longest waits; a test that waits longer fails

LIVE = re.compile(r"\bawait\b.*\blive\(")  # a cell that a user can stop
# A short run would end before a click on Stop. A lesson therefore runs at full length up to its live cell. After that
# cell it is short again, like every lesson under test.
FULL_LENGTH = f"""
import os, re
def shorten(result):
    if re.search({LIVE.pattern!r}, result.info.raw_cell):
        get_ipython().user_ns["short"] = True
del os.environ["AMFS_LAB_FAST"]
get_ipython().events.register("post_run_cell", shorten)
"""
STEPS = 3  # number of steps after which curves have a shape that a control can change


class Lesson:
    """A notebook, open in JupyterLab."""

    def __init__(self, browser: BrowserContext, server: Server, name: str) -> None:
        self.name, self.server = name, server
        self.latencies: list[float] = []  # milliseconds from a key press to a changed drawing
        self.page = browser.new_page()
        self.page.set_default_timeout(1000 * STATE_SECONDS)
        self.faults = Faults(self.page)
        place = f"lab/workspaces/{uuid.uuid4().hex}/tree/{name}.ipynb"  # a new workspace for each lesson
        self.page.goto(f"{server.url}{place}?token={server.token}", timeout=1000 * START_SECONDS)
        self.until("its kernel is ready", lambda: self.ask("ready()"), START_SECONDS)
        self.ask("watch()")

    def close(self) -> None:
        """Ends the kernel first, then the page: a page closes its widgets one by one, and a kernel answers each."""
        with contextlib.suppress(Exception):
            self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()

    def ask(self, question: str) -> Any:
        """Asks `page.js`."""
        return self.page.evaluate(f"() => window.course?.{question}")

    def until(self, what: str, state: Callable[[], Any], seconds: float = STATE_SECONDS, every: int = 50) -> Any:
        """Waits for a state, which is checked every `every` milliseconds. A fault ends the wait at once."""
        end = time.monotonic() + seconds
        while not (value := state()):
            self.check(f"while waiting until {what}")
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: expected that {what}, within {seconds:g} s.\n{self.condition()}")
            self.page.wait_for_timeout(every)
        return value

    def use_theme(self, name: str) -> None:
        """Changes JupyterLab's theme. The server keeps it for the lessons that are opened later."""
        self.page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        self.page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")

    def check(self, where: str) -> None:
        """Fails on any error so far, also on errors that the page does not show."""
        wrong = [*self.faults, *(f"a banner: {words}" for words in self.ask("banners()") or [])]
        assert not wrong, f"{self.name}, {where}:\n" + "\n".join(wrong)

    def condition(self) -> str:
        """The present state of the page, for the message of a failure. Ends the kernels if a cell has not ended."""
        waiting = [f"cell {c['index']} has not ended: {c['source'][:60]!r}" for c in self.cells() if not ended(c)]
        missing = [f"not yet there: {each}" for each in self.ask("missing()") or []]
        missing += [f"not yet answered by the kernel: {each}" for each in self.ask("unanswered()") or []]
        if waiting:
            self.server.end_kernels()
        return "\n".join([*waiting, *missing, "The server said:", self.server.tail(5000 if waiting else 1500)])

    # Methods that run cells.

    def cells(self) -> list[dict[str, Any]]:
        return self.ask("cells()") or []

    def ended(self) -> int:
        """The number of cells that have ended."""
        return sum(map(ended, self.cells()))

    def run(self) -> None:
        """Runs all cells by the menu, and stops each live cell on the way."""
        live = [cell["index"] for cell in self.cells() if LIVE.search(cell["source"])]
        if live:
            self.execute(FULL_LENGTH)
        self.ask("command('notebook:run-all-cells')")
        for index in live:
            self.stop(index)
        while (done := self.ended()) < len(self.cells()):  # a lesson may take long, but no cell may
            self.until("one more cell has ended", lambda: self.ended() > done, RUN_SECONDS, every=250)
        self.until("every figure is drawn", lambda: self.ask("settled()"))
        self.check("after running every cell")

    def execute(self, code: str) -> str:
        """Runs code that is not a cell of the lesson. Returns `"ok"` or `"error"`."""
        return self.page.evaluate("code => window.course.execute(code)", code)

    def stop(self, index: int) -> None:
        """Moves a slider and clicks Stop while cell `index` runs, as soon as the figure has begun to grow."""
        buttons = self.page.locator(".amfs-stop")

        def cell_ended() -> bool:
            return any(cell["index"] == index and ended(cell) for cell in self.cells())

        def running() -> Locator | None:
            assert not cell_ended(), f"{self.name}: cell {index} ended by itself before Stop could be clicked."
            return next(filter(Locator.is_enabled, map(buttons.nth, range(buttons.count()))), None)

        button = self.until(f"Stop can be clicked while cell {index} runs", running, RUN_SECONDS)
        box = self.page.locator(".amfs-explorer").filter(has=button)
        sentence, handle = box.locator(".amfs-say"), box.locator(".noUi-handle").first

        def grown() -> bool:
            return bool(running()) and any(int(n) >= STEPS for n in re.findall(r"(\d+) steps", sentence.text_content()))

        self.until(f"the explorer reports {STEPS} steps", grown)
        handle.press("End")
        number = handle.locator(NUMBER)
        self.until(
            "a slider moves its number while a cell runs",
            lambda: running() and float(number.input_value()) == extent(number)[1],
        )
        button.click()
        self.until(f"cell {index} ends after a click on Stop", cell_ended)
        self.until("the explorer says so", lambda: sentence.text_content().startswith("Stopped"))

    # The content of the page.

    def explorers(self) -> list[Explorer]:
        """Every box with a control, after all figures are drawn."""

        def drawn() -> bool:
            self.ask(f"scroll_by({STATE_SECONDS})")
            return not self.ask("missing()") and self.ask("settled()")

        self.until("every figure is drawn", drawn)
        # "light": without shadow roots, because a search through them would visit every element of the page.
        boxes = [self.page.locator(f"css:light=[data-box='{index}']") for index in range(self.ask("mark()"))]
        return [Explorer(self, box) for box in boxes]

    def answer_predictions(self) -> int:
        """Clicks the options of every question until the right option ends it. Each click must get a reply."""
        questions = self.page.locator(".amfs-predict")
        for question in map(questions.nth, range(questions.count())):
            options, reply = question.locator("button"), question.locator(".amfs-say")
            for option in map(options.nth, range(options.count())):
                if option.is_enabled():
                    before = reply.inner_text()
                    where = f"{option.inner_text()!r} to {question.inner_text()[:60]!r}"
                    option.click()
                    self.until(
                        f"there is a reply to the answer {where}",
                        lambda reply=reply, before=before: reply.inner_text() != before and self.ask("settled()"),
                    )
                    self.check(where)
        return questions.count()


def ended(cell: dict[str, Any]) -> bool:
    return bool(cell["count"]) and not cell["running"]
