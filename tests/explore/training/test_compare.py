"""Comparisons: the figure shows the intervals of `stats`, and the sentences claim no more than the intervals show."""

import re

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.explore import CompareExplorer
from amfs_lab.explore.training.compare import against_luck, ahead, equal_learners, verdict
from amfs_lab.stats import Interval, accuracy_difference, accuracy_interval, together
from amfs_lab.widgets.drive import drive


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
    own = accuracy_interval(accuracies["maml"][:50], together(0.99, 3))
    at = a.method_names.index("MAML")
    assert (a.method_means[at], a.method_half_widths[at]) == pytest.approx((own.mean, own.half_width))
    pair = accuracy_difference(accuracies["i-amfs"][:50], accuracies["maml"][:50], together(0.99, 3))
    at = a.pair_names.index("I-AMFS − MAML")
    assert (a.pair_means[at], a.pair_half_widths[at]) == pytest.approx((100 * pair.mean, 100 * pair.half_width))


def test_a_paired_interval_is_narrower_than_two_intervals(accuracies):
    """The difficulty of an episode is shared: it widens both intervals, but cancels in the difference."""
    a = CompareExplorer(accuracies).arrays
    assert max(a.pair_half_widths) < 100 * min(a.method_half_widths)


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (0.05, "A is ahead of B by 5.0 ± 2.0 points"),
        (-0.05, "A is behind B by 5.0"),
        (-0.01, "do not differ clearly .−1.0 ±"),
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


def test_a_difference_of_methods_is_compared_with_the_variation_of_trainings():
    said = against_luck("A", "B", [0.83], [0.80, 0.82])
    assert said.startswith("A − B: +2.00 ± ")
    assert said.endswith(
        "3 trainings). Trainings of one method also differ by so much: no conclusion about the methods."
    )
    said = against_luck("A", "B", [0.70, 0.71, 0.72], [0.80, 0.81, 0.82])
    assert said.endswith("A is behind B. The difference is larger than between trainings of one method.")
    assert against_luck("AMFS", "I-AMFS", [0.79], [0.80, 0.82]).startswith("AMFS − I-AMFS: −2.00 ± ")


def test_among_three_equal_learners_a_winner_is_rare():
    """For simulated learners of equal accuracy, at most one sample in twenty names a winner, as documented."""
    winners = [ahead(dict(list(equal_learners(100, seed).items())[:3])) for seed in range(200)]
    assert sum(winner != "no clear winner" for winner in winners) <= 10


def test_a_learner_that_is_five_points_better_is_found():
    found = [equal_learners(200, seed) for seed in range(40)]
    better = [each | {"learner A": each["learner A"] + 0.05} for each in found]
    assert sum(ahead(each) == "learner A" for each in better) >= 36


def test_moving_episodes_shows_the_error_of_the_interval_for_one_look():
    """The lesson's example has four equal learners, with an interval that excludes zero after 150 episodes."""
    explorer = CompareExplorer(equal_learners(seed=22))
    for first, wrong in {"the first 50": False, "the first 100": False, "the first 150": True, "all": False}.items():
        explorer.set(episodes=first)
        assert any("ahead of" in each for each in explorer.arrays.verdicts) is wrong
    assert explorer.arrays.ever == (2, 0)
    assert explorer.say(explorer.arrays).endswith(
        "If you had looked after each episode from 30 on, the intervals for one look would have shown a difference at "
        "least once for 2 of 6 pairs, and those for any number of looks for 0 of 6 pairs."
    )
    explorer.set(interval="any number of looks")
    for first in ("the first 50", "the first 100", "the first 150", "all"):
        explorer.set(episodes=first)
        assert not any("ahead of" in each for each in explorer.arrays.verdicts)


def test_ten_episodes_get_points_without_bars_and_a_sentence(accuracies):
    explorer = CompareExplorer(accuracies, episodes="the first 10")
    assert not explorer.arrays.pair_half_widths.any()
    assert explorer.sentence.text == "After 10 episodes no difference can be shown: an interval needs 30."


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ConfigError, match=r"two or more methods with the same number of episodes.*Got a: 3, b: 4"):
        CompareExplorer({"a": torch.rand(3), "b": torch.rand(4)})
    with pytest.raises(ConfigError, match="Got none"):
        CompareExplorer({})
