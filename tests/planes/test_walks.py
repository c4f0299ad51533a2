"""The walks of the four rules against the aggregators of `amfs_lab.outer`, and what the theorem says of their ends."""

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.outer import Mean, MeanCosine, PairwiseCosine, PCGrad
from amfs_lab.outer.aggregation import NORMALIZATIONS
from amfs_lab.planes import RULES, Quadratics, Walk, geometric_median

EYE = torch.eye(2, dtype=torch.float64)
OPTIONS = [(Z, negative) for Z in NORMALIZATIONS for negative in ("keep", "clip")]


def isotropic(optima):
    return Quadratics(optima, EYE.expand(*optima.shape[:-1], 2, 2))


def aggregators(normalization, negative, seed=0):
    named = dict(normalization=normalization, negative=negative)
    rules = {rule.label: rule for rule in (Mean(), PairwiseCosine(**named), MeanCosine(**named), PCGrad(seed))}
    assert rules.keys() == RULES.keys()
    return rules


def literally(rule, tasks, start, rate, decay, steps, equal_steps=False):
    """The same walk with the library's aggregator, one step after the other."""
    theta, path = start, [start]
    for k in range(steps):
        d = rule(tasks.gradients(theta))
        if equal_steps and d.any():
            d = d / d.norm()
        theta = theta - rate * decay**k * d
        path.append(theta)
    return torch.stack(path)


@pytest.mark.parametrize("t", [1, 2, 3, 6])
@pytest.mark.parametrize(("normalization", "negative"), OPTIONS)
def test_each_walk_is_that_of_its_aggregator(t, normalization, negative, randn):
    A = randn(t, 2, 2)
    tasks, start = Quadratics(randn(t, 2), A @ A.mT + 0.3 * EYE), randn(2)
    walk = Walk(0.05, 30, 0.97, normalization, negative, seed=4)
    paths = walk.along(tasks, start)
    for name, rule in aggregators(normalization, negative, seed=4).items():
        assert torch.allclose(paths[name], literally(rule, tasks, start, 0.05, 0.97, 30), atol=1e-9), name


def test_equal_steps_are_equally_long_and_differ_in_direction_alone(randn):
    tasks, start = isotropic(3 * randn(5, 2)), randn(2)
    paths = Walk(0.1, 40, 0.9, equal_steps=True).along(tasks, start)
    lengths = 0.1 * 0.9 ** torch.arange(40).double()
    for name, rule in aggregators("unit", "keep").items():
        assert torch.allclose(paths[name].diff(dim=0).norm(dim=1), lengths), name
        assert torch.allclose(paths[name], literally(rule, tasks, start, 0.1, 0.9, 40, equal_steps=True), atol=1e-9)


def test_many_starts_and_many_draws_walk_as_each_of_them(randn):
    A, optima, starts = randn(6, 3, 2, 2), randn(6, 3, 2), randn(6, 2)
    draws = Quadratics(optima, A @ A.mT + EYE)
    walk = Walk(0.1, 25)
    together = walk.along(draws, starts)
    of_one_draw = walk.along(Quadratics(optima[0], draws.hessians[0]), starts)
    for n in range(6):
        alone = walk.along(Quadratics(optima[n], draws.hessians[n]), starts[n])
        first = walk.along(Quadratics(optima[0], draws.hessians[0]), starts[n])
        for name in RULES:
            assert torch.allclose(together[name][:, n], alone[name]), name
            assert torch.allclose(of_one_draw[name][:, n], first[name]), name


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_between_two_equal_tasks_o_amfs_stands_still_whatever_the_rounding(randn, normalization):
    walk = Walk(0.1, 3, normalization=normalization, equal_steps=True)
    for optima in randn(40, 2, 2):
        path = walk.along(isotropic(optima), optima[0] + 0.3 * (optima[1] - optima[0]))["O-AMFS"]
        assert torch.equal(path, path[:1].expand_as(path))


TRIANGLE = torch.tensor([[0.0, 0.0], [2.0, 0.2], [0.7, 1.9]]).double()  # its median lies inside, 0.8 and more from all


def test_o_amfs_ends_in_the_geometric_median_and_the_mean_in_theta_star(randn):
    """Equal isotropic tasks: S, the sum of unit vectors away from the optima, is 0 at the geometric median only."""
    tasks, median = isotropic(TRIANGLE), geometric_median(TRIANGLE)
    for normalization in ("agreement", "none"):
        paths = Walk(0.1, 2000, normalization=normalization).along(tasks, 3 * randn(2))
        assert (paths["O-AMFS"][-1] - median).norm() < 1e-9
        assert torch.allclose(paths["mean"][-1], tasks.best(), atol=1e-9)
    assert (median - tasks.best()).norm() > 0.02


