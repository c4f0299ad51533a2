"""Every data set by its name: a row of the table, or a folder of images."""

import numpy as np
import pytest
import torch
from PIL import Image

from amfs_lab.config import preset
from amfs_lab.errors import ConfigError
from amfs_lab.tasks import SHAPES, SOURCES, EpisodeConfig, data_set, omniglot, open_source
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(2, 1, 2)


@pytest.fixture
def folder(tmp_path):
    """Two classes in each split, of unequal sizes, each in its own colour."""
    for s, split in enumerate(("train", "validation", "test")):
        for c, name in enumerate("ab"):
            place = tmp_path / "birds" / split / f"{name}{s}"
            place.mkdir(parents=True)
            for i in range(3 + c):
                Image.new("RGB", (30, 20), (40 * s, 100 * c, 10 * i)).save(place / f"{i}.png")
    return tmp_path / "birds"


def test_a_folder_of_images_is_a_source_in_three_splits(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("AMFS_LAB_CACHE", str(tmp_path / "cache"))
    source = open_source(f"folder:{folder}", "validation", SHAPE)
    assert (source.name, source.split, source.classes) == ("folder:birds", "validation", 2)
    episode = source[0]
    assert episode.support.x.shape == (2, 3, 84, 84)
    assert torch.equal(episode.query.x, open_source(f"folder:{folder}/", "validation", SHAPE)[0].query.x)
    assert torch.equal(episode.query.x, open_source(f"folder:{folder}", "validation", SHAPE)[0].query.x)


def test_a_learner_is_trained_on_a_folder(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("AMFS_LAB_CACHE", str(tmp_path / "cache"))
    config = preset("maml", source=f"folder:{folder}", episode=SHAPE, steps=1, tasks=1, width=4, validate_every=0)
    (progress,) = MetaTrainer(config, device="cpu").run()
    assert np.isfinite(progress.loss)


def test_an_unknown_source_is_refused_with_the_names_of_all():
    for wrong in ("imagenet", "folder:", "folder"):
        with pytest.raises(ConfigError, match=r"one of glyphs, omniglot, .* cub, folder:PATH. Got '"):
            data_set(wrong)
        with pytest.raises(ConfigError, match=r"folder:PATH"):
            preset("i-amfs", source=wrong)


@pytest.mark.parametrize("name", SOURCES)
def test_a_row_is_complete(name):
    row = SOURCES[name]
    assert len(row.mean) == len(row.std)
    assert set(row.shapes) <= set(SHAPES)
    assert "rotations" not in row.augment or row.turned


def test_classes_that_a_learner_was_trained_on_are_left_out():
    """FC100 and CIFAR-FS share images of CIFAR-100, and glyphs and Omniglot share scripts."""
    whole = open_source("glyphs", "validation", SHAPE)
    assert open_source("glyphs", "validation", SHAPE, unseen_by="glyphs").classes == whole.classes
    assert torch.equal(open_source("glyphs", "validation", SHAPE, unseen_by="glyphs")[3].query.x, whole[3].query.x)
    with pytest.raises(
        ConfigError, match=r"The evaluation needs unseen classes. Got \d+ classes, all seen in training."
    ):
        open_source("glyphs", "train", SHAPE, unseen_by="glyphs")


def test_characters_of_scripts_that_a_learner_was_trained_on_are_left_out(monkeypatch):
    """A learner that was trained on Omniglot's Sanskrit has seen Devanagari."""
    labels = ("Sanskrit/character01", "Bengali/character02", "Futurama/character01")
    other = SOURCES["omniglot"]._replace(
        load=lambda split, root: (torch.zeros(3, 2, 28, 28, dtype=torch.uint8), labels)
    )
    monkeypatch.setitem(SOURCES, "omniglot", other)
    scripts = {label.partition("/")[0] for label in open_source("glyphs", "test", SHAPE, unseen_by="omniglot").labels}
    whole = {label.partition("/")[0] for label in open_source("glyphs", "test", SHAPE).labels}
    assert whole - scripts == {"Devanagari", "Bengali"}
    left = open_source("omniglot", "test", EpisodeConfig(2, 1, 1), unseen_by="glyphs").labels
    assert left == ("Sanskrit/character01", "Bengali/character02", "Futurama/character01")  # test scripts of the glyphs
    other = other._replace(
        load=lambda split, root: (torch.zeros(2, 2, 28, 28, dtype=torch.uint8), ("Ge_ez/a", "Avesta/b"))
    )
    monkeypatch.setitem(SOURCES, "omniglot", other)
    with pytest.raises(ConfigError, match=r"2 ways needs at least 2 classes. Got 1"):
        open_source("omniglot", "test", EpisodeConfig(2, 1, 1), unseen_by="glyphs")


def test_every_script_that_omniglot_shares_with_the_glyphs_has_the_name_of_the_glyphs():
    scripts = {
        label.partition("/")[0]
        for split in ("train", "validation", "test")
        for label in open_source("glyphs", split, SHAPE).labels
    }
    assert set(omniglot.SCRIPTS.values()) <= scripts
