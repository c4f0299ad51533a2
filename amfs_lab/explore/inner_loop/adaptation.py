"""One task learned in three ways: MAML's steps, the same steps on the linearised network, and one solve."""

from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from amfs_lab import ridge
from amfs_lab.episode import Examples
from amfs_lab.explore.inner_loop.sinusoid_net import RATE, SHOTS, meta_trained, untrained
from amfs_lab.explore.inner_loop.steps import BEST_FLOW
from amfs_lab.explore.looks import METHODS
from amfs_lab.inner import Maml
from amfs_lab.inner.linearised import descent, tangent_kernel
from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLACK, FAINT, GREEN, INK, ORANGE, Look
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import curve, dots, dotted_curve

MOST = 10  # inner steps, as in the paper's Figure 2
GRID = torch.linspace(-5.0, 5.0, 101, dtype=torch.float64)[:, None]
STARTS = ("meta-trained", "untrained")
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
MAML, SOLVE = METHODS["MAML"], METHODS["I-AMFS"]
FAR = 99.0  # the largest error that is drawn
START: dict[str, Any] = dict(start="meta-trained", steps=5, rate=RATE, task=8, shots=SHOTS)


class Learned(NamedTuple):
    """A task, with the predictions of the three methods on the grid after 0..MOST steps, (MOST + 1, g)."""

    x: Tensor
    y: Tensor
    truth: Tensor
    maml: Tensor
    tangent: Tensor
    solve: Tensor


def network(start: str) -> nn.Module:
    """The network at the start of the inner loop: meta-trained or untrained."""
    return meta_trained() if start == "meta-trained" else untrained()


@lru_cache(maxsize=32)
def kernel(start: str, task: int, shots: int) -> tuple[Tensor, ...]:
    """The tensors that do not depend on the rate and on the number of steps.

    Returns:
        points, labels, the true values on the grid, the network f_0 on the grid, the residual y - f_0 at the points,
        and the tangent kernels K_ss and K_gs (grid by points).
    """
    source, net = SinusoidSource(shots, 1, split="test"), network(start)
    support = source[task - 1].to("cpu", torch.float64).support
    with torch.no_grad():
        before, residual = net(GRID)[:, 0], support.y - net(support.x)
    K, across = tangent_kernel(net, support.x, support.x), tangent_kernel(net, GRID, support.x)
    return support.x, support.y, source.wave(task - 1)(GRID)[:, 0], before, residual, K, across


@lru_cache(maxsize=64)
def learn(start: str, task: int, shots: int, rate: float) -> Learned:
    """The task learned by all three methods. `rate` is the inner learning rate for the mean loss.

    The solve that is compared with k steps uses λ = 0.532/t. Here t = a k is the time of descent with a = rate / shots.
    """
    x, y, truth, before, residual, K, across = kernel(start, task, shots)
    with torch.no_grad():
        path = islice(Maml(rate).walk(network(start), Examples(x, y, 1)), MOST + 1)
        stacked = torch.stack([adapted(GRID)[:, 0] for adapted in path])
    a = rate / shots  # the loss of `Maml` is a mean over the labels
    alphas = [descent(K, residual, a, k) for k in range(MOST + 1)]
    solves = [0 * residual, *(ridge.solve(K, residual, BEST_FLOW / (a * k)) for k in range(1, MOST + 1))]
    tangent, solve = (before + (across @ torch.cat(each, 1)).T for each in (alphas, solves))
    return Learned(x, y, truth, stacked, tangent, solve)


