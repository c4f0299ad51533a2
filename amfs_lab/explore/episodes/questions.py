"""Correct answers to the predictions about few-shot episodes. Each answer is computed on request."""

from functools import lru_cache

import numpy as np

from amfs_lab.explore.episodes.blocks import block
from amfs_lab.explore.episodes.clouds import NO_CLASS, task, winners
from amfs_lab.explore.episodes.draw_your_own import verdict
from amfs_lab.explore.episodes.sheets import (
    AGAIN,
    ANSWER,
    SHEETS,
    STORED,
    UNKNOWN_LETTER,
    on_sheets,
)
from amfs_lab.kernels import rbf_kernel
from amfs_lab.ridge import solve
from amfs_lab.widgets.figure import State


@lru_cache(maxsize=1)
def answer_when_lambda_is_huge(lam: float = 1e6) -> str:
    """The answer to "λ → ∞: which label does a query get?".

    It is computed from the queries of forty 3-way 5-shot tasks. The possible answers are `"no label: a tie"`,
    `"label of the nearest example"` and `"label with the largest sum of similarities"`.
    """
    options = {"no label: a tie": 0, "label of the nearest example": 0}
    in_sum, asked = "label with the largest sum of similarities", 0
    options[in_sum] = 0
    for t in (task(seed, ways=3, shots=5, separation=2.0) for seed in range(1, 41)):
        k = rbf_kernel(t.query_x, t.x, 1.0)
        alpha = solve(rbf_kernel(t.x, t.x, 1.0), t.targets, lam)
        labels = winners(k @ alpha, k @ alpha.abs())
        votes = (labels == NO_CLASS, labels == t.y[k.argmax(1)], labels == (k @ t.targets).argmax(1))
        for name, agreed in zip(options, votes, strict=True):
            options[name] += int(agreed.sum())
        asked += len(labels)
    return max(options, key=lambda name: options[name])


def answer_which_eigenvalues_grow(ways: int = 5, within: float = 0.6, between: float = 0.2) -> str:
    """The answer to "which eigenvalues grow with one more shot?", computed from numpy's eigenvalues."""

    def distinct(shots: int) -> np.ndarray:
        return np.unique(np.linalg.eigvalsh(block(ways, shots, within, between).numpy()).round(9))

    few, many = distinct(4), distinct(5)
    grown = [bool(more > less + 1e-9) for less, more in zip(few, many, strict=True)]  # order: within, classes, common
    keys: dict[tuple[bool, ...], str] = {
        (False, False, False): "none of them",
        (True, True, True): "all of them",
        (False, True, True): "those of the common and class eigen-directions",
    }
    return keys.get(tuple(grown), "something else")


def answer_label_of_an_unknown_letter() -> str:
    """The answer to "what does the pretrained learner predict for a letter that is on no sheet?".

    It is computed over all stored letters.
    """
    own, foreign = [], []
    for script in STORED:
        for asked in (*AGAIN, UNKNOWN_LETTER):
            contents = on_sheets(State(letters=script, asked=asked, **dict.fromkeys(SHEETS)))
            left = verdict(contents, State(votes_for=ANSWER))["open"][0]
            (foreign if asked == UNKNOWN_LETTER else own).append(left)
    more = sum(foreign) / len(foreign) > sum(own) / len(own)
    return f"one of the five, and open {'is high' if more else 'stays low'}"
