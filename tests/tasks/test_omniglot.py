"""Omniglot opens from what people really have, in both protocols, and whatever is wrong with it is said by name."""

import hashlib
import io
import os
import shutil
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import EpisodeConfig, omniglot, omniglot_files, open_source, packed
from amfs_lab.tasks.omniglot_files import opened, read
from tests.tasks import small_omniglot as small

SMALL = EpisodeConfig(2, 1, 3)
ALPHABETS = [
    *("Alphabet_of_the_Magi", "Anglo-Saxon_Futhorc", "Arcadian", "Armenian", "Asomtavruli_(Georgian)"),
    *("Balinese", "Bengali", "Blackfoot_(Canadian_Aboriginal_Syllabics)", "Braille", "Burmese_(Myanmar)"),
    *("Cyrillic", "Early_Aramaic", "Futurama", "Grantha", "Greek", "Gujarati", "Hebrew"),
    *("Inuktitut_(Canadian_Aboriginal_Syllabics)", "Japanese_(hiragana)", "Japanese_(katakana)", "Korean"),
    *("Latin", "Malay_(Jawi_-_Arabic)", "Mkhedruli_(Georgian)", "N_Ko"),
    *("Ojibwe_(Canadian_Aboriginal_Syllabics)", "Sanskrit", "Syriac_(Estrangelo)", "Tagalog", "Tifinagh"),
]
VALIDATION = {
    *("Alphabet_of_the_Magi", "Korean", "Malay_(Jawi_-_Arabic)", "Ojibwe_(Canadian_Aboriginal_Syllabics)"),
    "Syriac_(Estrangelo)",
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return small.members("images_background", small.BACKGROUND)


@pytest.fixture(scope="module")
def evaluation_files() -> dict[str, bytes]:
    return small.members("images_evaluation", small.EVALUATION)


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path) -> Path:
    """An empty folder of one's own, named by $AMFS_LAB_DATA, and a cache beside it; no other place has Omniglot."""
    monkeypatch.setenv("AMFS_LAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AMFS_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(omniglot.data_dirs, "PACKAGE", tmp_path / "nowhere" / "amfs_lab")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(omniglot, "COMPLETE", {"images_background": (6, 15), "images_evaluation": (2, 5)})
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def archive(data, files) -> Path:
    return small.write_zip(data / "images_background.zip", files)


@pytest.fixture
def both(archive, data, evaluation_files) -> Path:
    small.write_zip(data / "images_evaluation.zip", evaluation_files)
    return data


def packed_copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").iterdir())


# --- what is read


def test_zip_and_folder_give_the_same_images_in_order_of_their_labels(archive, files, tmp_path):
    from_zip = omniglot.load("images_background")
    from_folder = omniglot.load("images_background", small.write_folder(tmp_path / "extracted", files))
    assert torch.equal(from_zip.images, from_folder.images)
    assert from_zip.labels == from_folder.labels == tuple(sorted(from_zip.labels))
    assert from_zip.images.shape == (15, 20, 28, 28)
    assert from_zip.images.dtype == torch.uint8
    assert from_zip.converted == 0
    assert from_zip.labels[2:5] == ("Greek/character01", "Greek/character02", "Greek/character03")


def test_an_image_is_its_drawing_with_bright_ink_and_no_stroke_lost(archive):
    drawings = omniglot.load("images_background")
    for row, drawer in ((0, 1), (7, 13), (14, 20)):
        image = drawings.images[row, drawer - 1].double() / 255
        original = 1 - np.asarray(small.drawing(drawings.labels[row], drawer), float)
        assert image.mean().item() == pytest.approx(original.mean(), rel=0.15)
        assert image.max() >= 0.9
        # where ink is: the centre of mass, in shares of the side
        for axis in (0, 1):
            ink, profile = original.sum(1 - axis), image.sum(1 - axis).numpy()
            was = (ink * (np.arange(105) + 0.5)).sum() / ink.sum() / 105
            assert (profile * (np.arange(28) + 0.5)).sum() / profile.sum() / 28 == pytest.approx(was, abs=0.005)


def test_edges_are_grey_not_jagged(archive):
    levels = omniglot.load("images_background").images.unique()
    assert len(levels) > 100


# --- protocols


def test_official_trains_and_validates_on_background_alphabets_and_tests_on_the_others(both):
    parts = {name: omniglot.split("omniglot", name) for name in ("train", "validation", "test")}
    alphabets = {name: {label.partition("/")[0] for label in labels} for name, (_, labels) in parts.items()}
    assert len(alphabets["train"]) == 5
    assert len(alphabets["validation"]) == 1
    assert alphabets["train"] | alphabets["validation"] == set(small.BACKGROUND)
    assert alphabets["test"] == set(small.EVALUATION)
    background = omniglot.load("images_background")
    for images, labels in (parts["train"], parts["validation"]):
        rows = [background.labels.index(label) for label in labels]
        assert torch.equal(images, background.images[rows])


def test_the_five_validation_alphabets_are_these_for_ever():
    labels = tuple(f"{alphabet}/character{n:02d}" for alphabet in ALPHABETS for n in (1, 2))
    splits = omniglot.official(labels)
    assert {alphabet for alphabet, split in splits.items() if split == "validation"} == VALIDATION
    assert Counter(splits.values()) == {"train": 25, "validation": 5}
    assert omniglot.official(labels[::-1]) == splits


def test_random_classes_are_1100_100_and_423_of_all_for_ever():
    labels = tuple(f"Alphabet{n // 40}/character{n % 40:02d}" for n in range(1623))
    splits = omniglot.random_classes(labels)
    assert Counter(splits.values()) == {"train": 1100, "validation": 100, "test": 423}
    assert omniglot.random_classes(labels[::-1]) == splits
    lines = "\n".join(f"{splits[label]} {label}" for label in labels)
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == "2d37a134043c4c07"
    mixed = [len({splits[label] for label in labels if label.startswith(f"Alphabet{n}/")}) for n in range(40)]
    assert min(mixed) >= 2, "characters of one alphabet stand in several splits"


def test_random_classes_mix_both_parts_and_share_no_class(both):
    parts = [omniglot.split("omniglot-random-classes", name) for name in ("train", "validation", "test")]
    labels = [label for _, part in parts for label in part]
    assert len(labels) == len(set(labels)) == 20
    assert [len(images) for images, _ in parts] == [14, 1, 5]
    pairs = {
        label: image
        for part in ("images_background", "images_evaluation")
        for label, image in zip(omniglot.load(part).labels, omniglot.load(part).images, strict=True)
    }
    assert all(
        torch.equal(image, pairs[name]) for images, names in parts for image, name in zip(images, names, strict=True)
    )


def test_the_background_alone_trains_and_validates_and_the_test_split_says_what_to_fetch(archive):
    assert open_source("omniglot", "train", SMALL)[0].query.x.shape == (6, 1, 28, 28)
    assert open_source("omniglot", "validation", SMALL).classes >= 2
    said = (
        r"Expected images_evaluation.zip or the folder images_evaluation in one of .*data.*, in a folder there, or in "
    )
    said += r"`omniglot` there. Got none. Fetch it with `amfs-lab data fetch omniglot`"
    with pytest.raises(DataError, match=said):
        open_source("omniglot", "test", SMALL)
    for split in ("train", "validation", "test"):
        with pytest.raises(DataError, match=said):
            open_source("omniglot-random-classes", split, SMALL)


def test_each_protocol_draws_episodes_of_its_own(both):
    official, mixed = (open_source(name, "train", SMALL) for name in omniglot.PROTOCOLS)
    assert (official.name, mixed.name) == ("omniglot", "omniglot-random-classes")
    assert [official.classes_of(i) for i in range(4)] != [mixed.classes_of(i) for i in range(4)]


def test_handwriting_may_be_turned_and_bent_in_training(archive):
    plain = open_source("omniglot", "train", SMALL)
    turned = open_source("omniglot", "train", SMALL, augment=("rotations", "affine"))
    assert turned.classes == 4 * plain.classes
    assert not torch.equal(turned[0].query.x, plain[0].query.x)
    with pytest.raises(ConfigError, match="must not be turned"):
        open_source("glyphs", "train", SMALL, augment=("rotations",))


# --- where it is found


@pytest.mark.parametrize("below", ["", "omniglot"])
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_each_place_is_looked_in_directly_and_below_omniglot(data, files, below, kind):
    place = data / below / "images_background"
    if kind == "zip":
        place = small.write_zip(place.with_suffix(".zip"), files)
    else:
        small.write_folder(data / below, files)
    assert omniglot.find("images_background") == place


def test_the_folder_asked_for_comes_first_then_the_environment_then_data(archive, files, monkeypatch, tmp_path):
    asked, here = tmp_path / "asked", tmp_path / "here"
    asked.mkdir()
    assert omniglot.find("images_background", asked) == archive, "a folder without the file is passed over"
    mine = small.write_zip(asked / "omniglot" / "images_background.zip", files)
    assert omniglot.find("images_background", asked) == mine
    small.write_zip(here / "data" / "images_background.zip", files)
    monkeypatch.chdir(here)
    assert omniglot.find("images_background") == archive
    monkeypatch.delenv("AMFS_LAB_DATA")
    assert omniglot.find("images_background") == here / "data" / "images_background.zip"


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"Expected a folder to look for images_background.zip in. Got .*absent"):
        open_source("omniglot", "train", SMALL, root=tmp_path / "absent")


