"""The explorer with six sheets: moved like from the page, and its prediction against an independent computation."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from amfs_lab import pretrained
from amfs_lab.errors import ConfigError
from amfs_lab.explore import DrawExplorer
from amfs_lab.explore.episodes import draw_your_own, questions
from amfs_lab.explore.episodes import sheets as laid
from amfs_lab.explore.episodes.draw_your_own import ROOM, SIDE
from amfs_lab.tasks import glyphs
from amfs_lab.widgets.drawing_pad import CROSS, RING, printed

TEE = (((0.2, 0.2), (0.8, 0.2)), ((0.5, 0.2), (0.5, 0.9)))
ELL = (((0.3, 0.1), (0.3, 0.8), (0.8, 0.8)),)
ZED = (((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)),)
MINE = (CROSS, RING, TEE, ELL, ZED)


@pytest.fixture
def desk():
    return DrawExplorer()


def pen(explorer, name, strokes):
    """Sends the message that the page sends at the end of a stroke."""
    value = None if strokes is None else [[list(point) for point in stroke] for stroke in strokes]
    explorer.controls[name].parts[0].widget.set_state({"value": value})


@pytest.fixture
def mine(desk):
    desk.set(**desk.preset("my own sheets"))
    for name, strokes in zip(laid.NAMES, MINE, strict=True):
        pen(desk, name, strokes)
    return desk


def sheet(explorer, name):
    return explorer.controls[name].parts[0].widget


def test_it_begins_with_a_verdict_on_letters_of_unseen_scripts(desk):
    assert desk.sentence.text.startswith("The query is recognised as letter ")
    assert [bool(sheet(desk, name).picture) for name in draw_your_own.SHEETS] == [True] * 6
    splits = glyphs.load().splits
    assert {splits[script] for script in laid.STORED} == {"test"}


@pytest.mark.parametrize("letter", range(5))
def test_a_copy_of_an_example_gets_its_own_letter(mine, letter):
    pen(mine, "query", MINE[letter])
    a = mine.arrays
    assert a.answer == letter
    assert a.similarity[letter] == pytest.approx(1, abs=1e-4)
    assert f"recognised as letter {letter + 1}" in mine.sentence.text
    assert "as is usual for a query of the five letters" in mine.sentence.text
    assert [sheet(mine, name).chosen for name in laid.NAMES] == [i == letter for i in range(5)]
    assert sheet(mine, "query").remark == f"letter {letter + 1}"


def test_a_letter_drawn_again_in_another_way_gets_its_own_letter(mine):
    for letter, strokes in enumerate(MINE):
        again = tuple(tuple((0.1 + 0.6 * x + 0.04 * y, 0.3 + 0.65 * y - 0.03 * x) for x, y in s) for s in strokes)
        pen(mine, "query", again)
        assert mine.arrays.answer == letter


def test_votes_and_probability_are_numpys(desk):
    desk.set(asked="letter 4 again", votes_for="letter 2")
    a, read = desk.arrays, pretrained.load()
    images = torch.stack([draw_your_own.picture(content) for content in draw_your_own.on_sheets(desk.state)])
    z = read.features(images).double().numpy()
    sigma, scale = (float(value.detach()) for value in (read.learner.inner.kernel.bandwidth, read.learner.inner.scale))
    K = np.exp(-((z[:, None] - z[None]) ** 2).sum(-1) / (2 * sigma**2))
    inverse = np.linalg.inv(K[:5, :5] + read.learner.inner.lam * np.eye(5))
    votes = inverse * K[5, :5, None]  # alpha (i, c), one-hot targets
    scores = scale * votes.sum(0)
    assert np.allclose(a.votes, votes[:, 1], atol=1e-4)
    assert np.allclose(a.probability, np.exp(scores) / np.exp(scores).sum(), atol=1e-4)
    assert np.allclose(a.similarity, K[5, :5], atol=1e-5)
    assert a.open[0] == pytest.approx(1 - K[5, :5] @ inverse @ K[5, :5], abs=1e-4)
    assert a.answer == scores.argmax()


def test_the_query_is_classified_independently_of_the_menu():
    images = torch.stack([draw_your_own.picture(content) for content in draw_your_own.on_sheets(DrawExplorer().state)])
    read = pretrained.load()
    assert torch.allclose(read.features(images)[5:], read.features(images[5:]), atol=1e-5)


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        (dict.fromkeys(laid.NAMES, ()), "All five sheets are blank"),
        ({"letter_2": ()}, "No prediction yet: letter 2 is blank"),
        ({"letter_2": (), "letter_4": (), "letter_5": ()}, "No prediction yet: letters 2, 4 and 5 are blank"),
        ({"letter_1": CROSS, "letter_3": CROSS}, "No prediction: letters 1 and 3 are the same picture"),
        ({"query": ()}, "The five examples are learned. Now draw"),
    ],
)
def test_without_a_task_or_a_query_it_says_so_and_gives_no_verdict(desk, sheets, words):
    for name, strokes in sheets.items():
        pen(desk, name, strokes)
    assert desk.sentence.text.startswith(words)
    assert desk.arrays.answer is None
    assert not desk.arrays.probability.any()
    assert not desk.arrays.votes.any()
    assert sheet(desk, "query").remark == "no prediction"
    assert not any(sheet(desk, name).chosen for name in draw_your_own.SHEETS)
    desk.reset()
    assert desk.arrays.answer is not None


def test_two_lines_of_other_lengths_are_the_same_picture(desk):
    pen(desk, "letter_1", [[(0.1, 0.5), (0.9, 0.5)]])
    pen(desk, "letter_2", [[(0.3, 0.2), (0.7, 0.2)]])
    assert desk.sentence.text.startswith("No prediction: letters 1 and 2 are the same picture")


def test_a_menu_replaces_drawings_by_its_letters(desk):
    pen(desk, "letter_1", CROSS)
    pen(desk, "query", RING)
    desk.controls["asked"].parts[0].widget.value = "letter 5 again"
    assert (desk.query, desk.letter_1) == (None, CROSS)
    desk.controls["letters"].parts[0].widget.value = "Syriac"
    assert desk.letter_1 is None
    assert sheet(desk, "letter_1").value is None
    assert sheet(desk, "letter_1").caption == "Syriac"


def test_the_sentence_gives_the_truth_only_for_stored_queries(desk):
    assert any(words in desk.sentence.text for words in (" (right), with", " (wrong: it is letter 2), with"))
    desk.asked = draw_your_own.UNKNOWN_LETTER
    assert " (wrong: it is none of them), with" in desk.sentence.text
    pen(desk, "query", CROSS)
    assert desk.arrays.truth is None
    desk.set(letters="Bengali", asked="letter 2 again", letter_2=RING)
    assert desk.arrays.truth == -1  # the query's letter is no longer on a sheet


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (memoryview(b"ink"), TraitError),
        (7, TraitError),
        ("ink", ConfigError),
        ([[[0.5, 2.0]]], ConfigError),
        ([[]], ConfigError),
    ],
)
def test_a_message_that_is_no_drawing_reaches_banner_and_caller(desk, value, kind):
    before = desk.sentence.text
    with pytest.raises(kind):
        sheet(desk, "query").set_state({"value": value})
    assert desk.error is not None
    assert kind.__name__ in desk.banner.value
    assert desk.banner.layout.display == ""
    assert desk.sentence.text == before
    pen(desk, "query", CROSS)
    assert desk.error is None


def test_what_the_page_sent_is_not_sent_back(desk, monkeypatch):
    sent = []
    widget = sheet(desk, "query")
    monkeypatch.setattr(type(widget), "send_state", lambda self, key=None: sent.append((self, key)))
    pen(desk, "query", CROSS)
    assert sent
    for widget, keys in sent:
        assert keys is not None, "a whole widget was sent"
        if widget is sheet(desk, "query"):
            assert "value" not in ({keys} if isinstance(keys, str) else set(keys))


def test_a_picture_is_sent_as_digits():
    image = torch.zeros(28, 28)
    assert printed(image) == ""
    image[0, 1], image[27, 27] = 1.0, 0.4
    assert printed(image) == "0f" + "0" * 781 + "6"


def test_an_unknown_letter_leaves_more_variance_open():
    assert questions.answer_label_of_an_unknown_letter() == "one of the five, and open is high"


def test_the_left_panel_shows_the_images_of_the_pretrained_learner():
    explorer = DrawExplorer("Syriac")
    png = base64.b64decode(explorer.trace("given").source.partition(",")[2])
    board = np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(np.float32)
    white, ink = board.max(), board.min()
    for i, given in enumerate(explorer.arrays.pictures):
        row, column = ROOM * (i // 3), ROOM * (i % 3)
        shown = (white - board[row : row + SIDE, column : column + SIDE]) / (white - ink)
        assert np.abs(shown - given).max() < 1 / 15 + 0.01
    assert (board[SIDE:ROOM] == white).all()  # space for the names
