"""A few-shot task in the plane. The closed form labels every point, and votes decide the label of a query."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from amfs_lab.explore.episodes import clouds
from amfs_lab.explore.episodes.clouds import DATA, GRID, MOST_SHOTS, MOST_WAYS, NAMES, NO_CLASS, QUERIES, SIDE
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve
from amfs_lab.widgets.controls import Choice, Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import EQUAL_X, EQUAL_Y, Panel, Panels, axis
from amfs_lab.widgets.png import picture
from amfs_lab.widgets.style import BLACK, COLORS, INK, MARKERS
from amfs_lab.widgets.text import percent, plus_or_minus
from amfs_lab.widgets.traces import bars, dots, hatched, image, reference_line

PRINTED = ("●", "■", "◆", "▲", "✖", "✚")
HATCHES = ("", "/", "\\", "x", "-", "|")  # of bars, one for each class, as for the markers of points
HATCHING = hatched(size=6, solidity=0.2)
PALE = ("#FFFFFF", "#CCE3F0", "#F7DFCC", "#CCECE3", "#F5E4ED", "#FAECCC", "#DDF0FB")  # NO_CLASS, then COLORS, light
DARK = ("#FFFFFF", "#8FC1DD", "#EBB38F", "#8FD3BE", "#E8C6D7", "#F3D08F", "#B4DCF4")  # the same, but darker
NO_CLASS_MARKER = ("star", BLACK)
NUMBERS: dict[str, Any] = dict(exponentformat="power", automargin=True)  # of an axis; numbers may be long
VOTES_FOR = ("the winner", "the runner-up", "its own class")
START: dict[str, Any] = dict(
    ways=3, shots=5, separation=3.0, bandwidth=1.0, lam=0.1, task=13, query=21, votes_for=VOTES_FOR[0], data=DATA[0]
)


class EpisodeExplorer(Explorer):
    """N clouds with K examples each, one solve, and the votes that decide a query's label.

    The score of class c at x is Σ_i α_ic k(x, x_i), where each term is the vote of one example. For λ → ∞, α tends to
    Y/λ. Then the label is the class with the largest sum of similarities. The panel of scores shows these sums as
    horizontal marks.
    """

    title = "An episode in the plane: a few examples of each class, one solve, and the votes on a query"
    alt = (
        "Three panels. Left: a map of the class that wins at each place, each class with its own hatch. Large markers "
        "are examples, small markers are queries, hollow if the label is wrong; a ring marks one query. Right top: "
        "bars, the query's score for each class, and strokes, the sum of similarities to the class. Right bottom: "
        "bars, what each example adds to the score of one class."
    )

    ways = Slider("ways N", 2, MOST_WAYS, integer=True, start=START["ways"], help="number of classes")
    shots = Slider("shots K", 1, MOST_SHOTS, integer=True, start=START["shots"], help="examples of each class")
    separation = Slider(
        "separation",
        0.0,
        5.0,
        start=START["separation"],
        step=0.1,
        unit="sd of a class",
        help="between neighbouring clouds",
        rare=True,
    )
    bandwidth = Slider(
        "σ",
        0.05,
        20.0,
        scale="log",
        start=START["bandwidth"],
        unit="sd of a class",
        help="the bandwidth: how far similarity reaches",
    )
    lam = Slider(
        "λ",
        1e-4,
        1e4,
        scale="log",
        start=START["lam"],
        help="the regulariser: small to interpolate, large for a sum of similarities",
    )
    task = Slider(
        "task", 1, 40, integer=True, start=START["task"], help="another sample of the clouds (the seed)", rare=True
    )
    query = Slider(
        "query",
        1,
        (MOST_WAYS + 1) * QUERIES,
        integer=True,
        start=START["query"],
        help="number of the query; you can also click a query",
    )
    votes_for = Choice("votes for", VOTES_FOR, help="the class whose score is explained")
    data = Choice("clouds", DATA, help="kind of task", rare=True)

    presets = {
        "one shot": START | dict(shots=1),
        "five shots": START,
        "λ → ∞": START | dict(lam=1e4),
        "too narrow": START | dict(bandwidth=0.05),
        "too wide": START | dict(bandwidth=20.0),
        "classes on top of each other": START | dict(separation=0.0),
        "two at one place": START | dict(ways=2, shots=1, query=20, data=clouds.TWICE),
        "one class in two places": START | dict(ways=2, query=20, data=clouds.TWO_PLACES),
        "unbalanced": START | dict(separation=2.0, lam=1e4, bandwidth=2.0, data=clouds.UNBALANCED),
        "queries of no class": START | dict(query=40, data=clouds.NO_CLASS_QUERIES),
    }

    panels = Panels(
        "map scores / map votes",
        widths=(0.56, 0.44),
        map=Panel(
            "which class wins where",
            axis("first coordinate (sd of a class)", (-SIDE, SIDE), **EQUAL_X),
            axis("second coordinate", (-SIDE, SIDE), **EQUAL_Y),
        ),
        scores=Panel("scores of the query", axis("class; strokes: sum of similarities"), axis("score", **NUMBERS)),
        votes=Panel("votes", axis("examples, grouped by class"), axis("α<sub>i</sub> k(x, x<sub>i</sub>)", **NUMBERS)),
    )
    layout = dict(height=460, showlegend=False, bargap=0.25)
    frame = {
        "votes.title": "votes_title",
        "scores.x.range": "class_range",
        "scores.x.tickvals": "classes",
        "scores.x.ticktext": "class_names",
        "scores.y.range": "score_range",
        "votes.x.range": "example_range",
        "votes.x.tickvals": "example_ticks",
        "votes.x.ticktext": "class_names",
        "votes.y.range": "vote_range",
    }
    traces = {
        "map": image("regions", -SIDE, -SIDE, 2 * SIDE / (len(GRID) - 1)),
        "queries": dots(
            "query_x",
            "query_y",
            size=7,
            rim=(INK, 0.6),
            name="queries",
            hover="query %{customdata}",
            events=["click"],
            marker_symbol="query_symbols",
            marker_color="query_colors",
            customdata="query_names",
        ),
        "examples": dots(
            "x",
            "y",
            rim=(INK, 1.8),
            name="examples",
            hover="example %{customdata}",
            marker_symbol="symbols",
            marker_color="colors",
            marker_size="sizes",
            customdata="names",
        ),
        "the query": dots("asked_x", "asked_y", INK, 19, "circle-open", (None, 3), name="the query", hover=None),
        "scores": bars(
            "classes",
            "scores",
            hatch=HATCHING,
            at="scores",
            numbers="marks",
            hover="%{x}: %{y:+.3g}",
            marker_color="class_colors",
            marker_pattern_shape="class_hatches",
        ),
        "sums": dots(
            "classes",
            "sums",
            INK,
            24,
            "line-ew",
            (INK, 3),
            at="scores",
            name="sum of similarities",
            hover="sum of similarities %{text}",
            text="sum_texts",
        ),
        "no score": reference_line("class_range", "zero", 1, at="scores"),
        "votes": bars(
            "index",
            "votes",
            hatch=HATCHING,
            at="votes",
            hover="%{customdata}: %{y:+.3g}",
            marker_color="colors",
            marker_pattern_shape="hatches",
            customdata="names",
        ),
        "no vote": reference_line("example_range", "zero", 1, at="votes"),
    }

    def compute(self, state: State) -> Arrays:
        t = clouds.task(state.task, state.ways, state.shots, state.separation, state.data)
        alpha = solve(rbf_kernel(t.x, t.x, state.bandwidth), t.targets, state.lam)
        K_qs = rbf_kernel(t.query_x, t.x, state.bandwidth)
        all_scores, votes = K_qs @ alpha, K_qs[:, :, None] * alpha
        labels = clouds.winners(all_scores, votes.abs().sum(1))
        asked = min(state.query, len(labels)) - 1
        scores, own, label = all_scores[asked], int(t.query_y[asked]), int(labels[asked])
        order = scores.argsort(descending=True, stable=True).tolist()
        options = {"the winner": order[0], "the runner-up": order[1], "its own class": order[0] if own < 0 else own}
        chosen = options[state.votes_for]
        tied = " (no class wins)" if label == NO_CLASS and state.votes_for != "its own class" else ""
        shown = votes[asked, :, chosen]
        sums = K_qs[asked] @ t.targets
        size, largest = float(scores.abs().max()), float(shown.abs().max())
        map_ = clouds.regions(t, alpha, state.bandwidth)
        right, classes, n = clouds.right(t, labels), range(t.ways), len(t.x)
        places = t.x.tolist()
        first = {c: i for i, c in reversed([*enumerate(t.y.tolist())])}  # index of the first example of each class
        numbers = [i - first[c] + 1 for i, c in enumerate(t.y.tolist())]
        return Arrays(
            state=state,
            regions=picture(with_hatches(map_.numpy()), PALE + DARK),
            x=t.x[:, 0],
            y=t.x[:, 1],
            symbols=[MARKERS[c] for c in t.y.tolist()],
            colors=[COLORS[c] for c in t.y.tolist()],
            # If two points coincide, the later point is smaller, so that both are visible.
            sizes=[8 if place in places[:i] else 14 for i, place in enumerate(places)],
            hatches=[HATCHES[c] for c in t.y.tolist()],
            names=[f"{NAMES[c]}{i}" for c, i in zip(t.y.tolist(), numbers, strict=True)],
            query_x=t.query_x[:, 0],
            query_y=t.query_x[:, 1],
            query_symbols=[
                NO_CLASS_MARKER[0] if c < 0 else MARKERS[c] + ("" if good else "-open")
                for c, good in zip(t.query_y.tolist(), right.tolist(), strict=True)
            ],
            query_colors=[COLORS[c] if c >= 0 else NO_CLASS_MARKER[1] for c in t.query_y.tolist()],
            query_names=[
                f"{i + 1}, of {f'class {NAMES[c]}' if c >= 0 else 'no class'}" for i, c in enumerate(t.query_y.tolist())
            ],
            asked=asked + 1,
            asked_x=t.query_x[asked, :1],
            asked_y=t.query_x[asked, 1:],
            own=own,
            label=label,
            runner_up=order[1],
            classes=list(classes),
            class_names=[f"{NAMES[c]} {PRINTED[c]}" for c in classes],
            class_colors=list(COLORS[: t.ways]),
            class_hatches=list(HATCHES[: t.ways]),
            class_range=[-0.5, t.ways - 0.5],
            scores=scores,
            marks=["<br>".join([*["its own"] * (c == own), *["label"] * (c == label)]) or " " for c in classes],
            sums=sums * (size / float(sums.max()) if sums.max() > 0 else 0.0),
            sum_texts=[f"{value:.3g}" for value in sums.tolist()],
            score_range=reach(scores, size),
            zero=[0.0, 0.0],
            votes_title=f"votes for class {NAMES[chosen]}" + tied,
            index=np.arange(n),
            votes=shown,
            vote_range=reach(shown, largest),
            example_range=[-0.6, n - 0.4],
            example_ticks=[float((t.y == c).nonzero().double().mean()) for c in classes],
            right=int(right.sum()),
            judged=int((t.query_y >= 0).sum()),
            of_no_class=int((t.query_y < 0).sum()),
            named=int(((t.query_y < 0) & (labels != NO_CLASS)).sum()),
            without_winner=int((labels == NO_CLASS).sum()),
        )

    def say(self, a: Arrays) -> str:
        state = a.state
        words = (
            f"{a.right} of {a.judged} queries are right ({percent(a.right / a.judged)}) in this {state.ways}-way "
            f"{state.shots}-shot task at σ = {state.bandwidth:.3g}, λ = {state.lam:.3g}."
        )
        if a.without_winner:
            some = "1 query gets" if a.without_winner == 1 else f"{a.without_winner} queries get"
            words += f" {some} no label, because scores tie."
        if state.query > a.asked:
            words += f" There is no query {state.query}; the last is {a.asked}."
        words += f" Query {a.asked} is {'of no class' if a.own < 0 else f'of class {NAMES[a.own]}'} and gets "
        if a.label == NO_CLASS:
            return words + "no label: no class has the largest score."
        ahead, behind = (plus_or_minus(float(a.scores[c])) for c in (a.label, a.runner_up))
        words += f"label {NAMES[a.label]}: its score is {ahead}, against {behind} for {NAMES[a.runner_up]}."
        if a.of_no_class:
            some = f"{a.named or 'none'} of them {'get' if a.named > 1 else 'gets'} a label"
            named = "each still gets a label" if a.named == a.of_no_class else some
            words += f" The {a.of_no_class} stars are of no class, and {named}."
        return words

    def pointed(self, event: Mapping[str, Any]) -> None:
        self.set(query=int(event["index"]) + 1)


UP, ACROSS = np.indices((len(GRID), len(GRID)))
EVERY = 8  # cells between two hatch lines
RISES, FALLS = (UP - ACROSS) % EVERY == 0, (UP + ACROSS) % EVERY == 0
HATCHED = np.stack([0 * RISES, RISES, FALLS, RISES | FALLS, UP % EVERY == 0, ACROSS % EVERY == 0])  # like HATCHES


def with_hatches(winners: np.ndarray) -> np.ndarray:
    """The color of each cell of the map, as an index into the palette `PALE + DARK`.

    Hatches also mark the classes, so the map can be read without colours.
    """
    on = (winners >= 0) & np.take_along_axis(HATCHED, winners.clip(0)[None], 0)[0].astype(bool)
    return (winners - NO_CLASS + len(PALE) * on).astype(np.uint8)


def reach(values: torch.Tensor, largest: float) -> list[float]:
    """The range of the vertical axis for bars of these heights, with space for text above the bars.

    The range is never empty.
    """
    size = largest or 1.0
    return [min(0.0, 1.25 * float(values.min())) - 0.05 * size, 1.3 * size if largest == 0 or values.max() > 0 else 0.2]
