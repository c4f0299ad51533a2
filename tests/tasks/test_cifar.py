"""FC100 and CIFAR-FS from the official archive or its folder, small ones and the real one."""

import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from amfs_lab.errors import DataError
from amfs_lab.tasks import EpisodeConfig, cifar, data_dirs, open_source
from amfs_lab.tasks.unpickle import load
from tests.tasks.small_images import empty_data, said_by

FINE = sorted(cifar.LABELS)
PARTS = ("train", "validation", "test")
COUNTS = {  # fine classes
    "fc100": {"train": 60, "validation": 20, "test": 20},
    "cifar-fs": {"train": 64, "validation": 16, "test": 20},
}


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path) -> Path:
    """An empty data directory."""
    monkeypatch.setattr(cifar, "SAMPLES", 3)
    return empty_data(monkeypatch, tmp_path)


def batch(per_class: int, first: int = 0, without: set[str] = frozenset()) -> dict:
    """`per_class` images of each class, in no order; the pixels of an image have the value of its class and number."""
    pairs = [(c, n) for n in range(first, first + per_class) for c in range(100) if FINE[c] not in without]
    images = np.empty((len(pairs), 3, 32, 32), np.uint8)
    for image, (c, n) in zip(images, pairs, strict=True):
        image[0], image[1], image[2] = c, n, np.arange(32)
    return {
        "filenames": [f"{c}_{n}.png" for c, n in pairs],
        "fine_labels": [c for c, _ in pairs],
        "coarse_labels": [list(cifar.CLASSES).index(cifar.LABELS[FINE[c]].split("/")[0]) for c, _ in pairs],
        "data": images.reshape(len(pairs), -1),
    }


def contents(**more) -> dict[str, bytes]:
    parts = {
        "train": batch(2),
        "test": batch(1, first=2),
        "meta": {"fine_label_names": FINE, "coarse_label_names": list(cifar.CLASSES)},
        **more,
    }
    return {name: part if isinstance(part, bytes) else pickle.dumps(part, 2) for name, part in parts.items() if part}


def as_folder(data: Path, files: dict[str, bytes]) -> Path:
    (data / "cifar-100-python").mkdir(exist_ok=True)
    for name, content in files.items():
        (data / "cifar-100-python" / name).write_bytes(content)
    return data / "cifar-100-python"


