"""Ideal Gram matrix of an episode: one value within classes, one value between classes, three eigenvalues."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab import pretrained
from amfs_lab.explore.ridge.points import DEAD
from amfs_lab.kernels import median_bandwidth, squared_distances
from amfs_lab.ridge import Spectrum, solve
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.widgets.controls import Choice, Slider, Toggle
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import EQUAL_X, EQUAL_Y, Panel, Panels, axis, log_axis
from amfs_lab.widgets.png import blend, picture
from amfs_lab.widgets.style import BLUE, GREEN, INK, ORANGE, SIMILARITY, VERMILLION
from amfs_lab.widgets.text import count, percent, plus_or_minus
from amfs_lab.widgets.traces import bars, curve, dots, hatched, image, reference_line

MOST_WAYS, MOST_SHOTS = 6, 10
AXIS_MIN = 1e-3  # lower end of the logarithmic axis of eigenvalues
KINDS = ("common", "classes", "within")
KINDS_AT = [0, 1, 2]  # positions of the bars of the kinds
PRINTED = ("◆", "■", "●")
SYMBOLS, COLORS, HATCHES = ("diamond", "square", "circle"), (GREEN, BLUE, ORANGE), ("", "/", "x")
LEVELS = 100  # shades of a heat map
PIXELS, FEATURES = "raw pixels", "features of a trained network"
START: dict[str, Any] = dict(
    ways=5, shots=5, within=0.6, between=0.2, lam=0.5, bandwidth=0.4, task=1, seen=PIXELS, measured=False
)


class Eigenvalues(NamedTuple):
    """Eigenvalues of a block Gram matrix, with multiplicities 1, N - 1 and N(K - 1)."""

    common: float  # its eigenvector is the vector of ones
    classes: float  # its eigenvectors are constant in each class, and their entries sum to zero
    within: float  # the entries of its eigenvectors sum to zero in each class


def block(ways: int, shots: int, within: float, between: float) -> Float[Tensor, "n n"]:
    """The Gram matrix of an ideal episode, with 1 on the diagonal.

    The argument `within` is the similarity of images of one class. The argument `between` is the similarity of images
    of different classes.
    """
    same = torch.eye(ways, dtype=torch.float64).repeat_interleave(shots, 0).repeat_interleave(shots, 1)
    return between + (within - between) * same + (1 - within) * torch.eye(ways * shots, dtype=torch.float64)


def eigenvalues(ways: int, shots: int, within: float, between: float) -> Eigenvalues:
    """The three eigenvalues 1 - a + K(a - b) + NKb, 1 - a + K(a - b) and 1 - a.

    N is `ways`, K is `shots`, a is `within` and b is `between`.
    """
    classes = 1 - within + shots * (within - between)
    return Eigenvalues(classes + ways * shots * between, classes, 1 - within)


def multiplicities(ways: int, shots: int) -> tuple[int, int, int]:
    """The multiplicity of each of the three eigenvalues, in the order of `Eigenvalues`."""
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
    """The Gram matrix of examples of a task: `ways` is the number of letters, `shots` the number of examples of each.

    With more shots or ways, new examples are added, and the earlier examples stay the same.
    """
    squared = letters(task, seen)[:ways, :ways, :shots, :shots].transpose(1, 2).reshape(ways * shots, ways * shots)
    return torch.exp(-squared / (2 * bandwidth**2))


def means(K: Float[Tensor, "n n"], ways: int, shots: int) -> tuple[float, float]:
    """The means a and b of a Gram matrix: a is the mean similarity within classes, b the mean between classes.

    With one shot, a is set to b.
    """
    blocks = K.view(ways, shots, ways, shots).sum((1, 3))
    own, all_ = float(blocks.trace()), float(blocks.sum())
    between = (all_ - own) / (ways * (ways - 1) * shots**2)
    return (own - ways * shots) / (ways * shots * (shots - 1)) if shots > 1 else between, between


def means_of_letters(state: State) -> tuple[float, float]:
    """The means a and b of the letters in a state, rounded to the digits that a control shows."""
    K = letter_gram(state.task, state.ways, state.shots, state.bandwidth, state.seen)
    a, b = (round(min(max(mean, 0.0), 1.0), 4) for mean in means(K, state.ways, state.shots))
    return a, b


def kept(K: Float[Tensor, "n n"], ways: int, shots: int, lam: float) -> list[float]:
    """The mean share of the labels that the fit keeps, for each kind of direction: tr(P K(K + λI)⁻¹) / tr P.

    P is the projection onto the common direction, the class directions, or the directions within classes.
    """
    fit = K @ solve(K, torch.eye(len(K), dtype=K.dtype), lam)
    own, all_, every = float(fit.view(ways, shots, ways, shots).sum((1, 3)).trace()), float(fit.sum()), fit.trace()
    common, classes = all_ / len(K), own / shots
    parts = (common, classes - common, float(every) - classes)
    return [part / n if n else 0.0 for part, n in zip(parts, multiplicities(ways, shots), strict=True)]


SHADES = blend(SIMILARITY, LEVELS + 1)


def heat(K: Float[Tensor, "n n"]) -> str:
    return picture((LEVELS * K.clamp(0, 1)).round().to(torch.uint8).numpy(), SHADES)


class BlockExplorer(Explorer):
    """Spectra of letters and of an ideal episode: N classes with K examples each.

    The similarity is a within classes and b between classes. The Gram matrix has three different eigenvalues:

    1 - a                      N(K - 1) times; does not depend on K
    1 - a + K(a - b)           N - 1 times; separates the classes, each shot adds a - b
    1 - a + K(a - b) + NKb     once; belongs to the part that all images share
    """

    title = "How shots change the spectrum: blocks, three eigenvalues, and real letters"
    alt = (
        "Four panels. Left: two Gram matrices as heat maps, the idealised matrix of equal blocks above and the matrix "
        "of real letters below. Middle: eigenvalues in falling order on a logarithmic axis, by kind for the blocks and "
        "as crosses for the letters, with lambda as a dashed line. Right: bars, the share that the fit keeps along the "
        "common, the class and the within-class eigen-directions, and strokes for the letters."
    )

    ways = Slider("ways N", 2, MOST_WAYS, integer=True, start=START["ways"], help="number of classes")
    shots = Slider("shots K", 1, MOST_SHOTS, integer=True, start=START["shots"], help="examples of each class")
    within = Slider("a", 0.0, 1.0, start=START["within"], step=0.01, help="similarity of two examples of one class")
    between = Slider("b", 0.0, 1.0, start=START["between"], step=0.01, help="similarity across classes")
    lam = Slider(
        "λ",
        1e-3,
        1e2,
        scale="log",
        start=START["lam"],
        unit="unit of s",
        help="the regulariser: half is kept where s = λ",
    )
    bandwidth = Slider(
        "σ", 0.05, 5.0, scale="log", start=START["bandwidth"], unit="median distance", help="bandwidth for the letters"
    )
    task = Slider("task", 1, 40, integer=True, start=START["task"], help="which letters", rare=True)
    seen = Choice("letters as", (PIXELS, FEATURES), help="how the letters are compared")
    measured = Toggle("a, b of letters", help="sets the sliders a and b to the letters' means", rare=True)

    presets = {
        "one shot": START | dict(shots=1),
        "five shots": START,
        "ten shots": START | dict(shots=10),
        "as the letters": START | dict(measured=True),
        "learned features": START | dict(seen=FEATURES, measured=True),
        "equal classes": START | dict(within=0.6, between=0.6),
        "all the same image": START | dict(within=1.0, between=0.0),
        "no similarity": START | dict(within=0.0, between=0.0),
        "impossible": START | dict(within=0.2, between=0.6),
    }

    panels = Panels(
        "blocks eigenvalues kept / letters eigenvalues kept",
        widths=(0.25, 0.38, 0.37),
        blocks=Panel("K of the blocks", axis("example", **EQUAL_X), axis("example", rangemode="normal", **EQUAL_Y)),
        eigenvalues=Panel(
            "eigenvalues",
            axis("largest eigenvalue first"),
            log_axis(
                "eigenvalue s",
                (-3.2, 2.0),
                ticks={1e-3: "≤ 10⁻³", 1e-2: "0.01", 0.1: "0.1", 1: "1", 10: "10", 100: "100"},
            ),
        ),
        kept=Panel(
            "share kept",
            axis("strokes: letters", (-0.6, 2.6), ticks=KINDS_AT, tickangle=0),
            axis("s / (s + λ)", (0, 1.12), ticks=[0, 0.25, 0.5, 0.75, 1]),
        ),
        letters=Panel("K of the letters", axis("example", **EQUAL_X), axis("example", rangemode="normal", **EQUAL_Y)),
    )
    layout = dict(height=460, bargap=0.35)
    frame = {
        "blocks.x.range": "gram_range",
        "blocks.y.range": "gram_down",
        "letters.x.range": "gram_range",
        "letters.y.range": "gram_down",
        "eigenvalues.x.range": "index_range",
        "kept.x.ticktext": "kind_texts",
    }
    traces = {
        "blocks": image("blocks", 1, 1),
        "letters": image("letters", 1, 1, at="letters"),
        "ridge": curve("index_range", "ridge", VERMILLION, 1.8, "dash", at="eigenvalues", name="λ"),
        "eigenvalues of letters": dots(
            "index",
            "letter_eigenvalues",
            INK,
            8,
            "x-thin",
            (INK, 1.6),
            at="eigenvalues",
            name="letters",
            hover="letters, eigen-direction %{x}: %{y:.3g}",
        ),
        **{
            kind: dots(
                f"index_{k}",
                f"eigenvalues_{k}",
                COLORS[k],
                9,
                SYMBOLS[k],
                (INK, 0.6),
                at="eigenvalues",
                name=f"blocks, {kind}",
                hover=f"{kind}, eigen-direction %{{x}}: %{{y:.3g}}",
            )
            for k, kind in enumerate(KINDS)
        },
        "kept": bars(KINDS_AT, "kept", list(COLORS), None, hatched(list(HATCHES)), at="kept", hover="%{x}: %{y:.3f}"),
        "kept of letters": dots(
            KINDS_AT, "letters_kept", INK, 30, "line-ew", (INK, 3), at="kept", hover="letters: %{y:.3f}"
        ),
        "half": reference_line("across", "half", 1, at="kept"),
    }

    def consequences(self, changed: Collection[str], state: State) -> dict[str, Any]:
        """The values of a, b and `measured` after a change.

        If `measured` is on, the sliders a and b show the mean kernel values of the letters. If the user moves one of
        these sliders, `measured` turns off.
        """
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
        task = f"{state.ways} ways, {count(state.shots, 'shot')}, a = {a.a:.2g}, b = {a.b:.2g}"
        if classes < -DEAD:
            return (
                f"{task}: no kernel gives this matrix, because {few} of its eigenvalues are below zero, "
                f"{plus_or_minus(classes)}. The similarity b to other classes is too large for this a."
            )
        inside = f", {within:.3g} ({many} times, within)." if many else ". With one shot, there is none within classes."
        words = f"{task}: eigenvalues {common:.3g} (once, common), {classes:.3g} ({few} times, classes){inside}"
        if abs(a.a - a.b) < DEAD and many:
            words += " Nothing separates the classes: their eigenvalue is as small as within classes."
        own = f"a = {a.of_letters[0]:.3f} and " if many else ""
        return words + (
            f" At λ = {state.lam:.3g} the fit keeps {percent(a.kept[1])} of the labels along the class "
            f"eigen-directions. For the letters ({state.seen}) it keeps {percent(a.letters_kept[1])}. The letters have "
            f"{own}b = {a.of_letters[1]:.3f}."
        )
