"""The explorers of lesson 07 against loops in numpy, and the rings that can be dragged on the figure."""

import numpy as np
import pytest
import torch
from traitlets import TraitError

from amfs_lab import planes
from amfs_lab.errors import ConfigError
from amfs_lab.explore import OuterLoopExplorer, PullExplorer
from amfs_lab.explore.outer_loop import outer_loop, plane, pull, questions


class TestOuterLoop:
    @pytest.mark.parametrize(
        "state", [{}, {"stretch": 6.0, "inner_steps": 3, "inner_lr": 0.05}, {"curvature": 0.3, "rate": 0.4}]
    )
    def test_every_trajectory_agrees_with_a_loop(self, state):
        explorer = OuterLoopExplorer(**state)
        a = explorer.arrays
        tasks = outer_loop.tasks_of(a.state)
        for n, method in enumerate(outer_loop.LOOKS):
            W = planes.pulls(method, tasks.hessians, a.state.inner_lr, a.state.inner_steps, a.state.lam).numpy()
            summed = W.sum(0)
            beta = a.state.rate * 2 / np.abs(np.linalg.eigvalsh(summed)).max()
            theta = np.array([a.state.x_0, a.state.y_0])
            for k in range(30):
                assert np.allclose([a[f"x_{n}"][k], a[f"y_{n}"][k]], theta, atol=1e-4), method
                theta = theta - beta * sum(w @ (theta - o) for w, o in zip(W, tasks.optima.numpy(), strict=True))
            end = np.linalg.solve(summed, sum(w @ o for w, o in zip(W, tasks.optima.numpy(), strict=True)))
            assert np.allclose([a[f"mark_x_{n}"][0], a[f"mark_y_{n}"][0]], end)

    def test_hessians_have_the_curvatures_of_the_controls(self):
        found = np.linalg.eigvalsh(plane.hessians(5.0, 4.0, 3).numpy())
        assert np.allclose(found, [[0.5, 2.0], [0.5, 2.0], [2.5, 10.0]])

    def test_at_a_h_one_the_task_has_no_pull_in_maml(self):
        a = OuterLoopExplorer("no pull in MAML").arrays
        assert a.shares_of_task_3["MAML"] == pytest.approx(0, abs=1e-12)
        assert a.shares_of_task_3["joint"] > 0.7
        n = list(outer_loop.LOOKS).index("MAML")
        assert a[f"mark_x_{n}"][0] == pytest.approx((a.state.x_1 + a.state.x_2) / 2)

    def test_a_diverging_method_is_named_and_its_curve_clipped(self):
        explorer = OuterLoopExplorer("diverges")
        assert "FO-MAML ∞" in explorer.sentence.text
        assert "The sum of the pulls of FO-MAML has a negative eigenvalue" in explorer.sentence.text
        assert "FO-MAML −81 %" in explorer.sentence.text
        n = list(outer_loop.LOOKS).index("FO-MAML")
        assert np.abs(explorer.arrays[f"x_{n}"][:-1]).max() <= plane.FAR
        assert "negative eigenvalue" not in OuterLoopExplorer("even k").sentence.text

    def test_beyond_the_limit_every_outer_loop_diverges(self):
        a = OuterLoopExplorer(rate=1.1).arrays
        assert all(a.away[name] > 3 or a.gone[name] for name in outer_loop.LOOKS)
        assert all(distance < 1e-5 for distance in OuterLoopExplorer(rate=0.9).arrays.away.values())

    def test_without_a_pull_there_is_no_end(self):
        explorer = OuterLoopExplorer("no inner loop")
        said = "The pulls of Reptile are zero in some direction, so there is no single end point."
        assert said in explorer.sentence.text
        assert list(explorer.arrays[f"mark_x_{list(outer_loop.LOOKS).index('Reptile')}"]) == []

    @pytest.mark.parametrize("start", [dict(inner_steps=0), dict(inner_lr=0.0), dict(inner_steps=0, inner_lr=0.0)])
    def test_without_an_inner_loop_the_sentence_agrees_with_itself(self, start):
        """The sentence then mentions no step a·h, and no method without an end point is said to be there."""
        said = OuterLoopExplorer(**start).sentence.text
        none = "There are no inner steps" if "inner_steps" in start else "The inner steps have length 0"
        assert said.startswith(f"{none}. Task 3’s share of the pull: joint 67 %, FO-MAML 67 %, MAML 67 %")
        assert "a·h" not in said
        assert "all other methods are at their own end points. The pulls of Reptile are zero in some" in said
        assert "After 200 steps all methods are at their own end points." in OuterLoopExplorer().sentence.text

    def test_the_answers_to_the_questions(self):
        assert questions.answer_which_method_ignores_the_curved_task() == "MAML"
        assert questions.answer_which_method_ignores_the_curved_task(inner_steps=0, lam=0.5) == "proximal"
        assert questions.answer_what_fo_maml_does() == "it diverges"
        assert questions.answer_what_fo_maml_does(inner_steps=2) == "it converges"


def rings(explorer):
    return explorer.live_figure.state.rings


