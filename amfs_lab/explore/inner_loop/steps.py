"""Many gradient steps and one solve as two filters of the eigenvalues s: 1 - (1 - a s)^k and s / (s + λ)."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from amfs_lab.explore.inner_loop.sinusoid_net import untrained
from amfs_lab.explore.ridge.points import GRID, TRUTHS, sample_points
from amfs_lab.inner.linearised import tangent_kernel
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLACK, BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, VERMILLION
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import curve, dots, notes, reference_line

TRUTH, NOISE, BANDWIDTH = "sine", 0.2, 0.7
KERNELS = ("RBF", "tangent kernel")
MOST, MOST_STEPS = 30, 10_000
HUGE = 1e6  # values that diverge are clipped to this
LEAST = 1e-5  # the smallest eigenvalue that is drawn, relative to the largest
EVERY = torch.cat(
    [
        torch.logspace(math.log10(LEAST), -1, 81, dtype=torch.float64),
        torch.linspace(0.1, 1, 181, dtype=torch.float64)[1:],
    ]
)
LAMBDAS = torch.logspace(-5, 1, 241, dtype=torch.float64)
BEST_FLOW = 0.532  # in the flow limit the best λ is 0.532 / t, gap 0.1020
STRENGTHS = {1e-5: "10⁻⁵", 1e-4: "10⁻⁴", 1e-3: "10⁻³", 1e-2: "0.01", 0.1: "0.1", 1: "1"}  # ticks
START: dict[str, Any] = dict(rate=1.0, steps=20, lam=0.05, kernel="RBF", points=20, sample=1)


class Problem(NamedTuple):
    """Labelled points, and a kernel that is scaled so that the largest eigenvalue of the Gram matrix is 1."""

    x: Tensor  # (n 1)
    y: Tensor  # (n 1)
    residual: Tensor  # (n 1), labels minus the network's values before training
    start: Tensor  # (g), the network's values on the grid before training
    spectrum: Spectrum
    across: Tensor  # (g n), kernel of grid and points, scaled like the Gram matrix


@lru_cache(maxsize=64)
def problem(kernel: str, points: int, sample: int) -> Problem:
    """The `Problem` for a kernel and random points on a line. Equal arguments give an equal problem.

    The argument `points` is the number of points, and `sample` is their seed.
    """
    x, y = sample_points(TRUTH, points, NOISE, sample)
    if kernel == "RBF":
        K, across, at_points, on_grid = rbf_kernel(x, x, BANDWIDTH), rbf_kernel(GRID, x, BANDWIDTH), 0 * x, 0 * GRID
    else:
        net = untrained()
        K, across = tangent_kernel(net, x, x), tangent_kernel(net, GRID, x)
        with torch.no_grad():
            at_points, on_grid = net(x), net(GRID)
    spectrum = Spectrum.of(K)
    largest = spectrum.eigenvalues[0]
    scaled = Spectrum(spectrum.eigenvalues / largest, spectrum.eigenvectors)
    return Problem(x, y, y - at_points, on_grid[:, 0], scaled, across / largest)


def learned(s: Tensor, rate: float, steps: int) -> Tensor:
    """The filter of gradient descent, 1 - (1 - rate s)^steps, clipped to [-HUGE, HUGE] because steps may diverge."""
    return (1 - (1 - rate * s) ** steps).nan_to_num(posinf=HUGE, neginf=-HUGE).clamp(-HUGE, HUGE)


def gap(lam: Tensor | float, rate: float, steps: int, s: Tensor = EVERY) -> Tensor:
    """The largest difference between two filters over the eigenvalues `s`, for each λ.

    One filter belongs to the solve with this λ, and the other belongs to the gradient steps.
    """
    lam = torch.as_tensor(lam, dtype=s.dtype)
    return (s / (s + lam[..., None]) - learned(s, rate, steps)).abs().amax(-1)


@lru_cache(maxsize=64)
def gaps_of(rate: float, steps: int) -> Tensor:
    """`gap` for every λ of `LAMBDAS`."""
    return gap(LAMBDAS, rate, steps)


def mimic(rate: float, steps: int) -> tuple[float, float]:
    """The λ of `LAMBDAS` whose filter is closest to the filter of the steps, and the `gap` between both filters."""
    gaps = gaps_of(rate, steps)
    best = int(gaps.argmin())
    return float(LAMBDAS[best]), float(gaps[best])


class StepsExplorer(Explorer):
    """A comparison of k gradient steps in function space with one ridge solve, separately for each eigen-direction.

    An eigen-direction is an eigenvector of the Gram matrix. The kernel is scaled so that its largest eigenvalue is 1.
    The rate a is in units of 1 / s_max, and λ is in units of s_max. With the tangent kernel, the steps are MAML's
    inner steps on the linearised network. The labels are then the residuals of the untrained network.
    """

    title = "Many steps or one solve: two filters of the same eigenvalues"
    alt = (
        "Three panels. Left: labelled points, the function they come from, and the fits of one solve and of k steps. "
        "Right top: the share learned against the eigenvalue on a logarithmic axis, for both. Right bottom: the "
        "largest difference of the two filters against lambda, with the present lambda and three marked ones."
    )

    rate = Slider("rate a", 0.01, 2.5, start=1.0, step=0.01, unit="1 / s_max", help="the learning rate")
    steps = Slider(
        "steps k",
        1,
        MOST_STEPS,
        scale="zero-log",
        integer=True,
        start=START["steps"],
        help="number of steps, starting at f = 0",
    )
    lam = Slider(
        "λ", 1e-5, 10.0, scale="log", start=START["lam"], unit="s_max", help="the regulariser of the one solve"
    )
    kernel = Choice("kernel", KERNELS, help="RBF, or the tangent kernel of an untrained network")
    points = Slider(
        "points", 1, MOST, integer=True, start=START["points"], help="number of labelled points, n", rare=True
    )
    sample = Slider(
        "sample", 1, 20, integer=True, start=START["sample"], help="other points and other noise (the seed)", rare=True
    )

    presets = {
        "twenty steps": START,
        "one step": START | dict(steps=1, lam=1.0),
        "ten steps": START | dict(steps=10, lam=0.1),
        "flow limit": START | dict(rate=0.01, steps=2000, lam=0.05),
        "too long steps": START | dict(rate=2.1),
        "tangent kernel": START | dict(kernel="tangent kernel", steps=200, lam=0.005),
    }

    panels = Panels(
        "fits filters / fits gaps",
        fits=Panel("the two fits", axis("x", (-3.3, 3.3)), axis("y", (-2.6, 2.6))),
        filters=Panel(
            "the two filters: share learned",
            log_axis("eigenvalue s, in units of s<sub>max</sub>", (-5.1, 0.15), ticks=STRENGTHS),
            axis("share", (-0.25, 1.5), ticks={0: "0", 0.5: "½", 1: "1"}),
        ),
        gaps=Panel(
            "largest gap of the filters, for every λ",
            log_axis("λ", (-5.1, 1.1), ticks=STRENGTHS | {10: "10"}),
            axis("largest gap", (-0.04, 1.08), ticks=[0, 0.2, 0.5, 1]),
        ),
    )
    layout = dict(height=500)
    traces = {
        "truth": curve("grid", "truth", FAINT, 2, "dash", name="truth"),
        "before": curve("grid", "start", BLACK, 1.2, "longdash", name="before", visible="starts"),
        "solve": curve("grid", "solved", name="one solve"),
        "steps": curve("grid", "walked", VERMILLION, dash="dot", name="k steps"),
        "labels": dots("x", "y", "white", rim=(INK, 1.5), name="labels"),
        "filter of the solve": curve("every", "ridge_curve", width=2, at="filters"),
        "filter of the steps": curve("every", "steps_curve", VERMILLION, 2, "dot", at="filters"),
        "shares of the solve": dots(
            "shown",
            "ridge_shares",
            BLUE,
            7,
            at="filters",
            hover="eigen-direction %{customdata}: %{y:.1%} by the solve",
            customdata="index",
        ),
        "shares of the steps": dots(
            "shown",
            "steps_shares",
            VERMILLION,
            8,
            "diamond-open",
            (None, 1.5),
            at="filters",
            hover="eigen-direction %{customdata}: %{y:.1%} by steps",
            customdata="index",
        ),
        "gaps": reference_line("lambdas", "gaps", 1.6, at="gaps"),
        "too large": notes("word_x", "word_y", "word", at="gaps"),
        **{
            array: dots(
                f"{array}_x",
                f"{array}_y",
                color,
                size,
                symbol,
                rim,
                at="gaps",
                name=name,
                hover=f"{place} = %{{x:.3g}}: gap %{{y:.3f}}",
            )
            for array, name, place, color, size, symbol, rim in (
                ("here", "this λ", "λ", BLUE, 13, "circle-open", (None, 2.5)),
                ("plain", "λ = 1/t", "λ = 1/t", PURPLE, 9, "square", None),
                ("flow", "λ = 0.532/t", "λ = 0.532/t", GREEN, 17, "triangle-up-open", (None, 2)),
                ("best", "the best λ", "best: λ", ORANGE, 11, "star", (INK, 1)),
            )
        },
    }

    def compute(self, state: State) -> Arrays:
        rate, steps, lam = state.rate, state.steps, state.lam
        p = problem(state.kernel, state.points, state.sample)
        s, u = p.spectrum.eigenvalues, p.spectrum.eigenvectors
        h, walked = p.spectrum.filter(lam), learned(s, rate, steps)
        along = u.T @ p.residual  # (n 1)
        alive = s > 1e-13
        per_s = torch.where(alive, walked / torch.where(alive, s, 1.0), rate * steps)
        # From eigen-directions to alpha: factor h(s)/s on the residual for the steps, 1/(s + λ) for the solve.
        waves = p.across @ u
        solved = p.start + (waves @ (along / (s[:, None] + lam)))[:, 0]
        stepped = p.start + (waves @ (per_s[:, None] * along))[:, 0]
        time = rate * steps
        best_lam, best = mimic(rate, steps)
        gaps = gaps_of(rate, steps)
        marks = {name: c / time if time else 0.0 for name, c in (("plain", 1.0), ("flow", BEST_FLOW))}
        here = float(gap(lam, rate, steps))
        diverged = rate > 2 and steps > 0
        arrays: dict[str, Any] = {}
        for name, place in marks.items():
            on = LAMBDAS[0] <= place <= LAMBDAS[-1] and not diverged
            arrays |= {f"{name}_x": [place] if on else [], f"{name}_y": [float(gap(place, rate, steps))] if on else []}
        there = not diverged and steps > 0
        lost = float(gaps.min()) > 1.08  # the whole curve lies above the panel
        return Arrays(
            **arrays,
            state=state,
            x=p.x[:, 0],
            y=p.y[:, 0],
            grid=GRID[:, 0],
            truth=TRUTHS[TRUTH](GRID[:, 0]),
            start=p.start,
            starts=state.kernel != "RBF",
            solved=solved,
            walked=stepped.clamp(-1e3, 1e3),
            every=EVERY,
            ridge_curve=EVERY / (EVERY + lam),
            steps_curve=learned(EVERY, rate, steps).clamp(-9, 9),
            shown=s.clamp(min=LEAST),
            index=np.arange(1, len(s) + 1),
            ridge_shares=h,
            steps_shares=walked.clamp(-9, 9),
            lambdas=LAMBDAS,
            gaps=gaps.clamp(max=9),
            word_x=[float(LAMBDAS[0] * LAMBDAS[-1]) ** 0.5],
            word_y=[0.5],
            word=[f"too large to draw: the smallest gap is {_large(float(gaps.min()))}" if lost else ""],
            here_x=[lam],
            here_y=[min(here, 9.0)],
            best_x=[best_lam] if there else [],
            best_y=[best] if there else [],
            here=here,
            best=best,
            best_lam=best_lam,
            time=time,
            diverged=diverged,
            learned=walked,
            fits=float((solved - stepped).abs().max()),
            freedom=float(h.sum()),
        )

    def say(self, a: Arrays) -> str:
        k, rate, n = a.state.steps, a.state.rate, a.state.points
        network, solve = a.state.kernel != "RBF", f"a solve of about n³/3 + 2n² = {n**3 / 3 + 2 * n**2:.0f} operations."
        if network:  # the cost of a MAML step, although the steps here are linearised
            passes = count(k, "forward and backward pass").replace("passs", "passes")
            cost = f"Cost: {passes} for the steps, against one forward pass and {solve}"
        else:
            cost = f"Cost: {count(k, 'product')} with the n × n Gram matrix for the steps, against {solve}"
        if k == 0:
            return "No step, so nothing is learned: the steps' filter is 0 everywhere."
        if a.diverged:
            return (
                f"Steps too long: a = {rate:g} / s_max is larger than 2 / s_max. Each step multiplies the residual in "
                f"the strongest eigen-direction by −{abs(1 - rate):.3g}. After {count(k, 'step')} the residual is "
                f"{_large(1 - float(a.learned[0]))} times as large as the label. {cost}"
            )
        reach = "reaches" if k == 1 else "reach"
        words = (
            f"{count(k, 'step').capitalize()} of a = {rate:g} / s_max {reach} t = a k = {a.time:.4g}. At λ = "
            f"{a.state.lam:.3g} the filters differ by at most {a.here:.3f}, the fits by {a.fits:.2g}. "
        )
        best = "best λ on the slider" if a.best_lam in (LAMBDAS[0], LAMBDAS[-1]) else "best λ"  # the best may be beyond
        words += f"The {best} is {a.best_lam:.2g} = {a.best_lam * a.time:.3f}/t, with a gap of {a.best:.3f}. "
        if rate == 2:
            words += "At a = 2 / s_max the fit in the strongest eigen-direction oscillates for ever. "
        elif rate > 1:
            words += "Beyond a = 1 / s_max, steps overshoot in strong eigen-directions, but converge. "
        return words + cost


def _large(share: float) -> str:
    """The absolute value of a share as text; "more than a million" if the share has diverged."""
    return "more than a million" if abs(share) >= HUGE else f"{abs(share):.3g}"
