"""The effect of λ: from the vote of a matching network (λ → ∞) to the interpolant of minimum norm (λ → 0)."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amfs_lab.explore.ridge.points import DEAD
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import Spectrum, solve
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import BLUE, GREEN, INK, SKY, VERMILLION
from amfs_lab.widgets.text import plus_or_minus, signed
from amfs_lab.widgets.traces import bars, curve, dots, reference_line

GRID = torch.linspace(-3.2, 3.2, 257, dtype=torch.float64)[:, None]
PLACES = (-0.4, 1.2, -1.6, 1.9, -1.0, -2.2, 2.5, 0.1)
SIGNS = (1, -1, 1, -1, -1, 1, -1, 1)
LONE = 4  # index of a point among three points of the other class
MOST = len(PLACES)
RAIL = 1.22  # height of the rails on which the points are drawn, above and below the scores

TASKS: dict[str, tuple[Tensor, Tensor]] = {
    name: (torch.tensor(places, dtype=torch.float64)[:, None], torch.tensor(signs, dtype=torch.float64)[:, None])
    for name, (places, signs) in {
        "two classes": (PLACES, SIGNS),
        "one class only": (PLACES, (1,) * MOST),
        "a point twice": ((PLACES[0], PLACES[0], *PLACES[2:]), SIGNS),
    }.items()
}
START: dict[str, Any] = dict(lam=1.0, bandwidth=0.6, query=PLACES[LONE], task="two classes", points=MOST)


def interpolant(K: Tensor, y: Tensor) -> Tensor:
    """The coefficients alpha = K⁺y of the interpolant of minimum norm, with the pseudo-inverse K⁺ of K.

    K⁺ removes the part of y in the null space of K. For the remaining part of y, K⁺y is the limit of (K + λI)⁻¹y for
    λ → 0. If two points have the same position and different labels, the fit is the least-squares fit of minimum norm.
    """
    spectrum = Spectrum.of(K)
    s, u = spectrum.eigenvalues, spectrum.eigenvectors
    alive = s > DEAD * len(K)  # the trace of an RBF kernel's K is n
    return u[:, alive] @ ((u[:, alive].T @ y) / s[alive, None])


def scaled(k: Tensor, alpha: Tensor) -> tuple[Tensor, float]:
    """The values of f = k alpha on a grid (g), divided by the largest |f|. The second result is the largest |f|.

    If all votes cancel, both results are zero.
    """
    f = (k @ alpha)[:, 0]
    largest = float(f.abs().max())
    if largest <= DEAD * float(alpha.abs().sum()):
        return torch.zeros_like(f), 0.0
    return f / largest, largest


@lru_cache(maxsize=64)
def ends(task: str, points: int, bandwidth: float) -> tuple[Tensor, ...]:
    """The tensors that do not depend on λ.

    They are x, y, K, the kernel matrix between grid and points, and two limits: λ alpha for λ → ∞, and alpha for λ → 0.
    """
    x, y = (column[:points] for column in TASKS[task])
    K = rbf_kernel(x, x, bandwidth)
    return x, y, K, rbf_kernel(GRID, x, bandwidth), y, interpolant(K, y)


class VoteExplorer(Explorer):
    """The score f = Σ α_i k(·, x_i) of two classes with labels ±1, between the limits λ → ∞ and λ → 0.

    For λ → ∞, α approaches y/λ. The score is then a vote: each point adds its label, weighted by its similarity, as in
    a matching network. For λ → 0, the score at each point equals the label of the point. For large λ, scores shrink
    like 1/λ. So each curve is scaled to a largest |f| of 1.
    """

    title = "From an interpolant (small λ) to a vote (large λ)"
    alt = (
        "Two panels. Left: scores along a line, at this lambda and at its two ends, with the labelled points above and "
        "below, rings for the labels on the scale of the curve, and the query as a diamond. Right: what each labelled "
        "point adds to the query's score, as bars for this lambda and as circles for the vote."
    )

    lam = Slider(
        "λ",
        1e-8,
        1e4,
        scale="log",
        start=START["lam"],
        help="the regulariser: small for an interpolant, large for a vote",
    )
    query = Slider("query x", -3.0, 3.0, start=START["query"], step=0.05, help="the place whose class is asked for")
    bandwidth = Slider(
        "σ",
        0.1,
        1.5,
        scale="log",
        start=START["bandwidth"],
        unit="same unit as x",
        help="the bandwidth: how far similarity reaches",
    )
    points = Slider("points", 0, MOST, integer=True, start=MOST, help="number of labelled points, n", rare=True)
    task = Choice("labels", list(TASKS), help="the classes of the points")

    presets = {
        "vote": START | dict(lam=1e4),
        "between": START,
        "interpolant": START | dict(lam=1e-8),
        "one class only": START | dict(task="one class only"),
        "a point twice": START | dict(task="a point twice", lam=1e-4, query=-0.4),
        "no points": START | dict(points=0),
    }

    panels = Panels(
        widths=(0.62, 0.38),
        scores=Panel(
            "scores, each curve rescaled to height 1",
            axis("x", (-3.2, 3.2)),
            axis(
                "score f(x) / largest |f|",
                (-1.5, 1.5),
                ticks={-RAIL: "class −1", -1: "−1", 0: "0", 1: "1", RAIL: "class +1"},
            ),
        ),
        shares=Panel(
            "what each point adds at the query",
            axis("point i, class"),
            axis("α<sub>i</sub> k(x, x<sub>i</sub>) / largest |f|", exponentformat="power"),
        ),
    )
    layout = dict(height=430, bargap=0.35)
    frame = {
        "shares.x.range": "index_range",
        "shares.x.tickvals": "index",
        "shares.x.ticktext": "names",
        "shares.y.range": "share_range",
    }
    traces = {
        "zero": reference_line("across", "zero", 1),
        "query line": reference_line("query_line", "query_reach", 1.5, "dash"),
        "scores": curve("grid", "scores", width=4, name="at this λ"),
        "vote": curve("grid", "vote", VERMILLION, dash="dash", name="vote, λ → ∞"),
        "interpolant": curve("grid", "interpolant", GREEN, dash="dot", name="interpolant, λ → 0"),
        "points": dots(
            "x",
            "rail",
            SKY,
            11,
            rim=(INK, 1),
            hover="x = %{x:.2f}",
            more=dict(mode="markers+text"),
            text="numbers",
            marker_symbol="symbols",
            textposition="sides",
        ),
        "labels": dots(
            "x",
            "labels",
            BLUE,
            12,
            "circle-open",
            (None, 1.5),
            name="label, on this curve's scale",
            hover="label of point %{text}",
            text="numbers",
        ),
        "query": dots("query_x", "score", BLUE, 13, "diamond", (INK, 1), hover="query x = %{x:.2f}: %{y:+.3f}"),
        "shares": bars(
            "index",
            "shares",
            SKY,
            (BLUE, 1.2),
            at="shares",
            name="at this λ",
            listed=False,
            hover="point %{x}: %{y:+.3g}",
        ),
        "shares of the vote": dots(
            "index", "vote_shares", VERMILLION, 9, "circle-open", (None, 2), at="shares", name="share of the vote"
        ),
        "no share": reference_line("index_range", "zero", 1, at="shares"),
    }

    def compute(self, state: State) -> Arrays:
        n = state.points
        x, y, K, k, voting, meeting = ends(state.task, n, state.bandwidth)
        alpha = solve(K, y, state.lam)
        query = torch.tensor([[state.query]], dtype=x.dtype)
        at_query = rbf_kernel(query, x, state.bandwidth)[0]
        (scores, largest), (vote, most), (met, _) = (scaled(k, each) for each in (alpha, voting, meeting))
        shares = alpha[:, 0] * at_query / (largest or 1.0)
        votes = voting[:, 0] * at_query / (most or 1.0)
        reach = 1.15 * max([0.5, *shares.abs().tolist(), *votes.abs().tolist()])
        signs = [int(sign) for sign in y[:, 0]]
        return Arrays(
            state=state,
            grid=GRID[:, 0],
            scores=scores,
            vote=vote,
            interpolant=met,
            alpha=alpha[:, 0],
            from_vote=(scores - vote).abs().max(),
            from_interpolant=(scores - met).abs().max(),
            largest=largest,
            across=[-3.2, 3.2],
            zero=[0.0, 0.0],
            x=x[:, 0],
            rail=RAIL * y[:, 0],
            labels=[sign / largest if largest > 1 / RAIL else None for sign in signs],  # otherwise beyond the rails
            numbers=[str(i + 1) for i in range(n)],
            symbols=["circle" if sign > 0 else "square" for sign in signs],
            sides=["top center" if sign > 0 else "bottom center" for sign in signs],
            query_x=[state.query],
            query_line=[state.query, state.query],
            query_reach=[-1.5, 1.5],
            score=[float(shares.sum()) if largest else 0.0],
            index=np.arange(1, n + 1),
            names=[f"{i + 1}<br>{'+' if sign > 0 else '−'}" for i, sign in enumerate(signs)],
            index_range=[0.4, max(n, 1) + 0.6],
            shares=shares,
            vote_shares=votes,
            share_range=[-reach, reach],
            classes=len(set(signs)),
        )

    def say(self, a: Arrays) -> str:
        state, score = a.state, a.score[0]
        if a.classes == 0:
            return "Without points there are no votes: every score is 0, and no class wins anywhere."
        if a.largest == 0:
            return "The two labels at one place cancel: every score is 0, and no class wins anywhere."
        words = (
            f"At λ = {state.lam:.5g} the curve is {apart(a.from_vote)} the vote and {apart(a.from_interpolant)} the "
            f"interpolant. Its largest |f|, drawn as 1, is {a.largest:.2g}. At x = {signed(state.query)}, f(x) is "
            f"{plus_or_minus(score * a.largest)}, drawn at {plus_or_minus(score)}: "
        )
        if a.classes == 1:
            words += "only one class has examples, so there is nothing to decide."
        else:
            words += "no class wins." if score == 0 else f"class {'+1' if score > 0 else '−1'}."
        if state.task == "a point twice" and state.points > 1:
            words += (
                " Points 1 and 2 lie at one place and have different labels, so no curve fits both: for λ → 0 the "
                "score there goes to the mean of the labels, 0."
            )
        return words


def apart(gap: float) -> str:
    """The largest difference between two curves, as text. If it is below 0.001, the text is "within 0.001 of"."""
    return "within 0.001 of" if gap < 0.001 else f"up to {gap:.2g} from"
