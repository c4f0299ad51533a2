"""The first lesson's self-checks, beside the sum of a diagonal in test_check.py."""

import math

import pytest
import torch

from amfs_lab.explore import CharacterExplorer, characters, check


def right_guess(K_qs, letters):
    return torch.stack([letters[max(range(len(row)), key=lambda j: row[j])] for row in K_qs])


def votes(K_qs, letters):
    total = torch.zeros(len(K_qs), int(letters.max()) + 1, dtype=K_qs.dtype).index_add(1, letters, K_qs)
    return total.argmax(1)


def todo(K_qs, letters):
    raise NotImplementedError


MISTAKES = [
    (lambda K, letters: K.argmax(1), "number of the most similar example. Look up which letter it shows"),
    (lambda K, letters: letters[K.argmin(1)], "took the least similar example"),
    (lambda K, letters: letters[K.argmax(0)], "searched down the columns"),
    (lambda K, letters: K.argmax(0), "each example's favourite query"),
    (lambda K, letters: K.max(1).values, "Asked is whose letter it shows"),
    (lambda K, letters: K.argmax(), "one number for the whole table"),
    (lambda K, letters: right_guess(K, letters) + 1, "counted the letters from one"),
    (votes, "added up the similarities to all examples of a letter"),
    (lambda K, letters: letters, "the examples' own letters"),
    (lambda K, letters: K.max(1), "Expected a tensor. Got a max"),
    (lambda K, letters: None, "returns nothing"),
    (lambda K, letters: letters[K], "stopped with IndexError"),
    (lambda K, letters: right_guess(K, letters)[:, None], r"shape is off: expected \(3,\)\. Got \(3, 1\)"),
    (3, "Expected your function, without brackets behind its name. Got 3"),
]


@pytest.mark.parametrize(("answer", "diagnosis"), MISTAKES, ids=[diagnosis for _, diagnosis in MISTAKES])
def test_a_wrong_guess_is_told_what_it_did(answer, diagnosis):
    with pytest.raises(AssertionError, match=diagnosis):
        check.guess(answer)


def test_a_right_guess_is_told_why(capsys):
    check.guess(right_guess)
    check.guess(lambda K, letters: letters[K.argmax(dim=1)])
    assert capsys.readouterr().out.count("✓ Each query gets the letter of its most similar example") == 2


def test_the_key_and_the_checks_see_what_the_explorer_shows():
    explorer = CharacterExplorer("one example each", task=2)
    guesses, truths = characters.nearest(2)
    for query in (1, 20, 46, 75):
        explorer.set(query=query)
        a = explorer.arrays
        assert (a.guess, a.truth) == (int(guesses[query - 1]) + 1, int(truths[query - 1]) + 1)
    assert a.right == int((guesses == truths).sum())


def test_the_key_of_the_question_is_counted(monkeypatch):
    assert (characters.how_many_read(1), characters.how_many_read(2)) == ("fewer than 25", "25 to 50")
    for right, key in ((24, "fewer than 25"), (25, "25 to 50"), (50, "25 to 50"), (51, "more than 50")):
        monkeypatch.setattr(characters, "nearest", lambda task, n=right: (torch.arange(75) < n, torch.ones(75)))
        assert characters.how_many_read(2) == key


def test_the_letter_that_is_always_read(capsys):
    guesses, truths = characters.nearest(2)
    (always,) = [c for c in range(5) if (guesses[truths == c] == c).all()]
    check.always_read(always + 1, task=2)
    said = capsys.readouterr().out
    assert said.startswith(f"✓ Letter {always + 1} is read 15 times in 15. But ")
    assert f"But {int(((guesses == always) & (truths != always)).sum())} prints of the other letters" in said


@pytest.mark.parametrize(
    ("answer", "diagnosis"),
    [
        (
            2,
            r"Letter 2 is read 3 times in 15: query 16, for one, is taken for letter 4\. Keep task at 2 and shots at 1",
        ),
        (46, "from 1 to 5. Got 46. If that is a query's number: each letter has 15 queries, in order"),
        (1.5, "Expected a letter, a whole number from 1 to 5. Got 1.5"),
        (0, "Expected a number > 0 for the letter. Got 0"),
        (math.nan, "Expected a number > 0"),
        ("four", "Expected a number > 0 for the letter. Got 'four'"),
    ],
)
def test_another_letter_is_told_where_it_fails(answer, diagnosis):
    with pytest.raises(AssertionError, match=diagnosis):
        check.always_read(answer, task=2)


@pytest.mark.parametrize("exercise", [lambda: check.guess(todo), lambda: check.always_read(..., task=2)])
def test_an_unsolved_exercise_is_no_error_for_a_reader(exercise, capsys, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    exercise()
    assert capsys.readouterr().out == "○ not attempted yet\n"
