"""The explorers of lesson 08: trajectories against the library's rules, end points against the stored rows, arrows."""

import numpy as np
import pytest
import torch
from matplotlib import image

from amfs_lab import planes
from amfs_lab.explore import ConflictExplorer, EndpointExplorer, TrajectoryExplorer
from amfs_lab.explore.conflict import conflict, endpoints, questions, trajectories
from amfs_lab.explore.outer_loop import plane
from amfs_lab.outer import Mean, MeanCosine, PairwiseCosine, PCGrad

RULES = {"mean": Mean, "O-AMFS": PairwiseCosine, "cosine to mean": MeanCosine, "PCGrad": PCGrad}


class TestTrajectories:
    @pytest.mark.parametrize("preset", [None, "two opposed", "curved task", "chatter", "valleys"])
    def test_every_trajectory_is_that_of_the_library_s_rule(self, preset):
        a = TrajectoryExplorer(preset).arrays
        s, tasks = a.state, trajectories.tasks_of(a.state)
        named = dict(normalization=s.normalization, negative=s.negative)
        for n, (name, kind) in enumerate(RULES.items()):
            rule = kind(**named) if name in ("O-AMFS", "cosine to mean") else kind()
            theta = torch.tensor([s.x_0, s.y_0], dtype=torch.float64)
            for k in range(25):
                assert np.allclose([a[f"x_{n}"][k], a[f"y_{n}"][k]], theta, atol=1e-4), name
                theta = theta - s.rate * s.decay**k * rule(tasks.gradients(theta))

    def test_the_last_task_has_the_curvature_of_its_control(self):
        hessians = trajectories.tasks_of(TrajectoryExplorer(tasks=3, curvature=5.0).state).hessians
        assert torch.allclose(hessians.diagonal(dim1=1, dim2=2), torch.tensor([[1.0], [1.0], [5.0]]).double())

    def test_marks_and_distances_are_those_of_theta_star_and_the_geometric_median(self):
        a = TrajectoryExplorer(shown=40).arrays
        tasks = trajectories.tasks_of(a.state)
        median = planes.geometric_median(tasks.optima)
        assert [*a.best_x, *a.best_y] == pytest.approx(tasks.optima.mean(0).tolist())  # equal round tasks
        assert np.allclose(np.stack([a.median_x, a.median_y], 1), median)  # both ends of the segment
        for n, name in enumerate(RULES):
            path = np.stack([a[f"x_{n}"], a[f"y_{n}"]], 1)
            assert len(path) == 41
            assert np.allclose(a[f"from_median_{n}"], np.linalg.norm(path - median.numpy(), axis=1), atol=2e-4)
            assert a.away[name][1] == pytest.approx(np.linalg.norm(path[-1] - median.numpy()), abs=2e-4)

    def test_the_sentence_gives_the_cosines_of_the_tasks(self):
        explorer = TrajectoryExplorer("two opposed")
        assert explorer.arrays.conflicts[0] == (pytest.approx(-1), 1.0)
        assert "−1.00 (100 % of the pairs in conflict) at the start" in explorer.sentence.text
        alike = TrajectoryExplorer("agreement").arrays.conflicts[0]
        assert alike[0] > 0.9
        assert alike[1] == 0

    def test_between_two_tasks_every_point_is_a_median_and_o_amfs_stays(self):
        explorer = TrajectoryExplorer("two opposed")
        a = explorer.arrays
        assert sorted(zip(a.median_x, a.median_y, strict=True)) == sorted(
            zip(a.place_x[1:], a.place_y[1:], strict=True)
        )
        assert a.away["O-AMFS"][1] == pytest.approx(0, abs=1e-9)
        assert a.away["O-AMFS"][0] == pytest.approx(1)  # from θ*, half way between
        assert "O-AMFS 1 from θ* and below 0.0001 from the median" in explorer.sentence.text

    def test_a_hidden_task_has_no_ring_and_no_number_boxes(self):
        explorer = TrajectoryExplorer()

        def hidden():
            boxes = [explorer.controls[name].box for pair in explorer.places.values() for name in pair]
            return [box.layout.display == "none" for box in boxes]

        assert (explorer.live_figure.state.rings["present"], hidden()) == (5, [False] * 10)
        explorer.set(tasks=2)
        assert (explorer.live_figure.state.rings["present"], hidden()) == (3, [False] * 6 + [True] * 4)
        assert TrajectoryExplorer(tasks=2).live_figure.state.rings["present"] == 3
        explorer.reset()
        assert (explorer.live_figure.state.rings["present"], hidden()) == (5, [False] * 10)

    def test_the_answer_is_the_end_point_for_equal_round_tasks(self):
        assert questions.answer_where_o_amfs_ends() == "at the geometric median"

    def test_a_diverging_trajectory_is_clipped_and_its_distance_is_infinite(self):
        explorer = TrajectoryExplorer(rate=1.0, curvature=10.0)
        assert "mean ∞ from θ* and ∞ from the median" in explorer.sentence.text
        x = np.abs(explorer.arrays.x_0)
        assert x[:-1].max() <= plane.FAR
        assert plane.VIEW < x[-1] <= 1e3 * plane.FAR  # the last point is outside the view

    def test_the_picture_for_paper_is_the_left_panel(self, tmp_path):
        explorer = TrajectoryExplorer()
        figure = explorer.picture(panel=1)
        (axes,) = figure.axes
        for drawn, n in zip(axes.get_lines(), range(len(RULES)), strict=False):
            a = explorer.arrays
            assert np.array_equal(drawn.get_xydata(), np.stack([a[f"x_{n}"], a[f"y_{n}"]], 1)), n
        assert [text.get_text() for text in axes.texts] == ["start", "task 1", "task 2", "task 3", "task 4"]
        figure.savefig(tmp_path / "a.png")
        figure.savefig(tmp_path / "a.svg")
        pixels = image.imread(tmp_path / "a.png")
        assert pixels.std() > 0.05  # the picture is not blank
        assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")

    def test_no_two_trajectories_differ_by_colour_alone(self):
        looks = [look[1:3] for look in trajectories.LOOKS.values()]
        assert len(set(looks)) == len(looks) == len(planes.RULES)