@pytest.mark.parametrize(("normalization", "least"), [("unit", 0.02), ("length", 0.002)])
def test_a_step_that_stays_long_where_s_is_0_makes_a_fixed_rate_chatter(randn, normalization, least):
    tasks, median, start = isotropic(TRIANGLE), geometric_median(TRIANGLE), randn(2)
    walks = {rate: Walk(rate, 2000, normalization=normalization) for rate in (0.2, 0.1, 0.05)}
    radius = {
        rate: (walk.along(tasks, start)["O-AMFS"][-100:] - median).norm(dim=1).mean() for rate, walk in walks.items()
    }
    assert radius[0.2] > least
    assert abs(radius[0.2] / radius[0.1] - 2) < 0.3  # the radius follows the rate
    assert abs(radius[0.1] / radius[0.05] - 2) < 0.3
    decayed = Walk(0.2, 2000, 0.995, normalization).along(tasks, start)["O-AMFS"][-1]
    assert (decayed - median).norm() < 1e-3


def test_noise_is_the_same_for_every_rule_and_drawn_from_the_seed(randn):
    tasks, start = isotropic(torch.zeros(3, 2).double()), torch.tensor([4.0, 0.0]).double()
    noisy = Walk(0.1, 300, noise=0.5, seed=1).along(tasks, start)
    assert torch.equal(noisy["mean"], Walk(0.1, 300, noise=0.5, seed=1).along(tasks, start)["mean"])
    assert not torch.equal(noisy["mean"], Walk(0.1, 300, noise=0.5, seed=2).along(tasks, start)["mean"])
    # The mean of three draws of sd 0.5 in each coordinate moves theta by 0.1 of it at each step.
    shaken = noisy["mean"][1:] - (1 - 0.1) * noisy["mean"][:-1]
    assert abs(shaken.std() / (0.1 * 0.5 / 3**0.5) - 1) < 0.1
    one = Walk(0.1, 1, noise=0.5, seed=1, equal_steps=True).along(tasks, start)
    assert torch.allclose(one["mean"], one["cosine to mean"], atol=0.02)


def test_each_task_can_have_noise_of_its_own(randn):
    tasks, start = isotropic(torch.zeros(2, 2).double()), torch.tensor([[4.0, 0.0], [0.0, 3.0]]).double()
    alike, each = (Walk(0.1, 200, noise=noise, seed=1).along(tasks, start) for noise in (0.5, (0.5, 0.5)))
    for name in RULES:
        assert torch.equal(alike[name], each[name]), name
    calm = Walk(0.1, 2000, noise=(0.0, 0.8), seed=1).along(tasks, start[0])["mean"]
    shaken = calm[1:] - (1 - 0.1) * calm[:-1]
    assert abs(shaken.std() / (0.1 * 0.8 / 2) - 1) < 0.1  # the mean of one that is shaken and one that is not
    with pytest.raises(ConfigError, match=r"`noise` must be one number, or one for each of 2 tasks. Got 3."):
        Walk(noise=(1.0, 1.0, 1.0)).along(tasks, start)


def test_a_walk_that_diverges_is_not_finite_and_does_not_stop_the_others(randn):
    tasks = Quadratics(randn(2, 2), 100 * EYE.expand(2, 2, 2))
    paths = Walk(rate=1.0, steps=400).along(tasks, randn(2))
    for name in RULES:
        assert len(paths[name]) == 401
        assert not torch.isfinite(paths[name][-1]).all() or paths[name][-1].norm() > 1e100, name


def test_zero_gradients_do_not_move_and_opposed_ones_do_not_either():
    at_home = isotropic(torch.ones(3, 2).double())
    for name, path in Walk(0.5, 5).along(at_home, torch.ones(2).double()).items():
        assert torch.equal(path[-1], torch.ones(2).double()), name
    opposed = isotropic(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double())
    path = Walk(0.5, 50).along(opposed, torch.tensor([0.4, 0.0]).double())
    assert torch.equal(path["O-AMFS"][-1], path["O-AMFS"][0])  # the whole segment between them is stationary
    equally_long = Walk(0.5, 5, equal_steps=True).along(opposed, torch.tensor([0.4, 0.0]).double())
    assert torch.equal(equally_long["O-AMFS"][-1], equally_long["O-AMFS"][0])  # nor is a step of 0 made longer
    assert torch.allclose(path["mean"][-1], torch.zeros(2).double(), atol=1e-9)


def test_bad_walks_are_refused():
    with pytest.raises(ConfigError, match=r"`normalization` must be one of length, unit, agreement, none. Got 'l2'"):
        Walk(normalization="l2")
    with pytest.raises(ConfigError, match=r"`negative` must be one of keep, clip. Got 'drop'"):
        Walk(negative="drop")
    for bad in (
        dict(rate=-1.0),
        dict(decay=0.0),
        dict(decay=1.5),
        dict(noise=-1.0),
        dict(noise=(1.0, -1.0)),
        dict(steps=-1),
    ):
        with pytest.raises(ConfigError, match="A trajectory needs rate >= 0"):
            Walk(**bad)
