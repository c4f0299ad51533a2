"""The explorers of lesson 06 against loops in numpy, against MAML itself, and against the rows of a result."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from amfs_lab.experiments import figure2
from amfs_lab.explore import AdaptationExplorer, Figure2Explorer, StepsExplorer
from amfs_lab.explore.inner_loop import adaptation, questions, sinusoid_net, steps
from amfs_lab.explore.inner_loop import figure2 as shown
from amfs_lab.inner import Linearised, Maml
from amfs_lab.inner.linearised import Tangent, tangent_kernel
from amfs_lab.ridge import solve
from amfs_lab.stats import paired_difference
from amfs_lab.tasks.sinusoids import SinusoidSource


class TestSteps:
    @pytest.mark.parametrize("state", [{}, {"points": 1}, {"rate": 1.9, "steps": 7}, {"kernel": "tangent kernel"}])
    def test_both_fits_agree_with_a_loop_and_a_solve(self, state):
        explorer = StepsExplorer(**state)
        a = explorer.arrays
        p = steps.problem(a.state.kernel, a.state.points, a.state.sample)
        u, s = p.spectrum.eigenvectors.numpy(), p.spectrum.eigenvalues.numpy()
        K, across, y = u @ np.diag(s) @ u.T, p.across.numpy(), p.residual.numpy()
        assert np.linalg.eigvalsh(K)[-1] == pytest.approx(1.0)
        alpha = np.zeros_like(y)
        for _ in range(a.state.steps):
            alpha -= a.state.rate * (K @ alpha - y)
        assert np.allclose(a.walked, a.start + (across @ alpha)[:, 0], atol=1e-8)
        alpha = np.linalg.solve(K + a.state.lam * np.eye(len(K)), y)
        assert np.allclose(a.solved, a.start + (across @ alpha)[:, 0], atol=1e-8)
        assert a.fits == pytest.approx(np.abs(a.solved - a.walked).max())

    def test_the_tangent_kernel_is_that_of_the_untrained_network(self):
        p = steps.problem("tangent kernel", 6, 2)
        net = sinusoid_net.untrained()
        K = tangent_kernel(net, p.x, p.x)
        u, s = p.spectrum.eigenvectors, p.spectrum.eigenvalues
        assert torch.allclose(u @ torch.diag(s) @ u.T, K / torch.linalg.eigvalsh(K)[-1])
        assert torch.allclose(p.residual, p.y - net(p.x))

    @pytest.mark.parametrize(("k", "worst"), [(1, 0.500), (5, 0.257), (10, 0.230)])
    def test_the_gap_at_one_over_t_has_the_documented_value(self, k, worst):
        assert float(steps.gap(1 / k, 1.0, k)) == pytest.approx(worst, abs=1e-3)

    def test_the_flow_limit_has_the_documented_gap_and_best_lambda(self):
        fine = torch.linspace(1e-5, 1, 100_001, dtype=torch.float64)
        assert float(steps.gap(1 / 20, 1e-4, 200_000, fine)) == pytest.approx(0.20364, abs=1e-4)
        assert float(steps.gap(0.535 / 20, 1e-4, 200_000, fine)) == pytest.approx(0.103, abs=1e-3)
        found = {c: float(steps.gap(c / 20, 1e-4, 200_000, fine)) for c in (0.525, 0.529, 0.532, 0.535, 0.539)}
        assert min(found, key=found.get) == steps.BEST_FLOW == 0.532
        assert found[0.532] == pytest.approx(0.1020, abs=2e-4)
        lam, best = steps.mimic(0.01, 2000)
        assert lam * 20 == pytest.approx(0.532, rel=0.04)
        assert best == pytest.approx(0.103, abs=2e-3)

    def test_the_circle_and_the_star_lie_on_the_curve(self):
        a = StepsExplorer(lam=0.01).arrays
        for x, y in ((a.here_x, a.here_y), (a.best_x, a.best_y), (a.plain_x, a.plain_y), (a.flow_x, a.flow_y)):
            assert np.interp(np.log(x[0]), np.log(a.lambdas), a.gaps) == pytest.approx(y[0], abs=5e-3)
        assert a.best_y[0] == a.gaps.min()

    @pytest.mark.parametrize("k", [1, 20, 10_000])
    def test_steps_that_are_too_long_are_clipped_and_explained(self, k):
        explorer = StepsExplorer(rate=2.5, steps=k)
        assert np.abs(explorer.arrays.walked).max() <= 1e3
        assert "Steps too long: a = 2.5 / s_max is larger than 2 / s_max" in explorer.sentence.text
        assert list(explorer.arrays.best_x) == []
        for trace in explorer.figure.data:
            assert np.isfinite(np.asarray(trace.y, dtype=float)).all()
        lost = explorer.arrays.gaps.min() > explorer.figure.layout.yaxis3.range[1]
        assert lost == ("too large to draw" in explorer.trace("too large").text[0])
        assert ("more than a million" in explorer.sentence.text) == (k == 10_000)

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ({"steps": 0}, "No step, so nothing is learned"),
            ({"steps": 0}, "is 0 everywhere."),
            ({"steps": 1}, "1 step of a = 1 / s_max reaches t"),
            ({"steps": 2}, "2 steps of a = 1 / s_max reach t"),
            ({"steps": 1}, "Cost: 1 product with the n × n Gram matrix for the steps, against a solve of"),
            ({"rate": 2.0}, "oscillates for ever"),
            ({"rate": 1.5}, "steps overshoot in strong eigen-directions, but converge"),
            (
                {"kernel": "tangent kernel", "steps": 3},
                "3 forward and backward passes for the steps, against one forward pass and a",
            ),
            ({"points": 9}, "n³/3 + 2n² = 405 operations"),
            ({"points": 1}, "n³/3 + 2n² = 2 operations"),
            ({"steps": 20}, "The best λ is 0.027"),
            ({"rate": 0.01, "steps": 1}, "The best λ on the slider is 10"),  # the best of all λ is about 100
        ],
    )
    def test_the_sentence_is_true_at_the_extremes(self, state, words):
        assert words in StepsExplorer(**state).sentence.text

    def test_the_answers_are_found_by_a_search(self):
        assert questions.answer_lambda_that_mimics_steps() == "half of 1/t"
        assert questions.answer_when_the_rate_is_too_large() == "it oscillates and grows"
        assert questions.answer_when_the_rate_is_too_large(rate=2.0) == "it oscillates and keeps its size"
        assert questions.answer_when_the_rate_is_too_large(rate=1.9) == "it reaches the label"


class TestWaves:
    def test_meta_training_makes_the_first_steps_better(self):
        source, errors = SinusoidSource(sinusoid_net.SHOTS, 50, split="test"), []
        for net in (sinusoid_net.untrained(), sinusoid_net.meta_trained()):
            tasks = [source[index].to("cpu", torch.float64) for index in range(50)]
            adapted = [Maml(sinusoid_net.RATE, 5).adapt(net, task.support)(task.query.x) for task in tasks]
            missed = [(f - task.query.y).square().mean().detach() for f, task in zip(adapted, tasks, strict=True)]
            errors.append(torch.stack(missed))
        raw, meta_trained = errors
        assert paired_difference(raw, meta_trained).low > 1.0
        assert meta_trained.mean() < 0.3

    def test_meta_training_is_deterministic(self):
        first, second = sinusoid_net.meta_trained(3), sinusoid_net.meta_trained.__wrapped__(3)
        assert first is not second
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


class TestAdaptation:
    @pytest.mark.parametrize("state", [{}, {"shots": 1}, {"start_from": "untrained", "rate": 0.02, "task": 2}])
    def test_the_curves_are_the_librarys(self, state):
        a = AdaptationExplorer(**state, steps=4).arrays
        task = SinusoidSource(a.state.shots, 1, split="test")[a.state.task - 1].to("cpu", torch.float64)
        net, rate = adaptation.network(a.state.start_from), a.state.rate
        grid = adaptation.GRID
        maml = Maml(rate, 4).adapt(net, task.support)(grid)
        assert np.allclose(a.maml, maml[:, 0].detach(), atol=1e-10)
        tangent = Linearised(rate, 4).adapt(net, task.support)(grid)
        assert np.allclose(a.tangent, tangent[:, 0], atol=1e-8)
        at = Tangent.at(net, task.support)
        lam = 0.532 / (rate / a.state.shots * 4)
        assert np.allclose(a.solve, at.predictor(solve(at.K, at.residual, lam))(grid)[:, 0], atol=1e-8)
        with torch.no_grad():
            assert np.allclose(a.before, net(grid)[:, 0])
        truth = SinusoidSource(split="test").wave(a.state.task - 1)(grid)[:, 0].numpy()
        assert a.maml_errors[4] == pytest.approx(((a.maml - truth) ** 2).mean())

    def test_a_diverged_fit_stays_finite_and_is_reported(self):
        explorer = AdaptationExplorer(preset="too long steps")
        assert "after 10 steps: MAML more than 99" in explorer.sentence.text
        assert "The steps are too long: on the tangent they diverge" in explorer.sentence.text
        assert explorer.arrays.solve_errors[10] < 1
        explorer = AdaptationExplorer(start_from="untrained", rate=0.5, steps=10, shots=1)
        for trace in explorer.figure.data:
            assert np.isfinite(np.asarray(trace.y, dtype=float)).all()

    def test_before_the_first_step_all_curves_coincide(self):
        explorer = AdaptationExplorer(steps=0)
        a = explorer.arrays
        assert np.allclose(a.maml, a.before)
        assert np.allclose(a.tangent, a.before)
        assert np.allclose(a.solve, a.before)
        assert "No step yet" in explorer.sentence.text

    def test_the_answer_is_measured(self, monkeypatch):
        assert questions.answer_which_learner_is_closer() == "MAML"
        learn = adaptation.learn
        monkeypatch.setattr(questions, "learn", lambda *a: learn(*a)._replace(solve=learn(*a).tangent))
        assert questions.answer_which_learner_is_closer() == "the one solve"

    def test_the_network_is_left_as_it_was(self):
        net = sinusoid_net.meta_trained()
        before = functional_call(net, dict(net.named_parameters()), (adaptation.GRID,)).detach().clone()
        AdaptationExplorer(task=11, rate=0.1)
        assert torch.equal(before, net(adaptation.GRID).detach())


def result(maml, solve, seeds=2, episodes=120):
    """A result with these accuracies over 75 queries: a list for MAML's steps, and one number for the solve."""
    draw = np.random.default_rng(0)

    def right(shares):
        return draw.binomial(75, shares, (seeds, episodes, len(shares))).astype(np.int16)

    times = np.ones((seeds, episodes, 1), np.int32)
    rows = {
        "right maml": right(maml),
        "right i-amfs": right([solve]),
        "microseconds maml": times * 1000 * np.arange(1, len(maml) + 1, dtype=np.int32),
        "microseconds i-amfs": times * 500,
    }
    config = figure2.Figure2Config(episodes=episodes, most=len(maml) - 1)
    return figure2.gathered(
        config, [], [{name: values[seed] for name, values in rows.items()} for seed in range(seeds)]
    )


