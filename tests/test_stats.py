"""Intervals: the textbook's numbers, the coverage they promise, and the luck that pairing takes away."""

import math

import pytest
import torch

from amfs_lab.errors import DataError
from amfs_lab.stats import Interval, mean_interval, paired_difference


def test_three_values_get_students_t_of_two_degrees():
    interval = mean_interval(torch.tensor([1.0, 2.0, 3.0]))
    assert math.isclose(interval.mean, 2.0)
    assert math.isclose(interval.half_width, 4.302652729911275 / math.sqrt(3), rel_tol=1e-9)


def test_the_interval_covers_the_mean_as_often_as_it_says(randn):
    intervals = [mean_interval(row) for row in randn(2000, 10) + 3]
    covered = sum(i.low <= 3 <= i.high for i in intervals) / 2000
    assert abs(covered - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 2000)


def test_pairing_takes_the_luck_of_the_episodes_out(randn):
    luck = randn(600)
    a, b = luck + 0.1 + 0.01 * randn(600), luck + 0.01 * randn(600)
    difference = paired_difference(a, b)
    assert difference.low > 0.09
    assert difference.half_width < mean_interval(a).half_width / 10


def test_an_accuracy_is_written_with_its_interval():
    assert Interval(0.98712, 0.00219, 600).percent() == "98.71 ± 0.22 % (95 %, 600 episodes)"
    assert Interval(0.0069, 0.004, 200).points("tasks") == "+0.69 ± 0.40 points (95 %, 200 tasks)"
    assert Interval(-0.0253, 0.00694, 200).points() == "-2.53 ± 0.69 points (95 %, 200 episodes)"


def test_one_value_or_a_value_that_is_no_number_has_no_interval():
    with pytest.raises(DataError, match=r"at least 2 finite values"):
        mean_interval(torch.tensor([1.0]))
    with pytest.raises(DataError, match=r"at least 2 finite values"):
        mean_interval(torch.tensor([1.0, math.nan]))
    with pytest.raises(DataError, match=r"same episodes. Got 2 and 3"):
        paired_difference(torch.zeros(2), torch.zeros(3))
