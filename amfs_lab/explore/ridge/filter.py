"""Ridge regression and gradient descent as two filters. A filter keeps a share of the labels along each eigenvector."""

from typing import Any

import numpy as np
import torch

from amfs_lab.explore.ridge.points import DEAD, GRID, MOST, TRUTHS
from amfs_lab.explore.ridge.spectra import PLACES, START, TRUTH, kernel_and_spectrum, labelled
from amfs_lab.ridge import Spectrum, solve
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLUE, FAINT, GREEN, INK, ORANGE, SKY, VERMILLION, Look
from amfs_lab.widgets.text import count, percent
from amfs_lab.widgets.traces import bars, curve, dots, dotted_curve

AXIS_MIN = 1e-6  # lower end of the logarithmic axis of eigenvalues
MOST_STEPS = 10_000
EVERY = torch.logspace(-6.3, 3.3, 161, dtype=torch.float64)
CURVE = Spectrum(EVERY.flip(0), torch.eye(len(EVERY), dtype=EVERY.dtype))  # of a matrix with all these eigenvalues
RING: dict[str, Any] = dict(color=GREEN, size=15, symbol="circle-open", rim=(None, 2.5), visible="tuned")


class FilterExplorer(Explorer):
    """Kernel ridge regression as the filter h(s) = s / (s + λ), and gradient descent as the filter 1 - (1 - a s)^k.

    An eigen-direction is an eigenvector u_i of the Gram matrix with eigenvalue s_i. The part of the labels along it is
    u_i (u_iᵀy). The fit keeps the share h(s_i) of this part. At any position x, the kept part has the value
    h(s_i) (u_iᵀy) k_xᵀu_i / s_i, where k_x has the similarities of x to the points. This function of x is called the
    wave of the eigen-direction. The sum of all waves is the fit. Gradient descent takes k steps in function space with
    the learning rate a = 1 / s_max.
    """

    title = "A filter: the share of the labels that the fit keeps along each eigen-direction"
    alt = (
        "Three panels. Left: labelled points, the function they come from, the ridge fit and, if steps are set, the "
        "fit of gradient descent; the part of the fit along a chosen eigen-direction. Right top: the share kept "
        "against the eigenvalue on a logarithmic axis, a curve that rises from 0 to 1 and is one half at s = lambda. "
        "Right bottom: the size of the labels along each eigen-direction, and the part of it that the fit keeps."
    )

    bandwidth = Slider(
        "σ",
        0.05,
        5.0,
        scale="log",
        start=START["bandwidth"],
        unit="same unit as x",
        help="the bandwidth: it sets the eigenvalues",
    )
    lam = Slider(
        "λ",
        1e-5,
        1e3,
        scale="log",
        start=START["lam"],
        unit="unit of s",
        help="the regulariser: the eigenvalue at which half is kept",
    )
    steps = Slider(
        "steps k",
        1,
        MOST_STEPS,
        scale="zero-log",
        integer=True,
        start=0,
        help="steps of gradient descent, from zero; 0 for none",
    )
    eigen_direction = Slider(
        "eigen-direction", 0, MOST, integer=True, start=0, help="draw the labels and the fit along it; 0 for none"
    )
    points = Slider(
        "points", 0, MOST, integer=True, start=START["points"], help="number of labelled points, n", rare=True
    )
    places = Choice("places", PLACES, help="where the points lie", rare=True)
    noise = Slider(
        "noise",
        0.0,
        0.5,
        start=START["noise"],
        step=0.01,
        unit="unit of y",
        help="standard deviation of the noise in the labels",
        rare=True,
    )
    sample = Slider(
        "sample",
        1,
        20,
        integer=True,
        start=START["sample"],
        help="another sample of the noise, and of the places if they are random",
        rare=True,
    )

    presets = {
        "two waves": START,
        "all kept": START | dict(bandwidth=0.2, lam=1e-4),
        "slow wave only": START | dict(lam=1.0),
        "one eigen-direction": START | dict(lam=0.2, eigen_direction=12),
        "gradient descent": START | dict(steps=150),
        "each place twice": START | dict(places="each place twice"),
        "no points": START | dict(points=0),
    }

    panels = Panels(
        "fit filter / fit labels",
        widths=(0.54, 0.46),
        fit=Panel("labels, truth and fit", axis("x", (-3.3, 3.3)), axis("y", (-2.3, 2.3))),
        filter=Panel(
            "the filter: share kept",
            log_axis(
                "eigenvalue s", (-6.3, 3.3), ticks={1e-6: "≤ 10⁻⁶", 1e-4: "10⁻⁴", 1e-2: "10⁻²", 1: "1", 1e2: "100"}
            ),
            axis("share kept", (-0.06, 1.08), ticks={0: "0", 0.5: "½", 1: "1"}),
        ),
        labels=Panel(
            "the labels along each eigen-direction",
            axis("eigen-direction i, largest s first"),
            axis("|u<sub>i</sub>ᵀy|", rangemode="tozero"),
        ),
    )
    layout = dict(height=490, barmode="overlay", bargap=0.25)
    frame = {"labels.x.range": "index_range", "labels.y.range": "size_range"}
    traces = {
        "truth": curve("grid", "truth", FAINT, 2, "dash", name="truth"),
        "ridge": curve("grid", "fit", name="one solve"),
        "descent": curve("grid", "descent", VERMILLION, dash="dot", name="gradient descent", visible="descends"),
        "wave": curve("grid", "wave", GREEN, dash="dashdot", name="part of the fit", visible="tuned"),
        "part": dots("x", "part", GREEN, 6, "x", name="part of the labels", visible="tuned"),
        "labels": dots("x", "y", "white", rim=(INK, 1.5), name="labels"),
        "half": dotted_curve(
            "half_x",
            "half_y",
            Look(FAINT, "dot", "star"),
            1.5,
            [0, 14, 0],
            (INK, [0, 1, 0]),
            inside=ORANGE,
            at="filter",
            hover=None,
            more=dict(mode="lines+markers+text", text=[" ", "s = λ", " "]),
            textposition="half_side",
        ),
        "filter": curve("every", "curve", width=1.5, at="filter"),
        "descent filter": curve(
            "up_to_largest", "descent_curve", VERMILLION, 2, "dot", at="filter", visible="descends"
        ),
        "eigenvalues": dots(
            "eigenvalues",
            "filter",
            BLUE,
            7,
            at="filter",
            hover="eigen-direction %{customdata}: %{y:.1%} kept",
            customdata="index",
        ),
        "in the labels": bars("index", "labels", "white", (VERMILLION, 1.2), at="labels", name="in the labels"),
        "kept by ridge": bars("index", "kept", SKY, at="labels", name="kept by one solve"),
        "kept by descent": dots(
            "index",
            "descent_kept",
            VERMILLION,
            6,
            "diamond-open",
            at="labels",
            name="kept by the steps",
            visible="descends",
        ),
        "ring in the filter": dots("ring_s", "ring_h", **RING, at="filter"),
        "ring in the labels": dots("ring_i", "ring_kept", **RING, at="labels"),
    }

    def compute(self, state: State) -> Arrays:
        n, lam, i = state.points, state.lam, state.eigen_direction - 1
        x, y = labelled(state.places, n, state.noise, state.sample)
        K, across, spectrum = kernel_and_spectrum(state.places, n, state.sample, state.bandwidth)
        s, u = spectrum.eigenvalues, spectrum.eigenvectors
        largest = float(s[0]) if n else 1.0
        h, h_descent = spectrum.filter(lam), spectrum.descent_filter(1 / largest, state.steps)
        along = u.T @ y  # the labels along each eigen-direction (n 1)
        waves = across @ (u * (along / (s[:, None] + lam)).T)  # (g n), one wave per column
        # alpha after k steps, in the eigenbasis: h(s) / s, or rate * k if s is zero to within rounding.
        per_s = torch.where(s > DEAD * largest, h_descent / s, state.steps / largest)
        fit, descent = (across @ solve(K, y, lam))[:, 0], (across @ u @ (per_s[:, None] * along))[:, 0]
        sizes = along[:, 0].abs()
        tuned = 0 <= i < n
        shown = s.clamp(min=AXIS_MIN)
        return Arrays(
            state=state,
            x=x[:, 0],
            y=y[:, 0],
            grid=GRID[:, 0],
            truth=TRUTHS[TRUTH](GRID[:, 0]),
            fit=fit,
            descends=state.steps > 0,
            descent=descent,
            tuned=tuned,
            wave=waves[:, i] if tuned else torch.zeros(len(GRID)),
            part=u[:, i] * along[i] if tuned else torch.zeros(n),
            every=EVERY,
            curve=CURVE.filter(lam).flip(0),
            up_to_largest=EVERY.clamp(max=largest),
            descent_curve=1 - (1 - EVERY.clamp(max=largest) / largest) ** state.steps,
            eigenvalues=shown,
            filter=h,
            descent_filter=h_descent,
            half_x=[EVERY[0].item(), lam, lam],
            half_y=[0.5, 0.5, -0.06],
            half_side="middle right" if lam < 1 else "middle left",
            index=np.arange(1, n + 1),
            index_range=[0.3, max(n, 4) + 0.7],
            size_range=[0.0, 1.1 * max(1.0, float(sizes.max()) if n else 0.0)],
            labels=sizes,
            kept=h * sizes,
            descent_kept=h_descent * sizes,
            ring_s=[float(shown[i]) if tuned else 1.0],
            ring_h=[float(h[i]) if tuned else 0.0],
            ring_i=[i + 1],
            ring_kept=[float(h[i] * sizes[i]) if tuned else 0.0],
            silent=n - len(x.unique()),
            strong=int((h > 0.5).sum()),
            degrees_of_freedom=h.sum(),
            descent_degrees=h_descent.sum(),
            gap=(fit - descent).abs().max(),
        )

    def say(self, a: Arrays) -> str:
        n, steps, i = a.state.points, a.state.steps, a.state.eigen_direction
        if n == 0:
            return (
                "Without points there are no eigen-directions: the fit is zero everywhere, with no degrees of freedom."
            )
        words = (
            f"The fit uses {a.degrees_of_freedom:.3g} of {count(n, 'degree')} of freedom. {a.strong} of "
            f"{count(n, 'eigenvalue')} {'is' if a.strong == 1 else 'are'} above λ = {a.state.lam:.4g}: there the fit "
            "keeps more than half."
        )
        if a.silent:
            words += (
                f" Points at equal places give {count(a.silent, 'eigenvalue')} s = 0: nothing is kept there at any λ."
            )
        if i > n:
            words += f" There is no eigen-direction {i}: {count(n, 'point')}, {count(n, 'eigen-direction')}."
        elif i:
            words += f" Along eigen-direction {i} it keeps {percent(a.filter[i - 1])}."
        if steps:
            words += (
                f" Gradient descent uses {a.descent_degrees:.3g} after {count(steps, 'step')}. "
                f"The two fits differ by at most {a.gap:.2g}."
            )
        return words
