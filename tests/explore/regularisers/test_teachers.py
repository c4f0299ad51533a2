"""The losses over σ and λ against independent computations (scikit-learn, finite differences), and the map."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.kernel_ridge import KernelRidge

from amfs_lab.explore import TeacherExplorer
from amfs_lab.explore.regularisers import landscape, questions, teachers
from amfs_lab.explore.regularisers.landscape import LAMBDAS, SIGMAS, best, flat, judged, losses, pulls, surfaces, task

KEY = ("sine", 12, 0.3, 4)


def predictions(t, x, bandwidth, lam, keep=slice(None)):
    """scikit-learn's kernel ridge regression, fitted to the kept points."""
    model = KernelRidge(alpha=lam, kernel="rbf", gamma=1 / (2 * bandwidth**2)).fit(t.x[keep].numpy(), t.y[keep].numpy())
    return model.predict(x.numpy())


def by_hand(t, bandwidth, lam):
    """The four losses of a task, from fits of scikit-learn, leave-one-out fits, and scipy's Gaussian density."""
    n = len(t.y)
    left_out = [t.y[i].numpy() - predictions(t, t.x[i : i + 1], bandwidth, lam, np.arange(n) != i)[0] for i in range(n)]
    K = np.exp(-((t.x - t.x.T).numpy() ** 2) / (2 * bandwidth**2))
    density = multivariate_normal(np.zeros(n), K + lam * np.eye(n))
    return {
        "query loss": np.square(predictions(t, t.query_x, bandwidth, lam) - t.query_y.numpy()).mean() / 2,
        "leave-one-out": np.square(left_out).mean() / 2,
        "evidence": -density.logpdf(t.y[:, 0].numpy()) / n,
        "training loss": np.square(predictions(t, t.x, bandwidth, lam) - t.y.numpy()).mean() / 2,
    }


@pytest.mark.parametrize(("i", "j"), [(0, 0), (11, 20), (20, 8), (32, 35)])
def test_the_map_agrees_with_separate_solves(i, j):
    found, expected = surfaces(*KEY), by_hand(task(*KEY), float(SIGMAS[i]), float(LAMBDAS[j]))
    for name, value in expected.items():
        assert float(found[name][i, j]) == pytest.approx(value, rel=1e-6), name


def test_the_slice_is_a_cut_through_the_map():
    cut = losses(*KEY, LAMBDAS[9:10])
    for name, surface in surfaces(*KEY).items():
        assert torch.allclose(cut[name][:, 0], surface[:, 9], rtol=1e-9)
    a = TeacherExplorer(data="sine", points=12, sample=4, lam=float(LAMBDAS[9])).arrays
    assert np.allclose(a.slice_value_0, surfaces(*KEY)["query loss"][:, 9], rtol=1e-9)


@pytest.mark.parametrize(("bandwidth", "lam"), [(0.3, 0.1), (2.0, 0.01), (0.7, 3.0)])
def test_a_pull_is_minus_the_slope(bandwidth, lam):
    t, step = task(*KEY), 1e-4
    for name, pulled in pulls(t, bandwidth, lam).items():
        slopes = (
            (by_hand(t, bandwidth * np.exp(step), lam)[name] - by_hand(t, bandwidth * np.exp(-step), lam)[name]),
            (by_hand(t, bandwidth, lam * np.exp(step))[name] - by_hand(t, bandwidth, lam * np.exp(-step))[name]),
        )
        assert pulled == pytest.approx([-slope / (2 * step) for slope in slopes], rel=1e-4, abs=1e-7), name


def test_the_shade_is_the_share_of_better_places():
    surface, share = surfaces(*KEY)["leave-one-out"], landscape.shares(*KEY)["leave-one-out"]
    i, j = 20, 13
    assert share[j, i] == pytest.approx(100 * float((surface < surface[i, j]).double().mean()), abs=0.06)
    assert share.min() == 0


def test_the_best_place_is_the_lowest():
    surface = surfaces(*KEY)["evidence"]
    sigma, lam = best(surface)
    assert by_hand(task(*KEY), sigma, lam)["evidence"] == pytest.approx(float(surface.min()), rel=1e-6)
    assert judged(surfaces(*KEY), "query loss") == pytest.approx(float(surfaces(*KEY)["query loss"].min()))
    assert best(torch.ones(len(SIGMAS), len(LAMBDAS))) is None


