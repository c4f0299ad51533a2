"""Tests of the browser test: a notebook with planted faults, each of which the browser test must find."""

import pytest
from planting import LINE, plant

pytestmark = pytest.mark.browser

CELLS = (
    LINE,
    """
Line()
""",
    """
class Dead(Line):
    title = "dead"
    other = Slider("other", 0, 1, start=0.5)  # compute forgot it

Dead()
""",
    """
class Raises(Line):
    title = "raises"

    def compute(self, state):
        if state.slope > 1.5:
            raise ValueError("too steep")
        return super().compute(state)

Raises()
""",
    """
class OnlySays(Line):
    title = "only says"

    def compute(self, state):
        return Arrays(x=np.arange(2), y=np.arange(2), slope=state.slope)

OnlySays()
""",
    """
def by_hand(title, callback):  # an explorer without the base class, so that no banner shows its errors
    slider = w.IntSlider(description="by hand")
    table = {"line": curve([0, 1, 2], "y", hover="")}
    drawing = LiveFigure(Panels(figure=Panel()), table, {}, dict(height=200), Arrays(y=np.array([1.0, 2.0, 3.0])))
    slider.observe(lambda change: callback(drawing, change["new"]), "value")
    heading = w.HTML(title)
    heading.add_class("amfs-title")
    return w.VBox([heading, slider, Figure(drawing.state)])

def fails(drawing, value):
    drawing.update(Arrays(y=np.array([value, 2.0, 3.0])))
    if value > 50:
        raise KeyError("behind the page")

by_hand("fails unseen", fails)
""",
    """
def redraws(drawing, value):
    drawing.state.show({"y": np.array([1.0, 2.0, 3.0])})

by_hand("redraws the same", redraws)
""",
)


@pytest.fixture(scope="module")
def planted(server, browser):
    """The notebook after all cells have run, and its explorers by title."""
    lesson = plant(server, browser, "planted", *CELLS)
    lesson.run()
    yield lesson, {explorer.title: explorer for explorer in lesson.explorers()}
    lesson.close()


@pytest.fixture
def lesson(planted):
    """The notebook without the faults that earlier tests caused."""
    lesson, _ = planted
    yield lesson
    lesson.page.locator("button:has-text('Reset')").evaluate_all("all => all.forEach(button => button.click())")
    lesson.page.wait_for_function("() => window.course.settled() && !window.course.banners().length")
    lesson.faults.clear()


def test_changes_before_the_figure_is_drawn_are_not_lost(lesson, planted):
    def line(title):
        return planted[1][title].box.locator(".js-line").get_attribute("d")

    sound = planted[1]["sound"]  # this test comes first: the others press Reset
    assert line("moved early") != line("sound")
    sound.act("slider, End", lambda: sound.box.locator(".noUi-handle").press("End"))
    assert line("moved early") == line("sound")


def test_a_sound_explorer_passes(lesson, planted):
    assert planted[1]["sound"].drive() >= 4
    assert planted[1]["sound"].drive(again=True) == 1
    assert lesson.latencies


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("dead", "planted, 'dead': slider 'other' has no effect"),
        ("raises", r"planted, 'raises', slider 'slope', End:\na callback raised ValueError: too steep[\s\S]*a banner"),
        ("only says", "planted, 'only says': slider 'slope' has no effect"),
        ("fails unseen", r"planted, 'fails unseen', slider 'by hand', End:\na callback raised KeyError"),
        ("redraws the same", "planted, 'redraws the same': slider 'by hand' has no effect"),
    ],
)
def test_a_planted_fault_fails(lesson, planted, title, words):
    with pytest.raises(AssertionError, match=words):
        planted[1][title].drive()


def test_a_slider_without_effect_fails_in_a_second_explorer_too(lesson, planted):
    with pytest.raises(AssertionError, match="has no effect"):
        planted[1]["only says"].drive(again=True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print(1 / 0)", "a cell raised ZeroDivisionError: division by zero"),
        ("import warnings; warnings.warn('beware')", "the kernel complained: .*beware"),
    ],
)
def test_a_complaint_of_the_kernel_fails(lesson, code, words):
    lesson.execute(code)
    with pytest.raises(AssertionError, match=words):
        lesson.check("here")


def test_a_page_with_a_network_request_or_a_console_error_fails(lesson):
    lesson.page.evaluate(
        "() => fetch('http://192.0.2.1/', { signal: AbortSignal.timeout(50) }).catch(() => console.error('lost'))"
    )
    with pytest.raises(AssertionError, match=r"asked for http://192.0.2.1/[\s\S]*console: lost"):
        lesson.check("here")