# --- what is wrong is said by name


def broken_layouts(files: dict[str, bytes]):
    top, greek = "images_background", "images_background/Greek"
    yield {}, f"no {top}/ALPHABET/character01/"
    yield {f"{top}/readme.txt": b""}, f"no {top}/ALPHABET/character01/"
    other = {name.replace(top, "images_evaluation"): data for name, data in files.items()}
    yield {f"{top}/readme.txt": b"", **other}, f"no {top}/ALPHABET/character01/"
    yield {f"{top}/images_evaluation/a/{name[18:]}": data for name, data in files.items()}, f"no {top}/ima"
    yield {**files, f"{top}/Armenian/0001_01.png": b""}, f"no {top}/Armenian/character01/"
    gap = {name: data for name, data in files.items() if "Greek/character02" not in name}
    yield gap, f"no {greek}/character02/"
    lacking = {name: data for name, data in files.items() if not name.endswith(("0002_07.png", "0002_09.png"))}
    yield lacking, rf"no {greek}/character02/0002_07.png \(Greek/character02 has 18 of 20 drawings\)"
    around = {f"around/{name}": data for name, data in lacking.items()}
    yield around, r"no (images_background/)?around/images_background/Greek/character02/0002_07.png"


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("case", range(8))
def test_a_wrong_layout_names_the_first_missing_path(data, files, kind, case):
    wrong, missing = list(broken_layouts(files))[case]
    if kind == "zip":
        small.write_zip(data / "images_background.zip", wrong)
    else:
        (data / "images_background").mkdir()
        start = "" if case == 7 else "images_b"
        small.write_folder(
            data / "images_background" if case == 7 else data,
            {name: content for name, content in wrong.items() if name.startswith(start)},
        )
    with pytest.raises(DataError, match=rf"Expected ALPHABET/characterNN/IIII_DD.png, 20 drawings .* Got {missing}"):
        omniglot.load("images_background")


