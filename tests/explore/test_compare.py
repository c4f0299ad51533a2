"""Comparisons: the intervals drawn are those of `stats`, and words claim no more than the interval allows."""

import re
from types import SimpleNamespace

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.explore import CompareExplorer, drive
from amfs_lab.explore.compare import against_luck, ahead, at_equal_steps, verdict
from amfs_lab.stats import Interval, mean_interval, paired_difference


@pytest.fixture
def accuracies():
    draw = torch.Generator().manual_seed(0)
    luck = 0.1 * torch.randn(100, generator=draw)

    def method(mean, own):
        return (mean + luck + own * torch.randn(100, generator=draw)).clamp(0, 1)

    return {"i-amfs": method(0.8, 0.02), "amfs": method(0.8, 0.02), "maml": method(0.7, 0.02)}


def test_every_control_moves_it(accuracies):
    assert drive(CompareExplorer(accuracies)) > 5


def test_it_draws_the_intervals_of_stats(accuracies):
    a = CompareExplorer(accuracies, episodes="the first 50", level="99 %").arrays
    own = mean_interval(accuracies["maml"][:50], 0.99)
    at = a.method_names.index("MAML")
    assert (a.method_means[at], a.method_half_widths[at]) == pytest.approx((own.mean, own.half_width))
    pair = paired_difference(accuracies["i-amfs"][:50], accuracies["maml"][:50], 0.99)
    at = a.pair_names.index("I-AMFS − MAML")
    assert (a.pair_means[at], a.pair_half_widths[at]) == pytest.approx((100 * pair.mean, 100 * pair.half_width))


def test_pairs_tell_more_than_two_intervals(accuracies):
    """The luck of an episode is shared: it widens both intervals and cancels in the difference."""
    a = CompareExplorer(accuracies).arrays
    assert max(a.pair_half_widths) < 100 * min(a.method_half_widths)


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (0.05, "A is ahead of B by 5.0 ± 2.0 points"),
        (-0.05, "A is behind B by 5.0"),
        (-0.01, "can't be told apart .−1.0 ±"),
    ],
)
def test_a_verdict_claims_no_more_than_the_interval(mean, words):
    assert re.search(words, verdict("A", "B", Interval(mean, 0.02, 100)))


def test_a_verdict_that_only_rounding_puts_on_zero_gets_another_digit():
    assert "ahead of B by 1.42 ± 1.38 points" in verdict("A", "B", Interval(0.0142, 0.0138, 100))


def test_the_winner_is_ahead_of_all_others(accuracies):
    assert ahead({}) is None
    assert ahead(accuracies) == "no clear winner"
    assert ahead({"maml": accuracies["maml"], "amfs": accuracies["amfs"]}) == "AMFS"


@pytest.mark.parametrize(
    ("gap", "luck", "words"),
    [
        (0.01, 0.0, "These 200 episodes can't tell A from B."),
        (0.03, 0.02, "A came out ahead of B, by no more than another seed may be worth"),
        (-0.03, -0.02, "A came out behind B, by no more than another seed"),
        (0.09, 0.02, "A came out ahead of B, by more than another seed was worth here. Two seeds are few"),
    ],
)
def test_a_difference_is_held_against_the_luck_of_a_seed(gap, luck, words):
    assert against_luck("A", "B", Interval(gap, 0.015, 200), Interval(luck, 0.015, 200)).startswith(words)


def test_equal_steps_are_the_steps_that_all_made():
    def run(n, offset):
        return tuple(SimpleNamespace(accuracy=offset + step) for step in range(n))

    paired = at_equal_steps({"a": run(10, 0.0), "b": run(6, 0.5), "c": run(1, 0.0)}, ("a", "b"))
    assert paired["a"].tolist() == [3, 4, 5]
    assert paired["b"].tolist() == [3.5, 4.5, 5.5]
    assert at_equal_steps({"a": run(10, 0.0), "b": run(1, 0.0)}, ("a", "b")) == {}
    assert at_equal_steps({}, ("a", "b")) == {}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ConfigError, match=r"two or more methods on the same episodes.*Got a: 3, b: 4"):
        CompareExplorer({"a": torch.rand(3), "b": torch.rand(4)})
    with pytest.raises(ConfigError, match="Got none"):
        CompareExplorer({})
