"""Arrows: without a length they are dots, no head is longer than its arrow, and all end inside the panel."""

import itertools
import math

import numpy as np
import pytest

from amfs_lab.explore import ConflictExplorer, ProjectionExplorer, TeacherExplorer
from amfs_lab.explore.regularisers import teachers
from amfs_lab.widgets.arrows import LEAST, NOTHING, arrow, room


def test_an_arrow_has_two_ends_and_a_head():
    assert arrow((0, 0), (3, 4), 15, scale=100) == ([0, 3], [0, 4], [0, 15], "arrow")


@pytest.mark.parametrize("tip", [(1.0, 2.0), (1.0, 2.0 + 1e-9), (1.0, 2.0 + 0.99 * LEAST / 50)])
def test_without_a_length_there_is_a_dot(tip):
    assert arrow((1.0, 2.0), tip, 15, scale=50) == ([1.0, 1.0], [2.0, 2.0], [0.0, 7.5], "circle")


@pytest.mark.parametrize("tip", [(math.nan, 0.0), (math.inf, 0.0)])
def test_an_arrow_with_an_infinite_tip_is_empty(tip):
    assert arrow((0.0, 0.0), tip, 15, scale=50) is NOTHING


def test_a_head_is_no_longer_than_its_arrow():
    assert arrow((0.0, 0.0), (0.1, 0.0), 15, scale=50).size == [0, pytest.approx(5)]


def test_room_is_up_to_the_nearest_edge():
    assert room((0.0, 0.0), (1.0, -0.5), ((-1, 3), (-2, 2))) == 3
    assert room((0.0, 0.0), (1.0, -1.0), ((-1, 3), (-2, 2))) == 2
    assert room((0.0, 0.0), (0.0, 0.0), ((-1, 1), (-1, 1))) == math.inf
    assert room((3.0, 0.0), (1.0, 0.0), ((-1, 3), (-2, 2))) == 0


def drawn(explorer):
    """The arrows of a figure: x, y, the sizes of the markers, and the marker."""
    for trace in explorer.figure.data:
        marker = trace.marker if trace.type == "scatter" else None
        if marker is not None and marker.angleref == "previous":
            yield list(trace.x or ()), list(trace.y or ()), list(marker.size or ()), marker.symbol


def sound(explorer, ranges, logarithmic=False):
    """Asserts that all arrows of a figure end inside the panel or are dots. Returns how many have a length."""
    found = 0
    for x, y, size, symbol in drawn(explorer):
        assert len(x) == len(y) == len(size)
        assert len(x) in (0, 2), "plotly draws no first marker if markers follow the line"
        if not size or symbol == "circle":
            assert len(set(x)) <= 1
            assert len(set(y)) <= 1
            continue
        assert symbol == "arrow"
        places = np.array([x, y])
        places = np.log10(places) if logarithmic else places
        assert math.dist(*places.T) > 1e-3
        for place, (low, high) in zip(places[:, 1], ranges, strict=True):
            assert low - 1e-9 <= place <= high + 1e-9, f"{explorer.state}: an arrow ends outside, at {places[:, 1]}"
        found += 1
    return found


def test_gradients_that_cancel_leave_a_dot():
    explorer = ConflictExplorer("two opposed")
    a = explorer.arrays
    assert a.weights_0.sum() == pytest.approx(1)
    assert sound(explorer, (a.x_range, a.y_range)) < 6  # two tasks, and fewer than the four rules
    for n in range(4):
        still = math.hypot(*(a[f"weights_{n}"] @ a.grads)) < 1e-9
        assert a[f"rule_{n}_tip"] == ("circle" if still else "arrow")
        assert (a[f"rule_{n}_x"] == [0.0, 0.0]) == still


def test_an_arrow_of_rounding_errors_is_a_dot():
    explorer = ConflictExplorer(tasks=3, angle=180, spread=120, ratio=1.0, normalization="unit")
    a = explorer.arrays
    mean = a.weights_0 @ a.grads
    assert 0 < math.hypot(*mean) < 1e-12
    assert (a.rule_0_x, a.rule_0_tip) == ([0.0, 0.0], "circle")
    assert a.rule_1_x[1] > 0.1
    assert "the mean gradient is zero here, but the step of O-AMFS is not" in explorer.sentence.text


def test_arrows_of_true_length_are_all_in_the_panel():
    explorer = ConflictExplorer(true_lengths=True)
    for tasks, angle, ratio, normalization in itertools.product((2, 4), (0, 90, 180), (0.2, 5.0), ("unit", "none")):
        explorer.set(tasks=tasks, angle=angle, ratio=ratio, normalization=normalization)
        assert sound(explorer, (explorer.arrays.x_range, explorer.arrays.y_range)) >= tasks


def test_an_arrow_in_the_viewing_direction_is_a_dot():
    above = ProjectionExplorer("from above").arrays  # w⊥ stands upright
    assert (len(above.rest_x), above.rest_size, above.rest_tip) == (2, [0.0, 7.5], "circle")
    assert above.w_size[1] == 17
    slanted = ProjectionExplorer("from above", elevation=60).arrays
    assert slanted.rest_size[1] == 15


def test_all_of_w_is_in_the_picture():
    ranges = [axis["range"] for axis in ProjectionExplorer.panels["space"][1:]]
    explorer = ProjectionExplorer()
    for t, height, azimuth, elevation in itertools.product((-1.0, 0.05, 1.5), (0, 1.2), range(0, 360, 120), (5, 90)):
        explorer.set(t=t, height=height, azimuth=azimuth, elevation=elevation)
        assert sound(explorer, ranges) >= 3


def test_arrows_at_the_edge_of_the_map_are_shortened():
    ranges = teachers.SIGMA_AXIS["range"], teachers.LAM_RANGE
    explorer, found = TeacherExplorer(), 0
    for bandwidth, lam in itertools.product((0.05, 0.3, 5.0), (1e-4, 0.1, 10.0)):
        explorer.set(bandwidth=bandwidth, lam=lam)
        found += sound(explorer, ranges, logarithmic=True)
    assert found > 20


def test_arrows_with_the_same_direction_stay_nested_at_the_edge():
    long, short = (teachers.arrow_from(5.0, 0.1, (1.0, 0.0), length)[0][1] for length in (0.25, 0.145))
    assert math.log10(long) == pytest.approx(teachers.SIGMA_AXIS["range"][1])
    assert math.log(short / 5) / math.log(long / 5) == pytest.approx(0.145 / 0.25)


def test_arrays_set_the_marker_and_the_size_of_every_arrow():
    """A constant marker would draw a head for an arrow that has become a dot."""
    for kind in (ConflictExplorer, ProjectionExplorer, TeacherExplorer):
        for trace in kind.traces.values():
            if trace.style.get("marker", {}).get("symbol") == "arrow":
                assert {"marker_size", "marker_symbol"} <= trace.feeds.keys(), kind.__name__
