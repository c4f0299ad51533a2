"""Characters of one few-shot task: the similarities of their pixels, and the example most similar to a query."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from amfs_lab.episode import Episode
from amfs_lab.kernels import rbf_kernel
from amfs_lab.tasks import EpisodeConfig, ImageSource, open_source
from amfs_lab.widgets.controls import Slider
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import EQUAL_X, Panel, Panels, axis
from amfs_lab.widgets.png import print_of
from amfs_lab.widgets.style import BLUE, SIMILARITY, VERMILLION
from amfs_lab.widgets.traces import Trace, bars, heat_map, image

WAYS, QUERIES, SIDE, GAP = 5, 15, 28, 8
OTHERS = "rgba(110, 119, 129, 0.5)"  # FAINT at half opacity


@lru_cache(maxsize=8)
def source(shots: int) -> ImageSource:
    """A source of 5-way tasks with letters of the test split. Meta-training does not use the scripts of this split."""
    return open_source("glyphs", "test", EpisodeConfig(WAYS, shots, QUERIES))


def pixels(episode: Episode) -> tuple[Tensor, Tensor]:
    """The support images and the query images of an episode, with the pixels of each image as one row."""
    return episode.support.x.flatten(1), episode.query.x.flatten(1)


class CharacterExplorer(Explorer):
    """Letters of the test split, one to five examples per letter, and the similarity of one query to each example."""

    title = "Five letters of one task, the similarity of their pixels, and one query"
    alt = (
        "Three panels. Left: pictures of the examples of five letters, one column for each, and below them the query. "
        "Middle: the Gram matrix of the examples as a heat map. "
        "Right: five bars, the query's similarity to the most similar example of each letter."
    )

    bandwidth = Slider(
        "σ", 0.1, 100.0, scale="log", start=5.0, unit="pixel distance", help="how far similarity reaches"
    )
    task = Slider("task", 1, 40, integer=True, start=1, help="which five letters")
    shots = Slider("shots", 1, 5, integer=True, start=1, help="examples of each letter")
    query = Slider("query", 1, WAYS * QUERIES, integer=True, start=20, help="number of the query image")

    presets: ClassVar[dict[str, Any]] = {
        "one example each": {"shots": 1, "bandwidth": 5.0},
        "five examples each": {"shots": 5, "bandwidth": 5.0},
        "too narrow": {"shots": 1, "bandwidth": 0.2},
    }
    panels = Panels(
        widths=(0.42, 0.31, 0.27),
        images=Panel(
            "examples, and below them the query",
            axis(
                {"text": "letter", "standoff": 0},
                side="top",
                ticks={SIDE * c + SIDE / 2: str(c + 1) for c in range(WAYS)},
                showline=False,
                **EQUAL_X,
            )
            | {"ticks": ""},
            axis(
                visible=False,
                scaleanchor="x",
                autorange="reversed",
                constrain="domain",
                domain=[0.0, 0.9],  # the numbers of the letters are between picture and title
            ),
        ),
        gram=Panel(
            "Gram matrix of the examples",
            axis("example", tick0=1, **EQUAL_X),
            axis("example", tick0=1, scaleanchor="x", autorange="reversed", constrain="domain"),
        ),
        similarities=Panel(
            "the query's similarity",
            axis("letter", ticks=list(range(1, WAYS + 1))),
            axis("to its most similar example", (0, 1.12), ticks=[0, 0.2, 0.4, 0.6, 0.8, 1]),
        ),
    )
    layout: ClassVar[dict[str, Any]] = {"height": 380, "showlegend": False}
    frame: ClassVar[dict[str, str]] = {"gram.x.dtick": "every", "gram.y.dtick": "every"}
    traces: ClassVar[dict[str, Trace]] = {
        "examples": image("examples"),
        "query": image("asked", WAYS // 2 * SIDE, "below"),
        "gram": heat_map("numbers", "numbers", "K", SIMILARITY, at="gram", hover="examples %{y} and %{x}: %{z:.3f}"),
        "similarities": bars(
            "letters", "votes", at="similarities", numbers="marks", hover="letter %{x}: %{y:.3f}", marker_color="colors"
        ),
    }

    def compute(self, state: State) -> Arrays:
        episode = source(state.shots)[state.task - 1]
        support, query = pixels(episode)
        K_qs = rbf_kernel(query, support, state.bandwidth)
        votes = K_qs.view(len(query), WAYS, state.shots).amax(2)  # support images are ordered by letter
        guesses = votes.argmax(1)
        alike = votes.amax(1) > 0  # if all kernel values are 0, no letter is the largest
        asked = state.query - 1
        truth, guess = int(episode.query.y[asked]), int(guesses[asked])
        taken = guess if alike[asked] else None
        return Arrays(
            bandwidth=state.bandwidth,
            query=state.query,
            examples=print_of(columns(episode.support.x[:, 0], state.shots)),
            asked=print_of(episode.query.x[asked, 0]),
            below=state.shots * SIDE + GAP,
            numbers=np.arange(1, len(support) + 1),
            every=state.shots,
            K=rbf_kernel(support, support, state.bandwidth),
            letters=np.arange(1, WAYS + 1),
            votes=votes[asked],
            marks=["its own" if c == truth else "guess" if c == taken else "" for c in range(WAYS)],
            colors=[BLUE if c == truth else VERMILLION if c == taken else OTHERS for c in range(WAYS)],
            truth=truth + 1,
            guess=guess + 1,
            nearest=float(votes[asked].max()),
            right=int(((guesses == episode.query.y) & alike).sum()),
            lost=int((~alike).sum()),
        )

    def say(self, a: Arrays) -> str:
        head = f"At σ = {a.bandwidth:.3g}, query {a.query} is"
        total = f"{a.right} of {WAYS * QUERIES} queries of this task are most similar to their own letter."
        if a.nearest == 0:
            everyone = a.lost == WAYS * QUERIES
            rest = (
                f"all {a.lost} queries of this task: no two images are similar."
                if everyone
                else (f"{a.lost} of the {WAYS * QUERIES} queries of this task.")
            )
            return f"{head} similar to no example at all: every kernel value is 0. This is true for {rest}"
        verdict = "which it is" if a.guess == a.truth else f"but it is letter {a.truth}"
        return f"{head} most similar to letter {a.guess} ({a.nearest:.2g}), {verdict}; {total}"


def columns(images: Tensor, shots: int) -> Tensor:
    """One picture of all examples, with one column per letter."""
    return images.view(WAYS, shots * SIDE, SIDE).transpose(0, 1).reshape(shots * SIDE, WAYS * SIDE)


def nearest(task: int, bandwidth: float = 5.0) -> tuple[Tensor, Tensor]:
    """The most similar letter and the true letter for each query of a one-shot task, as class numbers from 0.

    `task` is the number of the task, from 1.
    """
    episode = source(1)[task - 1]
    support, query = pixels(episode)
    return episode.support.y[rbf_kernel(query, support, bandwidth).argmax(1)], episode.query.y
