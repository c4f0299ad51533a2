"""The block Gram matrix: its three eigenvalues against numpy, the shares that the fit keeps, and the letters."""

import itertools

import numpy as np
import pytest
import torch

from amfs_lab import pretrained
from amfs_lab.explore import BlockExplorer
from amfs_lab.explore.episodes import blocks, questions
from amfs_lab.kernels import median_bandwidth, rbf_kernel
from amfs_lab.tasks import EpisodeConfig, open_source

CASES = [(2, 1, 0.6, 0.2), (2, 5, 0.9, 0.1), (5, 5, 0.6, 0.2), (5, 5, 0.3, 0.3), (6, 10, 1.0, 0.0), (20, 3, 0.5, 0.4)]


def by_hand(ways, shots, within, between):
    """The block Gram matrix, built entry by entry."""
    label = np.arange(ways).repeat(shots)
    K = np.where(label[:, None] == label[None], within, between)
    np.fill_diagonal(K, 1.0)
    return K


@pytest.mark.parametrize(("ways", "shots", "within", "between"), CASES)
def test_eigenvalues_and_multiplicities_are_those_of_numpy(ways, shots, within, between):
    K = by_hand(ways, shots, within, between)
    assert np.allclose(blocks.block(ways, shots, within, between), K)
    three, counts = blocks.eigenvalues(ways, shots, within, between), blocks.multiplicities(ways, shots)
    assert sum(counts) == ways * shots
    assert np.allclose(np.sort(np.repeat(three, counts)), np.linalg.eigvalsh(K))


def test_an_impossible_matrix_is_not_positive():
    assert np.linalg.eigvalsh(by_hand(5, 5, 0.2, 0.6))[0] == pytest.approx(-1.2)
    explorer = BlockExplorer("impossible")
    assert "no kernel gives this matrix, because 4 of its eigenvalues are below zero, −1.2" in explorer.sentence.text
    assert explorer.arrays.kept[1] == 0
    assert explorer.arrays.eigenvalues_1 == [blocks.AXIS_MIN] * 4


def test_the_answer_is_counted_from_the_matrix(monkeypatch):
    assert questions.answer_which_eigenvalues_grow() == "those of the common and class eigen-directions"
    monkeypatch.setattr(questions, "block", lambda n, k, a, b: k * torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    assert questions.answer_which_eigenvalues_grow() == "all of them"
    monkeypatch.setattr(questions, "block", lambda n, k, a, b: torch.diag(torch.tensor([1.0, 2.0, 3.0])))
    assert questions.answer_which_eigenvalues_grow() == "none of them"


def test_the_letters_are_an_episode_of_the_test_scripts():
    episode = open_source("glyphs", "test", EpisodeConfig(6, 10, 1))[6]
    x = episode.support.x.flatten(1).double()
    chosen = torch.tensor([10 * c + k for c in range(3) for k in range(4)])  # the first four of the first three
    median = np.median(np.sqrt(((x[:, None] - x[None]) ** 2).sum(2).numpy()[np.triu_indices(60, 1)]))
    assert torch.allclose(blocks.letter_gram(7, 3, 4, 0.6), rbf_kernel(x[chosen], x[chosen], 0.6 * median), atol=1e-3)


def test_learned_features_come_from_the_pretrained_learner_and_separate_classes():
    images = open_source("glyphs", "test", EpisodeConfig(6, 10, 1))[0].support.x[:, 0]
    z = pretrained.load().features(images).double()
    expected = rbf_kernel(z[:10], z[:10], 0.6 * median_bandwidth(z))
    assert torch.allclose(blocks.letter_gram(1, 2, 10, 0.6, blocks.FEATURES)[:10, :10], expected)
    (a, b), (a_learned, b_learned) = (
        blocks.means(blocks.letter_gram(1, 5, 5, 0.6, seen), 5, 5) for seen in (blocks.PIXELS, blocks.FEATURES)
    )
    assert a_learned - b_learned > 2 * (a - b)
    assert "(features of a trained network)" in BlockExplorer("learned features").sentence.text


@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 4), (6, 10)])
def test_the_kept_share_of_each_kind_is_the_projected_fit(ways, shots):
    K, n = blocks.letter_gram(3, ways, shots, 0.5).numpy(), ways * shots
    fit = K @ np.linalg.inv(K + 0.7 * np.eye(n))
    ones = np.full((n, n), 1 / n)
    classes = np.kron(np.eye(ways), np.full((shots, shots), 1 / shots)) - ones
    projections = [ones, classes, np.eye(n) - ones - classes]
    expected = [np.trace(P @ fit) / max(np.trace(P).round(), 1) for P in projections]
    assert np.allclose(blocks.kept(torch.tensor(K), ways, shots, 0.7), expected)


