"""The effects of three regularisers on one task: λ and μ change the fit, and γ changes the best σ."""

import math

import numpy as np
import torch
from torch import Tensor

from amfs_lab import ridge
from amfs_lab.explore.regularisers.landscape import DATA, LAMBDAS, MOST, SIGMAS, TRUTHS, grams, task
from amfs_lab.explore.regularisers.teachers import POWERS, SIGMA_AXIS
from amfs_lab.kernels import rbf_kernel
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis, log_axis
from amfs_lab.widgets.style import BLUE, FAINT, GREEN, INK, PURPLE, SKY, VERMILLION
from amfs_lab.widgets.traces import area, curve, dots

GRID = torch.linspace(-3.3, 3.3, 166, dtype=torch.float64)[:, None]
WEAKEST = 1e-6  # the smallest eigenvalue that is drawn; smaller eigenvalues are drawn at this value
DRAWN = ridge.Spectrum.of(torch.logspace(math.log10(WEAKEST), math.log10(MOST), 81, dtype=torch.float64).diag())


def meta_terms(data: str, points: int, noise: float, sample: int, lam: float, mu: float = 0.0) -> tuple[Tensor, Tensor]:
    """The query loss and the information term I/n of a task, for every σ of `SIGMAS`.

    The meta-objective of the task is query loss + γ I/n.
    """
    t, (K, K_qs) = task(data, points, noise, sample), grams(data, points, noise, sample)
    alpha = ridge.solve(K, t.y.expand(len(K), -1, -1), lam, mu)
    query_loss = (K_qs @ alpha - t.query_y).square().mean((1, 2)) / 2
    return query_loss, ridge.information(K, lam, mu) / max(points, 1)