class TestDraws:
    def test_curves_and_difference_are_those_of_the_rows(self):
        explorer = EndpointExplorer(setting="three round tasks", draws=100)
        rows = endpoints.result().rows["three round tasks: to theta*"][:100].astype(float)
        a = explorer.arrays
        for n in range(rows.shape[1]):
            assert np.allclose(a[f"ends_{n}"], np.sort(rows[:, n]), atol=1e-3)
        assert a.shares[-1] == 1
        assert a.counts.sum() == 100
        assert a.gap.mean == pytest.approx((rows[:, 1] - rows[:, 0]).mean())
        assert "O-AMFS ends farther than the mean" in explorer.sentence.text

    def test_the_best_without_the_outlier_is_an_aim_only_with_an_outlier(self):
        aim = "the best without the outlier"
        one = EndpointExplorer(setting="one outlier of five", aim=aim).sentence.text
        assert f"Median distance from {aim}: mean" in one
        none = EndpointExplorer(setting="five round tasks", aim=aim)
        assert (
            "No task is an outlier here, so the best point is θ*. Median distance from θ*: mean" in none.sentence.text
        )
        assert none.arrays.distance_title == "distance from θ* (sd of the optima)"

    def test_the_verdicts_are_those_of_the_stored_table(self):
        shown = endpoints.result()
        words = {
            "nearer": "O-AMFS",
            "farther": "the mean",
            "the same": "no difference",
            "no difference shown": "no difference",
        }
        for setting in endpoints.SETTINGS:
            stored = shown.summary[setting]["to theta*"]["O-AMFS"]["verdict"]
            assert questions.answer_which_rule_ends_nearer(setting) == words[stored], setting
        assert questions.answer_which_rule_ends_nearer("one outlier of ten", "the best without the outlier") == "O-AMFS"

    def test_without_an_outlier_the_best_without_it_is_theta_star(self):
        shown = endpoints.result()
        for aim in ("θ*", "the best without the outlier"):
            assert np.array_equal(
                endpoints.distances(shown, "five round tasks", aim, 500), shown.rows["five round tasks: to theta*"]
            )


class TestArrows:
    def test_the_shaded_half_is_where_a_direction_lowers_the_mean_loss(self):
        a = ConflictExplorer("conflict").arrays
        mean = a.grads.mean(0)
        corners = np.stack([a.downhill_x, a.downhill_y], 1) @ mean
        assert (corners >= -1e-9).all()
        assert (corners > 1e-3).sum() == 2  # two corners lie on its edge, through the origin
        assert conflict.downhill(torch.zeros(2).double(), 1.0) == ([], [])

    def test_conflict_is_measured_and_said(self):
        explorer = ConflictExplorer(tasks=3, angle=180, spread=0, ratio=2.0)
        assert explorer.arrays.mean_cosine == pytest.approx(-1 / 3)
        assert "(mean cosine −0.33, 67 % of the pairs in conflict)" in explorer.sentence.text

    def test_the_answers(self):
        assert questions.answer_weight_of_the_opponent() == "below zero"

    def test_real_tasks_of_one_script_agree_more(self):
        alike, mixed = conflict.real_conflict(batches=3, tasks=4)
        assert alike.mean_cosine.shape == mixed.negative.shape == (3,)
        assert alike.mean_cosine.mean() > mixed.mean_cosine.mean()
        assert 0 < mixed.negative.mean() < 1


def test_names_are_inside_the_plane_and_a_divergent_trajectory_leaves_it():
    corners = torch.tensor([[0.0, 0.0], [2.9, 2.9], [-2.9, 0.0]])
    assert plane.sides(corners) == ["top center", "bottom left", "top right"]
    path, gone = plane.kept(torch.tensor([[0.0, 0.0], [20.0, 0.0], [-4e9, torch.inf], [torch.nan, 0.0]]))
    assert gone
    assert path.tolist() == [[0.0, 0.0], [20.0, 0.0], [-1e3 * plane.FAR, 1e3 * plane.FAR]]
    path, gone = plane.kept(torch.tensor([[0.0, 0.0], [torch.nan, 0.0]]))
    assert gone
    assert torch.isfinite(path).all()
