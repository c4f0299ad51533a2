"""Draw your own characters: five sheets with one example each, and a sixth sheet that I-AMFS classifies.

The prediction is updated while you draw.
"""

from collections.abc import Mapping
from typing import Any

import ipywidgets as w
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab import pretrained
from amfs_lab.explore.episodes.sheets import (
    AGAIN,
    ANSWER,
    BLANK,
    LETTERS,
    NOTHING,
    SHEETS,
    STORED,
    UNKNOWN_LETTER,
    Content,
    features,
    on_sheets,
    picture,
    truth,
    twins,
)
from amfs_lab.explore.kernels.characters import OTHERS, SIDE, WAYS
from amfs_lab.widgets.controls import Choice
from amfs_lab.widgets.drawing_pad import DrawingPad, SheetState, printed
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.png import PAPER, greys
from amfs_lab.widgets.png import picture as png
from amfs_lab.widgets.style import BLUE, SKY, VERMILLION
from amfs_lab.widgets.text import percent, short, signed
from amfs_lab.widgets.traces import bars, image, notes

GAP = 12  # space beside and below each picture; its name is written below
ROOM = SIDE + GAP
APART = WAYS + 2  # position of the variance bar, with a gap because it is not the probability of a letter


class DrawExplorer(Explorer):
    """One example of each of five letters, one solve, and the prediction for a query.

    The pretrained learner turns each picture into features. I-AMFS learns the task from the features of the five
    examples. The query is scored by the examples' votes: f_c = scale · Σ_i α_ic k(x, x_i).
    """

    title = "Draw your own characters: five examples, one solve, and a query"
    alt = (
        "Three panels. Left: the images that the pretrained learner gets, five examples in a row and the query below "
        "them. Middle: what each example adds to one letter's score, as signed bars. Right: the probability of each "
        "letter as bars, and beside them the share of the query's variance that the examples leave open."
    )

    letters = Choice("letters", (*STORED, BLANK), help="the letters on the five sheets")
    asked = Choice("query", (*AGAIN, UNKNOWN_LETTER, NOTHING), start=AGAIN[1], help="the content of the sixth sheet")
    votes_for = Choice("votes for", (ANSWER, *LETTERS), help="the letter whose score the middle panel explains")
    letter_1, letter_2, letter_3, letter_4, letter_5 = (DrawingPad(name) for name in LETTERS)
    query = DrawingPad("query")

    presets = {
        "Bengali": {"letters": "Bengali", "asked": AGAIN[1], "votes_for": ANSWER},
        "Syriac": {"letters": "Syriac", "asked": AGAIN[3], "votes_for": ANSWER},
        "an unknown letter": {"letters": "Kayah Li", "asked": UNKNOWN_LETTER, "votes_for": ANSWER},
        "my own sheets": {"letters": BLANK, "asked": NOTHING, "votes_for": ANSWER},
    }

    panels = Panels(
        widths=(0.3, 0.35, 0.35),
        pictures=Panel(
            "as pictures",
            axis(visible=False, constrain="domain", range=(-GAP / 2, 3 * ROOM - GAP / 2)),
            axis(visible=False, scaleanchor="x", constrain="domain", range=(2 * ROOM, -GAP / 2)),
        ),
        votes=Panel("votes α k(x, x<sub>i</sub>)", axis(ticks=list(range(1, WAYS + 1))), axis(nticks=5)),
        verdict=Panel(
            "prediction",
            axis(
                "probability of each letter; open variance",
                ticks={c: str(c) for c in range(1, WAYS + 1)} | {APART: "open"},
            ),
            axis(range=(0, 1.18), ticks=[0, 0.5, 1], tickformat=".0%"),
        ),
    )
    layout = dict(height=270, showlegend=False, bargap=0.3)
    frame = {"votes.x.title.text": "votes_title", "votes.y.range": "votes_range"}
    traces = {
        "given": image("given"),
        "names": notes("across", "down", [*"12345", "query"], "middle center"),
        "votes": bars(
            "numbers",
            "votes",
            rim=(None, 1),
            at="votes",
            numbers="votes_text",
            hover="vote of example %{x}: %{y:.3f}, its similarity %{customdata:.3f}",
            customdata="similarity",
            marker_color="votes_color",
            marker_pattern_shape="votes_pattern",
        ),
        "probability": bars(
            "numbers",
            "probability",
            at="verdict",
            numbers="probability_text",
            hover="letter %{x}: %{y:.1%}",
            marker_color="probability_color",
            marker_line_width="rims",
        ),
        "open": bars(
            "beside",
            "open",
            "white",
            (VERMILLION, 2),
            at="verdict",
            numbers="open_text",
            hover="open: %{y:.1%} of the variance",
        ),
    }

    def __init__(self, preset: str | None = None, **start: Any) -> None:
        super().__init__(preset, **start)
        self._label()

    def compute(self, state: State) -> Arrays:
        contents = on_sheets(state)
        pictures = torch.stack([picture(content) for content in contents])
        blank = [i + 1 for i in range(WAYS) if not pictures[i].any()]
        task = {
            "state": state,
            "pictures": pictures,
            "given": board(pictures),
            "across": [ROOM * (i % 3) + SIDE / 2 for i in range(WAYS + 1)],
            "down": [ROOM * (i // 3) + SIDE + GAP / 2 for i in range(WAYS + 1)],
            "numbers": np.arange(1, WAYS + 1),
            "beside": [APART],
            "blank": blank,
            "same": None if blank else twins(pictures[:WAYS]),
            "truth": truth(contents),
        }
        if blank or task["same"] or not pictures[WAYS].any():
            return Arrays(
                **task, **as_arrays(None, torch.zeros(WAYS, WAYS), torch.zeros(WAYS), torch.zeros(WAYS), 0.0, state)
            )
        return Arrays(**task, **verdict(contents, state))

    def say(self, a: Arrays) -> str:
        if a.blank:
            return (
                "All five sheets are blank: draw one example on each, or choose letters from the menu."
                if len(a.blank) == WAYS
                else f"No prediction yet: {listed(a.blank)} {'is' if len(a.blank) == 1 else 'are'} blank. "
                "The pretrained learner needs one example of each of the five letters."
            )
        if a.same:
            return (
                f"No prediction: {listed(a.same)} are the same picture at the size that the pretrained learner gets. "
                "Clear one of them and draw another letter."
            )
        if a.answer is None:
            return (
                "The five examples are learned. Now draw one of the five letters again on the sixth sheet, the query, "
                "or choose one from the menu."
            )
        best = a.similarity.argmax()
        words = (
            f"The query is recognised as letter {a.answer + 1}{truth_text(a)}, with probability "
            f"{percent(a.probability[a.answer])}. The example of this letter has the vote {signed(a.own_vote)}. "
            f"Example {best + 1} is the most similar, with {a.similarity[best]:.2f}. "
        )
        words += f"{percent(a.open[0])} of the variance stays open (standard deviation {a.open[0] ** 0.5:.2f} of 1)"
        if a.open[0] > a.variance_threshold:
            return words + ", more than for 95 % of ordinary queries: the query may be none of the five letters."
        return words + ", as is usual for a query of the five letters."

    # The sheets, and the two menus that put stored letters on them.

    def _change(self, changes: Mapping[str, Any], leave: w.Widget | None = None) -> None:
        fresh: dict[str, Any] = {}
        if "letters" in changes:
            fresh |= dict.fromkeys(SHEETS)
        if "asked" in changes:
            fresh["query"] = None
        super()._change(fresh | dict(changes), leave)
        self._label()

    def _label(self) -> None:
        """Updates the picture, the name of the script, and the result on each sheet."""
        a, contents = self.arrays, on_sheets(State({**self.state, **dict.fromkeys(SHEETS)}))
        for i, (name, content) in enumerate(zip(SHEETS, contents, strict=True)):
            sheet: SheetState = self.controls[name].parts[0].widget
            with sheet.hold_sync():
                sheet.picture = printed(picture(content))
                sheet.caption = self.state.letters if content else "blank"
                sheet.chosen = a.answer == i
                if i < WAYS:
                    sheet.remark = "" if a.answer is None else percent(a.probability[i])
                else:
                    sheet.remark = "no prediction" if a.answer is None else f"letter {a.answer + 1}"

    def rows(self, rare: bool) -> list[w.Widget]:
        """The controls in their order on the page; the sheets are grouped below them."""
        if rare:
            return []
        desk = w.HBox([self.controls[name].box for name in SHEETS], layout=w.Layout(flex_flow="row wrap"))
        desk.add_class("amfs-desk")
        return [*(fields.box for name, fields in self.controls.items() if name not in SHEETS), desk]


def board(pictures: Float[Tensor, "n 28 28"]) -> str:
    """One image of all pictures as a PNG in a data URI.

    There are three pictures in a row, with space for a name below each picture.
    """
    cells = np.zeros((2 * ROOM, 3 * ROOM), np.uint8)
    for i, glyph in enumerate(pictures):
        row, column = ROOM * (i // 3), ROOM * (i % 3)
        cells[row : row + SIDE, column : column + SIDE] = greys(glyph)
    return png(cells, PAPER)


def verdict(contents: list[Content], state: State) -> dict[str, Any]:
    """The prediction for the query, from one solve on the features of the examples."""
    read = pretrained.load()
    seen = torch.stack([features(content) for content in contents])
    predictor = read.learn(seen[:WAYS])
    asked = seen[WAYS:]
    with torch.no_grad():
        similarity = predictor.space.kernel(asked, predictor.support)[0]
        votes = predictor.alpha * similarity[:, None]  # α_ic k(x, x_i): vote of example i for letter c
        probability = predictor(asked)[0].softmax(0)
        left = float(predictor.variance(asked)[0].clamp(0, 1))
    return as_arrays(int(probability.argmax()), votes, similarity, probability, left, state)


def as_arrays(
    answer: int | None,
    votes: Float[Tensor, "n n"],
    similarity: Float[Tensor, " n"],
    probability: Float[Tensor, " n"],
    left: float,
    state: State,
) -> dict[str, Any]:
    """The arrays of the figure for a prediction. `answer` is None if there is no prediction."""
    shown = (answer or 0) if state.votes_for == ANSWER else LETTERS.index(state.votes_for)
    none = answer is None
    theirs = votes[:, shown]
    room = 0.2 * max(0.5, float(theirs.max() - theirs.min()))  # space for the numbers on the bars
    return dict(
        answer=answer,
        own_vote=0.0 if none else float(votes[answer, answer]),
        variance_threshold=pretrained.load().variance_threshold,
        similarity=similarity.double(),
        votes=theirs,
        votes_range=[min(0.0, float(theirs.min())) - room, max(0.0, float(theirs.max())) + room],
        votes_text=["" if none else signed(float(vote)) for vote in theirs],
        votes_color=[BLUE if vote >= 0 else SKY for vote in theirs],
        votes_pattern=["" if vote >= 0 else "/" for vote in theirs],
        votes_title="example" if none else f"example, for letter {shown + 1}",
        probability=probability.double(),
        probability_text=["" if none else short(float(p)) for p in probability],
        probability_color=[BLUE if c == answer else OTHERS for c in range(WAYS)],
        rims=[2 if c == answer else 0 for c in range(WAYS)],
        open=[left],
        open_text=["" if none else short(left)],
    )


def truth_text(a: Arrays) -> str:
    if a.truth is None:
        return ""
    if a.truth < 0:
        return " (wrong: it is none of them)"
    return " (right)" if a.truth == a.answer else f" (wrong: it is letter {a.truth + 1})"


def listed(letters: list[int]) -> str:
    """A list of letters in words: "letter 2", "letters 1, 2 and 5"."""
    *first, last = map(str, letters)
    return f"letters {', '.join(first)} and {last}" if first else f"letter {last}"
