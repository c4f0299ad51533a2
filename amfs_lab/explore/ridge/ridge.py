"""One solve on a line: the data, the fit, and the filter that scales the labels along each eigenvector."""

import numpy as np
import torch
from torch import Tensor

from amfs_lab.explore.ridge.points import GRID, MOST, TRUTHS, sample_points
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum, solve
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import BLUE, FAINT, INK, SKY, VERMILLION, Look
from amfs_lab.widgets.text import count
from amfs_lab.widgets.traces import bars, curve, dots, dotted_curve

INSIDE = GRID[:, 0].abs() <= 3  # the range of the data, on which the fit is compared with the truth
LAMBDAS = torch.logspace(-4, 1, 51, dtype=torch.float64)


class RidgeExplorer(Explorer):
    """Kernel ridge regression on noisy points: the fit, and the filter h(s) = s / (s + λ).

    The filter keeps the share h(s) of the labels along each eigenvector of the Gram matrix with eigenvalue s.
    """

    title = "One solve: the fit, and the share of the labels that it keeps"
    alt = (
        "Three panels. Left: noisy points, the function they come from, and the fitted curve. Right top: for each "
        "eigen-direction of the Gram matrix the share that the filter keeps. Right bottom: the labels along them, "
        "before and after."
    )

    bandwidth = Slider(
        "σ", 0.05, 5.0, scale="log", start=0.6, unit="same unit as x", help="the bandwidth: how far similarity reaches"
    )
    lam = Slider("λ", 1e-4, 10.0, scale="log", start=0.1, help="the regulariser: a large λ gives a stiff fit")
    noise = Slider(
        "noise", 0.0, 1.0, start=0.3, step=0.02, unit="unit of y", help="standard deviation of the noise in the labels"
    )
    points = Slider("points", 0, MOST, integer=True, start=20, help="number of labelled points, n", rare=True)
    truth = Choice("truth", list(TRUTHS), help="the function that the labels come from")
    sample = Slider(
        "sample", 1, 20, integer=True, start=6, help="another sample of points from the same truth", rare=True
    )

    presets = {
        "balanced": dict(bandwidth=0.6, lam=0.1, points=20),
        "too free": dict(bandwidth=0.2, lam=1e-4, points=20),
        "too stiff": dict(bandwidth=0.6, lam=10.0, points=20),
        "too wide": dict(bandwidth=4.0, lam=0.1, points=20),
        "no points": dict(bandwidth=0.6, lam=0.1, points=0),
    }

    panels = Panels(
        "fit filter / fit labels",
        widths=(0.58, 0.42),
        fit=Panel("data, truth and fit", axis("x", (-3.3, 3.3)), axis("y", (-2.4, 2.4))),
        filter=Panel(
            "filter: share kept",
            axis("eigen-direction i", rangemode="tozero"),
            axis("h(s<sub>i</sub>)", (-0.03, 1.06), ticks=[0, 0.5, 1]),
        ),
        labels=Panel(
            "the labels along each eigen-direction",
            axis("eigen-direction i, largest s first", rangemode="tozero"),
            axis("|u<sub>i</sub>ᵀy|", rangemode="tozero"),
        ),
    )
    layout = dict(height=460, barmode="overlay", bargap=0.25)
    frame = {"filter.x.range": "index_range", "labels.x.range": "index_range"}
    traces = {
        "truth": curve("grid", "truth", FAINT, 2, "dash", name="truth"),
        "fit": curve("grid", "fit", BLUE, 3, name="fit", hover="x = %{x:.2f}, fit %{y:.2f}"),
        "data": dots("x", "y", "white", rim=(INK, 1.5), name="data", hover="x = %{x:.2f}, y = %{y:.2f}"),
        "filter": dotted_curve(
            "directions",
            "filter",
            Look(BLUE, "solid", "circle"),
            1,
            6,
            at="filter",
            hover="eigen-direction %{x}: %{y:.1%} kept",
        ),
        "labels": bars(
            "directions",
            "labels",
            "white",
            (VERMILLION, 1.2),
            at="labels",
            name="in the labels",
            hover="eigen-direction %{x}: %{y:.2f}",
        ),
        "kept": bars(
            "directions",
            "kept",
            SKY,
            at="labels",
            name="kept by the fit",
            hover="eigen-direction %{x}: %{y:.2f} kept",
        ),
    }

    def compute(self, state: State) -> Arrays:
        x, y = sample_points(state.truth, state.points, state.noise, state.sample)
        K = rbf_kernel(x, x, state.bandwidth)
        alpha = solve(K, y, state.lam)
        spectrum = Spectrum.of(K)
        h = spectrum.filter(state.lam)
        across = rbf_kernel(GRID, x, state.bandwidth)
        fit, truth = (across @ alpha)[:, 0], TRUTHS[state.truth](GRID[:, 0])
        labels = (spectrum.eigenvectors.T @ y)[:, 0].abs()
        # The fit for every λ at once, along the eigenvectors, to find the λ that is closest to the truth.
        along = across[INSIDE] @ (spectrum.eigenvectors * (spectrum.eigenvectors.T @ y).T)
        fits = along @ (1 / (spectrum.eigenvalues.clamp(min=0)[:, None] + LAMBDAS))
        missed = rms(fits - truth[INSIDE, None])
        best = int(missed.argmin())
        return Arrays(
            state=state,
            x=x[:, 0],
            y=y[:, 0],
            grid=GRID[:, 0],
            truth=truth,
            fit=fit,
            directions=np.arange(1, state.points + 1),
            index_range=[0.3, state.points + 0.7],
            filter=h,
            labels=labels,
            kept=h * labels,
            degrees_of_freedom=spectrum.degrees_of_freedom(state.lam),
            error_to_data=rms((K @ alpha - y)[:, 0]),
            error_to_truth=rms((fit - truth)[INSIDE]),
            best_lam=LAMBDAS[best],
            best_error=missed[best],
        )

    def say(self, a: Arrays) -> str:
        if not len(a.x):
            return f"Without points the fit is zero everywhere, with an error of {a.error_to_truth:.2g}."
        words = (
            f"The fit uses {a.degrees_of_freedom:.1f} of {count(len(a.x), 'degree')} of freedom. "
            f"Root mean square error: {a.error_to_data:.2g} to the data, {a.error_to_truth:.2g} to the truth. "
        )
        if a.error_to_truth <= 1.1 * a.best_error:
            return words + "At this σ, no other λ has a much smaller error."
        if a.best_error > 0.75 * a.error_to_truth:
            return words + f"Another λ helps little (smallest error {a.best_error:.2g}): try another σ, or more points."
        way = "follows the labels too freely" if a.best_lam > a.state.lam else "is too stiff"
        return words + f"It {way}: at this σ, λ near {a.best_lam:.1g} has an error of only {a.best_error:.2g}."


def rms(residuals: Tensor) -> Tensor:
    """The root mean square over the first axis; 0 if the first axis is empty."""
    return residuals.square().mean(0).sqrt() if len(residuals) else residuals.new_zeros(residuals.shape[1:])
