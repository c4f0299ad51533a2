"""Where outer loops end: the closed forms against the loops themselves, written out on autograd."""

import pytest
import torch

from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.planes import (
    PULLS,
    Quadratics,
    descend,
    end,
    from_segment,
    geometric_median,
    geometric_medians,
    pulls,
    stable_below,
)

EYE = torch.eye(2, dtype=torch.float64)


@pytest.fixture
def tasks(randn):
    """Four tasks with curvatures between 0.2 and about 4."""
    A = randn(4, 2, 2) / 2
    return Quadratics(randn(4, 2), A @ A.mT + 0.2 * EYE)


def loss(theta, H, o):
    return (theta - o) @ H @ (theta - o) / 2


def inner_steps(theta, H, o, lr, steps, through):
    """k gradient steps by autograd, looked through or not."""
    for _ in range(steps):
        (grad,) = torch.autograd.grad(loss(theta, H, o), theta, create_graph=True)
        theta = theta - lr * (grad if through else grad.detach())
    return theta


def meta_gradient(method, theta, H, o, lr, steps, lam):
    """What the outer loop is told of one task, from the algorithm's words and not from its closed form."""
    start = theta.clone().requires_grad_()
    if method == "joint":
        adapted = start
    elif method == "proximal":
        adapted = torch.linalg.solve(H + lam * EYE, H @ o + lam * start)
    else:
        adapted = inner_steps(start, H, o, lr, steps, through=method == "MAML")
    if method == "Reptile":
        return (start - adapted).detach()
    return torch.autograd.grad(loss(adapted, H, o), start)[0]


@pytest.mark.parametrize("method", PULLS)
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_the_pull_is_the_meta_gradient_of_the_algorithm(method, steps, tasks, randn):
    theta = randn(2)
    W = pulls(method, tasks.hessians, inner_lr=0.15, inner_steps=steps, lam=0.7)
    for t, (H, o) in enumerate(zip(tasks.hessians, tasks.optima, strict=True)):
        expected = meta_gradient(method, theta, H, o, 0.15, steps, 0.7)
        assert torch.allclose(W[t] @ (theta - o), expected, atol=1e-12)


@pytest.mark.parametrize("method", PULLS)
def test_the_walk_ends_where_the_pulls_balance(method, tasks, randn):
    W = pulls(method, tasks.hessians, inner_lr=0.1, inner_steps=3, lam=0.5)
    rate = 0.5 * float(stable_below(W))
    path = descend(W, tasks.optima, randn(2), rate, 3000)
    assert path.shape == (3001, 2)
    goal = end(W, tasks.optima)
    assert torch.allclose(path[-1], goal, atol=1e-9)
    assert torch.allclose((W @ (goal - tasks.optima)[..., None]).sum(0), torch.zeros(2, 1).double(), atol=1e-12)


def test_one_step_of_the_walk_is_the_mean_meta_gradient(tasks, randn):
    start = randn(2)
    path = descend(tasks.hessians, tasks.optima, start, 0.3, 1)
    assert torch.allclose(path[0], start)
    assert torch.allclose(path[1], start - 0.3 * tasks.gradients(start).mean(0))


def test_gradients_are_those_of_the_losses(tasks, randn):
    theta = randn(2).requires_grad_()
    for t in range(4):
        (grad,) = torch.autograd.grad(tasks.losses(theta)[t], theta)
        assert torch.allclose(grad, tasks.gradients(theta)[t])
    places = randn(5, 3, 2)
    assert tasks.losses(places).shape == (5, 3, 4)
    assert torch.allclose(tasks.losses(places)[2, 1], tasks.losses(places[2, 1]))


def test_theta_star_minimises_the_mean_loss(tasks, randn):
    best = tasks.best()
    lowest = tasks.losses(best).mean()
    assert (tasks.losses(best + 0.1 * randn(50, 2)).mean(-1) > lowest).all()


def test_many_draws_end_as_each_of_them_does(randn):
    A, optima = randn(7, 3, 2, 2), randn(7, 3, 2)
    draws = Quadratics(optima, A @ A.mT + EYE)
    for n in range(7):
        assert torch.allclose(draws.best()[n], Quadratics(optima[n], draws.hessians[n]).best())