@pytest.mark.parametrize("shots", [1, 2, 10])
def test_a_and_b_of_the_letters_are_means_of_pairs(shots):
    K = blocks.letter_gram(2, 4, shots, 0.5).numpy()
    label = np.arange(4).repeat(shots)
    same = label[:, None] == label[None]
    within = K[same & ~np.eye(len(K), dtype=bool)]
    a, b = blocks.means(torch.tensor(K), 4, shots)
    assert b == pytest.approx(K[~same].mean())
    assert a == pytest.approx(within.mean() if shots > 1 else b)


def test_blocks_with_the_letters_means_keep_much_like_the_letters():
    a = BlockExplorer("as the letters").arrays
    assert (a.a, a.b) == a.of_letters
    assert np.allclose(a.kept, a.letters_kept, atol=0.05)
    assert a.three[0] == pytest.approx(1 - a.a + 5 * (a.a - a.b) + 25 * a.b)


def test_each_shot_raises_only_the_class_and_common_eigenvalues():
    rows = [BlockExplorer(shots=shots).arrays for shots in range(1, 11)]
    common, classes, within = np.array([a.three for a in rows]).T
    assert np.allclose(np.diff(classes), 0.6 - 0.2)
    assert np.allclose(np.diff(common), 0.6 - 0.2 + 5 * 0.2)
    assert np.ptp(within) == 0
    assert [len(a.index_2) for a in rows] == [5 * (k - 1) for k in range(1, 11)]


def test_the_pictures_are_the_matrices():
    assert blocks.SHADES[0] == "#FFFFFF"
    assert blocks.SHADES[-1] == "#00406B"
    assert len(set(blocks.SHADES)) == 101
    explorer = BlockExplorer()
    before = explorer.arrays.blocks
    explorer.set(within=0.9)
    assert explorer.arrays.blocks == blocks.heat(blocks.block(5, 5, 0.9, 0.2)) != before


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("one shot", "5 ways, 1 shot, a = 0.6, b = 0.2: eigenvalues 1.8 (once, common), 0.8 (4 times, classes). With"),
        ("five shots", "7.4 (once, common), 2.4 (4 times, classes), 0.4 (20 times, within)"),
        ("equal classes", "Nothing separates the classes"),
        ("all the same image", "0 (20 times, within)"),
        ("no similarity", "1 (4 times, classes), 1 (20 times, within)"),
    ],
)
def test_the_sentence_is_true_at_the_extremes(preset, words):
    assert words in BlockExplorer(preset).sentence.text


def test_every_corner_of_the_controls_is_finite():
    explorer = BlockExplorer()
    sliders = {name: control for name, control in explorer.declared.items() if name not in ("measured", "seen", "task")}
    for corner in itertools.product(*((slider.low, slider.high) for slider in sliders.values())):
        explorer.set(**dict(zip(sliders, corner, strict=True)))
        for name in ("eigenvalues_0", "eigenvalues_1", "letter_eigenvalues", "kept", "letters_kept"):
            assert np.isfinite(np.asarray(explorer.arrays[name], dtype=float)).all(), (name, explorer.state)
        assert min(explorer.arrays.kept) >= 0


def values_of(explorer, *names):
    """The values of slider and box of each named control."""
    return [[part.from_widget(part.widget.value) for part in explorer.controls[name].parts] for name in names]


@pytest.mark.parametrize("preset", ["as the letters", "learned features"])
def test_the_sliders_show_the_a_and_b_of_the_letters(preset):
    for explorer in (BlockExplorer(preset), BlockExplorer()):
        explorer.set(**explorer.preset(preset))
        (a_slider, a_box), (b_slider, b_box) = values_of(explorer, "within", "between")
        assert (a_box, b_box) == (explorer.arrays.a, explorer.arrays.b) == (explorer.within, explorer.between)
        assert (a_slider, b_slider) == (pytest.approx(a_box, abs=0.005), pytest.approx(b_box, abs=0.005))
        K = blocks.letter_gram(1, 5, 5, explorer.bandwidth, explorer.seen)
        assert (a_box, b_box) == pytest.approx(blocks.means(K, 5, 5), abs=5e-5)


def test_the_sliders_follow_the_letters_until_one_is_moved():
    explorer = BlockExplorer("as the letters")
    before = explorer.within
    explorer.set(bandwidth=2.0)
    assert explorer.within == explorer.arrays.a == explorer.arrays.of_letters[0] > before + 0.1
    part = explorer.controls["between"].parts[1]
    part.widget.value = 0.33
    assert (explorer.measured, explorer.between, explorer.arrays.b) == (False, 0.33, 0.33)
    assert explorer.controls["measured"].parts[0].widget.value is False
    explorer.reset()
    assert explorer.measured
    assert explorer.within == explorer.arrays.a == before
