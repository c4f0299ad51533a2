"""CUB as a folder or in its archive, in the split of Chen et al. or by CSV files, and whatever is wrong with it."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from amfs_lab.errors import DataError
from amfs_lab.tasks import cub
from tests.tasks import small_images as small
from tests.tasks.small_images import empty_data, said_by

COUNTS = {"001.Albatross": 2, "002.Auklet": 3, "003.Bunting": 2, "004.Cardinal": 1, "005.Catbird": 2}
SPLITS = {
    "train": ("001.Albatross", "003.Bunting", "005.Catbird"),
    "validation": ("002.Auklet",),
    "test": ("004.Cardinal",),
}
COMPLETE = {"train": (3, 6), "validation": (1, 3), "test": (1, 1)}


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path) -> Path:
    """An empty data directory."""
    monkeypatch.setattr(cub, "COMPLETE", COMPLETE)
    return empty_data(monkeypatch, tmp_path)


def members() -> dict[str, bytes]:
    """The official files, in the order of the official archive: images first."""
    names = [f"{label}/{label[4:]}_{number:04d}.jpg" for label, count in COUNTS.items() for number in range(count)]
    found = {}
    for name in names:
        image = small.photo(name[:3], int(name[-5]), (40, 30))
        image.paste((255, 255, 255), (0, 0, 4, 30))  # cropped off
        found[f"images/{name}"] = small.encoded(image, "JPEG", quality=95, subsampling=0)
    numbers = {name: n for n, name in enumerate(names, 1)}
    labels = {label: n for n, label in enumerate(COUNTS, 1)}
    found["classes.txt"] = "".join(f"{n} {label}\n" for label, n in labels.items()).encode()
    found["image_class_labels.txt"] = "".join(
        f"{n} {labels[name.split('/')[0]]}\n" for name, n in numbers.items()
    ).encode()
    found["images.txt"] = "".join(f"{n} {name}\n" for name, n in numbers.items()).encode()
    found["bounding_boxes.txt"] = b"1 0 0 1 1\n"
    return {f"CUB_200_2011/{name}": content for name, content in found.items()}


def as_folder(data: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    return data / "CUB_200_2011"


def as_archive(data: Path, files: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    path = data / "CUB_200_2011.tgz"
    with tarfile.open(path, mode) as archive:
        for info in more:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


KINDS = {"folder": as_folder, "archive": as_archive}
both = pytest.mark.parametrize("kind", KINDS)


@both
def test_each_split_has_its_classes_by_index(data, kind):
    KINDS[kind](data, members())
    for part, labels in SPLITS.items():
        for _ in range(2):  # read, then from the packed copy
            (images, found), said = said_by(cub.split, part)
            assert said == []
            assert found == labels
            assert images.counts == tuple(COUNTS[label] for label in labels)
            assert images.flat.shape == (sum(images.counts), 3, 84, 84)
        for c, label in enumerate(labels):
            for number in range(COUNTS[label]):
                expected = np.asarray(small.photo(label[:3], number)).transpose(2, 0, 1)[:, :1, :1].astype(int)
                centre = images[c][number, :, :, 10:].numpy().astype(int)
                assert np.abs(centre - expected).max() < 8, "the centre square"


def test_folder_and_archive_give_the_same_and_nothing_is_extracted(data, tmp_path):
    as_archive(data, {"./" + name: content for name, content in members().items()})
    as_folder(tmp_path / "other", members())
    for part in SPLITS:
        (packed, labels), (plain, same) = cub.split(part), cub.split(part, tmp_path / "other")
        assert labels == same
        assert np.array_equal(packed.flat, plain.flat)
    assert [path.name for path in data.iterdir()] == ["CUB_200_2011.tgz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "data", "other"]


def test_the_rule_of_two_hundred_classes():
    splits = cub.by_index([f"{n:03d}" for n in range(1, 201)])
    assert {name: len(labels) for name, labels in splits.items()} == {"train": 100, "validation": 50, "test": 50}
    assert splits["train"][:3] == ["001", "003", "005"]
    assert splits["validation"][:3] == ["002", "006", "010"]
    assert splits["test"][:3] == ["004", "008", "012"]


@both
@pytest.mark.parametrize("whole", [True, False])
def test_csv_files_beside_it_choose_other_splits(data, kind, whole):
    """With names as in images.txt, or without their folders."""
    place = KINDS[kind](data, members())
    names = [name.removeprefix("CUB_200_2011/images/") for name in members() if "/images/" in name]
    for part, label in (("train", "005.Catbird"), ("val", "004.Cardinal")):
        rows = [(name if whole else name.split("/")[1], label) for name in names if label in name]
        small.write_csv(place.parent / f"{part}.csv", rows)
    with pytest.warns(UserWarning, match="Got 1 of 2"):
        assert cub.split("train")[1] == ("005.Catbird",)
    assert said_by(cub.split, "validation")[0][1] == ("004.Cardinal",)
    with pytest.raises(DataError, match=r"Expected images for the split test in .* Got the splits: train, validation"):
        cub.split("test")
    small.write_csv(place.parent / "test.csv", [("absent.jpg", "x")])
    with pytest.raises(
        DataError, match=r"Expected the images that .*test.csv names. Got 1 of 1 that are not there: 'abs"
    ):
        cub.split("test")


@both
def test_missing_images_are_counted_and_three_are_named(data, kind):
    files = {name: content for name, content in members().items() if "Albatross" not in name and "Auklet" not in name}
    KINDS[kind](data, files)
    said = (
        r"images.txt names in .*CUB_200_2011.*\. Got 5 of 10 that are not there: '001.Albatross/.*, .*, .* and 2 more"
    )
    with pytest.raises(DataError, match=said):
        cub.split("train")


LISTS = {
    "images.txt": [
        (None, "images.txt"),
        (b"", "lines of images.txt that are not a number of its own and a value"),
        (b"1 001.Albatross/a.jpg\n1 b.jpg\n", "lines of images.txt"),
        (b"1\n", "lines of images.txt"),
        (b"1 a.jpg\n", "other images in images.txt than in image_class_labels.txt"),
        (b"\xff\xfe", "can't decode byte"),
    ],
    "classes.txt": [(b"1 001.Albatross\n", "the class '2', which is not in classes.txt")],
}


@both
@pytest.mark.parametrize(("name", "case"), [(name, n) for name, cases in LISTS.items() for n in range(len(cases))])
def test_wrong_lists_are_said(data, kind, name, case):
    content, words = LISTS[name][case]
    files = {**members(), f"CUB_200_2011/{name}": content}
    KINDS[kind](data, {name: content for name, content in files.items() if content is not None})
    with pytest.raises(DataError, match=rf"Expected the lists images.txt, .* Got: .*{words}.* Fetch it with `amfs-lab"):
        cub.split("train")


@both
@pytest.mark.parametrize("path", ["../../secret.jpg", "/etc/secret.jpg"])
def test_a_path_out_of_the_folder_is_refused(data, kind, path):
    files = members()
    files["CUB_200_2011/images.txt"] = files["CUB_200_2011/images.txt"].replace(
        b"001.Albatross/Albatross_0000.jpg", path.encode()
    )
    small.put(data / "secret.jpg", small.photo("x", 0))
    KINDS[kind](data, files)
    with pytest.raises(DataError, match=r"Got: a path that leaves the folder, '.*secret.jpg'"):
        cub.split("train")


@both
def test_a_damaged_image_is_named(data, kind, tmp_path):
    name = "CUB_200_2011/images/004.Cardinal/Cardinal_0000.jpg"
    KINDS[kind](data, {**members(), name: members()[name][:200]})
    with pytest.raises(DataError, match=r"Expected an .*image.* Got.*Cardinal_0000.jpg|image .*Cardinal_0000.jpg in"):
        cub.split("train")
    assert not list((tmp_path / "cache").glob("*"))


@both
def test_grey_photographs_are_converted_and_counted(data, kind):
    name = "CUB_200_2011/images/004.Cardinal/Cardinal_0000.jpg"
    grey = small.encoded(small.photo("x", 0, (40, 30), "L"), "JPEG")
    KINDS[kind](data, {**members(), name: grey})
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"CUB_200_2011.*: 1 of 10 images were not RGB: they were converted"):
            cub.split("train")


def test_a_missing_set_says_what_to_fetch(data):
    said = (
        r"Expected CUB_200_2011.tgz or the folder CUB_200_2011 in one of .*`cub` there. Got none. Fetch it with `amfs-l"
    )
    with pytest.raises(DataError, match=said):
        cub.split("train")


# --- archives that are made to do harm


def special(kind: bytes, name: str, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_links_and_devices_in_an_archive_are_refused(data):
    name = "CUB_200_2011/images/001.Albatross/x.jpg"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        as_archive(data, members(), special(kind, name, "/etc/passwd"))
        with pytest.raises(DataError, match=r"complete archive at .* Got: '.*x.jpg' is a link or a device, not a file"):
            cub.split("train")


def test_members_outside_the_folder_are_not_read(data, tmp_path):
    as_archive(data, {"../../evil.jpg": b"?", "/evil.jpg": b"?", "CUB_200_2011/images/../../x.jpg": b"?", **members()})
    assert len(cub.split("train")[1]) == 3
    assert not list(tmp_path.rglob("*evil*"))


def test_an_archive_that_unpacks_to_too_much_is_refused(data, monkeypatch):
    as_archive(data, {"CUB_200_2011/zeros": bytes(3_000_000), **members()})
    assert (data / "CUB_200_2011.tgz").stat().st_size < 30_000
    monkeypatch.setattr(cub, "MOST", 2_000_000)
    with pytest.raises(DataError, match=r"Got: more than 2,000,000 bytes when unpacked"):
        cub.split("train")
    monkeypatch.setattr(cub, "MOST", 2**30)
    monkeypatch.setattr(cub, "LARGEST", 500)
    with pytest.raises(DataError, match=r"\.jpg' has .* bytes, more than the limit of 500"):
        cub.split("train")
    monkeypatch.setattr(cub, "LARGEST", 2**20)
    monkeypatch.setattr(cub, "IMAGES", 5)
    with pytest.raises(DataError, match=r"more than 5 images"):
        cub.split("train")


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -20])
def test_a_truncated_archive_is_refused(data, keep):
    path = as_archive(data, members())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"Expected .* in .*CUB_200_2011.tgz|complete archive at .*CUB_200_2011.tgz"):
        cub.split("train")


def test_an_archive_that_is_none_or_not_compressed(data):
    (data / "CUB_200_2011.tgz").write_bytes(b"<html>" * 1000)
    with pytest.raises(DataError, match=r"complete archive at .* Got: not a complete archive"):
        cub.split("train")
    as_archive(data, members(), mode="w")
    assert len(cub.split("train")[1]) == 3


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_link_out_of_the_folder_is_refused(data, tmp_path):
    place = as_folder(data, members())
    (place / "images" / "004.Cardinal").rename(tmp_path / "away")
    (place / "images" / "004.Cardinal").symlink_to(tmp_path / "away")
    with pytest.raises(DataError, match=r"A link in .*CUB_200_2011 must lead to a place in that folder"):
        cub.split("train")
