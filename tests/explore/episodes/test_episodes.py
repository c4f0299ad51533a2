"""Episodes in the plane: map, labels and votes against independent computations, and tasks without a winner."""

import base64
import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.kernel_ridge import KernelRidge

from amfs_lab.explore import EpisodeExplorer
from amfs_lab.explore.episodes import clouds, questions
from amfs_lab.explore.episodes.clouds import DATA, GRID, NO_CLASS
from amfs_lab.explore.episodes.episodes import DARK, PALE, with_hatches
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve
from amfs_lab.widgets.png import picture


def scikit(t, bandwidth, lam):
    """The scores at any points, computed by scikit-learn."""
    oracle = KernelRidge(alpha=lam, kernel="rbf", gamma=1 / (2 * bandwidth**2)).fit(t.x.numpy(), t.targets.numpy())
    return lambda places: oracle.predict(np.asarray(places))


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    ("ways", "shots", "bandwidth", "lam"), [(2, 1, 1.0, 0.1), (3, 5, 0.7, 1e-2), (6, 10, 2.0, 10.0)]
)
def test_scores_labels_and_votes_are_scikit_learns(data, ways, shots, bandwidth, lam):
    explorer = EpisodeExplorer(ways=ways, shots=shots, bandwidth=bandwidth, lam=lam, data=data, query=7)
    a, t = explorer.arrays, clouds.task(13, ways, shots, 3.0, data)
    scores = scikit(t, bandwidth, lam)(t.query_x)
    assert np.allclose(a.scores, scores[6], atol=1e-9)
    if data != clouds.TWICE or (ways, shots) != (2, 1):  # in that task, all scores are tied
        assert a.right == (scores.argmax(1) == t.query_y.numpy()).sum()
    told = a.label if a.label >= 0 else int(np.argmax(a.scores))
    assert a.votes.sum() == pytest.approx(scores[6][told], abs=1e-9)
    k = np.exp(-((t.query_x[6] - t.x).square().sum(1).numpy()) / (2 * bandwidth**2))
    sums = np.array([k[t.y.numpy() == c].sum() for c in range(ways)])
    assert np.allclose(np.array(a.sums) / max(a.sums), sums / sums.max())


@pytest.mark.parametrize(("ways", "lam"), [(2, 1e-3), (3, 0.1), (6, 1e3)])
def test_the_map_is_scikit_learns_argmax(ways, lam):
    t = clouds.task(5, ways, 4, 3.0)
    alpha = solve(rbf_kernel(t.x, t.x, 1.3), t.targets, lam)
    places = np.stack(np.meshgrid(GRID, GRID), -1).reshape(-1, 2)  # the first coordinate runs along a row
    scores = scikit(t, 1.3, lam)(places)
    gap = np.sort(scores, 1)[:, -1] - np.sort(scores, 1)[:, -2]
    clear = gap > 1e-9 * np.abs(scores).max()
    found = clouds.regions(t, alpha, 1.3).numpy().reshape(-1)
    assert clear.mean() > 0.9
    assert (found == scores.argmax(1))[clear].all()


def test_a_task_is_a_pure_function_and_more_shots_keep_the_first():
    few, many = clouds.task(3, 4, 2, 3.0), clouds.task(3, 4, 7, 3.0)
    again = clouds.task.__wrapped__(3, 4, 2, 3.0)
    assert all(torch.equal(a, b) for a, b in zip(few[:4], again[:4], strict=True))
    assert torch.equal(few.query_x, many.query_x)
    for c in range(4):
        assert torch.equal(few.x[few.y == c], many.x[many.y == c][:2])
    assert not torch.equal(few.x, clouds.task(4, 4, 2, 3.0).x)


def test_separation_is_the_distance_of_neighbouring_centres():
    for ways in (3, 6):
        here, apart = clouds.task(1, ways, 10, 0.0), clouds.task(1, ways, 10, 4.0)
        centres = torch.stack([(apart.x - here.x)[here.y == c].mean(0) for c in range(ways)])
        assert torch.allclose((centres - centres.roll(1, 0)).norm(dim=1), torch.full((ways,), 4.0).double())


def test_the_special_tasks_are_as_their_names_say():
    twice = clouds.task(1, 3, 2, 3.0, clouds.TWICE)
    assert torch.equal(twice.x[twice.y == 0][0], twice.x[twice.y == 1][0])
    unbalanced = clouds.task(1, 3, 2, 3.0, clouds.UNBALANCED)
    assert unbalanced.y.bincount().tolist() == [8, 2, 2]
    no_class = clouds.task(1, 3, 2, 3.0, clouds.NO_CLASS_QUERIES)
    assert (no_class.query_y == NO_CLASS).sum() == clouds.QUERIES
    assert len(no_class.query_y) == 4 * clouds.QUERIES
    split = clouds.task(1, 3, 10, 5.0, clouds.TWO_PLACES)
    own = split.x[split.y == 0]
    assert (own[::2].mean(0) - own[1::2].mean(0)).norm() > 5
    assert split.query_y.bincount().tolist() == [10, 10, 10]


@pytest.mark.parametrize("shots", [1, 5])
def test_for_a_huge_ridge_the_label_is_the_largest_sum_of_similarities(shots):
    t = clouds.task(13, 3, shots, 3.0)
    k = rbf_kernel(t.query_x, t.x, 1.0)
    a = EpisodeExplorer("λ → ∞", shots=shots).arrays
    assert a.right == int(((k @ t.targets).argmax(1) == t.query_y).sum())
    assert questions.answer_when_lambda_is_huge() == "label with the largest sum of similarities"
    if shots == 1:
        assert a.right == int((t.y[k.argmax(1)] == t.query_y).sum())  # with one shot, the nearest wins


