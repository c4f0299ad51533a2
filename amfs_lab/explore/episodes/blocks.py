"""The Gram matrix of an episode, idealised: one number within a class, one between classes, and three eigenvalues."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab import pretrained
from amfs_lab.explore.ridge.points import DEAD
from amfs_lab.kernels import median_bandwidth, squared_distances
from amfs_lab.ridge import Spectrum, solve
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.widgets.controls import Choice, IntSlider, LogSlider, Slider, Toggle
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State, Trace
from amfs_lab.widgets.png import blend, picture
from amfs_lab.widgets.style import BLUE, FAINT, GREEN, INK, ORANGE, SIMILARITY, VERMILLION, curve, dots
from amfs_lab.widgets.text import count, percent, plus_or_minus

MOST_WAYS, MOST_SHOTS = 6, 10
AXIS_MIN = 1e-3  # where the logarithmic axis of eigenvalues begins
KINDS = ("common", "classes", "within")
PRINTED = ("◆", "■", "●")
SYMBOLS, COLORS, HATCHES = ("diamond", "square", "circle"), (GREEN, BLUE, ORANGE), ("", "/", "x")
LEVELS = 100  # shades of a heat map
PIXELS, FEATURES = "raw pixels", "features of a trained network"
START: dict[str, Any] = dict(
    ways=5, shots=5, within=0.6, between=0.2, lam=0.5, bandwidth=0.4, task=1, seen=PIXELS, measured=False
)


class Eigenvalues(NamedTuple):
    """Of a block Gram matrix: once, N - 1 times and N(K - 1) times."""

    common: float  # of the vector of ones
    classes: float  # of vectors constant in each class whose entries add up to zero
    within: float  # of vectors that add up to zero in each class


def block(ways: int, shots: int, within: float, between: float) -> Float[Tensor, "n n"]:
    """K of an episode whose images are `within` alike in a class, `between` alike across classes, 1 like themselves."""
    same = torch.eye(ways, dtype=torch.float64).repeat_interleave(shots, 0).repeat_interleave(shots, 1)
    return between + (within - between) * same + (1 - within) * torch.eye(ways * shots, dtype=torch.float64)


def eigenvalues(ways: int, shots: int, within: float, between: float) -> Eigenvalues:
    """1 - a + K(a - b) + NKb, 1 - a + K(a - b) and 1 - a."""
    classes = 1 - within + shots * (within - between)
    return Eigenvalues(classes + ways * shots * between, classes, 1 - within)


def multiplicities(ways: int, shots: int) -> tuple[int, int, int]:
    """How often each occurs, in the same order."""
    return 1, ways - 1, ways * (shots - 1)


@lru_cache(maxsize=64)
def letters(task: int, seen: str = PIXELS) -> Float[Tensor, "ways ways shots shots"]:
    """Squared distances between ten examples of each of six test letters, in units of their median distance."""
    source = open_source("glyphs", "test", EpisodeConfig(MOST_WAYS, MOST_SHOTS, 1))
    images = source[task - 1].support.x
    x = (images.flatten(1) if seen == PIXELS else pretrained.load().features(images[:, 0])).double()
    squared = squared_distances(x, x) / median_bandwidth(x) ** 2
    return squared.view(MOST_WAYS, MOST_SHOTS, MOST_WAYS, MOST_SHOTS).transpose(1, 2)


def letter_gram(task: int, ways: int, shots: int, bandwidth: float, seen: str = PIXELS) -> Float[Tensor, "n n"]:
    """K of the first examples of the first letters of a task: shots and ways add to what is there."""
    squared = letters(task, seen)[:ways, :ways, :shots, :shots].transpose(1, 2).reshape(ways * shots, ways * shots)
    return torch.exp(-squared / (2 * bandwidth**2))


def means(K: Float[Tensor, "n n"], ways: int, shots: int) -> tuple[float, float]:
    """a and b of a Gram matrix: the mean of two images of one class, and of two classes. With one shot, a is b."""
    blocks = K.view(ways, shots, ways, shots).sum((1, 3))
    own, all_ = float(blocks.trace()), float(blocks.sum())
    between = (all_ - own) / (ways * (ways - 1) * shots**2)
    return (own - ways * shots) / (ways * shots * (shots - 1)) if shots > 1 else between, between


def means_of_letters(state: State) -> tuple[float, float]:
    """a and b of the letters in a state, in as many digits as a dial can show."""
    K = letter_gram(state.task, state.ways, state.shots, state.bandwidth, state.seen)
    a, b = (round(min(max(mean, 0.0), 1.0), 4) for mean in means(K, state.ways, state.shots))
    return a, b


def kept(K: Float[Tensor, "n n"], ways: int, shots: int, lam: float) -> list[float]:
    """The mean share that the fit keeps of labels along the three kinds of direction: tr(P K(K + λI)⁻¹) / tr P."""
    fit = K @ solve(K, torch.eye(len(K), dtype=K.dtype), lam)
    own, all_, every = float(fit.view(ways, shots, ways, shots).sum((1, 3)).trace()), float(fit.sum()), fit.trace()
    common, classes = all_ / len(K), own / shots
    parts = (common, classes - common, float(every) - classes)
    return [part / n if n else 0.0 for part, n in zip(parts, multiplicities(ways, shots), strict=True)]


SHADES = blend(SIMILARITY, LEVELS + 1)


def heat(K: Float[Tensor, "n n"]) -> str:
    return picture((LEVELS * K.clamp(0, 1)).round().to(torch.uint8).numpy(), SHADES)


def gram_axes(n: int) -> dict[str, Any]:
    """Two axes of a matrix, row 0 on top."""
    x, y = f"xaxis{n}".replace("xaxis1", "xaxis"), f"yaxis{n}".replace("yaxis1", "yaxis")
    return {
        x: dict(title="example", constrain="domain", showgrid=False),
        y: dict(
            title="example",
            scaleanchor=f"x{n}".replace("x1", "x"),
            constrain="domain",
            showgrid=False,
            rangemode="normal",
        ),
    }


class BlockExplorer(Explorer):
    """N classes of K examples, a alike within a class and b alike across: three eigenvalues, and letters beside them.

    1 - a, N(K - 1) times, does not know K. 1 - a + K(a - b), N - 1 times, is what tells the classes apart: each shot
    adds a - b. 1 - a + K(a - b) + NKb, once, is what all images share.
    """

    title = "What shots do to the spectrum: blocks, three eigenvalues, and real letters"
    alt = (
        "Four panels. Left: two Gram matrices as heat maps, the idealised one of equal blocks above and one of real "
        "letters below. Middle: eigenvalues in falling order on a logarithmic axis, those of the blocks by kind and "
        "those of the letters as crosses, with lambda as a dashed line. Right: bars, the share that the fit keeps "
        "along the common direction, the class directions and those within classes, and strokes for the letters."
    )

    ways = IntSlider("ways N", 2, MOST_WAYS, start=START["ways"], help="how many classes")
    shots = IntSlider("shots K", 1, MOST_SHOTS, start=START["shots"], help="how many examples of each class")
    within = Slider("a", 0.0, 1.0, start=START["within"], step=0.01, help="similarity of two examples of one class")
    between = Slider("b", 0.0, 1.0, start=START["between"], step=0.01, help="similarity across classes")
    lam = LogSlider("λ", 1e-3, 1e2, start=START["lam"], unit="unit of s", help="the ridge: half is kept where s = λ")
    bandwidth = LogSlider(
        "σ", 0.05, 5.0, start=START["bandwidth"], unit="median distance", help="of the letters: one is the median"
    )
    task = IntSlider("task", 1, 40, start=START["task"], help="which letters", rare=True)
    seen = Choice("letters as", (PIXELS, FEATURES), help="what their similarity is measured on")
    measured = Toggle("a, b of letters", help="sets the two dials a and b to the means in the letters", rare=True)

    presets = {
        "one shot": START | dict(shots=1),
        "five shots": START,
        "ten shots": START | dict(shots=10),
        "as the letters": START | dict(measured=True),
        "learned features": START | dict(seen=FEATURES, measured=True),
        "classes that are one": START | dict(within=0.6, between=0.6),
        "all the same image": START | dict(within=1.0, between=0.0),
        "nothing alike": START | dict(within=0.0, between=0.0),
        "impossible": START | dict(within=0.2, between=0.6),
    }

    panels = dict(
        rows=2,
        cols=3,
        specs=[[{}, {"rowspan": 2}, {"rowspan": 2}], [{}, None, None]],
        column_widths=[0.26, 0.42, 0.32],
        horizontal_spacing=0.1,
        vertical_spacing=0.28,
        subplot_titles=("K of the blocks", "eigenvalues", "share kept", "K of the letters"),
    )
    layout = dict(
        height=460,
        **gram_axes(1),
        **gram_axes(4),
        xaxis2=dict(title="direction, strongest first"),
        yaxis2=dict(
            title="eigenvalue s",
            type="log",
            range=[-3.2, 2.0],
            tickvals=[1e-3, 1e-2, 0.1, 1, 10, 100],
            ticktext=["≤ 10⁻³", "0.01", "0.1", "1", "10", "100"],
        ),
        xaxis3=dict(
            tickangle=0,
            title="kind of direction; strokes: letters",
            tickvals=[0, 1, 2],
            range=[-0.6, 2.6],
        ),
        yaxis3=dict(title="s / (s + λ)", range=[0, 1.12], tickvals=[0, 0.25, 0.5, 0.75, 1]),
        bargap=0.35,
    )
    frame = {
        "xaxis_range": "gram_range",
        "yaxis_range": "gram_down",
        "xaxis4_range": "gram_range",
        "yaxis4_range": "gram_down",
        "xaxis2_range": "index_range",
        "xaxis3_ticktext": "kind_texts",
    }
    traces = (
        Trace(go.Image, dict(x0=1, y0=1, dx=1, dy=1, hoverinfo="skip"), source="blocks"),
        Trace(go.Image, dict(x0=1, y0=1, dx=1, dy=1, hoverinfo="skip"), at=(2, 1), source="letters"),
        Trace(go.Scatter, curve("λ", VERMILLION, 1.8, "dash"), at=(1, 2), x="index_range", y="ridge"),
        Trace(
            go.Scatter,
            dots("letters", INK, 8, "x-thin", rim=(INK, 1.6), hover="letters, direction %{x}: %{y:.3g}"),
            at=(1, 2),
            x="index",
            y="letter_eigenvalues",
        ),
        *(
            Trace(
                go.Scatter,
                dots(
                    f"blocks, {kind}",
                    COLORS[k],
                    9,
                    SYMBOLS[k],
                    rim=(INK, 0.6),
                    hover=f"{kind}, direction %{{x}}: %{{y:.3g}}",
                ),
                at=(1, 2),
                x=f"index_{k}",
                y=f"eigenvalues_{k}",
            )
            for k, kind in enumerate(KINDS)
        ),
        Trace(
            go.Bar,
            dict(
                x=[0, 1, 2],
                marker=dict(color=list(COLORS), pattern=dict(shape=list(HATCHES), fillmode="overlay", fgcolor="white")),
                showlegend=False,
                hovertemplate="%{x}: %{y:.3f}<extra></extra>",
            ),
            at=(1, 3),
            y="kept",
        ),
        Trace(
            go.Scatter,
            dots("", INK, 30, "line-ew", rim=(INK, 3), hover="letters: %{y:.3f}") | dict(x=[0, 1, 2]),
            at=(1, 3),
            y="letters_kept",
        ),
        Trace(go.Scatter, curve(color=FAINT, width=1.0), at=(1, 3), x="across", y="half"),
    )

    def consequences(self, changed: Collection[str], state: State) -> dict[str, Any]:
        """With `measured` the dials a and b stand at the letters' means; who moves one of them takes it back."""
        if not state.measured:
            return {}
        if "measured" not in changed and {"within", "between"} & set(changed):
            return {"measured": False}
        return dict(zip(("within", "between"), means_of_letters(state), strict=True))

    def compute(self, state: State) -> Arrays:
        N, K_shots = state.ways, state.shots
        K_letters = letter_gram(state.task, N, K_shots, state.bandwidth, state.seen)
        of_letters = means_of_letters(state)
        a, b = of_letters if state.measured else (state.within, state.between)
        values, counts = eigenvalues(N, K_shots, a, b), multiplicities(N, K_shots)
        starts = np.cumsum([1, *counts])
        shares = [max(s, 0.0) / (max(s, 0.0) + state.lam) * (n > 0) for s, n in zip(values, counts, strict=True)]
        groups = {}
        for k, (s, n) in enumerate(zip(values, counts, strict=True)):
            groups[f"index_{k}"] = np.arange(starts[k], starts[k] + n)
            groups[f"eigenvalues_{k}"] = [max(s, AXIS_MIN)] * n
        n = N * K_shots
        return Arrays(
            **groups,
            state=state,
            a=a,
            b=b,
            of_letters=of_letters,
            three=values,
            counts=counts,
            blocks=heat(block(N, K_shots, a, b)),
            letters=heat(K_letters),
            gram_range=[0.5, n + 0.5],
            gram_down=[n + 0.5, 0.5],
            index=np.arange(1, n + 1),
            index_range=[0.3, n + 0.7],
            ridge=[state.lam, state.lam],
            letter_eigenvalues=Spectrum.of(K_letters).eigenvalues.clamp(min=AXIS_MIN),
            kept=shares,
            kind_texts=[
                f"{kind}<br>{mark} {f'{100 * share:.0f} %' if times else 'none'}"
                for kind, mark, share, times in zip(KINDS, PRINTED, shares, counts, strict=True)
            ],
            letters_kept=kept(K_letters, N, K_shots, state.lam),
            across=[-0.6, 2.6],
            half=[0.5, 0.5],
        )

    def say(self, a: Arrays) -> str:
        state, (common, classes, within), (_, few, many) = a.state, a.three, a.counts
        told = f"{state.ways} ways, {count(state.shots, 'shot')}, a = {a.a:.2g}, b = {a.b:.2g}"
        if classes < -DEAD:
            return (
                f"{told}: no kernel gives this matrix, {few} of its eigenvalues being {plus_or_minus(classes)}, below "
                "zero. Examples can't be more like those of other classes than like their own by so much."
            )
        inside = f", {within:.3g} ({many} times, within)" if many else "; one shot has no direction within classes"
        words = f"{told}: eigenvalues {common:.3g} (once, common), {classes:.3g} ({few} times, classes){inside}."
        if abs(a.a - a.b) < DEAD and many:
            words += " Nothing tells the classes apart: their directions are as weak as those within."
        own = f"a = {a.of_letters[0]:.3f} and " if many else ""
        return words + (
            f" At λ = {state.lam:.3g} the fit keeps {percent(a.kept[1])} of the labels along the class directions; on "
            f"the letters ({state.seen}), with {own}b = {a.of_letters[1]:.3f}, {percent(a.letters_kept[1])}."
        )
