"""A folder of one's own images: its splits, colours and names, and whatever is wrong with it."""

import os
from pathlib import Path

import numpy as np
import pytest

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import folder
from amfs_lab.tasks.image_splits import by_csv, by_hash, few
from tests.tasks import small_images as small
from tests.tasks.small_images import empty_cache, said_by


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    return empty_cache(monkeypatch, tmp_path)


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "mine"


PARTS = ("train", "validation", "test")


# --- splits


@pytest.mark.parametrize("validation", ["validation", "val", "valid"])
def test_folders_of_splits_hold_the_folders_of_classes(place, validation):
    for part, classes in (("train", {"b": 2, "a": 3}), (validation, {"c": 1}), ("test", {"d": 4})):
        small.class_folders(place / part, classes, size=(84, 84))
    parts = [folder.split(place, part) for part in PARTS]
    assert [labels for _, labels in parts] == [("a", "b"), ("c",), ("d",)]
    assert [images.counts for images, _ in parts] == [(3, 2), (1,), (4,)]
    assert parts[0][0].flat.shape == (5, 3, 84, 84)
    assert np.array_equal(parts[2][0][0][1].permute(1, 2, 0), np.asarray(small.photo("d", 1, (84, 84))))


def test_without_them_a_hash_of_the_names_chooses(place):
    small.class_folders(place, {f"class {n}": 1 for n in range(25)})
    parts = [set(folder.split(place, part, 12)[1]) for part in PARTS]
    assert [len(labels) for labels in parts] == [16, 4, 5]
    assert len(set.union(*parts)) == 25
    small.class_folders(place, {"class 25": 1})  # most classes keep their split
    again = [set(folder.split(place, part, 12)[1]) for part in PARTS]
    assert sum(len(a & b) for a, b in zip(parts, again, strict=True)) >= 22


@pytest.mark.parametrize("n", range(3, 60))
def test_each_split_has_a_class(n):
    parts = by_hash({str(c): [c] for c in range(n)})
    assert list(parts) == list(PARTS)
    assert all(parts.values())
    assert sum(map(len, parts.values())) == n


def test_two_classes_are_too_few_for_a_hash(place):
    small.class_folders(place, {"a": 1, "b": 1})
    with pytest.raises(
        DataError, match=r"Expected at least 3 classes, one for each split. Got 'a' and 'b'. Add classes"
    ):
        folder.split(place, "train")


def test_a_missing_split_and_a_class_in_two_are_said(place):
    small.class_folders(place / "train", {"a": 2})
    with pytest.raises(DataError, match=r"Expected images for the split test in .*mine. Got the splits: train. Make a"):
        folder.split(place, "test")
    small.class_folders(place / "test", {"a": 2})
    with pytest.raises(DataError, match=r"Expected each class in one split. Got 'a' in train and test of .*mine"):
        folder.split(place, "test")


def test_a_folder_that_is_none_and_a_size_that_is_none_are_said(place):
    with pytest.raises(DataError, match=r"Expected a folder .*mine with one folder of images for each class. Got none"):
        folder.split(place, "train")
    with pytest.raises(ConfigError, match=r"`size` must be an integer >= 1. Got 0"):
        folder.split(place, "train", 0)


def test_a_class_without_images_is_named(place):
    small.class_folders(place / "train", {"a": 1})
    (place / "train" / "b").mkdir()
    with pytest.raises(DataError, match=r"Expected images \(.*\) in .*train.b. Got none"):
        folder.split(place, "train")


# --- colour


def test_images_are_grey_if_none_has_colour_in_any_split(place):
    small.class_folders(place / "train", {"a": 2}, mode="L")
    grey = small.photo("b", 0, mode="L").convert("RGB")  # stored in colour
    small.put(place / "test" / "b" / "0.png", grey)
    images, _ = folder.split(place, "train", 12)
    assert images.flat.shape == (2, 12, 12)
    assert np.array_equal(images.flat[1], np.asarray(small.photo("a", 1, mode="L")))
    assert np.array_equal(folder.split(place, "test", 12)[0].flat[0], np.asarray(grey.convert("L")))
    small.put(place / "test" / "b" / "1.png", small.photo("b", 1))
    images, _ = folder.split(place, "train", 12)
    assert images.flat.shape == (2, 3, 12, 12)


def test_mixed_sizes_and_modes_are_converted_and_counted(place):
    small.class_folders(place / "train", {"a": 3})
    small.put(place / "train" / "a" / "3.png", small.photo("a", 3, (20, 10), "L"))
    (images, _), said = said_by(folder.split, place, "train", 12)
    assert said == [f"{place}: 1 of 4 images were not RGB, 1 of 4 images were not 12x12: they were converted."]
    assert images.flat.shape == (4, 3, 12, 12)


