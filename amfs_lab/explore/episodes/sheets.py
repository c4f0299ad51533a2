"""The six sheets of `DrawExplorer`. Each sheet holds a stored letter, a drawing or nothing."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from amfs_lab import pretrained
from amfs_lab.explore.kernels.characters import SIDE, WAYS
from amfs_lab.tasks import glyphs
from amfs_lab.widgets.figure import State
from amfs_lab.widgets.strokes import Strokes, render

# Scripts of the test split: the pretrained learner was not trained on their letters.
STORED = ("Bengali", "Cyrillic", "Kayah Li", "Syriac")
BLANK = "blank sheets"
LETTERS = tuple(f"letter {i + 1}" for i in range(WAYS))
AGAIN = tuple(f"{letter} again" for letter in LETTERS)
UNKNOWN_LETTER, NOTHING, ANSWER = "a sixth letter", "blank sheet", "the answer"
NAMES = tuple(f"letter_{i + 1}" for i in range(WAYS))
SHEETS = (*NAMES, "query")


class Stored(NamedTuple):
    """One sample of a letter of a script."""

    script: str
    letter: int
    sample: int


Content = Stored | Strokes | None  # None is a blank sheet


@lru_cache(maxsize=len(STORED))
def stored(script: str) -> UInt8[Tensor, "6 20 28 28"]:
    """Six letters, evenly spaced in a script: five for the sheets, and a sixth letter that is on no sheet."""
    data = glyphs.load()
    rows = [i for i, name in enumerate(data.scripts) if name == script]
    return data.images[[rows[round(j * (len(rows) - 1) / WAYS)] for j in range(WAYS + 1)]]


def on_sheets(state: State) -> list[Content]:
    """The content of each of the six sheets."""
    script = state.letters if state.letters in STORED else None
    asked: dict[str, int] = {name: i for i, name in enumerate((*AGAIN, UNKNOWN_LETTER))}
    shown: list[Content] = [Stored(script, i, 0) if script else None for i in range(WAYS)]
    shown.append(Stored(script, asked[state.asked], 1) if script and state.asked in asked else None)
    return [
        content if state[name] is None else state[name] or None for name, content in zip(SHEETS, shown, strict=True)
    ]


@lru_cache(maxsize=256)
def picture(content: Content) -> Float[Tensor, "28 28"]:
    """The image that the pretrained learner receives, with bright ink."""
    if content is None:
        return torch.zeros(SIDE, SIDE)
    if isinstance(content, Stored):
        return stored(content.script)[content.letter, content.sample].float() / 255
    return render(content)


@lru_cache(maxsize=256)
def features(content: Content) -> Float[Tensor, " d"]:
    """The features of one image, from a cache. So a change of the query needs no new features of the examples."""
    return pretrained.load().features(picture(content)[None])[0]


def twins(pictures: Float[Tensor, "n 28 28"]) -> list[int] | None:
    """The numbers (from 1) of the first two examples with identical images; None if there are none."""
    pairs = [(i, j) for i in range(len(pictures)) for j in range(i) if torch.equal(pictures[i], pictures[j])]
    return sorted(z + 1 for z in pairs[0]) if pairs else None


def truth(contents: list[Content]) -> int | None:
    """The true letter of the query, counted from 0; -1 for a letter that is on no sheet, None for a drawing."""
    asked = contents[WAYS]
    if not isinstance(asked, Stored):
        return None
    examples = [content[:2] if isinstance(content, Stored) else None for content in contents[:WAYS]]
    return examples.index(asked[:2]) if asked[:2] in examples else -1