LAYOUTS = {
    "Finder's": lambda name: [name, "__MACOSX/" + name.replace("images_background/", "images_background/._")],
    "a copy of Finder's own": lambda name: [name, f"__MACOSX/{name}"],
    "backslashes": lambda name: [name.replace("/", "\\")],
    "both separators": lambda name: [name.replace("/", "\\", 1 + len(name) % 3)],
    "a folder around": lambda name: [f"omniglot/{name}"],
    "two folders around, backslashes": lambda name: ["omniglot-master\\python\\" + name.replace("/", "\\")],
    "./ before": lambda name: [f"./{name}"],
    "./ and // within": lambda name: [f".//{name.replace('/', '/.//')}"],
    "backslash and dot": lambda name: [".\\" + name.replace("/", "\\")],
    "into itself": lambda name: [f"images_background/{name}"],
    "into itself twice": lambda name: [f"images_background/images_background/{name}"],
    "plain and into itself": lambda name: [name, f"images_background/{name}"],
    "into itself, and a part beside": lambda name: [f"images_background/{name}"] + [name] * ("Greek" in name),
    "with the other part": lambda name: [name, name.replace("images_background/", "images_evaluation/other_")],
    "no folder around": lambda name: [name.partition("/")[2]],
    ".PNG": lambda name: [name.replace(".png", ".PNG")],
    "mixed endings": lambda name: [name.replace(".png", ".Png" if "_0" in name else ".png")],
    "capitals above and below": lambda name: [
        name.replace("images_b", "IMAGES_B").replace("character", "Character").replace(".png", ".PNG")
    ],
    "a NAS": lambda name: [
        name,
        f"images_background/@eaDir/{name[18:]}",
        f"#recycle/{name}",
        f"#recycle/{name.replace('images_background/', 'images_background/Old')}",
        f"{name.rpartition('/')[0]}/@eaDir/0001_01.png",
    ],
    "Windows": lambda name: [name, f"$RECYCLE.BIN/{name}", "images_background/Greek/Thumbs.db", "desktop.ini"],
}  # fmt: skip


