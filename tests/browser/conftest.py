"""Fixtures of the browser tests: one JupyterLab for each worker, and one browser for each test file."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for this folder's modules: importlib mode adds no path

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """JupyterLab on a copy of the lessons, started once for each worker."""
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
    """Chromium with a new profile. It ends with the module, because no test can use asyncio while Playwright runs."""
    from playwright.sync_api import sync_playwright
    from serving import open_browser

    with sync_playwright() as playwright:
        context = open_browser(playwright, tmp_path_factory.mktemp("profile"))
        yield context
        context.close()


@pytest.fixture
def open_lesson(server, browser, request, tmp_path) -> Iterator[Callable]:
    """`open_lesson(name)` opens a notebook. If the test fails, a picture of the page is saved and its path printed."""
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
