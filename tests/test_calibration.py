"""Reliability tables and the expected calibration error, against a second computation and known answers."""

import pytest
import torch

from amfs_lab.calibration import BINS, calibration_error, reliability
from amfs_lab.errors import DataError


def scored(confidence, ways=4):
    """Scores whose softmax gives class 0 this confidence, and the other classes equal shares."""
    rest = (1 - confidence) / (ways - 1)
    return torch.stack([confidence.log(), *[rest.log()] * (ways - 1)], 1)


def test_the_error_is_that_of_a_loop_over_the_answers():
    generator = torch.Generator().manual_seed(0)
    scores, labels = 3 * torch.randn(500, 5, generator=generator), torch.randint(5, (500,), generator=generator)
    inside = [[] for _ in range(BINS)]
    for row, label in zip(scores.double(), labels.tolist(), strict=True):
        shares = row.exp() / row.exp().sum()
        best = max(range(5), key=lambda c: shares[c])
        inside[min(int(float(shares[best]) * BINS), BINS - 1)].append((float(shares[best]), best == label))
    expected = sum(abs(sum(c for c, _ in each) - sum(right for _, right in each)) for each in inside) / 500
    assert calibration_error(reliability(scores, labels)) == pytest.approx(expected, abs=1e-12)


def test_tables_of_episodes_are_added():
    scores, labels = torch.randn(60, 5), torch.randint(5, (60,))
    halves = reliability(scores[:25], labels[:25]) + reliability(scores[25:], labels[25:])
    assert torch.allclose(halves, reliability(scores, labels))


def test_calibrated_answers_have_no_error_and_sure_wrong_answers_have_all():
    confidence = torch.full((1000,), 0.7, dtype=torch.float64)
    labels = (torch.arange(1000) >= 700).long()  # class 0 in 70 % of the answers
    assert calibration_error(reliability(scored(confidence), labels)) == pytest.approx(0, abs=1e-9)
    sure = torch.tensor([[100.0, 0.0]]).repeat(10, 1)
    assert calibration_error(reliability(sure, torch.ones(10, dtype=torch.long))) == pytest.approx(1)
    assert calibration_error(reliability(sure, torch.zeros(10, dtype=torch.long))) == pytest.approx(0)


def test_a_confidence_of_one_is_in_the_last_bin():
    table = reliability(torch.tensor([[1000.0, 0.0]]), torch.tensor([0]))
    assert table[-1].tolist() == [1, 1, 1]


def test_bad_scores_and_empty_tables_are_refused():
    with pytest.raises(DataError, match=r"one row of finite scores for each label. Got scores of shape \(2, 3\)"):
        reliability(torch.full((2, 3), float("nan")), torch.zeros(2, dtype=torch.long))
    with pytest.raises(DataError, match=r"at least one answer. Got an empty table"):
        calibration_error(torch.zeros(BINS, 3))


def test_an_answer_is_the_one_of_the_accuracy_if_the_probabilities_are_equal():
    """Softmax of nearly equal scores rounds to equal probabilities."""
    table = reliability(torch.tensor([[0, 1e-20], [-1e-18, 0]]), torch.tensor([1, 1]))
    assert table[:, 2].sum() == 2
