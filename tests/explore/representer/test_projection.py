"""The vector and its projection: the parts by least squares, the picture by a scipy rotation, and the sentence."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from amfs_lab.explore import ProjectionExplorer
from amfs_lab.explore.representer import questions
from amfs_lab.explore.representer.projection import LABELS, SHARES, SUPPORTS, once, split, weights
from amfs_lab.explore.representer.projection_3d import (
    HIGH,
    LOW,
    MIDDLE,
    corner,
    ends,
    floor_lines,
    line_along,
    seen_from,
)

SHARES_TRIED = (-1.0, -0.4, 0.0, 0.05, 1.0, 1.5)


@pytest.mark.parametrize("support", list(SUPPORTS))
@pytest.mark.parametrize("height", [0.0, 0.5, 1.2])
def test_the_projection_is_the_nearest_point_of_the_span(support, height):
    x, w = SUPPORTS[support].numpy(), weights(height).numpy()
    nearest = x.T @ np.linalg.lstsq(x.T, w, rcond=None)[0] if len(x) else 0 * w
    parallel, rest = split(weights(height), SUPPORTS[support])
    assert np.allclose(parallel, nearest, atol=1e-12)
    assert np.allclose(parallel + rest, w, atol=1e-15)
    assert np.allclose(x @ rest.numpy(), 0, atol=1e-12)


@pytest.mark.parametrize("support", list(SUPPORTS))
@pytest.mark.parametrize("t", SHARES_TRIED)
def test_the_perpendicular_part_changes_the_norm_but_not_the_loss(support, t):
    a = ProjectionExplorer(support=support, t=t).arrays
    x, y = SUPPORTS[support].numpy(), LABELS.numpy()[: len(SUPPORTS[support]), 0]
    loss = 0.5 * sum((float(point @ a.w) - label) ** 2 for point, label in zip(x, y, strict=True))
    assert a.now_y.tolist() == pytest.approx([float(a.w @ a.w), loss], abs=1e-12)
    assert np.ptp(a.losses) < 1e-12
    assert np.allclose(a.norms, a.parallel @ a.parallel + SHARES.numpy() ** 2 * (a.rest @ a.rest))
    assert SHARES[a.norms.argmin()] == pytest.approx(0, abs=1e-9)
    assert np.allclose(a.w, a.parallel + t * a.rest)
    assert np.interp(t, a.shares, a.norms) == pytest.approx(a.now_y[0], abs=2e-3)


def test_a_repeated_point_does_not_extend_the_span():
    assert len(once(SUPPORTS["the same point twice"])) == 1
    assert len(once(SUPPORTS["no points"])) == 0
    for once_, twice in zip(
        *(split(weights(1.0), SUPPORTS[s]) for s in ("one point", "the same point twice")), strict=True
    ):
        assert torch.equal(once_, twice)


def test_the_answer_to_the_question_is_computed(monkeypatch):
    assert questions.answer_loss_when_the_part_is_removed() == "it stays the same"
    assert questions.answer_loss_when_the_part_is_removed("one point", 0.3) == "it stays the same"
    monkeypatch.setattr(questions, "split", lambda w, x: (0 * w, w))
    assert questions.answer_loss_when_the_part_is_removed() == "it rises"
    monkeypatch.setattr(questions, "split", lambda w, x: (torch.linalg.pinv(x) @ LABELS, None))
    assert questions.answer_loss_when_the_part_is_removed() == "it falls"


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 90), (320, 26), (200, 5), (95, 40)])
def test_the_picture_is_a_turned_space_without_its_depth(azimuth, elevation):
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(azimuth), dtype=torch.float64)
    # The rotation turns the viewing direction to x: first around the vertical, then up. The picture is then y and z.
    turn = Rotation.from_euler("z", azimuth, degrees=True) * Rotation.from_euler("y", -elevation, degrees=True)
    expected = turn.inv().apply((points - MIDDLE).numpy())[:, 1:]
    assert np.allclose(seen_from(points, azimuth, elevation), expected)


def test_from_straight_above_w_lies_on_its_projection():
    a = ProjectionExplorer(elevation=90).arrays
    assert (a.w_x[-1], a.w_y[-1]) == pytest.approx((a.parallel_x[-1], a.parallel_y[-1]))
    assert a.names == ["x₁", "x₂", " ", " ", "w, w<sub>∥</sub>"]
    assert ProjectionExplorer(t=0.0).arrays.names.count("w = w<sub>∥</sub>") == 1


@pytest.mark.parametrize("support", ["two points", "one point", "the same point twice"])
def test_the_right_angle_is_right(support):
    parallel, rest = (part[:, 0] for part in split(weights(1.0), SUPPORTS[support]))
    inwards, middle, along = corner(parallel, 0.7 * rest)
    assert (inwards - parallel) @ (along - parallel) == pytest.approx(0, abs=1e-12)
    assert torch.allclose(middle - inwards, along - parallel)
    assert len(corner(parallel, 0 * rest)) == 0


def test_the_dotted_path_is_the_sum_of_two_pieces():
    explorer = ProjectionExplorer()
    x, w = SUPPORTS["two points"], weights(1.0)
    alpha = np.linalg.solve((x @ x.T).numpy(), (x @ w).numpy())[:, 0]
    start, one, sum_, other, end = explorer.scene(x, split(w, x)[0][:, 0], w[:, 0])["sides"].numpy()
    assert np.allclose(one, alpha[0] * x[0].numpy())
    assert np.allclose(other, alpha[1] * x[1].numpy())
    assert np.allclose(sum_, one + other)
    assert np.allclose([start, end], 0)


def test_the_floor_has_its_borders():
    lines = floor_lines()
    assert lines[:, :2].min() == LOW
    assert lines[:, :2].max() == HIGH
    assert not lines[:, 2].any()
    for direction in ([1.4, -0.4, 0.0], [-0.3, 1.0, 0.0], [0.0, 1.0, 0.0]):
        line = line_along(torch.tensor(direction, dtype=torch.float64))
        for end in line[:, :2]:
            assert min(abs(end - LOW).min(), abs(end - HIGH).min()) < 1e-12
            assert LOW - 1e-12 <= end.min() <= end.max() <= HIGH + 1e-12
        assert line[0] @ line[1] < 0  # through the origin
    assert len(ends(torch.zeros(3, dtype=torch.float64))) == 0


def test_the_floor_hides_the_parts_below_it():
    assert len(ProjectionExplorer(t=-0.5).arrays.veil_x) == 5
    assert len(ProjectionExplorer(t=0.0).arrays.veil_x) == len(ProjectionExplorer(t=0.5).arrays.veil_x) == 0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "training loss 0.288, as at every t. ‖w‖² = 2.70: 1.70 from w∥ and 1.00 from t w⊥"),
        ({"t": 0.0}, "‖w‖² = 1.70, the smallest possible for these values"),
        ({"t": -1.0}, "At t = −1.00, w gives x₁ the value 1.26 and x₂ the value 1.02"),
        ({"height": 0.0}, "w⊥ is zero"),
        ({"height": 0.0, "support": "one point"}, "from t w⊥"),
        ({"support": "no points"}, "Without points all of w is w⊥"),
        ({"support": "the same point twice"}, "x₁ the value 1.26 and x₂ the value 1.26"),
    ],
)
def test_the_sentence_is_true_at_the_extremes(state, words):
    assert words in ProjectionExplorer(**state).sentence.text


@pytest.mark.parametrize(
    ("support", "names"),
    [
        ("two points", ["x₁", "x₂", "w<sub>∥</sub>", "w<sub>⊥</sub>", "w"]),
        ("one point", ["x₁", " ", "w<sub>∥</sub>", "w<sub>⊥</sub>", "w"]),
        ("the same point twice", ["x₁ = x₂", " ", "w<sub>∥</sub>", "w<sub>⊥</sub>", "w"]),
        ("no points", [" ", " ", " ", " ", "w = w<sub>⊥</sub>"]),
    ],
)
def test_each_arrow_has_its_name_once(support, names):
    assert ProjectionExplorer(support=support).arrays.names == names
    assert ProjectionExplorer(support="no points", t=0.0).arrays.names == [" "] * 5