@pytest.mark.parametrize("method", PULLS)
def test_without_curvature_differences_every_method_ends_in_the_middle(method, randn):
    optima = randn(5, 2)
    W = pulls(method, 0.8 * EYE.expand(5, 2, 2), inner_lr=0.3, inner_steps=2, lam=1.0)
    assert torch.allclose(end(W, optima), optima.mean(0))


def test_maml_pulls_less_at_a_curved_task_and_nothing_where_a_h_is_one():
    H = torch.stack([0.5 * EYE, 4.0 * EYE])
    W = pulls("MAML", H, inner_lr=0.25, inner_steps=1)
    assert torch.equal(W[1], torch.zeros_like(EYE))  # a h = 1: one step lands on the optimum from anywhere
    assert torch.allclose(end(W, torch.tensor([[1.0, 0.0], [-1.0, 2.0]]).double()), torch.tensor([1.0, 0.0]).double())


@pytest.mark.parametrize(("steps", "flat", "diverges"), [(1, 1.0, True), (1, 9.0, False), (2, 1.0, False)])
def test_fo_maml_diverges_exactly_where_the_sum_of_pulls_has_a_negative_eigenvalue(steps, flat, diverges):
    # One task with a h = 1.5 beside one that is flat: W = 1.5 (-0.5)^k against flat (1 - flat a)^k, at a = 0.1 and 0.5.
    a = 0.05
    H = torch.stack([30.0 * EYE, flat * EYE])
    W = pulls("FO-MAML", H, inner_lr=a, inner_steps=steps)
    assert (torch.linalg.eigvalsh(W.sum(0)).min() < 0) == (30 * (1 - 1.5) ** steps + flat * (1 - flat * a) ** steps < 0)
    assert (stable_below(W) == 0) == diverges or flat == 9.0
    optima = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double()
    rate = 1e-2 if stable_below(W) == 0 else 0.9 * float(stable_below(W))
    path = descend(W, optima, torch.tensor([0.3, 0.4]).double(), rate, 4000)
    away = torch.linalg.vector_norm(path[-1] - end(W, optima))
    assert bool(away > 1e3) == bool(stable_below(W) == 0)
    assert float(stable_below(pulls("MAML", H, inner_lr=a, inner_steps=steps))) > 0  # MAML has a rate that works


def test_the_outer_rate_has_its_limit_exactly_there(tasks, randn):
    W, start = tasks.hessians, randn(2)
    limit = float(stable_below(W))
    below, above = (descend(W, tasks.optima, start, share * limit, 4000)[-1] - tasks.best() for share in (0.99, 1.01))
    assert below.norm() < 1e-6
    assert above.norm() > 1e6


def test_a_direction_that_nobody_pulls_along_is_refused():
    W = torch.diag(torch.tensor([1.0, 0.0])).double().expand(3, 2, 2)
    with pytest.raises(NumericalError, match="The sum of the pulls must be invertible"):
        end(W, torch.zeros(3, 2).double())
    assert stable_below(torch.zeros(3, 2, 2).double()) == 0


def test_opposite_pulls_that_cancel_carry_the_walk_on_for_ever():
    W = torch.stack([EYE, torch.diag(torch.tensor([1.0, -1.0]).double())])
    optima = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).double()
    path = descend(W, optima, torch.zeros(2).double(), float(stable_below(W)) / 2, 100)
    assert torch.allclose(path[1:].diff(dim=0), path[1] - path[0])


def test_the_geometric_median_has_the_smallest_sum_of_distances(randn):
    for n in (3, 4, 9):
        points = randn(n, 2) * torch.tensor([3.0, 1.0])
        m = geometric_median(points)
        total = torch.cdist(m[None], points).sum()
        assert (torch.cdist(m + 1e-3 * randn(200, 2), points).sum(1) >= total - 1e-9).all()