def errors(values: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over the grid, for each number of steps."""
    return (values - truth).square().mean(1).nan_to_num(posinf=FAR, nan=FAR).clamp(max=FAR)


class AdaptationExplorer(Explorer):
    """A sinusoid with labelled points, learned by MAML's inner loop, by its linearisation, and by one solve."""

    title = "One task: MAML’s steps, the same steps on the tangent, and one solve"
    alt = (
        "Two panels. Left: a wave, its labelled points, the network before it learns, after k steps of MAML, after k "
        "steps of the network linearised, and after one solve in the tangent kernel. Right: the mean squared error of "
        "the three against the number of steps, 0 to 10."
    )

    steps = Slider(
        "steps k", 0, MOST, integer=True, start=START["steps"], help="number of inner steps; the solve replaces them"
    )
    rate = Slider(
        "inner rate", 0.005, 0.5, scale="log", start=RATE, help="learning rate for the mean loss; 0.05 in meta-training"
    )
    shots = Slider("shots", 1, 20, integer=True, start=SHOTS, help="number of labelled points, n")
    task = Slider("task", 1, 40, integer=True, start=START["task"], help="the wave; not used in meta-training")
    start_from = Choice("network", STARTS, help="the network before the steps")

    presets = {
        "five steps": dict(start_from="meta-trained", steps=5, rate=RATE, shots=SHOTS, task=8),
        "untrained": dict(start_from="untrained", steps=10, rate=RATE, shots=SHOTS, task=8),
        "three points": dict(start_from="meta-trained", steps=5, rate=RATE, shots=3, task=8),
        "small steps": dict(start_from="meta-trained", steps=5, rate=0.005, shots=SHOTS, task=8),
        "too long steps": dict(start_from="meta-trained", steps=10, rate=0.5, shots=SHOTS, task=8),
    }
    panels = Panels(
        widths=(0.58, 0.42),
        wave=Panel("the wave and the three fits", axis("x", (-5.1, 5.1)), axis("y", (-6.5, 6.5))),
        errors=Panel(
            "error against steps",
            axis("inner steps k", (-0.4, MOST + 0.4), dtick=1),
            log_axis("mean squared error", ticks={tick: f"{tick:g}" for tick in TICKS}),
        ),
    )
    layout = dict(height=430)
    frame = {"errors.y.range": "error_range"}
    traces = {
        "truth": curve("grid", "truth", FAINT, 2, "dash", name="the wave"),
        "before": curve("grid", "before", BLACK, 1.2, "longdash", name="before"),
        "maml": curve("grid", "maml", MAML.color, 3.5, MAML.dash, name="MAML"),
        "tangent": curve("grid", "tangent", GREEN, 2, "dashdot", name="tangent, k steps"),
        "solve": curve("grid", "solve", SOLVE.color, dash="dot", name="tangent, one solve"),
        "labels": dots("x", "y", "white", rim=(INK, 1.5), name="labels"),
        **{
            f"errors of {name}": dotted_curve(
                "counts", f"{name}_errors", look, 1.5, 7, at="errors", hover="%{x} steps: %{y:.3g}"
            )
            for name, look in (
                ("maml", MAML),
                ("tangent", Look(GREEN, "dashdot", "diamond-open")),
                ("solve", Look(SOLVE.color, "dot", "circle-open")),
            )
        },
        "now": curve("now_x", "now_y", ORANGE, 1.5, "longdash", at="errors"),
    }

    def compute(self, state: State) -> Arrays:
        found = learn(state.start_from, state.task, state.shots, state.rate)
        k = state.steps
        costs = {name: errors(getattr(found, name), found.truth) for name in ("maml", "tangent", "solve")}
        every = torch.cat(list(costs.values())).clamp(min=1e-4).log10()
        return Arrays(
            state=state,
            grid=GRID[:, 0],
            truth=found.truth,
            before=found.maml[0],
            **{name: getattr(found, name)[k].nan_to_num(FAR, FAR, -FAR).clamp(-FAR, FAR) for name in costs},
            x=found.x[:, 0],
            y=found.y[:, 0],
            counts=list(range(MOST + 1)),
            **{f"{name}_errors": values for name, values in costs.items()},
            error_range=[float(every.min()) - 0.15, float(every.max()) + 0.15],
            now_x=[k, k],
            now_y=[1e-6, 1e3],
            apart=float((found.maml[k] - found.tangent[k]).square().mean().sqrt().nan_to_num(FAR, FAR)),
            replaced=float((found.solve[k] - found.tangent[k]).square().mean().sqrt().nan_to_num(FAR, FAR)),
        )

    def say(self, a: Arrays) -> str:
        k = a.state.steps
        if k == 0:
            return f"No step yet: the error of the network is {a.maml_errors[0]:.3g} (mean squared error)."
        words = (
            f"Mean squared error after {count(k, 'step')}: MAML {_error(a.maml_errors[k])}, the steps on the tangent "
            f"{_error(a.tangent_errors[k])}, and one solve in the tangent kernel {_error(a.solve_errors[k])} "
            f"({a.maml_errors[0]:.3g} before). "
        )
        if min(a.apart, a.replaced) >= FAR or a.tangent_errors[k] >= FAR:
            return words + "The steps are too long: on the tangent they diverge, but the solve does not."
        return words + (
            f"Distance from the steps on the tangent: solve {a.replaced:.2g}, MAML {a.apart:.2g} (root mean square)."
        )


def _error(error: float) -> str:
    """An error as text; "more than ..." if the figure clips the error."""
    return f"more than {FAR:g}" if error >= FAR else f"{error:.3g}"