class RegulariserExplorer(Explorer):
    """One task with the regularisers λ, μ and γ, in four panels.

    - The data and the fit.
    - The filter and the effective ridge, against the eigenvalue.
    - The information I and the degrees of freedom d, against λ.
    - The meta-objective, against σ.
    """

    title = "Three regularisers: the effects of λ, μ and γ"
    alt = (
        "Four panels. Left top: noisy points, the function they come from, the fit with its error band, and the fit "
        "without mu. Right top: the filter and the effective ridge against the eigenvalue. Left bottom: information "
        "and degrees of freedom against lambda, with a tangent. Right bottom: query loss and meta-objective against "
        "sigma, with their lowest points."
    )

    bandwidth = Slider("σ", 0.05, 5.0, scale="log", start=0.6, unit="same unit as x", help="the bandwidth")
    lam = Slider("λ", 1e-4, 10.0, scale="log", start=1.0, help="weight of the norm of f")
    mu = Slider("μ", 0.01, 1e4, scale="zero-log", start=0.0, help="weight of the gradient norm; 0 at the left end")
    gamma = Slider("γ", 0.001, 10.0, scale="zero-log", start=0.0, help="weight of the information; 0 at the left end")
    noise = Slider(
        "noise",
        0.0,
        1.0,
        start=0.3,
        step=0.02,
        unit="unit of y",
        help="sd of the label noise",
        rare=True,
    )
    points = Slider("points", 0, MOST, integer=True, start=20, help="number of labelled points, n", rare=True)
    sample = Slider("sample", 1, 20, integer=True, start=6, help="other points of the same kind (the seed)", rare=True)
    data = Choice("data", list(DATA), help="the function behind the labels, or a fault in the data", rare=True)

    presets = {
        "plain ridge": dict(bandwidth=0.6, lam=1.0, mu=0.0, gamma=0.0, points=20, sample=6, data="sine"),
        "strong μ": dict(bandwidth=0.6, lam=1.0, mu=100.0, gamma=0.0, points=20, sample=6, data="sine"),
        "μ → ∞": dict(bandwidth=0.25, lam=10.0, mu=1e4, gamma=0.0, points=10, sample=13, data="sine"),
        "information": dict(bandwidth=0.6, lam=0.1, mu=0.0, gamma=0.3, points=20, sample=6, data="sine"),
        "too much γ": dict(bandwidth=0.6, lam=0.1, mu=0.0, gamma=10.0, points=20, sample=6, data="sine"),
        "every point twice": dict(bandwidth=0.6, lam=0.1, mu=100.0, gamma=0.0, sample=6, data="every point twice"),
        "no points": dict(bandwidth=0.6, lam=1.0, mu=0.0, gamma=0.0, points=0, sample=6, data="sine"),
    }

    panels = Panels(
        "fit filter / information objective",
        fit=Panel("data and fit", axis("x", (-3.3, 3.3)), axis("y", (-2.6, 2.6))),
        filter=Panel(
            "filter and effective ridge",
            log_axis("eigenvalue s", (-6.15, 1.65), ticks={1e-6: "≤ 10⁻⁶", 1e-4: "10⁻⁴", 0.01: "0.01", 1: "1"}),
            axis("share", (-0.03, 1.06), ticks=[0, 0.5, 1]),
        ),
        information=Panel(
            "information I, degrees of freedom d",
            log_axis("λ", (-4.1, 1.1), ticks=POWERS),
            axis("I in nats; d"),
        ),
        objective=Panel("the task’s meta-objective", SIGMA_AXIS, axis("loss")),
    )
    layout = dict(height=560)
    frame = {"information.y.range": "nats_range", "objective.y.range": "loss_range"}
    traces = {
        "band": area("band_x", "band_y", "rgba(62,155,214,0.25)", name="±2 sd"),
        **{
            name: curve(x, y, color, 2 if dash else 3, dash, at=at, name=name, hover=f"{name}: %{{y:.3g}}")
            for at, name, x, y, color, dash in (
                ("fit", "truth", "grid", "truth", FAINT, "dash"),
                ("fit", "μ = 0", "grid", "plain", VERMILLION, "dot"),
                ("fit", "fit", "grid", "fit", BLUE, None),
                ("filter", "h at μ = 0", "strengths", "plain_filter", VERMILLION, "dot"),
                ("filter", "filter h", "strengths", "filter", BLUE, None),
                ("filter", "effective ridge ÷ λ", "strengths", "effective", GREEN, "dash"),
                ("information", "I", "lambdas", "information", PURPLE, None),
                ("information", "d", "lambdas", "freedom", GREEN, "dash"),
                ("information", "slope −d/2", "tangent_x", "tangent_y", INK, "dot"),
                ("objective", "γ·I/n", "sigmas", "penalty", PURPLE, "dot"),
                ("objective", "sum", "sigmas", "objective", BLUE, None),
                ("objective", "query loss", "sigmas", "query_loss", INK, "dash"),
            )
        },
        **{
            name: dots(
                x, y, color, size, symbol, rim, at=at, name=name, listed=False, hover=f"{name}: %{{x:.3g}}, %{{y:.3g}}"
            )
            for at, name, x, y, color, size, symbol, rim in (
                ("fit", "data", "x", "y", "white", 7, None, (INK, 1.5)),
                ("filter", "eigenvalue of K", "eigenvalues", "kept", "white", 7, None, (BLUE, 1.5)),
                ("information", "here", "here_x", "here_y", [PURPLE, GREEN], 10, ["diamond", "circle"], ("white", 1)),
                (
                    "objective",
                    "lowest",
                    "lowest_x",
                    "lowest_y",
                    [BLUE, INK],
                    [16, 9],
                    ["diamond", "star"],
                    ("white", 1),
                ),
            )
        },
        "now": curve("now_x", "now_y", SKY, 1.5, at="objective"),
    }

    def compute(self, state: State) -> Arrays:
        lam, mu = state.lam, state.mu
        key = (state.data, state.points, state.noise, state.sample)
        t = task(*key)
        K, K_qs = t.at(state.bandwidth)
        across = rbf_kernel(GRID, t.x, state.bandwidth)
        alpha, plain = ridge.solve(K, t.y, lam, mu), ridge.solve(K, t.y, lam)
        fit = (across @ alpha)[:, 0]
        sd = ridge.variance(torch.ones(len(GRID), dtype=K.dtype), across, K, lam, mu).sqrt()
        own = ridge.Spectrum.of(K)
        information = np.array([float(own.information(each, mu)) for each in LAMBDAS])
        freedom = np.array([float(own.degrees_of_freedom(each, mu)) for each in LAMBDAS])
        here, d = float(own.information(lam, mu)), float(own.degrees_of_freedom(lam, mu))
        away = np.array([-1.6, 1.6])  # in e-folds of λ
        query_loss, share = meta_terms(*key, lam, mu)
        objective = query_loss + state.gamma * share
        lowest = [int(objective.argmin()), int(query_loss.argmin())] if state.points else []
        truth = TRUTHS.get(state.data, TRUTHS["sine"])
        return Arrays(
            state=state,
            grid=GRID[:, 0],
            truth=truth(GRID[:, 0]),
            x=t.x[:, 0],
            y=t.y[:, 0],
            fit=fit,
            plain=(across @ plain)[:, 0],
            band_x=torch.cat([GRID[:, 0], GRID[:, 0].flip(0)]),
            band_y=torch.cat([fit + 2 * sd, (fit - 2 * sd).flip(0)]),
            strengths=DRAWN.eigenvalues,
            filter=DRAWN.filter(lam, mu),
            plain_filter=DRAWN.filter(lam),
            effective=1 / (1 + mu * DRAWN.eigenvalues),
            eigenvalues=own.eigenvalues.clamp(min=WEAKEST),
            kept=own.filter(lam, mu),
            lambdas=LAMBDAS,
            information=information,
            freedom=freedom,
            tangent_x=lam * np.exp(away),
            tangent_y=here - d / 2 * away,
            here_x=[lam, lam],
            here_y=[here, d],
            nats_range=[-0.04 * max(information[0], freedom[0], 1.0), 1.06 * max(information[0], freedom[0], 1.0)],
            sigmas=SIGMAS,
            query_loss=query_loss,
            penalty=state.gamma * share,
            objective=objective,
            lowest_x=SIGMAS[lowest],
            lowest_y=torch.stack([objective, query_loss])[[0, 1][: len(lowest)], lowest],
            now_x=[state.bandwidth, state.bandwidth],
            now_y=[0.0, 1.2 * float(objective[0])],
            loss_range=[0.0, 1.2 * float(objective[0])],
            spent=(float(own.degrees_of_freedom(lam)), d),
            labels_missed=(rms(K @ plain - t.y), rms(K @ alpha - t.y)),
            missed=(rms(K_qs @ plain - t.query_y), rms(K_qs @ alpha - t.query_y)),
            strongest=lam / (1 + mu * float(own.eigenvalues[0])) if state.points else lam,
        )

    def say(self, a: Arrays) -> str:
        s = a.state
        if s.points == 0:
            return "No points: the curve is zero, the band has its width without labels, and all σ are equally good."
        (plain, d), (own, near), (before, after) = a.spent, a.labels_missed, a.missed
        if s.mu == 0:
            fit = f"In every eigen-direction the effective ridge is {s.lam:.3g}. The fit uses {d:.1f} of {s.points} "
            fit += f"degrees of freedom. Root mean square error: {near:.3f} at the labels, {after:.3f} at new points."
        else:
            fit = f"In the strongest eigen-direction, μ = {s.mu:.5g} lowers the effective ridge from {s.lam:.3g} to "
            fit += f"{a.strongest:.2g}. Without and with μ, the fit uses {plain:.1f} and {d:.1f} of {s.points} degrees "
            fit += f"of freedom. Root mean square error at the labels: {own:.3f} and {near:.3f}, at new points: "
            fit += f"{before:.3f} and {after:.3f}."
        preferred, without = (
            f"{sigma:.2g}{' (the end of the slider)' if sigma in (SIGMAS[0], SIGMAS[-1]) else ''}"
            for sigma in a.lowest_x
        )
        if s.gamma == 0:
            return f"{fit} The query loss is lowest at σ = {without}."
        than = ", as without γ" if preferred == without else f"; without γ, at σ = {without}"
        return f"{fit} The meta-objective is lowest at σ = {preferred}{than}."


def rms(residuals: Tensor) -> float:
    """The root mean square of the residuals; 0 for an empty tensor."""
    return float(residuals.square().mean().sqrt()) if residuals.numel() else 0.0
