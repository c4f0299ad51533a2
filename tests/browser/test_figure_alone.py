"""`plotly_widget.js` on a page without a kernel: the same module, a specification and arrays."""

import base64
import gzip

import numpy as np
import pytest

from amfs_lab.widgets.figure import Arrays, LiveFigure
from amfs_lab.widgets.panels import Panel, Panels
from amfs_lab.widgets.plotly_widget import BUNDLE, HERE, PREFIX
from amfs_lab.widgets.traces import bars, curve

pytestmark = pytest.mark.browser

TRACES = {
    "curve": curve("x", "y", name="a curve", hover="", more=dict(mode="lines+markers")),
    "bars": bars("x", "y", at="right"),
}
PANELS = Panels(left=Panel("left"), right=Panel("right"))
START = """([specification, arrays]) => {
    globalThis.told = [];
    const place = document.getElementById('place');
    globalThis.figure = new Figure(place, specification, arrays, Plotly, { told: event => told.push(event) });
}"""
FRAMES = "async () => { for (let n = 0; n < 5; n++) await new Promise(requestAnimationFrame); }"
STILL = "() => !document.querySelector('.amfs-figure[data-waits]')"


def drawing(x, y, **rest):
    arrays = Arrays(x=np.asarray(x, float), y=np.asarray(y, float))
    return LiveFigure(PANELS, TRACES, {}, dict(height=300), arrays, "two panels", **rest)


def as_json(drawing):
    """The specification and the arrays, as a page without a kernel would store them."""
    state = drawing.state.get_state()
    sent = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    plain = {name: np.frombuffer(value["bytes"], value["type"]).tolist() for name, value in sent.items()}
    finite = {name: [each if np.isfinite(each) else None for each in values] for name, values in plain.items()}
    return [drawing.state.specification, finite]


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    page.set_content("<body><div id='place' style='width: 900px'></div></body>")
    page.add_style_tag(content=(HERE / "plotly_widget.css").read_text(encoding="utf-8"))
    page.add_script_tag(content=gzip.decompress(BUNDLE.read_bytes()).decode())
    module = (HERE / "plotly_widget.js").read_text(encoding="utf-8") + "\nObject.assign(globalThis, { Figure, read });"
    page.add_script_tag(content=module, type="module")
    page.wait_for_function("() => globalThis.Figure")
    yield page
    page.close()


@pytest.fixture
def show(page):
    """`show(drawing)` draws a figure on the page. An error on the page fails the test."""
    wrong = []

    def complaint(error):
        wrong.append(error)

    page.on("pageerror", complaint)

    def show(drawing, width=900):
        page.evaluate("width => { document.getElementById('place').style.width = `${width}px`; }", width)
        page.evaluate(START, as_json(drawing))
        page.wait_for_function(STILL)

    yield show
    page.evaluate("() => figure.remove()")
    page.remove_listener("pageerror", complaint)
    assert not wrong


def points(page):
    return page.locator(".amfs-panel").first.locator(".scatterlayer path.point").count()


@pytest.mark.parametrize(
    ("y", "drawn"), [([], 0), ([1.0], 1), ([1.0, np.nan, 2.0], 2), ([np.nan] * 3, 0), (np.arange(10_000) % 7, 10_000)]
)
def test_any_number_of_points_is_drawn(page, show, y, drawn):
    show(drawing(np.arange(len(y)), y, empty="Nothing has run yet."))
    assert points(page) == drawn
    assert page.locator(".amfs-empty").count() == (not len(y)), "empty axes must have a text"


def test_changed_arrays_are_drawn_in_all_panels(page, show):
    show(drawing([0, 1], [1, 2]))
    page.evaluate("() => figure.set({ y: [3, 4] })")
    page.wait_for_function(STILL)
    assert page.evaluate("() => figure.panels.map(({ div }) => div.data[0].y)") == [[3, 4], [3, 4]]


