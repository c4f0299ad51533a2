"""The numbers of the explorers against an independent computation, without widgets; and their sentences at extremes."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from amfs_lab import explore
from amfs_lab.config import METHODS
from amfs_lab.explore import ConflictExplorer, Figure2Explorer, MetaTrainingExplorer, RbfExplorer, RidgeExplorer, looks
from amfs_lab.explore.conflict.conflict import gradients, turned
from amfs_lab.explore.kernels import rbf
from amfs_lab.explore.training.curves import DRAWN, MOST, NAMES, slots, smooth, thin
from amfs_lab.outer import PCGrad
from amfs_lab.stats import Interval
from amfs_lab.widgets.drive import drive


class TestRbf:
    @pytest.mark.parametrize("points", list(rbf.POINTS))
    def test_the_gram_matrix_is_the_exponential_of_the_distances(self, points):
        a = RbfExplorer(points=points, bandwidth=0.7).arrays
        expected = np.exp(-((a.x[:, None] - a.x[None]) ** 2) / (2 * 0.7**2))
        assert np.allclose(a.K, expected, rtol=1e-12, atol=0)
        assert np.allclose(a.eigenvalues, np.linalg.eigvalsh(expected)[::-1].clip(1e-9), rtol=1e-8)

    def test_a_row_of_the_matrix_is_the_bump_at_the_points(self):
        a = RbfExplorer(row=4).arrays
        assert np.allclose(np.interp(a.x, a.grid, a.bump), a.K[3], atol=2e-3)
        assert np.array_equal(a.heights, a.K[3])

    def test_pointing_at_a_cell_chooses_the_pair(self):
        explorer = RbfExplorer()
        explorer.live_figure.state.set_state({"click": {"trace": "gram", "x": 5, "y": 1, "index": 0, "n": 1}})
        assert (explorer.row, explorer.column) == (1, 5)
        assert explorer.controls["column"].parts[1].widget.value == 5

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ({"bandwidth": 0.05}, "less than 0.1 % similar; 6 of the 6 eigenvalues are above 1 % of the largest"),
            ({"bandwidth": 5.0, "column": 1}, "99.8 % similar; 2 of the 6 eigenvalues are above 1 % of the largest"),
            ({"row": 3, "column": 3}, "point 3 is 100 % similar to itself"),
            ({"points": "a point twice"}, "points 2 and 3 lie at the same place"),
        ],
    )
    def test_the_sentence_is_true_at_the_extremes(self, state, words):
        assert words in RbfExplorer(**state).sentence.text

    def test_the_answer_to_the_question_is_counted(self):
        assert explore.kernels.questions.answer_rank_when_sigma_doubles("six points", 0.6) == "fewer"
        assert explore.kernels.questions.answer_rank_when_sigma_doubles("six points", 0.05) == "the same number"
        assert rbf.alive(rbf.POINTS["six points"], 1e-3) == 6
        assert rbf.alive(rbf.POINTS["six points"], 1e3) == 1

    def test_the_answer_on_the_diagonal_is_computed(self, monkeypatch):
        assert explore.kernels.questions.answer_diagonal_when_sigma_changes() == "it stays the same"
        monkeypatch.setattr(
            explore.kernels.questions, "rbf_kernel", lambda a, b, sigma: sigma * torch.ones(len(a), len(b))
        )
        assert explore.kernels.questions.answer_diagonal_when_sigma_changes() == "it gets darker"


class TestRidge:
    def test_the_fit_is_scikit_learns(self):
        a = RidgeExplorer(bandwidth=0.5, lam=0.05).arrays
        oracle = KernelRidge(alpha=0.05, kernel="rbf", gamma=1 / (2 * 0.5**2)).fit(a.x[:, None], a.y)
        assert np.allclose(a.fit, oracle.predict(a.grid[:, None]), rtol=0, atol=1e-10)

    def test_the_kept_labels_are_the_fitted_values(self):
        a = RidgeExplorer(lam=0.3).arrays
        fitted = np.linalg.norm(np.interp(a.x, a.grid, a.fit))
        assert np.linalg.norm(a.kept) == pytest.approx(fitted, rel=2e-3)
        assert a.degrees_of_freedom == pytest.approx(a.filter.sum())

    def test_the_best_ridge_is_the_best_value_of_the_slider(self):
        explorer = RidgeExplorer()
        tried = [
            explorer.compute(type(explorer.state)({**explorer.state, "lam": lam})) for lam in np.geomspace(1e-4, 10, 25)
        ]
        assert explorer.arrays.best_error == pytest.approx(min(a.error_to_truth for a in tried), rel=0.02)

    def test_more_points_keep_the_first_ones(self):
        few, many = RidgeExplorer(points=5).arrays, RidgeExplorer(points=30).arrays
        assert np.array_equal(few.x, many.x[:5])
        assert np.array_equal(few.y, many.y[:5])

    @pytest.mark.parametrize(
        ("preset", "words"),
        [
            ("balanced", "no other λ has a much smaller error"),
            ("too free", "It follows the labels too freely"),
            ("too stiff", "It is too stiff"),
            ("too wide", "try another σ, or more points"),
            ("no points", "Without points the fit is zero everywhere"),
        ],
    )
    def test_the_presets_show_what_they_are_called(self, preset, words):
        assert words in RidgeExplorer(preset=preset).sentence.text

    def test_the_sentence_claims_no_noise_in_labels_without_noise(self):
        explorer = RidgeExplorer("too wide", bandwidth=5.0, lam=1e-4, noise=0.0, points=1)
        assert "follows the labels too freely" in explorer.sentence.text
        assert "noise" not in explorer.sentence.text

    @pytest.mark.parametrize(
        ("bandwidth", "said"),
        [(0.05, "falls back to zero"), (0.5, "joins them by a straight line")],
    )
    def test_the_answer_between_two_points_is_measured(self, bandwidth, said):
        assert explore.ridge.questions.answer_between_two_points(bandwidth) == said


class TestConflict:
    def test_gradients_have_the_angles_and_lengths_of_the_controls(self):
        g = gradients(tasks=4, angle=180.0, spread=60.0, ratio=2.0)
        assert g.shape == (4, 2)
        assert g.norm(dim=1).tolist() == pytest.approx([1, 1, 1, 2])
        assert g[3].tolist() == [-2.0, 0.0]
        assert turned(g[0], g[2]) == pytest.approx(60)
        assert turned(g[0], torch.zeros(2)) is None

    @pytest.mark.parametrize("angle", [0, 60, 120, 179])
    @pytest.mark.parametrize("ratio", [0.2, 1.0, 5.0])
    def test_two_tasks_change_only_the_length(self, angle, ratio):
        a = ConflictExplorer(tasks=2, angle=angle, ratio=ratio).arrays
        assert a.away == pytest.approx(0, abs=1e-5)
        said = ConflictExplorer(tasks=2, angle=angle, ratio=ratio).sentence.text
        assert "O-AMFS and the mean have the same direction" in said

    def test_the_answer_on_two_tasks_is_computed(self, monkeypatch):
        assert (
            explore.conflict.questions.answer_when_two_tasks_disagree()
            == explore.conflict.questions.answer_when_two_tasks_disagree(ratio=3.0)
            == "never"
        )
        monkeypatch.setattr(explore.conflict.questions, "PairwiseCosine", PCGrad)
        assert explore.conflict.questions.answer_when_two_tasks_disagree(ratio=3.0) == "only beyond 90°"

    def test_two_opposed_tasks_stand_still(self):
        for ratio in (1.0, 3.0):
            explorer = ConflictExplorer(tasks=2, angle=180, ratio=ratio)
            assert explorer.arrays.step == 0
            assert "the step of O-AMFS is zero" in explorer.sentence.text

    def test_a_zero_step_because_of_the_scale_length_is_explained(self):
        """Three tasks against one with a gradient three times as long: the mean is zero, but the votes are not."""
        opposed = dict(tasks=4, angle=180, spread=0, ratio=3.0)
        explorer = ConflictExplorer(**opposed, normalization="length")
        assert explorer.arrays.votes == pytest.approx(2)
        assert "cancel: choose another scale" in explorer.sentence.text
        assert "but the step of O-AMFS is not" in ConflictExplorer(**opposed, normalization="unit").sentence.text

    def test_the_arrow_of_o_amfs_is_the_matrix_m_times_s(self):
        a = ConflictExplorer(tasks=4, angle=110, spread=50, ratio=2.0, true_lengths=True, normalization="none").arrays
        g = a.grads
        u = g / np.linalg.norm(g, axis=1, keepdims=True)
        M = sum(np.outer(row, unit) for row, unit in zip(g, u, strict=True))
        assert np.allclose([a.rule_1_x[1], a.rule_1_y[1]], M @ u.sum(0))

    def test_uphill_goes_uphill(self):
        explorer = ConflictExplorer(preset="uphill")
        mean = explorer.arrays.grads.mean(0)
        assert np.dot([explorer.arrays.rule_1_x[1], explorer.arrays.rule_1_y[1]], mean) < 0
        assert "raises task 3’s loss and the mean loss" in explorer.sentence.text

    def test_a_clipped_weight_is_not_negative(self):
        assert ConflictExplorer(negative="keep").arrays.weights_1.min() < 0
        assert ConflictExplorer(negative="clip").arrays.weights_1.min() == 0

    def test_arrows_are_equally_long_unless_true_lengths_are_asked_for(self):
        def lengths(a):
            return [math.hypot(a[f"rule_{n}_x"][1], a[f"rule_{n}_y"][1]) for n in range(4)]

        assert lengths(ConflictExplorer().arrays) == pytest.approx([0.75 * 1.25 * 1.5] * 4)
        assert (
            len(
                {
                    round(length, 6)
                    for length in lengths(ConflictExplorer(true_lengths=True, normalization="unit").arrays)
                }
            )
            == 4
        )
        of_length = lengths(ConflictExplorer(true_lengths=True, normalization="length").arrays)
        assert of_length[:3] == pytest.approx([of_length[0]] * 3)  # the mean and both cosine rules
        assert of_length[3] != pytest.approx(of_length[0])  # PCGrad


def progress(method, step, seconds=None, accuracy=0.5, validation=None):
    return SimpleNamespace(
        method=method,
        step=step,
        seconds=step / 10 if seconds is None else seconds,
        loss=2.0 / step,
        accuracy=accuracy,
        validation=validation,
    )


def curves(explorer, name):
    """The drawn traces of a run: loss, accuracy and validations."""
    return [trace for trace in explorer.figure.data if trace.name == name]


class TestMetaTraining:
    @pytest.fixture
    def explorer(self):
        explorer = MetaTrainingExplorer()
        for method, final in (("amfs", 0.9), ("maml", 0.6)):
            for step in range(1, 61):
                validation = Interval(final, 0.02, 100) if step % 20 == 0 else None
                explorer.push(progress(method, step, accuracy=final * step / 60, validation=validation))
        explorer.refresh()
        return explorer

    def test_every_control_moves_it_and_an_empty_one_can_be_shown(self, explorer):
        assert drive(explorer) >= 10
        assert MetaTrainingExplorer().sentence.text == "Nothing has run yet."

    def test_the_curves_are_what_was_pushed(self, explorer):
        explorer.set(smoothing=1)
        amfs, marks = curves(explorer, "AMFS")[0], curves(explorer, "AMFS")[2]
        assert np.allclose(amfs.x, np.arange(1, 61) / 10)
        assert np.allclose(amfs.y, 2.0 / np.arange(1, 61))
        assert (list(marks.x), list(marks.y), list(marks.error_y.array)) == ([2.0, 4.0, 6.0], [0.9] * 3, [0.02] * 3)
        explorer.set(against="meta-steps")
        assert np.allclose(curves(explorer, "AMFS")[0].x, np.arange(1, 61))
        assert explorer.figure.layout.xaxis.title.text == "meta-steps"

    def test_the_sentence_names_the_leader_first(self, explorer):
        assert explorer.sentence.text.startswith("AMFS 90.0 ± 2.0 % on unseen scripts")
        assert "MAML 60.0 ± 2.0 %" in explorer.sentence.text

    def test_names_in_the_legend_only_of_what_ran(self, explorer):
        shown = [trace.name for trace in explorer.figure.data if trace.showlegend]
        assert shown == ["MAML", "AMFS"]

    def test_a_method_looks_the_same_in_every_figure_and_order(self):
        """Figure 2 has one look for each method. Live curves have the same looks, in any order of the runs."""
        figure2 = Figure2Explorer()
        for order in (("maml", "i-amfs"), ("i-amfs", "maml")):
            race = MetaTrainingExplorer()
            for method in order:
                race.push(progress(method, 1))
            race.refresh()
            for name, trace in (("MAML", "maml"), ("I-AMFS, one solve", "solve")):
                in_figure_2 = figure2.trace(trace)
                in_race = curves(race, name.partition(",")[0])[0]
                assert in_figure_2.name == name
                assert in_race.line.color == in_figure_2.line.color
                assert in_race.line.dash == (in_figure_2.line.dash or "solid")
            for name, trace in (("MAML", "maml in time"), ("I-AMFS", "solve in time")):
                in_race, in_figure_2 = curves(race, name)[2].marker, figure2.trace(trace).marker
                assert (in_race.color, in_race.symbol) == (in_figure_2.color, in_figure_2.symbol)

    def test_each_method_has_a_look_and_another_name_a_free_one(self):
        assert set(NAMES) == set(METHODS)
        parts = list(zip(*looks.METHODS.values(), strict=True))[:3]
        assert all(len(set(each)) == MOST for each in parts), "no curve is identified by its colour alone"
        runs = ["i-amfs again", "amfs", "mine", "i-amfs"]
        placed = slots(runs)
        assert [placed[name] for name in ("i-amfs", "amfs")] == [list(NAMES).index(name) for name in ("i-amfs", "amfs")]
        assert len(set(placed.values())) == len(runs)
        assert sorted(slots([f"run {n}" for n in range(MOST)]).values()) == list(range(MOST))

    def test_training_shows_marks_only_where_one_point_draws_no_line(self):
        explorer = MetaTrainingExplorer()
        for step, mode in ((1, "lines+markers"), (2, "lines")):
            explorer.push(progress("amfs", step))
            explorer.refresh()
            assert [trace.mode for trace in curves(explorer, "AMFS")[:2]] == [mode] * 2
        training, validation = (trace.marker.size for trace in curves(explorer, "AMFS")[1:])
        assert training < 0.7 * validation

    def test_the_title_mentions_validation_only_if_a_run_validates(self, explorer):
        assert explorer.figure.layout.annotations[1].text == "accuracy: thin training, bars validation"
        plain = MetaTrainingExplorer()
        assert plain.figure.layout.annotations[1].text == "accuracy on training tasks"
        plain.push(progress("maml", 1))
        plain.refresh()
        assert plain.figure.layout.annotations[1].text == "accuracy on training tasks"
        plain.push(progress("maml", 2, validation=Interval(0.5, 0.02, 100)))
        plain.refresh()
        assert plain.figure.layout.annotations[1].text == "accuracy: thin training, bars validation"

    def test_a_run_that_begins_again_replaces_its_curve(self, explorer):
        explorer.push(progress("maml", 1))
        explorer.refresh()
        assert [len(run) for run in explorer.history.values()] == [60, 1]

    def test_an_eighth_method_is_refused_with_advice(self, explorer):
        for n in range(MOST):
            explorer.push(progress(f"method {n}", 1))
        with pytest.raises(ValueError, match=r"One figure can show at most 7 methods\. Got 9: open a second explorer"):
            explorer.refresh()

    def test_smoothing_averages_the_values_so_far(self):
        assert smooth([4.0, 2.0, 0.0, 2.0], 2).tolist() == [4, 3, 1, 1]
        assert smooth([1.0, 3.0], 100).tolist() == [1, 2]
        assert smooth([], 3).tolist() == []

    def test_a_long_curve_is_thinned_and_keeps_both_ends(self):
        assert thin(5).tolist() == [0, 1, 2, 3, 4]
        kept = thin(100_000)
        assert (len(kept), kept[0], kept[-1]) == (DRAWN, 0, 99_999)
