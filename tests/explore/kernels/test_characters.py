"""Real characters: the picture, the bars and the sentence agree with the images."""

import torch

from amfs_lab.explore import CharacterExplorer
from amfs_lab.explore.kernels.characters import SIDE, columns, source
from amfs_lab.explore.kernels.questions import answer_accuracy_when_sigma_grows
from amfs_lab.widgets.drive import drive


def test_every_control_moves_it():
    assert drive(CharacterExplorer()) > 20


def test_the_bars_are_the_similarity_to_the_most_similar_example():
    explorer = CharacterExplorer(shots=3, task=4, query=33, bandwidth=7.0)
    episode = source(3)[3]
    gaps = (episode.query.x[32].flatten() - episode.support.x.flatten(1)).square().sum(1)
    expected = torch.exp(-gaps / (2 * 7.0**2)).view(5, 3).amax(1)
    assert torch.allclose(torch.as_tensor(explorer.arrays.votes), expected)
    assert explorer.arrays.truth == int(episode.query.y[32]) + 1


def test_the_sentence_counts_right_answers_and_says_when_everything_underflows():
    explorer = CharacterExplorer()
    right = explorer.arrays.right
    assert f"{right} of 75 queries" in explorer.sentence.text
    explorer.set(bandwidth=50.0)
    assert explorer.arrays.right == right, "σ changes no nearest neighbour"
    explorer.set(bandwidth=0.1)
    assert "similar to no example at all" in explorer.sentence.text
    assert "own letter most" not in explorer.sentence.text, "the largest of zeros is no resemblance"
    assert (explorer.arrays.right, explorer.arrays.lost) == (0, 75)
    assert "all 75 queries of this task: no two images are similar" in explorer.sentence.text


def test_some_queries_may_have_similar_examples_when_others_have_none():
    explorer = CharacterExplorer(task=2, bandwidth=0.5)
    assert 0 < explorer.arrays.lost < 75
    lost = next(n for n in range(1, 76) if explorer.set(query=n) or explorer.arrays.nearest == 0)
    assert explorer.sentence.text == (
        f"At σ = 0.5, query {lost} is similar to no example at all: every kernel value is 0. This is true for "
        f"{explorer.arrays.lost} of the 75 queries of this task."
    )


def test_bars_differ_by_text_not_by_colour_alone():
    explorer = CharacterExplorer(task=2, query=20)
    a = explorer.arrays
    assert (a.marks[a.truth - 1], a.marks[a.guess - 1], a.marks.count("")) == ("its own", "guess", 3)
    explorer.set(query=46)
    assert sorted(explorer.arrays.marks) == ["", "", "", "", "its own"], "it is its own guess"
    explorer.set(bandwidth=0.1)
    assert "guess" not in explorer.arrays.marks, "if every similarity is zero, there is no guess"


def test_a_column_of_examples_belongs_to_one_letter():
    images = torch.arange(5).repeat_interleave(2)[:, None, None] * torch.ones(10, SIDE, SIDE)
    picture = columns(images, shots=2)
    assert picture.shape == (2 * SIDE, 5 * SIDE)
    assert all((picture[:, i * SIDE : (i + 1) * SIDE] == i).all() for i in range(5))


def test_widening_changes_no_nearest_example():
    assert answer_accuracy_when_sigma_grows() == "none"
    assert answer_accuracy_when_sigma_grows(before=0.1, after=5.0) != "none", "underflow makes all of them the first"
