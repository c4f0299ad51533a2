"""From a vote to an interpolant: both limits against numpy, and the tasks without a winner."""

import itertools

import numpy as np
import pytest
import torch

from amfs_lab.explore import VoteExplorer
from amfs_lab.explore.ridge import questions, vote


def rbf(a, b, bandwidth):
    return np.exp(-((np.asarray(a)[:, None] - np.asarray(b)[None]) ** 2) / (2 * bandwidth**2))


def by_hand(state, alpha_of):
    """The scores on the grid and at the query for a given alpha, divided by the largest |score|."""
    x, y = (column[: state["points"], 0].numpy() for column in vote.TASKS[state["task"]])
    k = rbf(vote.GRID[:, 0], x, state["bandwidth"])
    alpha = alpha_of(rbf(x, x, state["bandwidth"]), y)
    largest = np.abs(k @ alpha).max()
    return k @ alpha / largest, rbf([state["query"]], x, state["bandwidth"])[0] * alpha / largest, largest


@pytest.mark.parametrize("task", list(vote.TASKS))
@pytest.mark.parametrize("points", [1, 3, vote.MOST])
@pytest.mark.parametrize("lam", [1e-3, 1.0, 1e4])
def test_scores_shares_and_ends_are_numpys(task, points, lam):
    a = VoteExplorer(task=task, points=points, lam=lam, query=0.35).arrays
    scores, shares, largest = by_hand(a.state, lambda K, y: np.linalg.solve(K + lam * np.eye(len(K)), y))
    votes, vote_shares, _ = by_hand(a.state, lambda K, y: y)
    met, _, _ = by_hand(a.state, lambda K, y: np.linalg.pinv(K, rcond=1e-11) @ y)
    for ours, theirs in (
        (a.scores, scores),
        (a.vote, votes),
        (a.interpolant, met),
        (a.shares, shares),
        (a.vote_shares, vote_shares),
    ):
        assert np.allclose(ours, theirs, atol=1e-8)
    assert a.largest == pytest.approx(largest)
    assert a.score[0] == pytest.approx(shares.sum(), abs=1e-9)
    assert a.from_vote == pytest.approx(np.abs(scores - votes).max(), abs=1e-8)
    assert a.from_interpolant == pytest.approx(np.abs(scores - met).max(), abs=1e-8)


def test_each_end_of_the_slider_is_its_end():
    explorer = VoteExplorer("vote")
    assert explorer.arrays.from_vote < 1e-3 < 0.5 < explorer.arrays.from_interpolant
    assert "within 0.001 of the vote" in explorer.sentence.text
    explorer.set(lam=1e-8)
    assert explorer.arrays.from_interpolant < 1e-3 < 0.5 < explorer.arrays.from_vote
    assert "within 0.001 of the interpolant" in explorer.sentence.text


def test_three_neighbours_outvote_the_lone_point_but_not_in_the_interpolant():
    assert VoteExplorer("vote").sentence.text.endswith("class +1.")
    assert VoteExplorer("interpolant").sentence.text.endswith("class −1.")
    x, y = vote.TASKS["two classes"]
    assert (x[4].item(), y[4].item()) == (-1.0, -1.0)
    assert VoteExplorer().query == -1.0
    assert (questions.answer_label_of_the_outvoted_point(), questions.answer_label_of_the_outvoted_point(lam=1e-6)) == (
        "its neighbours'",
        "its own",
    )


@pytest.mark.parametrize("factor", [10, 100])
def test_the_scores_shrink_like_one_over_lambda(factor):
    sizes = [VoteExplorer(lam=lam).arrays.largest for lam in (100.0, 100.0 * factor)]
    assert sizes[0] / sizes[1] == pytest.approx(factor, rel=0.05)


def test_the_interpolant_meets_every_label():
    a = VoteExplorer("interpolant").arrays
    x, y = (column[:, 0].numpy() for column in vote.TASKS["two classes"])
    assert np.allclose(rbf(x, x, a.state.bandwidth) @ a.alpha, y, atol=1e-5)


def test_at_a_shared_place_the_score_settles_in_the_middle():
    sizes = []
    for lam in (1.0, 1e-2, 1e-4, 1e-6):
        explorer = VoteExplorer("a point twice", lam=lam, query=-0.4)
        sizes.append(abs(explorer.arrays.score[0]))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 1e-5
    assert "no curve fits both: for λ → 0 the score there goes to the mean of the labels, 0." in explorer.sentence.text


def test_no_class_wins_without_votes_or_if_votes_cancel():
    empty = VoteExplorer("no points")
    assert "Without points there are no votes" in empty.sentence.text
    for lam in (1e-8, 1e-4, 1.0, 1e4):
        cancelled = VoteExplorer(task="a point twice", points=2, lam=lam)
        assert (
            cancelled.sentence.text
            == "The two labels at one place cancel: every score is 0, and no class wins anywhere."
        )
        for explorer in (empty, cancelled):
            a = explorer.arrays
            assert not a.scores.any()
            assert not a.vote.any()
            assert not a.interpolant.any()
            assert a.score == [0.0]
            assert len(explorer.trace("interpolant").y) == len(vote.GRID)


def test_one_class_has_nothing_to_decide():
    explorer = VoteExplorer("one class only")
    assert explorer.arrays.vote.min() > 0
    assert explorer.sentence.text.endswith("only one class has examples, so there is nothing to decide.")
    assert "only one class" in VoteExplorer(points=1).sentence.text


@pytest.mark.parametrize("task", list(vote.TASKS))
def test_every_corner_of_the_controls_is_finite(task):
    explorer = VoteExplorer(task=task)
    sliders = {name: control for name, control in explorer.declared.items() if name != "task"}
    for corner in itertools.product(*((slider.low, slider.high) for slider in sliders.values())):
        explorer.set(**dict(zip(sliders, corner, strict=True)))
        for name in ("scores", "vote", "interpolant", "shares", "vote_shares", "share_range"):
            assert np.isfinite(np.asarray(explorer.arrays[name], dtype=float)).all(), (name, explorer.state)
        assert np.abs(explorer.arrays.scores).max() <= 1


@pytest.mark.parametrize("task", list(vote.TASKS))
def test_the_interpolant_is_the_pseudo_inverses(task):
    x, y = (column.numpy() for column in vote.TASKS[task])
    K = rbf(x[:, 0], x[:, 0], 0.6)
    assert np.allclose(
        vote.interpolant(torch.tensor(K), torch.tensor(y)), np.linalg.pinv(K, rcond=1e-11) @ y, atol=1e-8
    )


def test_the_rings_are_the_labels_on_the_scale_of_the_curve():
    a = VoteExplorer(lam=1e-8).arrays
    assert np.allclose(np.interp(a.x, a.grid, a.scores), a.labels, atol=0.02)  # the interpolant meets each of them
    assert np.allclose(np.array(a.labels) * a.largest, np.sign(a.rail))
    assert list(VoteExplorer(lam=1e4).arrays.labels) == [None] * 8  # they lie outside the panel
    cancelled = VoteExplorer(task="a point twice", points=2).arrays
    assert cancelled.largest == 0
    assert list(cancelled.labels) == [None, None]