def test_the_bytes_of_an_array_are_read(page):
    numbers = np.arange(6.0).reshape(2, 3) / 7
    code = base64.b64encode(b"---" + numbers.tobytes()).decode()  # not aligned, as in a message
    read = page.evaluate(
        """code => {
            const all = Uint8Array.from(atob(code), each => each.charCodeAt(0));
            return read({ type: 'float64', shape: [2, 3], bytes: new DataView(all.buffer, 3) });
        }""",
        code,
    )
    assert read == numbers.tolist()


TRANSIENT = """() => {
    const place = document.getElementById('place');
    place.style.width = '700px';
    figure.set({ y: [3, 1, 2] });
    place.style.width = '900px';
}"""
WIDTHS = """() => figure.panels.map(({ div }) => [div.clientWidth, div.querySelector('.main-svg').clientWidth])"""


def test_a_temporary_width_does_not_stay_drawn(page, show):
    """The page's observer does not see the change, because the width is the same at both of its checks."""
    show(drawing([1, 2, 3], [1, 2, 3]))
    before = page.evaluate(WIDTHS)
    page.evaluate(TRANSIENT)
    page.wait_for_function(STILL)
    assert page.evaluate(WIDTHS) == before
    assert all(place == drawn for place, drawn in before)


def test_a_narrow_place_stacks_the_panels_and_nothing_is_cut(page, show):
    show(drawing([0, 1], [1, 2]), width=300)
    boxes = [panel.bounding_box() for panel in page.locator(".amfs-panel").all()]
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert all(box["width"] <= 300 for box in boxes)
    assert {svg.bounding_box()["width"] for svg in page.locator(".main-svg").all()} == {300}


def test_a_hidden_figure_is_drawn_when_it_is_shown(page, show):
    page.evaluate("() => { document.getElementById('place').style.display = 'none'; }")
    page.evaluate(START, as_json(drawing([0, 1], [1, 2])))
    page.evaluate("() => figure.set({ y: [5, 6] })")
    assert page.locator(".main-svg").count() == 0
    page.evaluate("() => { document.getElementById('place').style.display = ''; }")
    page.wait_for_function("() => document.querySelector('.main-svg')")
    page.wait_for_function(STILL)
    assert page.evaluate("() => figure.panels[1].div.data[0].y") == [5, 6]


def test_a_figure_off_the_screen_is_drawn_when_it_is_seen(page, show):
    """JupyterLab does no layout of a cell outside the screen, so plotly measures wrong sizes there."""
    page.evaluate("() => { document.getElementById('place').style.marginTop = '3000px'; }")
    page.evaluate(START, as_json(drawing([0, 1], [1, 2])))
    page.evaluate("() => figure.set({ y: [5, 6] })")
    page.evaluate(FRAMES)
    assert page.locator(".main-svg").count() == 0
    page.evaluate("() => figure.root.scrollIntoView()")
    page.wait_for_function("() => document.querySelector('.main-svg')")
    page.wait_for_function(STILL)
    assert page.evaluate("() => figure.panels[1].div.data[0].y") == [5, 6]
    page.evaluate("() => { document.getElementById('place').style.marginTop = ''; }")


def test_a_drag_that_leaves_the_plot_ends_at_its_edge(page, show):
    show(drawing([-3, 3], [-3, 3]))
    rings = {"panel": 0, "names": ["start"], "grid": 0.05, "bounds": [-3, 3, -3, 3], "places": [[0, 0]], "present": 1}
    page.evaluate("rings => figure.setRings(rings)", rings)
    at = page.locator(".amfs-handle").bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(2000, 2000, steps=4)
    page.mouse.up()
    told = page.evaluate("() => told")
    assert told[-2]["places"] == [[3, -3]]
    assert told[-1] == {"kind": "released"}


def test_a_name_in_the_legend_hides_its_curve_and_shows_it_again(page, show):
    show(drawing([0, 1], [1, 2]))
    entry = page.locator(".amfs-legend button")
    for pressed, drawn in (("false", 0), ("true", 2)):
        entry.click()
        page.wait_for_function(STILL)
        assert entry.get_attribute("aria-pressed") == pressed
        assert points(page) == drawn
