"""Intervals: textbook values, nominal coverage, and the effect of pairing."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp, ttest_ind

from amfs_lab.errors import DataError
from amfs_lab.stats import (
    Interval,
    accuracy_difference,
    accuracy_interval,
    accuracy_p_value,
    anytime_interval,
    crossed_interval,
    difference_of_trainings,
    holm,
    looks,
    mean_interval,
    paired_difference,
    together,
)


def test_three_values_get_students_t_of_two_degrees():
    interval = mean_interval(torch.tensor([1.0, 2.0, 3.0]))
    assert math.isclose(interval.mean, 2.0)
    assert math.isclose(interval.half_width, 4.302652729911275 / math.sqrt(3), rel_tol=1e-9)


def test_the_interval_covers_the_mean_as_often_as_it_says(randn):
    intervals = [mean_interval(row) for row in randn(2000, 10) + 3]
    covered = sum(i.low <= 3 <= i.high for i in intervals) / 2000
    assert abs(covered - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 2000)


def test_pairing_removes_the_variance_between_episodes(randn):
    luck = randn(600)
    a, b = luck + 0.1 + 0.01 * randn(600), luck + 0.01 * randn(600)
    difference = paired_difference(a, b)
    assert difference.low > 0.09
    assert difference.half_width < mean_interval(a).half_width / 10


def test_an_accuracy_is_written_with_its_interval():
    assert Interval(0.98712, 0.00219, 600).percent() == "98.71 ± 0.22 % (95 %, 600 episodes)"
    assert Interval(0.0069, 0.004, 200).points("tasks") == "+0.69 ± 0.40 points (95 %, 200 tasks)"
    assert Interval(-0.0253, 0.00694, 200).points() == "-2.53 ± 0.69 points (95 %, 200 episodes)"
    assert Interval(0.88, 0.03, 5, of="scripts").percent() == "88.00 ± 3.00 % (95 %, 5 scripts)"
    assert Interval(0.5, None, 12).percent() == "50.00 % (12 episodes: an interval needs 30)"
    assert Interval(0.5, None, 12).points() == "+50.00 points (12 episodes: an interval needs 30)"
    assert str(Interval(0.5, None, 12)) == "0.5 (12 episodes: an interval needs 30)"
    assert str(Interval(0.5, 0.01, 40)) == "0.5 ± 0.01 (95 %, n = 40)"


def test_one_value_or_a_value_that_is_no_number_has_no_interval():
    with pytest.raises(DataError, match=r"at least 2 finite values"):
        mean_interval(torch.tensor([1.0]))
    with pytest.raises(DataError, match=r"at least 2 finite values"):
        mean_interval(torch.tensor([1.0, math.nan]))
    with pytest.raises(DataError, match=r"same episodes. Got 2 and 3"):
        paired_difference(torch.zeros(2), torch.zeros(3))


def test_below_thirty_episodes_an_accuracy_has_no_interval(randn):
    few = accuracy_interval(torch.rand(29))
    assert (few.half_width, few.low, few.high) == (None, -math.inf, math.inf)
    assert anytime_interval(torch.rand(29)).half_width is None
    assert accuracy_p_value(torch.ones(29), torch.zeros(29)) == 1
    assert accuracy_interval(torch.rand(30)).half_width is not None


def test_thirty_perfect_episodes_are_no_certainty():
    assert accuracy_interval(torch.ones(30)).low == pytest.approx(1 - 2.045229642 * 0.2 / 30)


def test_a_p_value_is_the_level_at_which_the_interval_touches_zero(randn):
    a, b = 0.5 + 0.1 * randn(80), 0.52 + 0.1 * randn(80)
    p = accuracy_p_value(a, b)
    touching = accuracy_difference(a, b, 1 - p)
    assert min(abs(touching.low), abs(touching.high)) < 1e-9
    assert p == pytest.approx(ttest_1samp((a - b).double(), 0).pvalue, abs=0.01)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_has_at_most_five_per_cent_errors_for_equal_learners():
    p = np.random.default_rng(0).random((4000, 3))
    assert np.mean([min(holm(row)) <= 0.05 for row in p.tolist()]) == pytest.approx(0.05, abs=0.01)


def test_intervals_that_hold_together():
    assert together(0.95, 1) == 0.95
    assert together(0.95, 5) == pytest.approx(0.99)


def test_looks_end_with_the_interval_for_one_look(randn):
    values = 0.5 + 0.1 * randn(45)
    means, one, several = looks(values, 0.9)
    assert len(means) == 16
    expected = [accuracy_interval(values[:n], 0.9) for n in range(30, 46)]
    assert means.tolist() == pytest.approx([each.mean for each in expected])
    assert one.tolist() == pytest.approx([each.half_width for each in expected])
    assert anytime_interval(values, 0.9).half_width == pytest.approx(several[-1].item())
    assert (several > one).all()
    assert looks(values[:20])[0].shape == (0,)


def test_whoever_may_stop_errs_by_the_ordinary_interval_and_not_by_the_sequence(randn):
    means, one, several = looks(0.1 * randn(1000, 600))
    assert (means.abs() > one).any(1).double().mean() > 0.2  # at least one of 571 looks excludes the true mean, zero
    assert (means.abs() > several).any(1).double().mean() <= 0.05


def test_trainings_are_compared_by_students_two_sample_interval(randn):
    a, b = randn(3) + 1, randn(4)
    found, theirs = difference_of_trainings(a, b), ttest_ind(a.double(), b.double()).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.n, found.of) == (7, "trainings")


def test_one_training_against_two_of_an_equal_method_errs_in_five_per_cent(randn):
    draws = randn(2000, 3)
    wrong = sum(not gap.low <= 0 <= gap.high for gap in (difference_of_trainings(row[:1], row[1:]) for row in draws))
    assert wrong / 2000 == pytest.approx(0.05, abs=0.015)


def test_two_trainings_give_no_variance():
    with pytest.raises(DataError, match=r"two trainings of one method and one of the other. Got 1 and 1. Train with"):
        difference_of_trainings(torch.ones(1), torch.ones(1))


def test_an_interval_that_an_older_version_stored_is_over_episodes():
    assert Interval(mean=0.5, half_width=0.1, n=40, level=0.95).of == "episodes"


def test_a_value_that_is_not_finite_is_told_with_its_place():
    values = torch.ones(30)
    values[29] = torch.nan
    with pytest.raises(DataError, match=r"Got nan at index 29 of 30"):
        accuracy_interval(values)
    with pytest.raises(DataError, match=r"Got nan at index 1 of 2"):
        difference_of_trainings(torch.tensor([0.9, torch.nan]), torch.tensor([0.8]))


def simulated(randn, s, spread, difficulty, runs=1500, n=200, rest=0.05):
    """Accuracies (runs, s, n) with mean 0.5, a random effect of the training, and one of the episode."""
    return 0.5 + spread * randn(runs, s, 1) + difficulty * randn(runs, 1, n) + rest * randn(runs, s, n)


@pytest.mark.parametrize("s", [3, 5])
@pytest.mark.parametrize(
    ("spread", "difficulty"), [(0, 0), (0, 0.05), (0.005, 0.05), (0.01, 0.05), (0.02, 0.05), (0.02, 0)]
)
def test_an_interval_over_trainings_and_episodes_covers_the_method(randn, s, spread, difficulty):
    """The mean of all possible trainings on all possible episodes is 0.5."""
    intervals = [crossed_interval(values) for values in simulated(randn, s, spread, difficulty)]
    covered = sum(each.low <= 0.5 <= each.high for each in intervals) / len(intervals)
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / len(intervals)) < covered < 0.99


def test_an_interval_over_one_of_the_two_does_not_cover_the_method(randn):
    values = simulated(randn, 3, 0.02, 0.05)
    over_episodes = [accuracy_interval(each.mean(0)) for each in values]
    assert np.mean([each.low <= 0.5 <= each.high for each in over_episodes]) < 0.6
    values = simulated(randn, 3, 0, 0.05)
    over_trainings = [mean_interval(each.mean(1)) for each in values]
    assert np.mean([each.low <= 0.5 <= each.high for each in over_trainings]) < 0.9


def test_the_variances_are_those_of_a_two_way_analysis(randn):
    """Without variation between trainings, the part of the episodes is that of `accuracy_interval`."""
    values = randn(400).expand(3, 400)
    assert crossed_interval(values).half_width == pytest.approx(accuracy_interval(values[0]).half_width)
    rows = torch.tensor([[0.1], [0.2], [0.6]]).expand(3, 10_000)
    assert crossed_interval(rows).half_width == pytest.approx(mean_interval(rows[:, 0]).half_width, rel=1e-6)
    assert (crossed_interval(rows).n, crossed_interval(rows).of) == (3, "trainings")


def test_one_training_has_no_interval_for_its_method():
    with pytest.raises(DataError, match=r"at least two trainings and two episodes, \(s, n\). Got shape \(1, 600\)"):
        crossed_interval(torch.ones(1, 600))