@pytest.fixture(scope="module")
def official(files, tmp_path_factory) -> omniglot.Drawings:
    with opened(small.write_zip(tmp_path_factory.mktemp("official") / "images_background.zip", files)) as tree:
        return read(tree, "images_background")


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_however_it_was_packed_or_extracted_it_is_the_official_set(data, files, official, kind, layout):
    """The same images, and labels in the same order; the name of a folder may hold backslashes, except on Windows."""
    contents = {renamed: content for name, content in files.items() for renamed in LAYOUTS[layout](name)}
    for name in contents:
        if "_MACOSX" in name or "@eaDir" in name or "RECYCLE" in name.upper():
            contents[name] = b"what must not be read"
    if kind == "zip":
        small.write_zip(data / "images_background.zip", contents)
    else:
        small.write_folder(data / "images_background", contents)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = omniglot.load("images_background")
    assert found.labels == official.labels
    assert torch.equal(found.images, official.images)
    assert found.converted == 0


@pytest.mark.parametrize("layout", ["backslashes", "into itself", "no folder around", ".PNG"])
def test_every_layout_has_the_official_splits(both, data, files, evaluation_files, tmp_path, layout):
    """Of both protocols, and both parts."""
    for part, contents in (("images_background", files), ("images_evaluation", evaluation_files)):
        renamed = {each: content for name, content in contents.items() for each in LAYOUTS[layout](name)}
        small.write_zip(tmp_path / "other" / f"{part}.zip", renamed)
    for protocol in omniglot.PROTOCOLS:
        for name in ("train", "validation", "test"):
            images, labels = omniglot.split(protocol, name)
            others, same = omniglot.split(protocol, name, tmp_path / "other")
            assert labels == same
            assert torch.equal(images, others)


def test_of_two_whole_copies_the_nearest_counts(data, files, official):
    other = {f"images_background/{name}": small.png(small.drawing("other", 1)) for name in files}
    small.write_zip(data / "images_background.zip", {**other, **files})
    assert torch.equal(omniglot.load("images_background").images, official.images)


def test_two_members_that_become_one_name_are_refused_unless_they_are_equal(data, files):
    name = "images_background/Greek/character02/0002_05.png"
    twice = {**files, name.replace("/", "\\"): files[name]}
    small.write_zip(data / "images_background.zip", twice)
    assert len(omniglot.load("images_background").labels) == 15
    small.write_zip(data / "images_background.zip", {**twice, f"./{name}": same_size()[0]})
    with pytest.raises(
        DataError, match=r"Got: two members with the same name, .*0002_05.png' and .*0002_05.png'\. Restore it"
    ):
        omniglot.load("images_background")


