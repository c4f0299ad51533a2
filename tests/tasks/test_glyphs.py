"""The glyphs as shipped keep their promises, and a file that is not as shipped is refused."""

import hashlib
import os
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import EpisodeConfig, glyphs, open_source

SPLITS = ("train", "validation", "test")
# First words of the Unicode names of what is to be skipped.
SKIPPED = {
    *("TANGUT", "YI", "NUSHU", "CUNEIFORM", "UGARITIC", "EGYPTIAN", "ANATOLIAN", "LINEAR", "DUPLOYAN"),
    *("MONGOLIAN", "PHAGS-PA", "LISU"),
}


@pytest.fixture(scope="module")
def shipped():
    return glyphs.load()


@pytest.fixture
def alone(monkeypatch, tmp_path) -> Path:
    """A folder of one's own, named by $AMFS_LAB_DATA, that holds a copy of the file."""
    monkeypatch.setenv("AMFS_LAB_DATA", str(tmp_path))
    return Path(shutil.copy(glyphs.find(), tmp_path))


def rewrite(path: Path, **changes) -> None:
    with np.load(path) as file:
        np.savez(path, **{**file, **changes})


def test_at_least_forty_scripts_and_a_thousand_characters_of_twenty_samples(shipped):
    assert shipped.images.dtype == torch.uint8
    assert shipped.images.shape == (len(shipped.scripts), 20, 28, 28)
    assert len(shipped.codepoints) == len(shipped.scripts) >= 1000
    assert len(set(shipped.scripts)) >= 40
    assert len(set(shipped.labels)) == len(set(shipped.codepoints)) == len(shipped.scripts)
    assert 10 <= min(Counter(shipped.scripts).values()) <= max(Counter(shipped.scripts).values()) <= 36


def test_letters_only_unchanged_by_nfkd_and_of_one_case(shipped):
    cases: dict[str, set[str]] = {}
    for script, codepoint in zip(shipped.scripts, shipped.codepoints, strict=True):
        char = chr(codepoint)
        assert unicodedata.category(char) in ("Lo", "Ll", "Lu"), hex(codepoint)
        assert unicodedata.normalize("NFKD", char) == char, hex(codepoint)
        cases.setdefault(script, set()).add(unicodedata.category(char))
    assert [script for script, found in cases.items() if {"Ll", "Lu"} <= found] == []


def test_no_script_that_is_to_be_skipped_and_at_most_one_tifinagh(shipped):
    first_words = {unicodedata.name(chr(c)).split()[0].rstrip("-0123456789") for c in shipped.codepoints}
    assert not SKIPPED & first_words
    assert sum("Tifinagh" in script for script in set(shipped.scripts)) <= 1


def test_every_sample_has_ink_that_can_be_read(shipped):
    ink = shipped.images.flatten(0, 1).double() / 255
    assert ((ink.mean((1, 2)) >= 0.02) & (ink.mean((1, 2)) <= 0.35)).all()
    assert (ink.amax((1, 2)) >= 0.8).all()
    border = torch.cat([ink[:, [0, -1]].flatten(1), ink[:, :, [0, -1]].flatten(1)], 1)
    assert (border <= 0.5).all(), "cut off at the border"
    filled = torch.nn.functional.avg_pool2d((ink > 0.5).float()[:, None], 10, 1)
    assert filled.max() < 1, "a blob of 10x10"


def test_all_samples_of_a_character_differ(shipped):
    flat = shipped.images.flatten(2).double()
    nearest = torch.cdist(flat, flat) + 1e9 * torch.eye(20)
    assert nearest.min() > 0


def test_grey_levels_are_sixteen(shipped):
    assert torch.equal(shipped.images.unique(), 17 * torch.arange(16, dtype=torch.uint8))


def test_splits_share_no_script_and_follow_from_the_names(shipped):
    ordered = sorted(set(shipped.scripts), key=lambda name: hashlib.sha256(name.encode()).digest())
    train, validation = round(0.60 * len(ordered)), round(0.75 * len(ordered))
    expected = dict.fromkeys(ordered[:train], "train") | dict.fromkeys(ordered[train:validation], "validation")
    assert shipped.splits == expected | dict.fromkeys(ordered[validation:], "test")
    parts = [shipped.split(name) for name in SPLITS]
    assert sum(len(images) for images, _ in parts) == len(shipped.images)
    assert sorted(label for _, labels in parts for label in labels) == sorted(shipped.labels)
    assert all(len(images) >= 100 for images, _ in parts)


def test_a_split_holds_its_own_images(shipped):
    images, labels = shipped.split("validation")
    row = shipped.labels.index(labels[-1])
    assert torch.equal(images[-1], shipped.images[row])
    assert labels[-1] == f"{shipped.scripts[row]}/U+{shipped.codepoints[row]:04X}"


