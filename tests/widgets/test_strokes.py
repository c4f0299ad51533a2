"""The picture of a drawing against a brute-force computation, and its invariances."""

import math

import numpy as np
import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.tasks import glyphs
from amfs_lab.widgets import strokes
from amfs_lab.widgets.drawing_pad import CROSS, RING
from amfs_lab.widgets.strokes import MOST, PEN, SIZE, checked, render

DOT = (((0.5, 0.5),),)
BAR = (((0.1, 0.5), (0.9, 0.5)),)
CURVE = (tuple((0.3 + 0.2 * math.cos(t / 9), 0.4 + 0.3 * math.sin(t / 7)) for t in range(60)), ((0.1, 0.9), (0.6, 0.8)))


def to_segment(p, a, b):
    """The distance from a point to a segment, by the foot of the perpendicular, without arrays."""
    way = (b[0] - a[0], b[1] - a[1])
    length2 = way[0] ** 2 + way[1] ** 2
    share = 0 if length2 == 0 else ((p[0] - a[0]) * way[0] + (p[1] - a[1]) * way[1]) / length2
    share = min(1, max(0, share))
    return math.dist(p, (a[0] + share * way[0], a[1] + share * way[1]))


def by_force(strokes):
    """The image from the distance of every pixel to every segment; the drawing is centred, and its ink `SIZE` long."""
    points = [point for stroke in strokes for point in stroke]
    low, high = ([pick(point[axis] for point in points) for axis in (0, 1)] for pick in (min, max))
    extent = max(high[0] - low[0], high[1] - low[1])
    zoom = min((SIZE - PEN) / extent, 60) if extent else 60
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    placed = [[tuple(14 + zoom * (z - m) for z, m in zip(p, middle, strict=True)) for p in s] for s in strokes]
    image = np.zeros((28, 28))
    for y in range(28):
        for x in range(28):
            d = min(
                to_segment((x + 0.5, y + 0.5), a, b)
                for line in placed
                for a, b in zip(line, line[1:] or line, strict=False)
            )
            image[y, x] = min(1, max(0, 0.5 + PEN / 2 - d))
    return image


@pytest.mark.parametrize("strokes", [DOT, BAR, CROSS, RING, CURVE], ids=["dot", "bar", "cross", "ring", "curve"])
def test_the_picture_is_the_distance_to_the_strokes(strokes):
    picture = render(strokes).numpy()
    assert (
        np.abs(picture - by_force(strokes)).max() <= 0.5 / 15 + 0.03
    )  # the tolerance: half a grey level, and the step along a stroke
    assert np.allclose(15 * picture, np.round(15 * picture), atol=1e-5)


def test_it_is_as_large_and_as_bold_as_a_glyph():
    rows, columns = np.nonzero(render(RING).numpy() > 0.5)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == SIZE
    images = glyphs.load().images[::40].float() / 255
    share = images.flatten(2).mean(2).flatten()
    low, high = share.quantile(0.02), share.quantile(0.98)
    assert all(low < render(strokes).mean() < high for strokes in (CROSS, RING, CURVE))


@pytest.mark.parametrize(("zoom", "shift"), [(0.5, (0.0, 0.0)), (0.9, (0.1, 0.02)), (0.6, (0.4, 0.3))])
def test_place_and_size_on_the_sheet_do_not_matter(zoom, shift):
    moved = tuple(tuple((zoom * x + shift[0], zoom * y + shift[1]) for x, y in stroke) for stroke in RING)
    assert (render(moved) - render(RING)).abs().max() <= 1 / 15 + 1e-6


def test_a_dot_stays_small_and_an_empty_sheet_stays_empty():
    speck = (((0.5, 0.5), (0.52, 0.5)),)
    assert 0 < render(speck).sum() < 0.2 * render(RING).sum()
    assert torch.equal(render(()), torch.zeros(28, 28))


def test_the_order_and_the_direction_of_strokes_do_not_matter():
    turned = tuple(stroke[::-1] for stroke in CROSS[::-1])
    assert (render(turned) - render(CROSS)).abs().max() <= 1 / 15 + 1e-6


@pytest.mark.parametrize(
    "value",
    [
        7,
        "ink",
        [[]],
        [[(0.5,)]],
        [[(0.5, 1.2)]],
        [[(-0.1, 0.5)]],
        [[(float("nan"), 0.5)]],
        [[0.5, 0.5]],
        [None],
        [[[None, 1]]],
    ],
)
def test_an_invalid_drawing_is_refused(value):
    with pytest.raises(ConfigError, match=r"must be a list of strokes\. A stroke is a list .* Got .*blank paper"):
        checked(value)


def test_too_many_points_are_refused():
    with pytest.raises(ConfigError, match=f"at most {MOST} points. Got {MOST + 1}. Press Clear"):
        checked([[(0.5, 0.5)] * (MOST + 1)])


def test_lists_become_tuples():
    assert checked([[[0, 1], [0.5, 0.25]], [[1, 1]]]) == (((0.0, 1.0), (0.5, 0.25)), ((1.0, 1.0),))
    assert hash(checked([])) == hash(())


def test_a_drawing_has_the_size_and_the_grey_levels_of_the_glyphs():
    assert (strokes.SIDE, strokes.LEVELS) == (glyphs.SIDE, glyphs.LEVELS)