@pytest.mark.parametrize(
    "place",
    [
        *("Images_Background.ZIP", "mine/images_background.zip", "omniglot/python/images_background"),
        *("images_background/images_background.zip", "omniglot/images_background/IMAGES_BACKGROUND.ZIP"),
    ],
)
def test_it_is_found_in_capitals_and_one_folder_below(data, files, place):
    whole = data / place
    if whole.suffix:
        small.write_zip(whole, files)
    else:
        small.write_folder(whole.parent, files)
    assert omniglot.find("images_background") == whole
    assert len(omniglot.load("images_background").labels) == 15


def test_what_lies_in_a_bin_is_not_found(data, files):
    for bin in ("#recycle", "$RECYCLE.BIN", ".Trash-1000"):
        small.write_zip(data / bin / "images_background.zip", files)
    with pytest.raises(DataError, match=r"Expected images_background.zip or the folder"):
        omniglot.find("images_background")


def test_what_systems_leave_behind_is_passed_over(data, files):
    litter = ["__MACOSX/images_background/._Greek", "images_background/.DS_Store", "images_background/Greek/Thumbs.db"]
    litter += ["images_background/Greek/character01/.0001_01.png", "images_background/.ipynb_checkpoints/a/b.png"]
    small.write_zip(data / "images_background.zip", files | dict.fromkeys(litter, b"?"))
    assert len(omniglot.load("images_background").labels) == 15


def test_a_file_that_is_no_archive_is_not_read_for_minutes(data):
    with open(data / "images_background.zip", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match=r"a file of 1,099,511,627,776 bytes, more than the limit of 268,435,456"):
        omniglot.load("images_background")


def test_a_folder_of_large_files_is_not_read_for_minutes(data, monkeypatch):
    monkeypatch.setattr(omniglot_files, "MOST", 10_000)
    folder = data / "images_background" / "Greek" / "character01"
    folder.mkdir(parents=True)
    for drawing in range(1, 21):
        (folder / f"0001_{drawing:02d}.png").write_bytes(bytes(1000))
    with pytest.raises(DataError, match=r"more than 10,000 bytes in files with names of drawings"):
        omniglot.load("images_background")


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize("damage", ["empty", "cut", "text", "large"])
def test_a_damaged_image_is_named(data, files, kind, damage):
    name = "images_background/Greek/character02/0002_05.png"
    content = {"empty": b"", "cut": files[name][:90], "text": b"no image", "large": bytes(2**20 + 1)}[damage]
    if kind == "zip":
        small.write_zip(data / "images_background.zip", {**files, name: content})
    else:
        small.write_folder(data, {**files, name: content})
    with pytest.raises(DataError, match=rf"{name}.* Restore it, or fetch"):
        omniglot.load("images_background")
    assert not list((data.parent / "cache").glob("*")), "nothing is packed of it"


def test_a_byte_that_flipped_inside_a_zip_is_noticed(archive):
    with zipfile.ZipFile(archive) as file:
        place = file.getinfo("images_background/Greek/character02/0002_05.png").header_offset + 150
    content = bytearray(archive.read_bytes())
    content[place] ^= 255
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"Expected an intact image .*Greek/character02/0002_05.png in .* Got: .*CRC"):
        omniglot.load("images_background")


@pytest.mark.parametrize("keep", [0, 1, 0.5, -1])
def test_a_zip_cut_short_is_refused(archive, keep):
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    said = r"a complete zip or folder at .*images_background.zip. Got: File is not a zip file. .*amfs-lab data fetch"
    with pytest.raises(DataError, match=said):
        omniglot.load("images_background")