def test_two_folders_for_one_split_are_refused(place):
    for name in ("train", "val", "validation"):
        small.class_folders(place / name, {f"{name} class": 2})
    with pytest.raises(DataError, match=r"Expected one name for each split in .* Got validation and val. Rename"):
        folder.split(place, "train", 12)


# --- names


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be on Windows")
def test_names_with_control_characters_are_escaped_in_labels_and_messages(place):
    names = ["a\nb", "\x1b[31mred", "tab\t", "\udcff"]
    small.class_folders(place / "train", dict.fromkeys(names, 1))
    _, labels = folder.split(place, "train", 12)
    assert sorted(labels) == sorted([r"a\nb", r"\x1b[31mred", r"tab\t", "�"])
    assert folder.split(place, "train", 12)[1] == labels
    small.class_folders(place / "test", {"a\nb": 1})
    with pytest.raises(DataError) as caught:
        folder.split(place, "train")
    assert "\n" not in str(caught.value)
    assert r"a\\nb" in str(caught.value)


def test_ten_thousand_classes_are_read(place):
    image = small.encoded(small.photo("a", 0, (2, 2)))
    for n in range(10_000):
        (place / f"{n:05d}").mkdir(parents=True)
        (place / f"{n:05d}" / "0.png").write_bytes(image)
    images, labels = folder.split(place, "test", 2)
    assert len(labels) == len(images) == 2000
    assert labels == folder.split(place, "test", 2)[1]
    assert sum(len(folder.split(place, part, 2)[1]) for part in PARTS) == 10_000


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_link_out_of_the_folder_is_refused(place, tmp_path):
    small.class_folders(place / "train", {"a": 1})
    secret = small.put(tmp_path / "secret.png", small.photo("b", 0))
    (place / "train" / "a" / "1.png").symlink_to(secret)
    with pytest.raises(
        DataError, match=r"A link in .*mine must lead to a place in that folder. Got .*1\.png, which lea"
    ):
        folder.split(place, "train")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_for_an_image_is_not_waited_for(place):
    small.class_folders(place / "train", {"a": 1})
    os.mkfifo(place / "train" / "a" / "1.png")
    with pytest.raises(DataError, match=r"1\.png is a pipe or a device"):
        folder.split(place, "train")


# --- CSV files


def test_csv_files_choose_the_images_of_each_class(tmp_path):
    small.write_csv(tmp_path / "train.csv", [("2", "b/c"), ("1", "b/c"), ("3", "a")])
    small.write_csv(tmp_path / "validation.csv", [("x", "4", "c\nd")], ("more", "filename", "label"))
    images = {name: name for name in "12345"}
    assert by_csv(tmp_path, images) == {"train": {"a": ["3"], "b/c": ["1", "2"]}, "validation": {r"c\nd": ["4"]}}
    assert by_csv(tmp_path / "empty", images) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,label\n", "no rows"),
        ("", "the columns 'none'|the columns none"),
        ("name,class\n1,a\n", "the columns 'name' and 'class'"),
        ("filename,label\n1\n", "a row without a name or a label"),
        ("filename,label\n,a\n", "a row without a name or a label"),
        ('filename,label\n"1,a\n', "unexpected end of data"),
        ("filename,label\n\udcff,a\n", "can't decode byte"),
    ],
)
def test_a_wrong_csv_file_is_said(tmp_path, text, words):
    (tmp_path / "train.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=rf"the columns filename and label. Got .*train.csv: .*({words}).* Correct it"):
        by_csv(tmp_path, {"1": 1})


def test_csv_files_with_missing_or_repeated_images_or_classes_are_said(tmp_path):
    path = small.write_csv(tmp_path / "train.csv", [(f"{n}.jpg", "a") for n in range(9)])
    said = r"images that .*train.csv names. Got 7 of 9 that are not there: '1.jpg', '2.jpg', '4.jpg' and 4 more"
    with pytest.raises(DataError, match=said):
        by_csv(tmp_path, {"0.jpg": 0, "3.jpg": 3})
    images = {f"{n}.jpg": n for n in range(9)}
    small.write_csv(path, [("1.jpg", "a"), ("1.jpg", "b")])
    with pytest.raises(DataError, match=r"Expected each image in one row. Got '1.jpg' again in .*train.csv"):
        by_csv(tmp_path, images)
    small.write_csv(path, [("1.jpg", "a")])
    small.write_csv(tmp_path / "test.csv", [("2.jpg", "a")])
    with pytest.raises(DataError, match=r"Expected each class in one split. Got 'a' in train and test"):
        by_csv(tmp_path, images)


def test_few_names_are_shown_and_others_counted():
    assert few(["a"]) == "'a'"
    assert few("abc") == "'a', 'b' and 'c'"
    assert few("abcde") == "'a', 'b', 'c' and 2 more"
    assert few(["\x1b"]) == r"'\x1b'"
