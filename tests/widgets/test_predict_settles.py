"""A prediction about a later run: the choice is kept, and compared when the numbers are known."""

from amfs_lab.widgets.predict import predict


def question(known):
    return predict("Who is ahead?", ["ours", "theirs"], answer=lambda: known.get("winner"))


def test_a_choice_waits_for_an_answer_that_is_not_known_yet():
    known = {}
    ask = question(known)
    assert ask.choose("ours") is False
    assert ask.feedback.text.startswith("Noted: ours.")
    assert not any(button.disabled for button in ask.buttons.values()), "the choice may change until then"
    assert ask.settle() == "The answer is not known yet: run the cells in between first."
    known["winner"] = "theirs"
    assert ask.settle() == "You said “ours”. The answer is: theirs."
    ask.choose("theirs")
    assert ask.settle().startswith("Yes: theirs.")


def test_without_a_choice_the_answer_is_shown():
    assert question({"winner": "ours"}).settle() == "You made no prediction. The answer is: ours."