class TestRings:
    """The messages between `Rings` in `plotly_widget.js` and the kernel."""

    def test_a_dragged_ring_moves_its_numbers_and_the_figure(self):
        explorer = OuterLoopExplorer()
        places = [list(place) for place in rings(explorer)["places"]]
        assert rings(explorer)["names"] == ["start", "task 1", "task 2", "task 3"]
        places[3] = [-1.0, 2.0]
        before = explorer.arrays.mark_y_0
        explorer.live_figure.state.set_state({"places": {"places": places, "n": 1}})
        assert (explorer.x_3, explorer.y_3) == (-1.0, 2.0)
        assert explorer.controls["x_3"].parts[0].widget.value == -1.0
        assert explorer.arrays.mark_y_0 != before

    def test_a_typed_number_moves_its_ring(self):
        explorer = OuterLoopExplorer()
        explorer.controls["y_1"].parts[0].widget.value = 0.25
        assert rings(explorer)["places"][1] == [outer_loop.START["x_1"], 0.25]
        explorer.reset()
        assert rings(explorer)["places"][1] == [outer_loop.START["x_1"], outer_loop.START["y_1"]]

    def test_a_ring_dragged_off_the_plane_stays_at_its_edge(self):
        explorer = OuterLoopExplorer()
        places = [list(place) for place in rings(explorer)["places"]]
        places[0] = [-99.0, 99.0]
        explorer.live_figure.state.set_state({"places": {"places": places, "n": 1}})
        assert (explorer.x_0, explorer.y_0) == (-3.0, 3.0)
        assert rings(explorer)["places"][0] == [-3.0, 3.0]
        assert rings(explorer)["answers"] == 1, "the page waits for the answer to its last drag"

    @pytest.mark.parametrize(
        "sent", [[[0, 0]], "text", [[0, 0], [1, 1], [2, 2], [float("nan"), 0]], [[0], [1], [2], [3]]]
    )
    def test_an_invalid_place_is_an_error_in_the_banner(self, sent):
        explorer = OuterLoopExplorer()
        with pytest.raises((ConfigError, TraitError)):
            explorer.live_figure.state.set_state({"places": {"places": sent, "n": 1}})
        assert explorer.error is not None
        explorer.reset()
        assert explorer.error is None


def test_a_play_slider_plays_by_its_widget():
    explorer = OuterLoopExplorer()
    slider, box, play = (part.widget for part in explorer.controls["shown"].parts)
    play.set_state({"value": 40})
    assert (explorer.shown, slider.value, box.value) == (40, 40, 40)
    assert len(explorer.arrays.x_0) == 2 or explorer.arrays["step_0"][-1] == 40


class TestPull:
    def test_curves_and_markers_are_the_pulls(self):
        a = PullExplorer(curvature=3.0, inner_lr=0.1, inner_steps=2, lam=0.5).arrays
        x, h = 0.3, 3.0
        expected = [h, h * (1 - x) ** 2, h * (1 - x) ** 4, 1 - (1 - x) ** 2, 0.25 * h / (h + 0.5) ** 2]
        assert a.here_y == pytest.approx(expected)
        for n in range(5):
            assert np.interp(h, a.curvatures, a[f"pull_{n}"]) == pytest.approx(expected[n])
        assert np.allclose(a.loss_1, expected[2] * a.theta**2 / 2)

    def test_the_curve_agrees_with_a_task_in_two_dimensions(self):
        h = torch.tensor([0.7, 4.0], dtype=torch.float64)
        for method in planes.PULLS:
            W = planes.pulls(method, torch.diag(h)[None], 0.15, 3, 0.8)
            assert torch.allclose(W[0].diagonal(), pull.pull(method, h, 0.15, 3, 0.8))

    def test_the_answer_and_the_sentence(self):
        assert questions.answer_curvature_that_maml_ignores() == "h = 1/a"
        assert "so it has no pull in MAML" in PullExplorer("no pull at 1/a").sentence.text
        assert "no pull in MAML" not in PullExplorer().sentence.text

    @pytest.mark.parametrize("start", [dict(inner_steps=0), dict(inner_lr=0.0)])
    def test_without_an_inner_loop_the_sentence_has_no_step(self, start):
        said = PullExplorer(**start).sentence.text
        none = "There are no inner steps" if "inner_steps" in start else "The inner steps have length 0"
        assert f"{none}: MAML and FO-MAML equal joint training, and Reptile has no pull." in said
        assert "An inner step" not in said

    def test_a_task_almost_solved_by_many_steps_is_not_called_solved(self):
        explorer = PullExplorer(inner_steps=10)
        said = explorer.sentence.text
        assert "leaves 1 − a·h = 0.2 of the distance, so 10 steps leave 0.000000102: the task is almost solved" in said
        assert "its pull in MAML is almost zero" in said
        assert explorer.arrays.here["MAML"] > 0

    def test_numbers_stay_short_and_one_step_is_one(self):
        assert PullExplorer().sentence.text.endswith("An inner step leaves 1 − a·h = 0.2 of the distance.")
        assert PullExplorer("five steps").sentence.text.endswith("so 5 steps leave 0.00032.")
        far = PullExplorer(curvature=25.0, inner_lr=0.5, inner_steps=10).sentence.text
        assert "MAML 4.09e22" in far  # 25 · 11.5²⁰
        assert max(map(len, far.split())) < 12
