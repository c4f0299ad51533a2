"""Self-checks of lesson 00. The check on the sum of a diagonal is tested in test_checks.py."""

import math
from functools import partial

import torch

from amfs_lab import checks
from amfs_lab.explore import CharacterExplorer
from amfs_lab.explore.kernels import characters, questions
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def right_guess(K_qs, letters):
    return torch.stack([letters[max(range(len(row)), key=lambda j: row[j])] for row in K_qs])


def votes(K_qs, letters):
    total = torch.zeros(len(K_qs), int(letters.max()) + 1, dtype=K_qs.dtype).index_add(1, letters, K_qs)
    return total.argmax(1)


GUESSED = "Each query gets the letter of its most similar example"
always_read = partial(checks.always_read, task=2)

MISTAKES = [
    (checks.guess, lambda K, letters: K.argmax(1), "number of the most similar example. Look up which letter it shows"),
    (checks.guess, lambda K, letters: letters[K.argmin(1)], "took the least similar example"),
    (checks.guess, lambda K, letters: letters[K.argmax(0)], "searched down the columns"),
    (checks.guess, lambda K, letters: K.argmax(0), "the most similar query of each example"),
    (checks.guess, lambda K, letters: K.max(1).values, "Return the letter that it shows"),
    (checks.guess, lambda K, letters: K.argmax(), "one number for the whole table"),
    (checks.guess, lambda K, letters: right_guess(K, letters) + 1, "counted the letters from 1"),
    (checks.guess, votes, "added up the similarities to all examples of a letter"),
    (checks.guess, lambda K, letters: letters, "the letters of the examples"),
    (checks.guess, lambda K, letters: K.max(1), "Expected a tensor. Got a max"),
    (checks.guess, lambda K, letters: None, "returns nothing"),
    (checks.guess, lambda K, letters: letters[K], "stopped with IndexError"),
    (
        checks.guess,
        lambda K, letters: right_guess(K, letters)[:, None],
        r"shape is wrong: expected \(3,\)\. Got \(3, 1\)",
    ),
    (checks.guess, 3, "Expected your function, without brackets after its name. Got 3"),
    (
        always_read,
        2,
        r"Letter 2 is recognised 3 times in 15. For example, query 16 is taken for letter 4\. Keep task at 2",
    ),
    (always_read, 46, r"to 5. Got 46. If this is the number of a query: each letter has 15 queries, in order"),
    (always_read, 1.5, r"Expected a letter, a whole number from 1 \(the first\) to 5. Got 1.5"),
    (always_read, 0, r"Expected a letter, a whole number from 1 \(the first\) to 5. Got 0"),
    (always_read, math.nan, "Got nan"),
    (always_read, "four", "Expected a number. Got 'four'"),
]
test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [(checks.guess, right_guess, GUESSED), (checks.guess, lambda K, letters: letters[K.argmax(dim=1)], GUESSED)]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader([(checks.guess, todo), (always_read, ...)])


def test_answers_and_checks_agree_with_the_explorer():
    explorer = CharacterExplorer("one example each", task=2)
    guesses, truths = characters.nearest(2)
    for query in (1, 20, 46, 75):
        explorer.set(query=query)
        a = explorer.arrays
        assert (a.guess, a.truth) == (int(guesses[query - 1]) + 1, int(truths[query - 1]) + 1)
    assert a.right == int((guesses == truths).sum())


def test_the_answer_to_the_question_is_counted(monkeypatch):
    assert (questions.answer_how_many_are_read(1), questions.answer_how_many_are_read(2)) == (
        "fewer than 25",
        "25 to 50",
    )
    for right, key in ((24, "fewer than 25"), (25, "25 to 50"), (50, "25 to 50"), (51, "more than 50")):
        monkeypatch.setattr(questions, "nearest", lambda task, n=right: (torch.arange(75) < n, torch.ones(75)))
        assert questions.answer_how_many_are_read(2) == key


def test_the_letter_that_is_always_recognised(capsys):
    guesses, truths = characters.nearest(2)
    (always,) = [c for c in range(5) if (guesses[truths == c] == c).all()]
    always_read(always + 1)
    said = capsys.readouterr().out
    assert said.startswith(f"✓ Letter {always + 1} is recognised 15 times in 15. But ")
    assert f"But {int(((guesses == always) & (truths != always)).sum())} images of the other letters" in said
