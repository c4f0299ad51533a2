"""A prediction: the user chooses, a wrong choice gets a reason, and nothing shows the answer before."""

import pytest

from amfs_lab.errors import ConfigError
from amfs_lab.explore.kernels import questions
from amfs_lab.widgets.predict import predict

OPTIONS = ["more", "fewer", "the same number"]


@pytest.fixture
def question():
    return predict(
        "You double σ. How many?",
        OPTIONS,
        answer=questions.answer_rank_when_sigma_doubles,
        because={"more": "points grow more alike", "fewer": "Rows grow alike."},
    )


def test_a_wrong_guess_gets_its_reason_and_another_try(question):
    assert question.choose("more") is False
    assert "points grow more alike" in question.feedback.text
    assert "fewer" not in question.feedback.text
    assert question.buttons["more"].disabled
    assert not question.buttons["fewer"].disabled


def test_the_right_guess_gets_its_reason_and_ends_the_question(question):
    assert question.choose("fewer") is True
    assert question.feedback.text == "Yes: fewer. Rows grow alike."
    assert [button.disabled for button in question.buttons.values()] == [True, False, True]


def test_a_click_is_a_choice(question):
    question.buttons["the same number"].click()
    assert question.chosen == ["the same number"]
    assert "the numbers, computed just now, say otherwise" in question.feedback.text


def test_the_answer_is_computed_at_the_click():
    keys = iter(["a", "a", "b"])
    question = predict("?", ["a", "b"], answer=lambda: next(keys))
    assert question.choose("a") is True
    assert question.choose("a") is False


def test_a_stored_notebook_does_not_contain_the_answer(question):
    bundle, _ = question._repr_mimebundle_()
    assert bundle["text/plain"] == "Predict: You double σ. How many? (more / fewer / the same number)"
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_question_is_escaped():
    assert "1 &lt; 2" in predict("1 < 2?", ["yes", "no"], "yes").widget.children[0].value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"answer": "maybe"}, r"`answer` must be one of 'more', 'fewer', 'the same number'\. Got 'maybe'"),
        ({"answer": lambda: "less"}, "Got 'less'"),
        ({"answer": "more", "because": {"less": "?"}}, "Got a reason for 'less'"),
    ],
)
def test_a_question_that_cannot_be_answered_fails_for_its_author(arguments, words):
    with pytest.raises(ConfigError, match=words):
        predict("?", OPTIONS, **arguments)


def test_an_error_after_a_click_is_shown_below_the_question():
    keys = iter(["more"])
    question = predict("?", OPTIONS, answer=lambda: next(keys))
    question.buttons["more"].click()
    assert question.feedback.text.startswith("This question met an error. StopIteration")


def test_an_interrupted_answer_asks_again():
    """Computing an answer may take long. After an interrupt, no choice is recorded."""
    asked = []

    def slow():
        asked.append(None)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return "up"

    question = predict("Up or down?", ["up", "down"], answer=slow)
    with pytest.raises(KeyboardInterrupt):
        question.buttons["up"].click()
    assert question.feedback.text == "Stopped before the answer was known. Choose again."
    assert question.chosen == []
    question.buttons["up"].click()
    assert question.feedback.text.startswith("Yes: up.")