def test_more_points_keep_the_first_points_and_the_query_points():
    few, many = task("sine", 5, 0.3, 2), task("sine", 30, 0.3, 2)
    assert torch.equal(few.x, many.x[:5])
    assert torch.equal(few.y, many.y[:5])
    assert torch.equal(few.query_y, many.query_y)


def test_the_faults_of_the_points():
    plain, twice, wild = (task(data, 7, 0.3, 2) for data in ("sine", "every point twice", "one outlier"))
    assert torch.equal(twice.x, plain.x[[0, 1, 2, 3, 0, 1, 2]])
    assert torch.equal(twice.y, plain.y[[0, 1, 2, 3, 0, 1, 2]])
    assert (wild.y - plain.y)[:, 0].tolist() == pytest.approx([0, 0, 0, landscape.WILD, 0, 0, 0])
    assert torch.equal(task("constant", 7, 0.0, 2).y, torch.ones(7, 1, dtype=torch.float64))


@pytest.mark.parametrize("points", [0, 1, 2])
@pytest.mark.parametrize("data", landscape.DATA)
def test_few_points_or_none_give_no_error(points, data):
    explorer = TeacherExplorer(points=points, data=data, noise=0.0)
    for bandwidth, lam in ((0.05, 1e-4), (5.0, 10.0)):
        explorer.set(bandwidth=bandwidth, lam=lam)
        assert np.isfinite(explorer.arrays.shares).all()
        assert np.isfinite(explorer.arrays.query_loss)
    assert ("nothing to learn from" in explorer.sentence.text) == (points == 0)


def test_a_flat_loss_has_no_mark_and_no_arrow():
    a = TeacherExplorer(points=0).arrays
    assert [a[f"best_x_{k}"] for k in range(4)] == [[]] * 4
    assert [a[f"arrow_{k}_x"] for k in range(4)] == [[]] * 4
    lone = TeacherExplorer(points=1)
    assert flat(surfaces("sine", 1, 0.3, 6)["leave-one-out"])  # without its only point it predicts zero, everywhere
    assert (lone.arrays.best_x_1, lone.arrays.arrow_1_x) == ([], [])
    assert "no change of σ improves leave-one-out" in lone.sentence.text


def test_an_arrow_has_the_direction_of_the_pull_and_the_set_length():
    x, y = teachers.arrow_from(0.5, 0.01, (-3.0, 0.0), 0.2)
    assert y == [0.01, 0.01]
    assert x == pytest.approx([0.5, 0.5 * 100**-0.2])
    x, y = teachers.arrow_from(0.5, 0.01, (0.0, 1e-6), 0.2)
    assert (x, y) == (pytest.approx([0.5, 0.5]), pytest.approx([0.01, 0.01 * 1e5**0.2]))


def test_the_answer_to_the_question_comes_from_the_map():
    assert questions.answer_where_the_training_loss_points() == "a narrower σ and a smaller λ"
    assert questions.answer_where_the_training_loss_points("constant", 40, 1.0, 3) != "the same σ and λ"


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("start too wide", "A narrower σ improves query loss, leave-one-out, evidence and training loss."),
        ("agree", "A wider σ improves query loss, leave-one-out and evidence; a narrower σ improves training loss"),
        ("disagree", "A wider σ improves query loss and evidence; a narrower σ improves leave-one-out"),
        (
            "training loss misleads",
            "A wider σ improves query loss, leave-one-out and evidence; a narrower σ improves training loss",
        ),
        ("no points", "without points there is nothing to learn from"),
    ],
)
def test_the_presets_show_what_they_are_called(preset, words):
    assert words in TeacherExplorer(preset=preset).sentence.text


def test_copies_make_leave_one_out_choose_like_the_training_loss():
    found = surfaces("every point twice", 20, 0.3, 6)
    assert best(found["leave-one-out"]) == best(found["training loss"]) == (float(SIGMAS[0]), float(LAMBDAS[0]))
    assert best(surfaces("sine", 20, 0.3, 6)["leave-one-out"]) != best(found["leave-one-out"])


def test_with_equal_labels_the_evidence_is_best_in_a_corner():
    assert best(surfaces("constant", 20, 0.0, 6)["evidence"]) == (float(SIGMAS[-1]), float(LAMBDAS[0]))


def test_the_title_names_the_map():
    explorer = TeacherExplorer()
    assert explorer.figure.layout.annotations[0].text.startswith("map of the query loss")
    explorer.set(surface="evidence")
    assert explorer.figure.layout.annotations[0].text.startswith("map of −log evidence")
