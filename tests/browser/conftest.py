"""One JupyterLab for all lessons that a worker opens, and one browser for those of a file."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for its own files: under importlib mode no test folder is on the path

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """JupyterLab on a copy of the lessons, started once a worker."""
    from serving import chromium, jupyter

    if chromium() is None:
        missing = "no Chromium on the PATH: `sudo apt install chromium`"
        if os.environ.get("AMFS_LAB_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with jupyter(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="module")
def browser(server, tmp_path_factory):
    """Chromium with a new profile. It ends with the module: while Playwright lives, no other test can use asyncio."""
    from playwright.sync_api import sync_playwright
    from serving import open_browser

    with sync_playwright() as playwright:
        context = open_browser(playwright, tmp_path_factory.mktemp("profile"))
        yield context
        context.close()


@pytest.fixture
def open_lesson(server, browser, request, tmp_path) -> Iterator[Callable]:
    """`open_lesson(name)` shows a notebook. A test that fails leaves a picture of it and says where."""
    from lab import Lesson

    opened = []

    def open_lesson(name: str) -> Lesson:
        opened.append(Lesson(browser, server, name))
        return opened[-1]

    yield open_lesson
    for lesson in opened:
        request.node.user_properties.append(("From key press to changed drawing", lesson.latencies))
        if request.node.stash.get(FAILED, False):
            picture = tmp_path / f"{lesson.name}.png"
            with contextlib.suppress(Exception):
                lesson.page.screenshot(path=picture)
                print(f"What the page showed: {picture}")
        lesson.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report