def test_images_of_other_sizes_and_modes_are_converted_and_counted(data, files):
    names = [f"images_background/Greek/character02/0002_{n:02d}.png" for n in (1, 2, 3, 4)]
    clear = Image.new("RGBA", (105, 105))  # black all over, and transparent where no ink is
    clear.putalpha(Image.eval(small.drawing("Greek/character02", 3, "L"), lambda level: 255 - level))
    wide = Image.new("1", (211, 105), 1)
    wide.paste(small.drawing("Greek/character02", 4), (53, 0))
    others = [small.drawing("Greek/character02", 1, "L", 210), small.drawing("Greek/character02", 2, "P"), clear, wide]
    small.write_zip(data / "images_background.zip", {**files, **dict(zip(names, map(small.png, others), strict=True))})
    for _ in range(2):  # read, then from the packed copy
        with pytest.warns(UserWarning, match=r"4 of 300 images were not 105x105 of 1 bit, and were converted"):
            drawings = omniglot.load("images_background")
        assert drawings.converted == 4
    row = drawings.images[drawings.labels.index("Greek/character02")].double() / 255
    for drawer in (1, 2, 3):
        expected = 1 - np.asarray(small.drawing("Greek/character02", drawer), float).mean()
        assert row[drawer - 1].mean().item() == pytest.approx(expected, rel=0.1)
    ink, plain = row[3].nonzero(), 1 - np.asarray(small.drawing("Greek/character02", 4), float)
    assert np.ptp(ink[:, 1].numpy()) < 28 * 0.6 * np.ptp(plain.nonzero()[1]) / 105 + 3, "padded, not squeezed"


def test_an_incomplete_set_is_read_and_said(archive, monkeypatch):
    monkeypatch.undo()
    assert omniglot.remarks("images_background", ("A/character01", "B/character01"), converted=0) == [
        "Expected 30 alphabets of 964 characters in all. Got 2 of 2. "
        "The splits and episodes differ from the ones of the complete set."
    ]


# --- the packed copy


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """The places whose images were really read, rather than their packed copies."""
    places: list[Path] = []
    monkeypatch.setattr(omniglot, "read", lambda tree, part: (places.append(tree.place), read(tree, part))[1])
    return places


def same_size() -> list[bytes]:
    """Two drawings in as many bytes, so that a size alone tells nothing."""
    versions = [small.png(small.drawing("other", drawer), level=0) for drawer in (1, 2)]
    assert len(versions[0]) == len(versions[1])
    return versions


def test_images_are_read_once_and_a_packed_copy_gives_the_same(archive, reads):
    first, second = (omniglot.load("images_background") for _ in range(2))
    assert reads == [archive]
    assert torch.equal(first.images, second.images)
    assert first.labels == second.labels


def test_a_copy_elsewhere_shares_the_packed_one_and_other_content_does_not(archive, files, tmp_path, reads):
    omniglot.load("images_background")
    moved = tmp_path / "moved" / "images_background.zip"
    moved.parent.mkdir()
    shutil.copy(archive, moved)
    omniglot.load("images_background", moved.parent)
    assert reads == [archive]
    name, versions = "images_background/Greek/character02/0002_05.png", same_size()
    small.write_zip(archive, {**files, name: versions[0]})
    small.write_zip(moved, {**files, name: versions[1]})
    before, after = omniglot.load("images_background"), omniglot.load("images_background", moved.parent)
    assert reads == [archive, archive, moved]
    assert ((before.images != after.images).flatten(2).any(2)).sum() == 1


def test_a_folder_whose_file_changed_is_read_again(data, files, reads):
    changed, versions = data / "images_background" / "Greek" / "character02" / "0002_05.png", same_size()
    small.write_folder(data, files)
    changed.write_bytes(versions[0])
    before = omniglot.load("images_background")
    changed.write_bytes(versions[1])
    os.utime(changed, ns=(1, 1))
    after = omniglot.load("images_background")
    assert len(reads) == 2
    assert not torch.equal(before.images, after.images)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-500] + bytes([content[-500] ^ 255]) + content[-499:]


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b"", lambda content: b"no tensors at all"])
def test_a_damaged_packed_copy_is_made_again(archive, tmp_path, reads, damage):
    whole = omniglot.load("images_background")
    images = whole.images.clone()  # they are pages of the file, which is damaged next
    (copy,) = packed_copies(tmp_path)
    good = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(damage(good))
    assert torch.equal(omniglot.load("images_background").images, images)
    assert len(reads) == 2
    assert copy.read_bytes() == good
    omniglot.load("images_background")
    assert len(reads) == 2


