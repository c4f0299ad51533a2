"""The tests that every self-check has. Each function makes a test from a table of answers.

test_a_wrong_answer_is_told_what_it_did = told_what_it_did([(check.two_away, -2, "That is the exponent"), ...])
"""

import pytest


def todo(*arguments):
    """An unsolved exercise, as the student gets it."""
    raise NotImplementedError


def named(cases):
    """Test cases (exercise, answer, words). The name of a case is the exercise's name and the words."""
    names = [(getattr(exercise, "func", exercise).__name__, words) for exercise, _, words in cases]
    return pytest.mark.parametrize(
        ("exercise", "answer", "words"), cases, ids=[f"{who}: {said}" for who, said in names]
    )


def told_what_it_did(cases):
    """A test: each wrong answer fails, with a diagnosis that matches the words."""

    @named(cases)
    def test(exercise, answer, words):
        with pytest.raises(AssertionError, match=words):
            exercise(answer)

    return test


def told_why(cases):
    """A test: each right answer passes, and the praise contains the words."""

    @named(cases)
    def test(exercise, answer, words, capsys):
        exercise(answer)
        printed = capsys.readouterr().out
        assert printed.startswith("✓ ")
        assert words in printed

    return test


def no_error_for_a_reader(cases):
    """A test: the verdict on the unsolved exercise of the lesson is "not attempted yet"."""

    @pytest.mark.parametrize(("exercise", "answer"), cases)
    def test(exercise, answer, capsys, monkeypatch):
        monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
        exercise(answer)
        assert capsys.readouterr().out == "○ not attempted yet\n"

    return test