def test_the_geometric_median_of_known_shapes():
    square = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]).double()
    assert torch.allclose(geometric_median(square), torch.ones(2).double())
    kite = torch.tensor([[0.0, 0.0], [1.0, 0.1], [0.0, 2.0], [-1.0, 0.1]]).double()  # one point inside the others'
    crossing = torch.tensor(
        [0.0, 0.1]
    ).double()  # triangle: the diagonals of four points in convex position cross there
    assert torch.allclose(geometric_median(kite), crossing, atol=1e-6)
    held = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-0.6, 0.2], [-0.3, -0.5]]).double()  # the median is a point itself
    rest = held[1:] / held[1:].norm(dim=1, keepdim=True)
    assert rest.sum(0).norm() < 1
    assert torch.allclose(geometric_median(held), held[0], atol=1e-9)
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0]]).double()
    assert torch.allclose(geometric_median(line), line[1], atol=1e-6)
    alike = torch.ones(3, 2).double()
    assert torch.equal(geometric_median(alike), alike[0])


def test_between_the_middle_two_of_an_even_number_on_a_line_every_place_is_a_median(randn):
    along = torch.tensor([-1.0, 0.5, 2.0, 7.0]).double()
    direction, at = torch.tensor([3.0, -4.0]).double() / 5, randn(2)
    points = at + along[torch.tensor([2, 0, 3, 1])][:, None] * direction
    ends = geometric_medians(points)
    expected = at + along[1:3, None] * direction
    assert torch.allclose(ends, expected, atol=1e-9) or torch.allclose(ends.flip(0), expected, atol=1e-9)
    total = [torch.cdist((ends[0] + share * (ends[1] - ends[0]))[None], points).sum() for share in (0, 0.3, 1)]
    assert torch.allclose(torch.stack(total), total[0])
    for lone in (points[:3], randn(4, 2)):  # odd; on no line
        assert torch.equal(geometric_medians(lone), geometric_median(lone).expand(2, 2))
    both = geometric_medians(torch.stack([points, randn(4, 2)]))
    assert torch.equal(both[0], ends)


def test_the_distance_from_a_segment():
    ends = torch.tensor([[0.0, 0.0], [2.0, 0.0]]).double()
    theta = torch.tensor([[1.0, 3.0], [-3.0, 4.0], [2.5, 0.0], [1.7, 0.0]]).double()
    assert from_segment(theta, ends).tolist() == pytest.approx([3.0, 5.0, 0.5, 0.0])
    assert from_segment(theta, ends[:1].expand(2, 2)).tolist() == pytest.approx(theta.norm(dim=1).tolist())


def test_an_outlier_moves_the_mean_and_hardly_the_median(randn):
    points = randn(9, 2)
    far = torch.cat([points, torch.tensor([[100.0, 0.0]]).double()])
    assert (far.mean(0) - points.mean(0)).norm() > 9
    assert (geometric_median(far) - geometric_median(points)).norm() < 0.5


def test_many_medians_at_once(randn):
    points = randn(6, 5, 2)
    assert torch.allclose(geometric_median(points)[3], geometric_median(points[3]))


def test_bad_tasks_and_settings_are_refused():
    with pytest.raises(ConfigError, match="must be finite"):
        Quadratics(torch.tensor([[0.0, float("nan")]]).double(), EYE[None])
    with pytest.raises(ConfigError, match="must be symmetric"):
        Quadratics(torch.zeros(1, 2).double(), torch.tensor([[[1.0, 2.0], [0.0, 1.0]]]).double())
    with pytest.raises(ConfigError, match=r"must be one of joint, FO-MAML, MAML, Reptile, proximal. Got 'maml'"):
        pulls("maml", EYE[None])
    for bad in (dict(inner_lr=-0.1), dict(inner_steps=-1), dict(lam=0.0)):
        with pytest.raises(ConfigError, match="An inner loop needs"):
            pulls("MAML", EYE[None], **bad)


def test_one_bowl_has_the_mean_of_the_losses(tasks, randn):
    places = randn(4, 5, 2)
    assert torch.allclose(tasks.mean_loss(places), tasks.losses(places).mean(-1))
