"""Self-checks of lesson 00: the most similar example. The check of the trace is in `checks.kernels`."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.kernels.characters import WAYS, nearest


def most_similar(K_qs: Tensor, letters: Tensor) -> Tensor:
    """The letter of the most similar example (column) for each query (row)."""
    return letters[K_qs.argmax(1)]


@exercise
def guess(mine: Any) -> str:
    """Coding exercise: `my_guess(K_qs, letters)`, the letter of the most similar example for each query."""
    mistakes = [
        (
            lambda K, letters: K.argmax(1),
            "That is the number of the most similar example. Look up which letter it shows: `letters[...]`.",
        ),
        (
            lambda K, letters: letters[K.argmin(1)],
            "You took the least similar example. Take the most similar one: `argmax` instead of `argmin`.",
        ),
        (
            lambda K, letters: letters[K.argmax(0)],
            "You searched down the columns. Each query is a row: use `argmax(1)`.",
        ),
        (
            lambda K, letters: K.argmax(0),
            "That is the most similar query of each example. Each query is a row: use `argmax(1)`.",
        ),
        (lambda K, letters: K.amax(1), "That is how similar the best example is. Return the letter that it shows."),
        (
            lambda K, letters: K.argmax(),
            "That is one number for the whole table. Use `argmax(1)`: one number for each row.",
        ),
        (lambda K, letters: most_similar(K, letters) + 1, "You counted the letters from 1. They are numbered from 0."),
        (
            lambda K, letters: (K @ one_hot(letters).to(K.dtype)).argmax(1),
            "You added up the similarities to all examples of a letter. Take only the single most similar example.",
        ),
        (lambda K, letters: letters, "Those are the letters of the examples. Return one guess for each query."),
    ]
    cases = [(table(q, n, seed), torch.tensor(letters)) for seed, (q, n, letters) in enumerate(CASES)]
    diagnose.function(mine, most_similar, cases, mistakes)
    return "Each query gets the letter of its most similar example, in three tables."


# Each case: number of queries, number of examples, and the letter of each example. A letter may repeat, and the letters
# are never in order.
CASES = [(3, 5, [4, 0, 3, 1, 2]), (4, 6, [1, 2, 0, 1, 0, 2]), (5, 8, [3, 3, 0, 1, 2, 1, 3, 0])]


def table(q: int, n: int, seed: int) -> Tensor:
    """Random similarities between 0 and 1, for q queries (rows) and n examples (columns)."""
    return torch.rand(q, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@exercise
def always_read(answer: Any, task: int) -> str:
    """Explore: the number (from 1) of the letter whose queries are all classified correctly.

    Each letter has one example. A query gets the label of the most similar example.
    """
    letter = diagnose.real(answer)
    guesses, truths = nearest(task)
    prints = len(truths) // WAYS
    if letter not in range(1, WAYS + 1):
        raise Wrong(
            f"Expected a letter, a whole number from 1 (the first) to {WAYS}. Got {letter:g}. "
            f"If this is the number of a query: each letter has {prints} queries, in order."
        )
    mine = truths == round(letter) - 1
    missed = mine & (guesses != truths)
    if missed.any():
        query = int(missed.nonzero()[0])
        raise Wrong(
            f"Letter {letter:g} is recognised {prints - int(missed.sum())} times in {prints}. For example, query "
            f"{query + 1} is taken for letter {int(guesses[query]) + 1}. Keep task at {task} and shots at 1, and move "
            "query."
        )
    others = int((guesses == round(letter) - 1).sum()) - prints
    return (
        f"Letter {letter:g} is recognised {prints} times in {prints}. But {others} images of the other letters are "
        "also taken for it: the model gives this answer too often. “Where this breaks” explains why."
    )