def as_archive(data: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    path = data / "cifar-100-python.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for info in more:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


KINDS = {"folder": as_folder, "archive": as_archive}
both = pytest.mark.parametrize("kind", KINDS)


def test_the_splits_are_the_published_ones():
    for protocol, counts in COUNTS.items():
        labels = cifar.labels_of(protocol)
        assert {name: len(found) for name, found in labels.items()} == counts
        assert sorted(label for found in labels.values() for label in found) == sorted(cifar.LABELS.values())
    superclasses = {name: {label.split("/")[0] for label in found} for name, found in cifar.labels_of("fc100").items()}
    names = list(cifar.CLASSES)
    assert superclasses["train"] == {names[n] for n in (1, 2, 3, 4, 5, 6, 9, 10, 15, 17, 18, 19)}
    assert superclasses["validation"] == {names[n] for n in (8, 11, 13, 16)}
    assert superclasses["test"] == {names[n] for n in (0, 7, 12, 14)}
    assert sorted(superclasses["train"] | superclasses["validation"] | superclasses["test"]) == names
    shared = {name: {label.split("/")[0] for label in found} for name, found in cifar.labels_of("cifar-fs").items()}
    assert shared["train"] & shared["test"]


@both
@pytest.mark.parametrize("protocol", cifar.PROTOCOLS)
def test_a_class_has_its_images_of_both_files(data, kind, protocol):
    KINDS[kind](data, contents())
    for part in PARTS:
        for _ in range(2):  # read, then from the packed copy
            (images, labels), said = said_by(cifar.split, protocol, part)
            assert said == []
            assert list(labels) == cifar.labels_of(protocol)[part]
            assert images.counts == (3,) * len(labels)
            assert images.flat.shape == (3 * len(labels), 3, 32, 32)
        for c, label in enumerate(labels):
            assert images[c][:, 0].unique().tolist() == [FINE.index(label.split("/")[1])]
            assert images[c][:, 1, 5, 7].tolist() == [0, 1, 2], "those of `train` first"
            assert images[c][0, 2, 9].tolist() == list(range(32)), "rows are rows"


@pytest.mark.parametrize("place", ["", "cifar100", "downloads"])
def test_it_is_found_directly_or_one_folder_below(data, place):
    as_archive(data / place, contents())
    assert len(cifar.split("fc100", "test")[1]) == 20


def test_the_keys_may_be_bytes_and_one_of_the_files_is_enough(data):
    """As a program with Python 3 may have saved them."""
    as_bytes = {key.encode(): value for key, value in batch(3).items()}
    names = {b"fine_label_names": [name.encode() for name in FINE]}
    as_archive(data, contents(train=as_bytes, test=None, meta=names))
    (images, _), said = said_by(cifar.split, "fc100", "train")
    assert said == []
    assert images.counts == (3,) * 60


def test_a_missing_set_says_what_to_fetch(data):
    said = (
        r"Expected cifar-100-python.tar.gz or the folder cifar-100-python in one of .*`cifar100` there. Got none. "
        r"Fetch the official archive with `amfs-lab data fetch cifar100`, or name the folder"
    )
    with pytest.raises(DataError, match=said):
        cifar.split("fc100", "train")


# --- missing classes


def test_missing_classes_are_counted_and_named_and_the_rest_needs_a_request(data):
    as_archive(data, contents(train=batch(3, without={"otter", "shark", "bed", "rose", "worm"}), test=None))
    said = (
        r"Expected 3 images of each class. 3 of 20 classes of cifar-fs/test have no image in .*: 'flowers/rose', "
        r"'household_furniture/bed' and 'non-insect_invertebrates/worm'. Fetch .*, or use "
        r"the source `cifar-fs:partial`"
    )
    with pytest.raises(DataError, match=said):
        cifar.split("cifar-fs", "test")
    with pytest.warns(UserWarning, match=r"3 of 20 classes of cifar-fs/test have no image .* Accuracies differ from"):
        images, labels = cifar.split("cifar-fs", "test", partial=True)
    assert len(labels) == len(images) == 17
    assert images[0][0, 0, 0, 0] == FINE.index(labels[0].split("/")[1])
    assert said_by(cifar.split, "cifar-fs", "train")[1] == [], "no class of it is missing"


def test_a_split_without_any_class_is_an_error_also_on_request(data):
    gone = {label.split("/")[1] for label in cifar.labels_of("fc100")["test"]}
    as_archive(data, contents(train=batch(3, without=gone), test=None))
    for partial in (False, True):
        with pytest.raises(DataError, match=r"20 of 20 classes of fc100/test have no image .* cifar100`\.$"):
            cifar.split("fc100", "test", partial=partial)


def test_few_images_of_each_class_are_said_once(data):
    as_archive(data, contents(test=None))
    _, said = said_by(cifar.split, "fc100", "train")
    (said,) = said
    assert said.endswith("the number of images of each class of fc100/train is 2. In the complete set it is 3.")


# --- what is wrong


WRONG = {
    "no meta": (dict(meta=None), "Got: no meta"),
    "no images": (dict(train=None, test=None), "Got: no file train or test"),
    "other classes": (dict(meta={"fine_label_names": ["cat", *FINE[1:]]}), "other classes than CIFAR-100 has: .*'cat'"),
    "names that are lists": (dict(meta={"fine_label_names": [[], *FINE[1:]]}), "Got: a class name of type list"),
    "no names": (dict(meta={"names": 1}), "Got: no fine_label_names"),
    "names that are no list": (dict(meta={"fine_label_names": 3}), "other classes than CIFAR-100 has: 'apple', "),
    "no data": (dict(train={"fine_labels": [1]}), "Got: no data"),
    "a list": (dict(train=[1, 2]), "Got: no data"),
    "data of floats": (dict(train={**batch(1), "data": np.zeros((100, 3072))}), r"`data` of train that is no array"),
    "data of another size": (
        dict(train={**batch(1), "data": np.zeros((100, 784), np.uint8)}),
        r"`data` of train that is no array \(n 3072\) in uint8",
    ),
    "data in a list": (dict(train={**batch(1), "data": [[0] * 3072] * 100}), "`data` of train that is no array"),
    "too few labels": (dict(train={**batch(1), "fine_labels": [1]}), "that are not 100 numbers below 100"),
    "labels beyond": (dict(train={**batch(1), "fine_labels": [100] * 100}), "that are not 100 numbers below 100"),
    "labels below": (dict(train={**batch(1), "fine_labels": [-1] * 100}), "that are not 100 numbers below 100"),
    "labels of text": (dict(train={**batch(1), "fine_labels": ["1"] * 100}), "that are not 100 numbers below 100"),
    "a truncated pickle": (dict(train=pickle.dumps(batch(1), 2)[:-9]), "a damaged or truncated file"),
}


@both
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_layout_is_said(data, tmp_path, kind, case):
    more, words = WRONG[case]
    KINDS[kind](data, contents(**more))
    with pytest.raises(DataError, match=rf"cifar-100-python.*{words}"):
        cifar.split("fc100", "train")
    assert not list((tmp_path / "cache").glob("*"))


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@both
@pytest.mark.parametrize("part", ["train", "meta"])
def test_an_archive_with_a_malicious_pickle_is_refused_and_nothing_in_it_runs(data, tmp_path, kind, part):
    evil = Evil(f"touch {tmp_path / 'marker'}")
    KINDS[kind](data, contents(**{part: {**pickle.loads(contents()[part]), "more": evil}}))
    with pytest.raises(
        DataError, match=r"cifar-100-python.* Got a reference to '(posix|nt)\.system'. Do not open this"
    ):
        cifar.split("fc100", "train")
    assert not (tmp_path / "marker").exists()
    assert pickle.loads(contents(**{part: evil})[part]) == 0
    assert (tmp_path / "marker").exists(), "Python's own unpickler runs it"


def special(kind: bytes, name: str = "cifar-100-python/train", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, "/etc/passwd", size
    return info


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(data, kind):
    as_archive(data, contents(), special(kind))
    with pytest.raises(DataError, match=r"Got: 'cifar-100-python/train' is a link or a device, not a file"):
        cifar.split("fc100", "train")


def test_an_archive_that_unpacks_to_too_much_is_refused(data, monkeypatch):
    as_archive(data, {"zeros": bytes(5_000_000), **contents()})
    monkeypatch.setattr(cifar, "MOST", 4_000_000)
    with pytest.raises(DataError, match=r"Got: more than 4,000,000 bytes when unpacked. Fetch the official archive"):
        cifar.split("fc100", "train")
    monkeypatch.setattr(cifar, "MOST", 2**29)
    monkeypatch.setattr(cifar, "LARGEST", 500_000)
    with pytest.raises(DataError, match=r"'cifar-100-python/train' has .* bytes, more than the limit of 500,000"):
        cifar.split("fc100", "train")


def test_nothing_is_written_to_disk_but_the_copy(data, tmp_path):
    as_archive(data, {"../../../evil": b"?", **contents()})
    cifar.split("fc100", "train")
    assert [path.name for path in data.iterdir()] == ["cifar-100-python.tar.gz"]
    (copy,) = (tmp_path / "cache").iterdir()
    assert copy.name.startswith("fc100-")
    assert not list(tmp_path.parent.glob("**/evil"))


# --- the real archive


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    named = os.environ.get("AMFS_LAB_DATA")
    place = data_dirs.inside(Path(named), cifar.WANTED) if named else None
    if place is None:
        pytest.skip("no cifar-100-python.tar.gz in AMFS_LAB_DATA: the real CIFAR-100 is not here")
    return place, tmp_path_factory.mktemp("cache")


@pytest.fixture
def opened(real, data, monkeypatch):
    """`opened("fc100", "train")`: a split of the real archive, and all that is said of it."""
    place, cache = real
    monkeypatch.undo()
    monkeypatch.setenv("AMFS_LAB_CACHE", str(cache))  # packed once for all tests
    return lambda protocol, name, **more: said_by(cifar.split, protocol, name, place.parent, **more)


def test_the_real_archive_has_its_classes_in_colour(opened):
    (images, labels), _ = opened("fc100", "validation", partial=True)
    assert len(labels) == 20
    assert len({label.split("/")[0] for label in labels}) == 4
    assert images.flat.shape[1:] == (3, 32, 32)
    means = np.array([images[c].float().mean((0, 2, 3)).numpy() for c in range(20)])
    assert 60 < means.min() < means.max() < 200
    smooth = np.abs(np.diff(images.flat[:200].numpy().astype(int), axis=-1)).mean()
    assert smooth < 20, "neighbours in a row are neighbours in the picture"


def test_the_classes_of_the_real_archive_are_complete_or_named(opened):
    for protocol, counts in COUNTS.items():
        for part, count in counts.items():
            if part == "test":
                continue
            (_, labels), said = opened(protocol, part, partial=True)
            lacking = [text for text in said if f"classes of {protocol}/{part} have no image" in text]
            assert bool(lacking) == (len(labels) < count)
            if lacking:
                with pytest.raises(DataError, match=rf"{count - len(labels)} of {count} classes of {protocol}/{part}"):
                    opened(protocol, part)


@pytest.mark.filterwarnings("ignore")
def test_no_class_is_left_that_the_other_data_set_has_in_training(real, data, monkeypatch):
    place, cache = real
    monkeypatch.undo()
    monkeypatch.setenv("AMFS_LAB_CACHE", str(cache))
    shape, root = EpisodeConfig(2, 1, 2), place.parent
    seen, all_ = (open_source(name, "train", shape, root).labels for name in ("fc100", "cifar-fs:partial"))
    rest = open_source("cifar-fs:partial", "train", shape, root, unseen_by="fc100")
    assert rest.labels
    assert set(rest.labels) == set(all_) - set(seen)
    assert rest[0].query.x.shape == (4, 3, 32, 32)


def test_the_superclasses_are_those_of_the_real_archive(real):
    files = cifar._files(real[0])
    batch, meta = (load(files[name]) for name in ("train", "meta"))
    fine, coarse = ([name.decode() for name in meta[f"{kind}_label_names".encode()]] for kind in ("fine", "coarse"))
    pairs = {(fine[a], coarse[b]) for a, b in zip(batch[b"fine_labels"], batch[b"coarse_labels"], strict=True)}
    assert all(cifar.LABELS[name] == f"{group}/{name}" for name, group in pairs)
    assert list(cifar.CLASSES) == coarse