class TestFigure2:
    def test_the_points_are_means_of_the_rows_with_their_intervals(self):
        made = result([0.2, 0.5, 0.6], 0.7)
        explorer = Figure2Explorer(made, steps=2)
        a = explorer.arrays
        shares = made.rows["right maml"].mean(0) / 75
        assert np.allclose(a.maml, shares.mean(0))
        spread = np.sqrt((shares.var(0, ddof=1) + 0.2**2 / 120) / 120)  # the formula of `stats.accuracy_interval`
        assert np.allclose(a.maml_half, 1.98 * spread, rtol=2e-3)  # Student's t of 119 degrees of freedom
        assert a.maml_time.tolist() == [1.0, 2.0, 3.0]
        assert "I-AMFS is ahead of MAML by" in explorer.sentence.text
        assert "120 episodes, for means over 2 trainings of each" in explorer.sentence.text
        assert "MAML takes 6 times as long as the solve" in explorer.sentence.text

    def test_fewer_episodes_are_the_first_ones(self):
        made = result([0.2, 0.5], 0.5)
        a = Figure2Explorer(made, episodes="the first 10").arrays
        assert a.solve[0] == pytest.approx(made.rows["right i-amfs"][:, :10].mean() / 75)

    def test_steps_beyond_those_measured_are_the_last(self):
        assert Figure2Explorer(result([0.2, 0.5], 0.5), steps=10).arrays.k == 1

    @pytest.mark.parametrize(
        ("maml", "solve", "said"),
        [
            ([0.2] * 4 + [0.9] * 7, 0.8, "within 5"),
            ([0.2] * 7 + [0.9] * 4, 0.8, "6 to 10"),
            ([0.2] * 11, 0.8, "not within 10"),
        ],
    )
    def test_the_answer_is_the_first_step_that_is_not_behind(self, maml, solve, said):
        assert questions.answer_steps_until_maml_catches_up(result(maml, solve)) == said

    def test_the_stored_result_is_the_default(self):
        explorer = Figure2Explorer()
        assert explorer.shown.experiment == "figure2"
        words = shown.settings(explorer.shown)
        assert "MAML trained with 5 inner steps" in words
        assert f"{len(explorer.shown.seeds)} trainings" in words
