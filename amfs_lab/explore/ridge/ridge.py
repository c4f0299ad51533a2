"""One solve on a line: data, fit, and the filter that decides how much of each direction survives."""

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from amfs_lab.explore.ridge.points import GRID, MOST, TRUTHS, sample_points
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum, solve
from amfs_lab.widgets.controls import Choice, IntSlider, LogSlider, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State, Trace
from amfs_lab.widgets.style import BLUE, FAINT, INK, SKY, VERMILLION, bars, line, marks
from amfs_lab.widgets.text import count

INSIDE = GRID[:, 0].abs() <= 3  # where data can lie, and where the fit is held against the truth
LAMBDAS = torch.logspace(-4, 1, 51, dtype=torch.float64)


class RidgeExplorer(Explorer):
    """Kernel ridge regression on noisy points: the fit, the filter h(s) = s / (s + λ), what it keeps of the labels."""

    title = "One solve: what the ridge λ lets through"
    alt = (
        "Three panels. Left: noisy points, the function they come from, and the fitted curve. Right top: for each "
        "direction of the Gram matrix the share that the filter keeps. Right bottom: the labels in those directions, "
        "before and after."
    )

    bandwidth = LogSlider(
        "σ", 0.05, 5.0, start=0.6, unit="same unit as x", help="the bandwidth: how far similarity reaches"
    )
    lam = LogSlider("λ", 1e-4, 10.0, start=0.1, help="the ridge: directions with s below λ are let go")
    noise = Slider(
        "noise", 0.0, 1.0, start=0.3, step=0.02, unit="unit of y", help="standard deviation of the labels' error"
    )
    points = IntSlider("points", 0, MOST, start=20, help="how many labelled points, n", rare=True)
    truth = Choice("truth", list(TRUTHS), help="the function that the labels come from")
    sample = IntSlider("sample", 1, 20, start=6, help="other points from the same truth", rare=True)

    presets = {
        "balanced": dict(bandwidth=0.6, lam=0.1, points=20),
        "too free": dict(bandwidth=0.2, lam=1e-4, points=20),
        "too stiff": dict(bandwidth=0.6, lam=10.0, points=20),
        "too wide": dict(bandwidth=4.0, lam=0.1, points=20),
        "no points": dict(bandwidth=0.6, lam=0.1, points=0),
    }

    panels = dict(
        rows=2,
        cols=2,
        specs=[[{"rowspan": 2}, {}], [None, {}]],
        column_widths=[0.58, 0.42],
        horizontal_spacing=0.1,
        vertical_spacing=0.24,
        subplot_titles=("data, truth and fit", "filter: share kept", "the labels along each direction"),
    )
    layout = dict(
        height=460,
        xaxis=dict(title="x", range=[-3.3, 3.3]),
        yaxis=dict(title="y", range=[-2.4, 2.4]),
        xaxis2=dict(title="direction i", rangemode="tozero"),
        yaxis2=dict(title="h(s<sub>i</sub>)", range=[-0.03, 1.06], tickvals=[0, 0.5, 1]),
        xaxis3=dict(title="direction i, strongest first", rangemode="tozero"),
        yaxis3=dict(title="|u<sub>i</sub>ᵀy|", rangemode="tozero"),
        barmode="overlay",
        bargap=0.25,
    )
    frame = {"xaxis2_range": "index_range", "xaxis3_range": "index_range"}
    traces = (
        Trace(go.Scatter, line(FAINT, 2, "dash", name="truth", hoverinfo="skip"), x="grid", y="truth"),
        Trace(go.Scatter, line(BLUE, 3, name="fit", hover="x = %{x:.2f}, fit %{y:.2f}"), x="grid", y="fit"),
        Trace(
            go.Scatter,
            marks("white", 8, rim=(INK, 1.5), name="data", hover="x = %{x:.2f}, y = %{y:.2f}"),
            x="x",
            y="y",
        ),
        Trace(
            go.Scatter,
            line(BLUE, 1)
            | marks(BLUE, 6, hover="direction %{x} keeps %{y:.1%}", mode="lines+markers", showlegend=False),
            at=(1, 2),
            x="directions",
            y="filter",
        ),
        Trace(
            go.Bar,
            bars("white", (VERMILLION, 1.2), "direction %{x}: %{y:.2f}", name="in the labels"),
            at=(2, 2),
            x="directions",
            y="labels",
        ),
        Trace(
            go.Bar,
            bars(SKY, hover="direction %{x}: %{y:.2f} kept", name="kept by the fit"),
            at=(2, 2),
            x="directions",
            y="kept",
        ),
    )

    def compute(self, state: State) -> Arrays:
        x, y = sample_points(state.truth, state.points, state.noise, state.sample)
        K = rbf_kernel(x, x, state.bandwidth)
        alpha = solve(K, y, state.lam)
        spectrum = Spectrum.of(K)
        h = spectrum.filter(state.lam)
        across = rbf_kernel(GRID, x, state.bandwidth)
        fit, truth = (across @ alpha)[:, 0], TRUTHS[state.truth](GRID[:, 0])
        labels = (spectrum.eigenvectors.T @ y)[:, 0].abs()
        # Every λ at once, along the eigenvectors: which one would have come closest to the truth?
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
            misses_data=rms((K @ alpha - y)[:, 0]),
            misses_truth=rms((fit - truth)[INSIDE]),
            best_lam=LAMBDAS[best],
            best_misses=missed[best],
        )

    def say(self, a: Arrays) -> str:
        if not len(a.x):
            return f"Without points the fit is zero everywhere, and misses the truth by {a.misses_truth:.2g}."
        words = (
            f"The fit spends {a.degrees_of_freedom:.1f} of {count(len(a.x), 'degree')} of freedom, "
            f"misses the data by {a.misses_data:.2g} and the truth by {a.misses_truth:.2g} (root mean square). "
        )
        if a.misses_truth <= 1.1 * a.best_misses:
            return words + "No other λ would come much closer to the truth at this σ."
        if a.best_misses > 0.75 * a.misses_truth:
            return words + f"Another λ would help little ({a.best_misses:.2g} at best): try another σ, or more points."
        way = "follows the labels too freely" if a.best_lam > a.state.lam else "holds back too much"
        return words + f"It {way}: at this σ, λ near {a.best_lam:.1g} would miss the truth by only {a.best_misses:.2g}."


def rms(residuals: Tensor) -> Tensor:
    """Root mean square over the first axis; 0 of nothing."""
    return residuals.square().mean(0).sqrt() if len(residuals) else residuals.new_zeros(residuals.shape[1:])
