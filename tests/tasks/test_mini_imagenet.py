"""mini-ImageNet in the layouts that people have, and whatever is missing is said with its place."""

from pathlib import Path

import numpy as np
import pytest

from amfs_lab.errors import DataError
from amfs_lab.tasks import mini_imagenet
from tests.tasks import small_images as small
from tests.tasks.small_images import empty_data, said_by

COMPLETE = {"train": (3, 6), "validation": (1, 2), "test": (2, 4)}
CLASSES = {"train": ["n03", "n01", "n02"], "val": ["n04"], "test": ["n06", "n05"]}


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path) -> Path:
    """An empty data directory."""
    monkeypatch.setattr(mini_imagenet, "COMPLETE", COMPLETE)
    return empty_data(monkeypatch, tmp_path)


def with_csv(place: Path) -> Path:
    """The layout of Ravi and Larochelle."""
    for part, labels in CLASSES.items():
        rows = [(f"{label}{number:08d}.jpg", label) for label in labels for number in range(2)]
        small.write_csv(place / f"{part}.csv", rows)
        for name, label in rows:
            small.put(place / "images" / name, small.photo(label, int(name[-5]), (84, 84)))
    return place


def with_folders(place: Path) -> Path:
    for part, labels in CLASSES.items():
        for label in labels:
            for number in range(2):
                small.put(place / part / label / f"{label}{number:08d}.jpg", small.photo(label, number, (84, 84)))
    return place


@pytest.mark.parametrize("name", ["mini-imagenet", "miniImageNet", "mini_imagenet", "MiniImagenet", "my/mini-imagenet"])
@pytest.mark.parametrize("layout", [with_csv, with_folders])
def test_both_layouts_give_the_same_images_by_class(data, name, layout):
    layout(data / name)
    for part, labels in (("train", ("n01", "n02", "n03")), ("validation", ("n04",)), ("test", ("n05", "n06"))):
        (images, found), said = said_by(mini_imagenet.split, part)
        assert said == []
        assert found == labels
        assert images.counts == (2,) * len(labels)
        assert images.flat.shape == (2 * len(labels), 3, 84, 84)
        for c, label in enumerate(labels):
            for number in range(2):
                expected = np.asarray(small.photo(label, number, (84, 84))).transpose(2, 0, 1).astype(int)
                assert np.abs(images[c][number].numpy() - expected).max() < 4, "a JPEG"


def test_the_whole_image_is_scaled(data):
    place = with_folders(data / "mini-imagenet")
    wide = small.photo("n04", 0, (200, 50))
    wide.paste((255, 255, 255), (0, 0, 25, 50))
    small.put(place / "val" / "n04" / "n0400000000.jpg", wide)
    with pytest.warns(UserWarning, match=r"mini-imagenet: 1 of 12 images were not 84x84: they were converted"):
        images, _ = mini_imagenet.split("validation")
    white = (images[0][0] > 250).all(0)
    assert white[:, :8].all()
    assert not white[:, 14:].any()


def test_other_numbers_than_the_complete_set_has_are_said(data, monkeypatch):
    with_csv(data / "mini-imagenet")
    monkeypatch.undo()
    monkeypatch.setenv("AMFS_LAB_CACHE", str(data / "cache"))
    with pytest.warns(UserWarning, match=r"Expected 64 classes of 38,400 images in all for train. Got 3 of 6\. Accura"):
        mini_imagenet.split("train", data)


def test_a_missing_folder_says_what_belongs_where(data):
    said = (
        r"Expected the folder mini-imagenet or miniimagenet or mini_imagenet in one of .*data.*Got none. It has no "
        r"official address. Make the folder mini-imagenet in one of them. Put `images/` with train.csv, val.csv and "
        r"test.csv .* there, or `train/`, `val/` and `test/`"
    )
    with pytest.raises(DataError, match=said):
        mini_imagenet.split("train")


def test_another_layout_says_what_belongs_there(data):
    small.class_folders(data / "mini-imagenet" / "images", {"n01": 2})
    with pytest.raises(DataError, match=r"Expected images of mini-ImageNet in .*. Got another layout. Put `images/` w"):
        mini_imagenet.split("train")


def test_a_csv_that_names_absent_images_counts_them(data):
    place = with_csv(data / "mini-imagenet")
    for path in sorted((place / "images").glob("n01*")) + sorted((place / "images").glob("n02*")):
        path.unlink()
    with pytest.raises(
        DataError, match=r"Got 4 of 6 that are not there: 'n0100000000.jpg', .* and 1 more. Restore them"
    ):
        mini_imagenet.split("train")


def test_a_split_without_a_csv_is_named(data):
    place = with_csv(data / "mini-imagenet")
    (place / "test.csv").unlink()
    assert len(mini_imagenet.split("train")[1]) == 3
    with pytest.raises(DataError, match=r"Expected images for the split test in .* Got the splits: train, validation"):
        mini_imagenet.split("test")


def test_a_label_with_a_slash_or_a_newline_is_a_label(data):
    place = with_csv(data / "mini-imagenet")
    small.write_csv(place / "val.csv", [("n0400000000.jpg", "birds/owl\n"), ("n0400000001.jpg", "birds/owl\n")])
    assert mini_imagenet.split("validation")[1] == ("birds/owl\\n",)


def test_a_name_that_leads_out_of_the_folder_is_not_there(data):
    place = with_csv(data / "mini-imagenet")
    small.put(data / "secret.jpg", small.photo("x", 0))
    small.write_csv(place / "val.csv", [("../../secret.jpg", "n04"), (str(data / "secret.jpg"), "n04")])
    with pytest.raises(DataError, match=r"Got 2 of 2 that are not there: '../../secret.jpg'"):
        mini_imagenet.split("validation")