def nearest_neighbour(split: str, ways: int, episodes: int) -> float:
    source = open_source("glyphs", split, EpisodeConfig(ways, 1, 15))
    right = []
    for index in range(episodes):
        support, query = source[index].support, source[index].query
        nearest = torch.cdist(query.x.flatten(1), support.x.flatten(1)).argmin(1)
        right.append((support.y[nearest] == query.y).double().mean())
    return float(torch.stack(right).mean())


@pytest.mark.parametrize("split", SPLITS)
def test_raw_pixels_find_a_split_as_hard_as_omniglot(split):
    assert 0.40 <= nearest_neighbour(split, 5, 400) <= 0.50
    assert 0.20 <= nearest_neighbour(split, 20, 100) <= 0.30


@pytest.mark.parametrize("keep", [0, 1, 1000, 0.5, -1])
def test_a_file_cut_short_is_refused(alone, keep):
    whole = alone.read_bytes()
    alone.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"complete glyph file at .*truncated or damaged file .*Restore it"):
        glyphs.load()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_byte_is_noticed(alone, place):
    data = bytearray(alone.read_bytes())
    data[int(place * len(data))] ^= 255
    alone.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged|must be the ones of this version"):
        glyphs.load()


def test_a_file_is_read_once_and_again_when_it_is_another(alone):
    first = glyphs.load()
    assert glyphs.load() is first
    os.utime(alone, ns=(0, 0))
    again = glyphs.load()
    assert again is not first
    assert torch.equal(again.images, first.images)
    with alone.open("r+b") as file:
        file.write(b"damaged")
    with pytest.raises(DataError, match=r"complete glyph file"):
        glyphs.load()


def test_one_other_pixel_is_another_hash(alone):
    with np.load(alone) as file:
        images = file["images"]
    images[3, 4, 200] ^= 1
    rewrite(alone, images=images)
    with pytest.raises(DataError, match=r"images in .* SHA-256 [0-9a-f]{64}. Got [0-9a-f]{64}. Restore"):
        glyphs.load()


def test_one_other_label_is_another_hash(alone):
    with np.load(alone) as file:
        codepoints = file["codepoints"]
    codepoints[[0, 1]] = codepoints[[1, 0]]
    rewrite(alone, codepoints=codepoints)
    with pytest.raises(DataError, match=r"labels in .* SHA-256"):
        glyphs.load()


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.zeros((5, 20, 28, 28), np.uint8)},
        {"codepoints": np.zeros(3, np.int64)},
        {"notes": np.frombuffer(b"{}", np.uint8)},
        {"notes": np.frombuffer(b"no JSON", np.uint8)},
        {"notes": np.frombuffer(b"[]", np.uint8)},
        {"notes": np.frombuffer(b'{"splits": 5}', np.uint8)},
        {"notes": np.frombuffer(b'{"splits": {}}', np.uint8)},
        {"notes": np.frombuffer(b"[" * 10**5, np.uint8)},
        {"scripts": np.zeros(3)},
    ],
)
def test_other_contents_are_refused(alone, changes):
    rewrite(alone, **changes)
    with pytest.raises(DataError, match="Expected a complete glyph file"):
        glyphs.load()


def test_a_file_that_holds_code_does_not_run_it(alone, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    rewrite(alone, scripts=np.array([Trap()], object))
    with pytest.raises(DataError, match=r"Expected a complete glyph file .*Object arrays cannot be loaded"):
        glyphs.load()
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_says_where_it_looked_and_how_to_make_it(monkeypatch, tmp_path):
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("AMFS_LAB_DATA", str(tmp_path / "named"))
    monkeypatch.setattr(glyphs.data_dirs, "PACKAGE", tmp_path / "package")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"mine, .*named, .*package.data, .*data. Got none.*data.glyph_builder"):
        glyphs.load(tmp_path / "mine")


def test_the_folder_asked_for_comes_first_then_the_environment_then_the_shipped_file(alone, monkeypatch, tmp_path):
    asked = tmp_path / "asked"
    asked.mkdir()
    assert glyphs.find(asked) == alone, "a folder without the file is passed over"
    shutil.copy(alone, asked)
    assert glyphs.find(asked) == asked / "glyphs.npz"
    monkeypatch.delenv("AMFS_LAB_DATA")
    assert glyphs.find().parent.name == "data"
    assert tmp_path not in glyphs.find().parents


def test_an_unknown_split_is_refused(shipped):
    with pytest.raises(ConfigError, match=r"must be one of test, train, validation. Got 'training'"):
        shipped.split("training")
