"""Packed copies: memory-mapped, written completely, and made again if damaged or if the source changed."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs, packed
from amfs_lab.tasks.packed import Block, Packed, Source, pack_files
from tests.tasks import small_images as small
from tests.tasks.small_images import empty_cache, said_by

CLASSES = {"train": {"a": 3, "b": 1}, "test": {"c": 2}}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    return empty_cache(monkeypatch, tmp_path)


@pytest.fixture
def tree(tmp_path) -> Path:
    for split, classes in CLASSES.items():
        small.class_folders(tmp_path / "tree" / split, classes)
    return tmp_path / "tree"


def listed(tree: Path) -> dict[str, dict[str, list[str]]]:
    return {
        split: {label: sorted(map(str, (tree / split / label).iterdir())) for label in classes}
        for split, classes in CLASSES.items()
    }


def pack(tree: Path, size: int = 12, **more) -> Packed:
    return pack_files("things", tree, listed(tree), size, **more)


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """The image files that were really read."""
    paths: list[Path] = []
    read_as = packed.read_as
    monkeypatch.setattr(packed, "read_as", lambda make, path: (paths.append(path), read_as(make, path))[1])
    return paths


def same(a: Packed, b: Packed) -> bool:
    return np.array_equal(a.images, b.images) and a.remarks == b.remarks and a.splits == b.splits


# --- what is read


@pytest.mark.parametrize(("channels", "shape"), [(3, (12, 12, 3)), (1, (12, 12)), (None, (12, 12, 3))])
def test_a_split_is_a_view_of_the_images_of_its_classes(tree, channels, shape):
    copy = pack(tree, channels=channels)
    assert copy.images.shape == (6, *shape)
    for split, classes in CLASSES.items():
        images, labels = copy.split(split)
        assert labels == tuple(classes)
        assert images.counts == tuple(classes.values())
        assert images.flat.shape == (sum(classes.values()), *((3, 12, 12) if len(shape) == 3 else (12, 12)))
        assert np.shares_memory(images.flat.numpy(), copy.images)
        for c, label in enumerate(labels):
            for number, image in enumerate(images[c]):
                expected = np.asarray(small.photo(label, number, mode="RGB" if len(shape) == 3 else "L"))
                assert np.array_equal(image.permute(1, 2, 0) if len(shape) == 3 else image, expected)


def test_the_copy_is_a_safetensors_file_in_the_cache(tree, cache):
    copy = pack(tree)
    (path,) = cache.iterdir()
    assert path.name.startswith("things-")
    assert torch.equal(load_file(path)["images"], torch.from_numpy(np.array(copy.images)))


def test_images_are_read_once_whatever_the_split(tree, reads):
    first, second = pack(tree), pack(tree)
    assert len(reads) == 6
    assert same(first, second)
    assert isinstance(second.images, np.memmap)


def test_of_several_processes_one_packs_and_the_others_wait(tree, reads):
    """Threads in place of processes: a lock of another object also makes a thread wait."""
    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(lambda _: pack(tree), range(4)))
    assert len(reads) == 6
    assert all(same(each, found[0]) for each in found)


def test_nothing_that_is_done_to_the_images_reaches_the_file(tree):
    images, _ = pack(tree).split("train")
    images.flat.zero_()  # also without a warning of torch that they are read-only
    assert pack(tree).images.any()


def test_blocks_may_come_in_any_order(cache):
    rows = np.arange(4 * 2 * 2, dtype=np.uint8).reshape(4, 2, 2)
    blocks = [Block(3, rows[3:], 1), Block(0, rows[:2], 0, 1), Block(2, rows[2:3])]
    copy = packed.copy("x", "key", lambda: Source({"all": {"a": 4}}, (2, 2), lambda: blocks))
    assert np.array_equal(copy.images, rows)
    assert (copy.modes, copy.sizes) == (1, 1)
    assert same(packed.stored("x", "key"), copy)


# --- what is said


def test_other_modes_and_sizes_are_converted_and_counted_in_one_sentence(tree):
    small.put(tree / "train" / "a" / "1.png", small.photo("a", 1, (20, 12)))
    small.put(tree / "train" / "a" / "2.png", small.photo("a", 2, mode="L"))
    small.put(tree / "test" / "c" / "0.png", small.photo("c", 0, (9, 9), "P"))
    for copy in (pack(tree), pack(tree)):  # read, then from the copy
        _, said = said_by(copy.warn, tree)
        assert said == [f"{tree}: 2 of 6 images were not RGB, 2 of 6 images were not 12x12: they were converted."]
    _, said = said_by(pack(tree, channels=1).warn, tree)
    assert said == [
        f"{tree}: 5 of 6 images were not stored as grey, 2 of 6 images were not 12x12: they were converted."
    ]


def test_files_with_further_pages_are_counted(tree):
    page = small.photo("a", 1)
    page.save(tree / "train" / "a" / "1.gif", save_all=True, append_images=[small.photo("a", 2)])
    (tree / "train" / "a" / "1.png").unlink()
    for copy in (pack(tree), pack(tree)):  # read, then from the copy
        assert copy.pages == 1
        assert "1 of 6 files have further pages or frames. Only the first is used." in copy.remarks


def test_incomplete_files_of_killed_processes_are_removed_after_a_day(tree):
    folder = data_dirs.cache()
    folder.mkdir(parents=True, exist_ok=True)
    old, new = folder / ".0123456789abcdef.part", folder / ".fedcba9876543210.part"
    for path, hours in ((old, 25), (new, 23)):
        path.write_bytes(b"x")
        os.utime(path, (time.time() - 3600 * hours,) * 2)
    pack(tree)
    assert [path.name for path in folder.glob(".*.part")] == [new.name]


def test_images_that_are_cropped_have_other_sizes_without_a_remark(tree):
    assert pack(tree, size=6, oblong="crop").remarks == []


def test_other_numbers_than_the_complete_set_has_are_said(tree):
    _, said = said_by(pack(tree).warn, tree, {"train": (2, 4), "test": (2, 1200)})
    assert said == [
        f"{tree}: Expected 2 classes of 1,200 images in all for test. Got 1 of 2. Accuracies differ from the ones on "
        "the complete set."
    ]


@pytest.mark.parametrize(
    ("oblong", "expected"),
    [("pad", [255, 255, 0, 0, 0, 0, 255, 255]), ("crop", [0] * 8), ("stretch", [0] * 8)],
)
def test_oblong_images_are_padded_cropped_or_stretched(tmp_path, oblong, expected):
    """A wide image, black with red ends: padding adds white above and below, cropping loses the ends."""
    image = Image.new("RGB", (16, 8))
    image.paste((255, 0, 0), (0, 0, 4, 8))
    image.paste((255, 0, 0), (12, 0, 16, 8))
    path = small.put(tmp_path / "x" / "wide.png", image)
    square = pack_files("x", tmp_path, {"all": {"x": [str(path)]}}, 8, oblong=oblong).images[0]
    assert np.abs(square[:, 4, 1].astype(int) - expected).max() < 30
    assert (square[4, 0, 0] > 225) == (oblong != "crop")


def test_an_image_is_upright_and_transparent_pixels_are_white(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = small.photo("a", 0)
    image.paste((0, 0, 0), (0, 0, 12, 6))
    image.save(tmp_path / "lying.png", exif=exif)
    clear = Image.new("RGBA", (12, 12), (9, 9, 9, 0))
    clear.save(tmp_path / "clear.png")
    paths = [str(tmp_path / "lying.png"), str(tmp_path / "clear.png")]
    lying, white = pack_files("x", tmp_path, {"all": {"x": paths}}, 12).images
    assert np.array_equal(lying, np.asarray(image.rotate(-90)))
    assert (white == 255).all()


@pytest.mark.parametrize(
    "content", [b"", b"no image", small.encoded(small.photo("a", 0))[:45]], ids=["empty", "text", "cut"]
)
def test_a_damaged_image_is_named_and_nothing_is_left(tree, cache, content):
    (tree / "test" / "c" / "1.png").write_bytes(content)
    with pytest.raises(DataError, match=r"Expected an image that can be read. Got .*c.1\.png"):
        pack(tree)
    assert list(cache.iterdir()) == []


# --- when a copy is made again


def change(tree: Path) -> None:
    path = tree / "train" / "b" / "0.png"
    state = path.stat()
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def touch(tree: Path) -> None:
    os.utime(tree / "train" / "b" / "0.png", ns=(1, 1))


def rename(tree: Path) -> None:
    (tree / "train" / "b" / "0.png").rename(tree / "train" / "b" / "9.png")


@pytest.mark.parametrize("alter", [change, touch, rename])
def test_another_size_time_or_name_makes_another_copy(tree, reads, alter):
    pack(tree)
    alter(tree)
    pack(tree)
    pack(tree)
    assert len(reads) == 12


def test_other_settings_make_another_copy(tree, reads, monkeypatch):
    pack(tree)
    for more in (dict(size=6), dict(channels=1), dict(oblong="crop")):
        pack(tree, **more)
    other = {"train": {"a": listed(tree)["train"]["a"]}}
    pack_files("things", tree, other, 12)
    monkeypatch.setattr(packed, "FORMAT", packed.FORMAT + 1)
    pack(tree)
    assert len(reads) == 5 * 6 + 3


def test_a_tree_that_was_moved_shares_the_copy(tree, reads):
    pack(tree)
    pack(tree.rename(tree.with_name("moved")))
    assert len(reads) == 6


DAMAGES = {
    "cut": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "no tensors": lambda content: b"no tensors at all",
    "a flipped bit": lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    "a length of terabytes": lambda content: b"\xff" * 7 + content[7:],
    "other numbers": lambda content: content.replace(b'\\"a\\": 3', b'\\"a\\": 2'),
    "negative numbers": lambda content: content.replace(b'"shape": [6, 12, 12, 3]', b'"shape": [6,-12,-12,3]'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_made_again(tree, cache, reads, damage):
    whole = pack(tree)
    (path,) = cache.iterdir()
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(DAMAGES[damage](good))
    assert path.read_bytes() != good
    assert same(pack(tree), whole)
    assert len(reads) == 12
    assert path.read_bytes() == good
    assert list(cache.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="root can give files away")
@pytest.mark.parametrize("whose", ["another user's", "open to all"])
def test_a_copy_that_others_can_have_written_is_not_trusted(tree, cache, reads, whose):
    honest = pack(tree)
    (path,) = cache.iterdir()
    forged = Source(CLASSES, (12, 12, 3), lambda: [Block(0, 255 - honest.images)])
    packed._write(path, forged)
    assert not same(pack(tree), honest)  # a copy of one's own is
    if whose == "open to all":
        path.chmod(0o646)
    else:
        os.chown(path, 12345, -1)
    assert same(pack(tree), honest)
    assert len(reads) == 12


def test_a_cache_that_cannot_be_written_is_said_and_images_stay_in_memory(tree, cache):
    cache.write_text("in the way")
    copy, said = said_by(pack, tree)
    assert len(said) == 1
    assert "The packed copy" in said[0]
    assert "could not be written" in said[0]
    cache.unlink()
    assert same(pack(tree), copy)


def test_a_full_disk_is_said_and_leaves_nothing(tree, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packed, "_checksum", full)
    copy, said = said_by(pack, tree)
    assert "No space left on device" in said[0]
    assert copy.images.any()
    assert list(cache.iterdir()) == []


# --- links


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
@pytest.mark.parametrize("what", ["file", "class", "split"])
def test_a_link_that_leaves_the_tree_is_refused(tree, tmp_path, what):
    outside = small.class_folders(tmp_path / "outside" / "train", {"a": 3, "b": 1})
    place = {"file": "train/b/0.png", "class": "train/b", "split": "train"}[what]
    (tree / place).rename(tmp_path / "away")
    (tree / place).symlink_to(outside.parent / place)
    with pytest.raises(
        DataError, match=r"A link in .*tree must lead to a place in that folder. Got .*, which leads to"
    ):
        pack(tree)


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_link_within_the_tree_and_a_tree_that_is_a_link_are_read(tree, tmp_path):
    whole = pack(tree)
    path = tree / "train" / "b" / "0.png"
    path.rename(tree / "kept.png")
    path.symlink_to(tree / "kept.png")
    (tmp_path / "link").symlink_to(tree)
    assert np.array_equal(pack(tmp_path / "link").images, whole.images)


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_a_link_that_leads_nowhere_is_named(tree):
    (tree / "train" / "b" / "0.png").unlink()
    (tree / "train" / "b" / "0.png").symlink_to(tree / "absent")
    with pytest.raises(DataError, match=r"Expected readable files in .*tree. Got .*0\.png: No such file"):
        pack(tree)


# --- sixty thousand images


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory of Linux")
def test_sixty_thousand_images_are_opened_without_being_read(tmp_path, monkeypatch):
    """1.27 GB, as mini-ImageNet has. Drawing a hundred of them reads only their pages. Times are not asserted."""

    def resident() -> int:
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024

    zeros = np.zeros((1, 84, 84, 3), np.uint8)
    blocks = [Block(row, zeros) for row in range(60_000)]
    splits = {"train": {f"{c}": 600 for c in range(100)}}
    packed.copy("large", "key", lambda: Source(splits, (84, 84, 3), lambda: blocks))
    before, started = resident(), time.process_time()
    images, _ = packed.stored("large", "key").split("train")
    seconds = time.process_time() - started
    drawn = images.flat[torch.randperm(60_000)[:100]]
    assert drawn.shape == (100, 3, 84, 84)
    assert resident() - before < 150e6
    assert seconds < 5
