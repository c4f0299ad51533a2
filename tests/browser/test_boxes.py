"""Boxes under a cell in JupyterLab: verdicts are readable in both themes, and an interrupt shows no red error."""

import re

import nbformat
import pytest

pytestmark = pytest.mark.browser

CHECKS = ["from amfs_lab import checks", "checks.six_alike(...)", "checks.six_alike(6)", "checks.six_alike(1)"]
BUGS = ["def my_rbf(a, b, s):\n    return a[:, None] - b.T\nchecks.rbf(my_rbf)", "print('to the end')"]
RACE = [
    "from amfs_lab import config, explore, training, widgets\nrace = explore.MetaTrainingExplorer()\nrace",
    "run = training.MetaTrainer(config.preset('amfs', steps=10_000, width=8, validate_every=0)).run()\n"
    "await widgets.live(run, race)",
    "print('not reached')",
]
COLOURS = """box => {
    const over = [getComputedStyle(box).color];
    for (let part = box; part; part = part.parentElement) over.push(getComputedStyle(part).backgroundColor);
    return over;
}"""


@pytest.fixture
def open_cells(server, open_lesson):
    """A function that opens a notebook with the given cells."""

    def open_cells(name, sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, server.lessons / f"{name}.ipynb")
        return open_lesson(name)

    return open_cells


def rgba(words):
    r, g, b, *alpha = map(float, re.findall(r"[\d.]+", words))
    return (r, g, b), alpha[0] if alpha else 1.0


def contrast(colours):
    """The contrast of a text and the layers behind it (WCAG 2)."""
    (text, _), *layers = map(rgba, colours)
    behind = (255.0, 255.0, 255.0)
    for colour, alpha in reversed(layers):
        behind = tuple(alpha * new + (1 - alpha) * old for new, old in zip(colour, behind, strict=True))
    high, low = sorted((luminance(text), luminance(behind)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [x / 255 / 12.92 if x / 255 <= 0.04045 else ((x / 255 + 0.055) / 1.055) ** 2.4 for x in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_verdicts_do_not_stop_cells_and_are_readable_in_both_themes(open_cells):
    lesson = open_cells("boxes", [*CHECKS, *BUGS])
    lesson.run()
    boxes = lesson.page.locator(".amfs-verdict")
    assert [box.inner_text().split()[0] for box in boxes.all()] == ["○", "✓", "Not", "Not"]
    assert "Line 2 of your cell: return a[:, None] - b.T." in boxes.last.inner_text()
    assert all(box.get_attribute("role") == "status" for box in boxes.all())
    assert "to the end" in lesson.page.locator(".jp-Cell").last.inner_text()
    seen = set()
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        lesson.use_theme(theme)
        dark = "dark" in theme.lower()
        lesson.page.wait_for_function(
            "dark => /^rgb\\(255/.test(getComputedStyle(document.querySelector('.amfs-verdict')).color) === dark",
            arg=dark,
        )
        for box in boxes.all():
            colours = box.evaluate(COLOURS)
            assert contrast(colours) >= 7, (theme, colours)
            seen.add(colours[0])
    assert len(seen) == 2, "the dark theme has light text"


def test_an_interrupted_training_is_stopped_without_red(open_cells):
    lesson = open_cells("interrupted", RACE)
    page = lesson.page
    lesson.ask("command('notebook:run-all-cells')")
    sentence = page.locator(".amfs-say").first
    lesson.until("some steps are reported", lambda: re.search(r"\d+ steps", sentence.text_content() or ""))
    page.evaluate("() => jupyterapp.commands.execute('notebook:interrupt-kernel')")
    page.wait_for_selector(".amfs-stopped")  # `until` would count the kernel's message about the interrupt as a fault
    page.wait_for_function("() => document.querySelector('.amfs-say').textContent.startsWith('Stopped: AMFS')")
    assert "Go on below with what was learned so far" in page.locator(".amfs-stopped").inner_text()
    assert lesson.ask("banners()") in ([], None)
    assert page.get_by_text("not reached").count() == 1, "the cell's own text: it did not run"
    red = page.locator("[data-mime-type$='jupyter.error'], [data-mime-type$='jupyter.stderr']")
    assert not any(each.is_visible() for each in red.all())
    assert "Traceback" not in page.locator(".jp-Notebook").inner_text()