def test_another_format_makes_another_copy(archive, tmp_path, reads, monkeypatch):
    omniglot.load("images_background")
    monkeypatch.setattr(packed, "FORMAT", packed.FORMAT + 1)
    omniglot.load("images_background")
    assert len(reads) == len(packed_copies(tmp_path)) == 2


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(archive, tmp_path, reads):
    (tmp_path / "cache").write_text("in the way")
    for _ in range(2):
        with pytest.warns(
            UserWarning, match=r"packed copy .*cache.* could not be written .*Packing is repeated next time"
        ):
            assert len(omniglot.load("images_background").labels) == 15
    assert len(reads) == 2
    assert (tmp_path / "cache").read_text() == "in the way"


def test_packing_leaves_nothing_but_the_copy(both, tmp_path):
    omniglot.split("omniglot-random-classes", "train")
    names = [path.name for path in packed_copies(tmp_path)]
    assert [name.partition("-")[0] for name in names] == ["images_background", "images_evaluation"]
    assert all(name.endswith(".safetensors") for name in names)


def to_somebody_else(path: Path, monkeypatch) -> None:
    """As if another user owned the file: it is given away by root, and others become somebody else."""
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)


@pytest.mark.skipif(os.name == "nt", reason="owners and modes of POSIX")
@pytest.mark.parametrize("whose", ["another user's", "open to all"])
def test_a_copy_that_others_can_have_written_is_not_believed(archive, tmp_path, reads, monkeypatch, whose):
    """Whole in itself, for the right content and with the right labels, and with other images."""
    honest = omniglot.load("images_background")
    (copy,) = packed_copies(tmp_path)
    images = 255 - honest.images.flatten(0, 1).numpy()
    counts = {"images_background": dict.fromkeys(honest.labels, 20)}
    packed._write(copy, packed.Source(counts, (28, 28), lambda: [packed.Block(0, images)]))
    assert not torch.equal(omniglot.load("images_background").images, honest.images)  # our own is believed
    if whose == "open to all":
        copy.chmod(0o646)
    else:
        to_somebody_else(copy, monkeypatch)
    for _ in range(2):
        assert torch.equal(omniglot.load("images_background").images, honest.images)
    assert len(reads) == 2, "the copy of one's own is made once"
    assert packed_copies(tmp_path) == [copy]


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_copy_may_be_read_by_others(archive, tmp_path):
    omniglot.load("images_background")
    (copy,) = packed_copies(tmp_path)
    umask = os.umask(0)
    os.umask(umask)
    assert copy.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_drawing_that_was_replaced_is_read_although_its_size_and_time_are_the_same(data, files, reads):
    changed, versions = data / "images_background" / "Greek" / "character02" / "0002_05.png", same_size()
    small.write_folder(data, files)
    images = []
    for version in versions:
        changed.write_bytes(version)
        os.utime(changed, ns=(1, 1))
        images.append(omniglot.load("images_background").images)
    assert len(reads) == 2
    assert not torch.equal(*images)


# --- archives and folders that are made to do harm


def bomb(names: list[str], method: int = zipfile.ZIP_DEFLATED, size: int = 2**20) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=9) as archive:
        for name in names:
            archive.writestr(name, bytes(size))
    return file.getvalue()


def drawings(characters: int) -> list[str]:
    numbers = [(c, d) for c in range(1, characters + 1) for d in range(1, 21)]
    return [f"images_background/Greek/character{c:02d}/0001_{d:02d}.png" for c, d in numbers]


def lying(data: bytes, size: int) -> bytes:
    """The same archive, whose list of contents claims other sizes."""
    return data.replace((2**20).to_bytes(4, "little"), size.to_bytes(4, "little"))