def test_the_answer_on_the_limit_is_counted(monkeypatch):
    questions.answer_when_lambda_is_huge.cache_clear()
    monkeypatch.setattr(questions, "solve", lambda K, y, lam: 0 * y)
    assert questions.answer_when_lambda_is_huge() == "no label: a tie"
    monkeypatch.undo()
    questions.answer_when_lambda_is_huge.cache_clear()


def test_no_class_wins_if_scores_are_tied_or_zero():
    tied = EpisodeExplorer("two at one place")
    assert tied.arrays.without_winner == 20
    assert "20 queries get no label, because scores tie" in tied.sentence.text
    assert tied.sentence.text.endswith("gets no label: no class has the largest score.")
    assert tied.arrays.votes_title == "votes for class A (no class wins)"
    tied.set(votes_for="its own class")
    assert "no class wins" not in tied.arrays.votes_title
    assert "no class wins" not in EpisodeExplorer().arrays.votes_title
    narrow = EpisodeExplorer("too narrow", separation=5.0)
    t = clouds.task(13, 3, 5, 5.0)
    far = ((t.query_x[:, None] - t.x[None]).square().sum(2) / (2 * 0.05**2)).amin(1) > 750  # exp(-750) is zero
    assert narrow.arrays.without_winner == int(far.sum())


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"preset": "queries of no class"}, "Query 40 is of no class and gets label"),
        ({"preset": "queries of no class"}, "The 10 stars are of no class, and each still gets a label."),
        (
            {"preset": "queries of no class", "bandwidth": 0.05, "task": 2, "query": 1},
            "class, and 5 of them get a label.",
        ),
        ({"query": 70}, "There is no query 70; the last is 30."),
        ({"preset": "one shot"}, "Query 21 is of class C and gets label A"),
        ({"preset": "five shots"}, "Query 21 is of class C and gets label C"),
        ({"preset": "λ → ∞"}, "Query 21 is of class C and gets label A"),
    ],
)
def test_the_sentence_is_true_at_the_extremes(state, words):
    assert words in EpisodeExplorer(**state).sentence.text


def test_a_click_selects_the_query():
    explorer = EpisodeExplorer()
    explorer.live_figure.state.set_state({"click": {"trace": "queries", "x": 0.0, "y": 0.0, "index": 11, "n": 1}})
    assert explorer.query == explorer.arrays.asked == 12
    assert explorer.controls["query"].parts[1].widget.value == 12


def test_the_votes_shown_are_those_for_the_chosen_class():
    for name, which in (("the winner", 0), ("the runner-up", 1)):
        a = EpisodeExplorer(votes_for=name).arrays
        assert a.votes.sum() == pytest.approx(np.sort(a.scores)[::-1][which])
    a = EpisodeExplorer(votes_for="its own class", query=25, lam=1e4).arrays
    assert a.votes.sum() == pytest.approx(a.scores[a.own])


def test_a_wrong_query_is_hollow():
    a = EpisodeExplorer().arrays
    assert sum(symbol.endswith("-open") for symbol in a.query_symbols) == a.judged - a.right


def test_the_map_is_a_png_and_no_class_is_shown_by_colour_alone():
    cells = np.array([[0, 1, 2], [3, 4, 5]], np.uint8)
    uri = picture(cells, PALE)
    decoded = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))).convert("RGB")
    assert [["#{:02X}{:02X}{:02X}".format(*decoded.getpixel((x, y))) for x in range(3)] for y in range(2)] == [
        [PALE[c] for c in row] for row in cells
    ]
    textures = []
    for c in range(clouds.MOST_WAYS):
        colours = with_hatches(np.full((len(GRID), len(GRID)), c))
        assert set(np.unique(colours)) <= {c + 1, c + 1 + len(PALE)}
        textures.append((colours > len(PALE)).tobytes())
    assert len(set(textures)) == clouds.MOST_WAYS
    assert not with_hatches(np.full((len(GRID), len(GRID)), NO_CLASS)).any()
    assert len(PALE) == len(DARK) == clouds.MOST_WAYS + 1


@pytest.mark.parametrize("data", DATA)
def test_every_corner_of_the_controls_is_finite(data):
    explorer = EpisodeExplorer(data=data)
    sliders = {name: c for name, c in explorer.declared.items() if name not in ("data", "votes_for", "task")}
    for corner in itertools.product(*((slider.low, slider.high) for slider in sliders.values())):
        explorer.set(**dict(zip(sliders, corner, strict=True)))
        a = explorer.arrays
        for name in ("scores", "votes", "sums", "score_range", "vote_range"):
            assert np.isfinite(np.asarray(a[name], dtype=float)).all(), (name, explorer.state)
        assert a.score_range[0] < a.score_range[1]
        assert a.vote_range[0] < a.vote_range[1]


def test_two_examples_at_one_place_are_both_visible():
    a = EpisodeExplorer("two at one place").arrays
    assert (a.x[0], a.y[0]) == (a.x[1], a.y[1])
    assert a.sizes[1] < a.sizes[0]
    assert set(EpisodeExplorer().arrays.sizes) == {a.sizes[0]}
