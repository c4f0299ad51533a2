"""A folder of images of one's own, and embeddings, as episodes."""

import numpy as np
import pytest
import torch
from PIL import Image

from amfs_lab import tasks
from amfs_lab.backbones import MLP
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.inner import FunctionSpace
from amfs_lab.learner import MetaLearner
from amfs_lab.training import MetaTrainer, load_learner

SHAPE = tasks.EpisodeConfig(2, 1, 1)


@pytest.fixture
def folder(tmp_path):
    """Three classes of 2, 3 and 3 images; of each class a grey level of its own."""
    for level, (label, samples) in enumerate({"b": 3, "a": 2, "c": 3}.items(), 1):
        (tmp_path / label).mkdir()
        for sample in range(samples):
            Image.new("L", (40, 40), 60 * level + sample).save(tmp_path / label / f"{sample}.png")
    return tmp_path


def test_classes_and_samples_come_by_name_and_as_many_as_the_smallest_class_has(folder):
    (folder / "notes.txt").write_text("not a class")
    (folder / "a" / "notes.txt").write_text("not an image")
    (folder / ".hidden").mkdir()
    images, labels = tasks.read_folder(folder, size=8)
    assert labels == ("a", "b", "c")
    assert images.dtype == torch.uint8
    assert images.shape == (3, 2, 8, 8)
    assert images[:, :, 0, 0].tolist() == [[120, 121], [60, 61], [180, 181]]


def test_any_mode_and_shape_becomes_a_square_of_grey(tmp_path):
    (tmp_path / "x").mkdir()
    drawing = np.full((20, 40), 255, np.uint8)  # wide, with a dark middle
    drawing[5:15, 15:25] = 0
    for name, mode in (("1.png", "L"), ("2.bmp", "RGB"), ("3.webp", "RGB"), ("4.png", "1"), ("5.gif", "P")):
        Image.fromarray(drawing).convert(mode).save(tmp_path / "x" / name, lossless=True)
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (5, 5, 15, 15))
    clear.save(tmp_path / "x" / "6.png")
    (plain,), _ = tasks.read_folder(tmp_path, size=20)
    (ink,), _ = tasks.read_folder(tmp_path, size=20, ink=True)
    for paper, drawn in zip(plain, ink, strict=True):
        assert paper[0, 0] > 250  # also where nothing was
        assert drawn[0, 0] < 5
        assert paper[10, 10] < 30
        assert drawn[10, 10] > 225


def test_what_is_no_such_folder_is_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"Expected a folder .*nowhere with one folder of images a class. Got none"):
        tasks.read_folder(folder / "nowhere")
    with pytest.raises(DataError, match=r"Expected one folder of images a class in .*a\. Got no folder in it"):
        tasks.read_folder(folder / "a")
    (folder / "d").mkdir()
    with pytest.raises(DataError, match=r"Expected images \(.*\) in .*d\. Got none: add some"):
        tasks.read_folder(folder)
    (folder / "d" / "1.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"Expected an image that can be read. Got .*1.png: .* Remove it"):
        tasks.read_folder(folder)
    with pytest.raises(ConfigError, match=r"`size` must be >= 1. Got 0"):
        tasks.read_folder(folder, size=0)


def test_embeddings_are_taken_as_they_are(randn):
    vectors = randn(4, 3, 5, dtype=torch.float32)
    source = tasks.EpisodeSource(vectors, tuple("abcd"), SHAPE)
    episode = source[0]
    assert episode.support.x.shape == (2, 5)
    known = {tuple(vector): label for label, group in zip("abcd", vectors.tolist(), strict=True) for vector in group}
    for half in (episode.support, episode.query):
        found = [known[tuple(vector)] for vector in half.x.tolist()]
        assert found == [source.classes_of(0)[target] for target in half.y]


def test_what_is_neither_images_nor_embeddings_is_refused(randn):
    with pytest.raises(ConfigError, match=r"needs grey images .* or embeddings .* Got \(4, 3, 5\) in torch.int64"):
        tasks.EpisodeSource(torch.zeros(4, 3, 5, dtype=torch.int64), tuple("abcd"), SHAPE)
    with pytest.raises(ConfigError, match=r"Got \(4, 3, 8, 8\) in torch.float64"):
        tasks.EpisodeSource(randn(4, 3, 8, 8), tuple("abcd"), SHAPE)
    with pytest.raises(ConfigError, match=r"Each class needs one label. Got 2 for 4 classes"):
        tasks.EpisodeSource(randn(4, 3, 5), ("a", "b"), SHAPE)
    with pytest.raises(ConfigError, match=r"Embeddings cannot be augmented. Got affine"):
        tasks.EpisodeSource(randn(4, 3, 5), tuple("abcd"), SHAPE, augment=("affine",))


def test_a_learner_and_episodes_of_ones_own_are_trained_saved_and_continued(tmp_path, randn):
    vectors = randn(8, 3, 5, dtype=torch.float32)
    source = tasks.EpisodeSource(vectors, tuple("abcdefgh"), SHAPE)
    config = preset("i-amfs", episode=SHAPE, steps=4, tasks=2, validate_every=2, validation_episodes=3)

    def trainer(**more):
        learner = MetaLearner(MLP(5, (), 3), FunctionSpace())
        return MetaTrainer(config, learner=learner, train=source, validation=source, **more)

    torch.manual_seed(1)
    whole = trainer()
    losses = [progress.loss for progress in whole.run()]
    torch.manual_seed(1)
    run = trainer(folder=tmp_path).run()
    next(run), next(run)
    run.close()
    torch.manual_seed(2)
    rest = trainer(folder=tmp_path, resume=True)
    assert [progress.loss for progress in rest.run()] == losses[2:]
    with pytest.raises(ConfigError, match=r"trained a learner of your own. Make it and give it: `learner=`"):
        load_learner(tmp_path)
    loaded, _ = load_learner(tmp_path, learner=MetaLearner(MLP(5, (), 3), FunctionSpace()))
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), whole.learner.parameters(), strict=True))
    with pytest.raises(ConfigError, match="give both `train` and `validation`"):
        MetaTrainer(config, train=source)