ARCHIVES = {
    "a bomb": (lambda: bomb(["a.txt"], size=2**24), "16,777,216 bytes when unpacked"),
    "a bomb of drawings": (lambda: bomb(drawings(1)), "20,971,520 bytes when unpacked"),
    "more than it claims": (lambda: lying(bomb(drawings(1)), 100), "Bad CRC-32"),
    "packed so that it cannot be bounded": (lambda: bomb(drawings(1), zipfile.ZIP_LZMA), "another compression method"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_unpacks_to_too_much_is_refused(data, monkeypatch, kind):
    if "bomb" in kind:  # of its size the real one would take long to make
        monkeypatch.setattr(omniglot_files, "MOST", 10**7)
    make, words = ARCHIVES[kind]
    (data / "images_background.zip").write_bytes(make())
    with pytest.raises(DataError, match=rf"Expected an? (complete|intact) .* Got: .*{words}"):
        omniglot.load("images_background")


@pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")
def test_pipes_and_links_to_a_folder_above_are_said(data, files, monkeypatch):
    small.write_folder(data, files)
    (data / "images_background" / "Greek" / "back").symlink_to(data / "images_background")
    monkeypatch.setattr(omniglot_files, "FILES", 2000)
    with pytest.raises(DataError, match=r"more than 2,000 files\. Does a link in it lead to a folder above\?"):
        omniglot.load("images_background")
    (data / "images_background" / "Greek" / "back").unlink()
    pipe = data / "images_background" / "Greek" / "character01" / "0001_03.png"
    pipe.unlink()
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"intact image .*0001_03.png .* is a pipe or a device"):
        omniglot.load("images_background")


def test_a_thin_drawing_is_refused_before_it_is_padded(data, files):
    thin = small.png(Image.new("1", (1, 60_000)))
    small.write_folder(data, {**files, "images_background/Greek/character02/0002_05.png": thin})
    with pytest.raises(DataError, match=r"0002_05.png .* too many pixels: the limit is 30,000 on each side"):
        omniglot.load("images_background")


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be on Windows")
def test_an_alphabet_of_any_name_is_read(data, files, reads):
    """Bytes that are no text, and control characters, are written out in the labels."""
    odd = {name.replace("/Greek/", "/\x1b[31m\nG\udcff/"): content for name, content in files.items()}
    small.write_folder(data, odd)
    for _ in range(2):
        labels = omniglot.load("images_background").labels
        omniglot.official(labels)
        assert r"\x1b[31m\nG\udcff/character01" in labels
    assert len(reads) == 1


# --- the real thing


@pytest.fixture
def real(data, monkeypatch, tmp_path_factory) -> Path:
    monkeypatch.undo()
    folder = small.real_folder()
    cache = tmp_path_factory.getbasetemp() / "cache of the real set"  # packed once for all tests of this run
    monkeypatch.setenv("AMFS_LAB_CACHE", str(cache))
    return folder


@pytest.mark.slow
def test_the_real_background_set_opens_complete_and_without_a_remark(real):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawings = omniglot.load("images_background", real)
    assert drawings.images.shape == (964, 20, 28, 28)
    assert drawings.converted == 0
    assert sorted({label.partition("/")[0] for label in drawings.labels}) == sorted(ALPHABETS)
    ink = drawings.images.flatten(0, 1).double() / 255
    assert ink.amax((1, 2)).min() >= 0.6, "every drawing keeps its ink, the dots of Braille too"
    assert 0.05 < ink.mean() < 0.15, "ink is bright and rare"
    with opened(omniglot.find("images_background", real)) as tree:
        assert len([name for name in tree.names if name.endswith(".png")]) == 19280


@pytest.mark.slow
def test_the_real_set_opens_from_its_packed_copy_in_a_blink_and_validates_on_its_five(real):
    open_source("omniglot", "train", EpisodeConfig(), real)
    started = time.process_time()
    train = open_source("omniglot", "train", EpisodeConfig(20, 1, 15), real, augment=("rotations",))
    seconds = time.process_time() - started
    validation = open_source("omniglot", "validation", EpisodeConfig(20, 5, 15), real)
    assert {label.partition("/")[0] for label in validation.labels} == VALIDATION
    assert (train.classes, validation.classes) == (4 * 827, 137)
    assert seconds < 5, "packed once, not each time"
