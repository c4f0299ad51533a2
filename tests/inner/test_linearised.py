"""MAML in its tangent kernel, against a network that is linearised explicitly and trained step by step."""

import pytest
import torch
from torch.func import functional_call, jvp

from amfs_lab import ridge
from amfs_lab.backbones import MLP, Conv4
from amfs_lab.inner import Linearised, Maml
from amfs_lab.inner.linearised import Tangent, descent, flow, jacobian, tangent_kernel
from amfs_lab.kernels import rbf_kernel
from amfs_lab.learner import WithHead
from amfs_lab.ridge import Spectrum
from amfs_lab.tasks.sinusoids import SinusoidSource


def perturbed(net):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for p in net.parameters():
            p.data += 0.1 * torch.randn_like(p)
    return net


def regressor(width=16):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return perturbed(WithHead(MLP(1, (width,), width), 1).double())


def classifier(norm="transductive"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return perturbed(WithHead(Conv4(4, norm), 3).double())


def wave(shots=6):
    return SinusoidSource(shots, 7)[2].to("cpu", torch.float64)


def linear_network(net, x):
    """f(x; theta) + J(x) delta, a function of delta, without any Jacobian in memory."""
    params = {name: p.detach() for name, p in net.named_parameters()}

    def at(delta):
        value, change = jvp(lambda p: functional_call(net, p, (x,)), (params,), (delta,))
        return value + change

    return at, params


def trained(net, support, x, lr, steps):
    """The linearised network, `steps` gradient steps on the squared loss of the support set, one after the other."""
    at_support, params = linear_network(net, support.x)
    delta = {name: torch.zeros_like(p) for name, p in params.items()}
    for _ in range(steps):
        delta = {name: d.requires_grad_() for name, d in delta.items()}
        loss = (at_support(delta) - support.targets).square().sum() / 2 / len(support.x)
        grads = torch.autograd.grad(loss, list(delta.values()))
        delta = {name: (d - lr * g).detach() for (name, d), g in zip(delta.items(), grads, strict=True)}
    return linear_network(net, x)[0](delta)


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_k_steps_on_the_linearised_network_are_one_filter(steps):
    net, task = regressor(), wave()
    s_max = float(torch.linalg.eigvalsh(tangent_kernel(net, task.support.x, task.support.x))[-1])
    lr = 0.9 * len(task.support.x) / s_max
    expected = trained(net, task.support, task.query.x, lr, steps)
    assert torch.allclose(Linearised(lr, steps).adapt(net, task.support)(task.query.x), expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("norm", ["transductive", "group"])
def test_so_it_is_for_images_classes_and_a_normalisation_over_the_pass(episode, norm):
    net = classifier(norm)
    expected = trained(net, episode.support, episode.query.x, 0.05, 7)
    assert torch.allclose(Linearised(0.05, 7).adapt(net, episode.support)(episode.query.x), expected, atol=1e-8)


def test_the_jacobian_is_the_finite_difference():
    net, x = regressor(4), torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    J, h = jacobian(net, x), 1e-6
    column = 0
    for p in net.parameters():
        flat = p.data.view(-1)
        for i in range(p.numel()):
            flat[i] += h
            above = net(x)
            flat[i] -= 2 * h
            below = net(x)
            flat[i] += h
            assert torch.allclose(J[:, column], (above - below)[:, 0].detach() / (2 * h), atol=1e-7)
            column += 1
    assert J.shape == (5, column)


def test_the_kernel_is_symmetric_positive_and_its_blocks_are_the_outputs(episode):
    net, x = classifier(), episode.support.x
    K = tangent_kernel(net, x, x)
    assert K.shape == (9, 9)
    assert torch.allclose(K, K.T)
    assert torch.linalg.eigvalsh(K)[0] > -1e-10 * K.trace()
    J = jacobian(net, x)
    assert torch.allclose(tangent_kernel(net, x, x + 0.0), J @ J.T)


def test_for_a_network_that_is_linear_already_it_is_maml_itself():
    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(1, 1).double()

        def forward(self, x, reference=None):
            return self.head(x)

    net, task = Line(), wave()
    ours = Linearised(0.05, 6).adapt(net, task.support)(task.query.x)
    assert torch.allclose(ours, Maml(0.05, 6).adapt(net, task.support)(task.query.x))


def test_it_is_the_limit_of_maml_for_small_moves_and_not_maml_for_large_ones():
    net, task = regressor(), wave()

    def apart(lr):
        start = net(task.query.x)
        ours = Linearised(lr, 3).adapt(net, task.support)(task.query.x)
        theirs = Maml(lr, 3).adapt(net, task.support)(task.query.x)
        return float((ours - theirs).norm() / (theirs - start).norm())

    assert apart(1e-6) < 1e-4
    assert apart(1e-6) < apart(1e-3) < apart(1e-1)
    assert apart(1e-1) > 0.01


def gram(n=8):
    x = torch.linspace(-1, 1, n, dtype=torch.float64)[:, None]
    return rbf_kernel(x, x, 0.3), torch.sin(5 * x)


def test_descent_and_flow_are_loops_of_steps():
    K, y = gram()
    rate = 1.5 / float(torch.linalg.eigvalsh(K)[-1])
    alpha = torch.zeros_like(y)
    for _ in range(30):
        alpha = alpha - rate * (K @ alpha - y)
    assert torch.allclose(descent(K, y, rate, 30), alpha)
    alpha = torch.zeros_like(y)
    for _ in range(20_000):
        alpha = alpha - 1e-4 * (K @ alpha - y)
    assert torch.allclose(flow(K, y, 2.0), alpha, atol=1e-3)
    exact = y - torch.linalg.matrix_exp(-2.0 * K) @ y
    assert torch.allclose(K @ flow(K, y, 2.0), exact)


def test_a_repeated_point_has_directions_of_strength_zero_and_does_no_harm():
    x = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    K, y = rbf_kernel(x, x, 0.5), torch.tensor([[1.0], [-1.0], [2.0]], dtype=torch.float64)
    alpha = torch.zeros_like(y)
    for _ in range(9):
        alpha = alpha - 0.4 * (K @ alpha - y)
    assert torch.allclose(descent(K, y, 0.4, 9), alpha)
    assert torch.allclose(flow(K, y, 1e3)[:2].sum(), torch.linalg.pinv(K)[0, :] @ y * 2, atol=1e-6)


def test_the_flow_filter_is_the_limit_of_ever_shorter_steps():
    spectrum = Spectrum.of(gram()[0])
    gaps = [float((spectrum.descent_filter(3.0 / k, k) - spectrum.flow_filter(3.0)).abs().max()) for k in (10, 100)]
    assert gaps[1] < gaps[0] / 5
    assert torch.allclose(spectrum.flow_filter(3.0), 1 - torch.exp(-3.0 * spectrum.eigenvalues))


def test_any_solver_can_move_the_tangent():
    net, task = regressor(), wave()
    tangent = Tangent.at(net, task.support)
    adapted = tangent.predictor(ridge.solve(tangent.K, tangent.residual, 1e-3))
    across = tangent_kernel(net, task.query.x, task.support.x)
    expected = net(task.query.x) + across @ ridge.solve(tangent.K, tangent.residual, 1e-3)
    assert torch.allclose(adapted(task.query.x), expected)


def test_nothing_is_changed_and_no_gradient_mode_leaks():
    net, task = regressor(), wave()
    before = [p.clone() for p in net.parameters()]
    with torch.no_grad():
        Linearised(0.01, 3).adapt(net, task.support)(task.query.x)
        assert not torch.is_grad_enabled()
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
