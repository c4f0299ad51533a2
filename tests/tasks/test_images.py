"""A folder of images of one's own, and embeddings, as episodes."""

import copy
import io
import json
import os
import pickle
import re
import struct
import subprocess
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageDraw, ImageOps

from amfs_lab import tasks
from amfs_lab.backbones import MLP
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.inner import FunctionSpace
from amfs_lab.learner import MetaLearner
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks.image_folder import FolderLabel
from amfs_lab.tasks.images import read_image, upright_grey
from amfs_lab.tasks.junk_files import is_leftover
from amfs_lab.tasks.omniglot_files import opened, read
from amfs_lab.training import MetaTrainer
from tests.tasks import small_omniglot as small

SHAPE = tasks.EpisodeConfig(2, 1, 1)


@pytest.fixture
def folder(tmp_path):
    """Three classes of 2, 3 and 3 images; of each class a grey level of its own."""
    for level, (label, samples) in enumerate({"b": 3, "a": 2, "c": 3}.items(), 1):
        (tmp_path / label).mkdir()
        for sample in range(samples):
            Image.new("L", (40, 40), 60 * level + sample).save(tmp_path / label / f"{sample}.png")
    return tmp_path


def put(place: Path, *names: str, image: Image.Image | None = None) -> Path:
    """Files below a folder: small images if their ending is one's, nonsense otherwise; a folder if it ends in "/"."""
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (place / name).mkdir()
        elif name.lower().endswith((".png", ".jpg", ".bmp")):
            (image or Image.new("L", (8, 8), 99)).save(place / name)
        else:
            (place / name).write_bytes(b"?")
    return place


def told(place: Path, **more) -> tuple[tuple[str, ...], list[str]]:
    """The labels that a folder gives, and all that is said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, labels = tasks.read_folder(place, size=8, **more)
    return labels, [str(each.message) for each in caught]


def test_classes_and_samples_come_by_name_and_as_many_as_the_smallest_class_has(folder):
    (folder / "notes.txt").write_text("not a class")
    (folder / ".hidden").mkdir()
    with pytest.warns(UserWarning, match="2 of 8 images left out"):
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
    with pytest.raises(
        DataError, match=r"Expected a folder .*nowhere with one folder of images for each class. Got none"
    ):
        tasks.read_folder(folder / "nowhere")
    with pytest.raises(
        DataError, match=r"Expected one folder of images for each class in .*a\. Got 2 images and no folder"
    ):
        tasks.read_folder(folder / "a")
    (folder / "d").mkdir()
    with pytest.raises(DataError, match=r"Expected images \(.*\) in .*d\. Got none\. Add images"):
        tasks.read_folder(folder)
    (folder / "d" / "1.png").write_bytes(b"not an image")
    damaged = pytest.raises(DataError, match=r"Expected an image that can be read. Got .*1.png: .* Remove it")
    with damaged, pytest.warns(UserWarning, match="smallest, 'd'"):
        tasks.read_folder(folder)
    (folder / "letters.zip").touch()
    with pytest.raises(DataError, match=r"letters.zip with one .* Got a file. If it is an archive, extract it"):
        tasks.read_folder(folder / "letters.zip")
    with pytest.raises(ConfigError, match=r"`size` must be an integer >= 1. Got 0"):
        tasks.read_folder(folder, size=0)
    with pytest.raises(ConfigError, match=r"`at_least` must be an integer >= 1. Got 0"):
        tasks.read_folder(folder, at_least=0)
    with pytest.raises(ConfigError, match=r"`at_least` must be an integer >= 1. Got True"):
        tasks.read_folder(folder, at_least=True)


# --- upright

# How the sensor lay, by the tag of EXIF: the turn that a viewer undoes.
LYING = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def upright() -> Image.Image:
    """An L: no turn and no reflection of it is itself."""
    image = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(image).rectangle((8, 8, 16, 56), fill=0)
    ImageDraw.Draw(image).rectangle((8, 48, 40, 56), fill=0)
    return image


def stored(path: Path, tag: int, image: Image.Image | None = None) -> Path:
    """The image as a telephone stores it that was held so: turned, with a tag that says how to show it."""
    image, exif, turn = image or upright(), Image.Exif(), LYING[tag]
    exif[0x0112] = tag
    turned = image if turn is None else image.transpose(turn)
    turned.save(path, exif=exif.tobytes(), **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_a_photograph_is_read_as_a_viewer_shows_it(tmp_path, tag, ending):
    path = stored(tmp_path / f"photo.{ending}", tag)
    upright().save(tmp_path / "scan.png")
    shown, scan = read_image(path, 32).double(), read_image(tmp_path / "scan.png", 32).double()
    assert (shown - scan).abs().mean() < 3
    turns = [scan.rot90(quarters) for quarters in (1, 2, 3)] + [scan.T, scan.flip(0), scan.flip(1)]
    assert all((turned - scan).abs().mean() > 20 for turned in turns), "or else this says nothing"


@pytest.mark.parametrize("tag", [3, 6])
def test_a_folder_turns_them_too_also_wide_ones(tmp_path, tag):
    wide = Image.new("L", (64, 32), 255)
    wide.paste(0, (0, 0, 16, 32))  # dark at the left
    for label in ("photographed", "scanned"):
        (tmp_path / label).mkdir()
    stored(tmp_path / "photographed" / "1.jpg", tag, wide)
    wide.save(tmp_path / "scanned" / "1.png")
    images, _ = tasks.read_folder(tmp_path, size=16, ink=True)
    assert images[1, 0, 8, 1] > 200
    assert (images[0].double() - images[1].double()).abs().max() < 30


def test_omniglot_turns_them_too(tmp_path):
    """A drawing that another program saved lying."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    small.drawing("Greek/character01", 1).transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    lying = file.getvalue()
    files = small.members("images_background", {"Greek": 1})
    name = "images_background/Greek/character01/0001_01.png"

    def first(contents: bytes) -> torch.Tensor:
        with opened(small.write_zip(tmp_path / "images_background.zip", {**files, name: contents})) as tree:
            return read(tree, "images_background").images[0, 0]

    assert torch.equal(first(lying), first(files[name]))


@pytest.mark.parametrize(
    "damage", [b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(9), b"no tags at all"]
)
def test_damaged_tags_turn_nothing_and_pillow_is_silent(tmp_path, recwarn, damage):
    upright().save(tmp_path / "1.jpg", exif=b"Exif\0\0" + damage, quality=95)
    upright().save(tmp_path / "2.jpg", quality=95)
    assert torch.equal(read_image(tmp_path / "1.jpg"), read_image(tmp_path / "2.jpg"))
    assert not recwarn.list


# --- what systems leave behind

LEFT = [
    *("__MACOSX/letters/._a.png", "__MACOSX/a/1.png", ".Spotlight-V100/x", ".Trashes/501/a.png", ".fseventsd/x"),
    *(".AppleDouble/1.png", "Network Trash Folder/x", "Icon\r", "._a"),
    *("$RECYCLE.BIN/S-1-5/a.png", "$Recycle.Bin/desktop.ini", "RECYCLER/x", "System Volume Information/x"),
    *("@eaDir/a.png/SYNOFILE_THUMB_M.jpg", "#recycle/a/1.png", "#snapshot/a/1.png", "@Recycle/1.png", "@tmp/"),
    *("@Recently-Snapshot/x", ".@__thumb/1.jpg", "~snapshot/a/1.png", ".snapshot/a/1.png", ".zfs/x"),
    *("lost+found/", ".Trash-1000/files/1.png", ".nfs0001", "__pycache__/x.pyc", ".ipynb_checkpoints/1.png", ".git/x"),
    *("trashbox/1.png", "Recycle Bin/1.png"),
]
LEFT_IN_A_CLASS = [
    *("Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", ".DS_Store", "._1.png", ".picasa.ini"),
    *("1.png:Zone.Identifier", "1.pngZone.Identifier", "@eaDir/1.png/SYNOFILE_THUMB_M.jpg", ".AppleDouble/1.png"),
    *("__MACOSX/._1.png", ".ipynb_checkpoints/1.png", "Icon\r"),
]


@pytest.mark.parametrize("name", LEFT + [f"alpha/{name}" for name in LEFT_IN_A_CLASS])
def test_what_systems_leave_behind_is_no_class_and_no_image(tmp_path, name):
    put(tmp_path, "alpha/1.png", "beta/1.png", name)
    assert told(tmp_path) == (("alpha", "beta"), [])


def test_names_of_letters_signs_and_words_are_none_of_those():
    names = ["a", "$", "@", "#", "~", "_", "__", "recycle", "Icon", "found", "lost", "snapshot", "tmp", "trash"]
    assert not any(map(is_leftover, [*names, "System", "Volume", "Thumbs", "desktop", "é", "あ", "1.png", "a.b"]))


# --- names

DECOMPOSED, COMPOSED = "e\u0301", "\u00e9"


def test_order_is_by_code_point_in_nfc_on_every_system(tmp_path):
    """Not as WindowsPath sorts, without regard to case; and macOS may hand over names decomposed."""
    names = ["b", "B", "a", "z", DECOMPOSED, "Zebra", "ä"]
    for name in names:
        put(tmp_path, f"{name}/B.png", f"{name}/a.png", image=Image.new("L", (8, 8), 10))
    put(tmp_path, f"a/{DECOMPOSED}.png", image=Image.new("L", (8, 8), 30))
    put(tmp_path, "a/f.png", image=Image.new("L", (8, 8), 20))  # between e and é
    put(tmp_path, *(f"{name}/{i}.png" for name in names[:2] + names[3:] for i in "xy"))
    images, labels = tasks.read_folder(tmp_path, size=4)
    assert labels == ("B", "Zebra", "a", "b", "z", "ä", COMPOSED)
    assert all(unicodedata.is_normalized("NFC", label) for label in labels)
    assert images[labels.index("a"), :, 0, 0].tolist() == [10, 10, 20, 30]


def test_two_folders_of_one_name_are_refused_and_two_of_one_letter_in_two_cases_are_two(tmp_path):
    put(tmp_path, "A/1.png", "a/1.png")
    if len(os.listdir(tmp_path)) < 2:
        pytest.skip("this file system has one name for both")
    assert told(tmp_path) == (("A", "a"), [])
    put(tmp_path, f"{DECOMPOSED}/1.png", f"{COMPOSED}/1.png")
    with pytest.raises(
        DataError, match=r"one folder for each class .* Got two folders with the name 'é', .*u0301.*xe9.* Merge them"
    ):
        tasks.read_folder(tmp_path)


def test_a_name_that_is_no_text_gets_marks_that_can_be_printed(tmp_path):
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system refuses such names")
    Image.new("L", (8, 8)).save(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/1.png"))
    ((label,), _) = told(tmp_path)
    assert label == "caf\ufffd"
    label.encode()


# --- nothing is dropped without a sentence


def unequal(place: Path, **counts: int) -> Path:
    return put(place, *(f"{label}/{i:02d}.png" for label, count in counts.items() for i in range(count)))


def test_the_smallest_class_is_named_with_what_it_costs(tmp_path):
    unequal(tmp_path, many=40, some=20, forgotten=2)
    said = "56 of 62 images left out: each class is cut to 2, the size of the smallest, 'forgotten'. "
    assert told(tmp_path) == (
        ("forgotten", "many", "some"),
        [said + "Add images there, or set `at_least=3`."],
    )
    passed = "1 of 3 classes left out: fewer than 3 images: 'forgotten' (2)."
    labels, said = told(tmp_path, at_least=3)
    assert labels == ("many", "some")
    assert said == [
        passed,
        "20 of 60 images left out: each class is cut to 20, the size of the smallest, 'some'. "
        "Add images there, or set `at_least=21`.",
    ]
    assert told(tmp_path, at_least=21) == (
        ("many",),
        ["2 of 3 classes left out: fewer than 21 images: 'forgotten' (2) and 'some' (20)."],
    )
    with pytest.raises(DataError, match=r"Expected a class of 41 images in .* Got at most 40. Lower"):
        tasks.read_folder(tmp_path, at_least=41)


def test_several_smallest_classes_are_named_and_many_are_counted(tmp_path):
    unequal(tmp_path, a=2, b=1, c=1)
    assert "cut to 1, the size of the smallest, 'b' and 'c'. Add images there" in told(tmp_path)[1][0]
    unequal(tmp_path, **dict.fromkeys("defghi", 1))
    assert "the smallest, 'b', 'c', 'd', 'e', 'f' and 3 more. Add" in told(tmp_path)[1][0]


def test_equal_classes_say_nothing(tmp_path):
    unequal(tmp_path, a=2, b=2)
    assert told(tmp_path) == (("a", "b"), [])
    assert told(tmp_path, at_least=2) == (("a", "b"), [])


def test_a_class_without_images_is_passed_over_if_asked_and_said(tmp_path):
    put(unequal(tmp_path, a=2, b=2), "empty/")
    assert told(tmp_path, at_least=1) == (
        ("a", "b"),
        ["1 of 3 classes left out: fewer than 1 images: 'empty' (0)."],
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a/notes.txt"], r"Left out: 'a/notes.txt'\. Images must end in \.bmp"),
        (["a/1.psd", "b/2"], r"Left out: 'a/1.psd' and 'b/2'\. Images must end in"),
        (["a/1.HEIC", "b/2.heif"], r"Left out: 'a/1.HEIC' and 'b/2.heif'\. HEIC images must be converted to JPEG\.$"),
        (["a/.IMG_1.jpg.icloud"], r"Left out: 'a/.IMG_1.jpg.icloud'\. They are still only in iCloud. Download them\.$"),
        (["z.PNG", "y.heic"], r"Left out: 'y.heic' and 'z.PNG'\. An image must be in the folder of its class\.$"),
        (["a/more/1.png", "a/more/deep/2.jpg"], r"Left out: 'a/more'\. 2 images are in folders within classes. Move"),
        (["a/old/notes.txt", "b/x/"], r"Left out: 'a/old' and 'b/x'\. 0 images are in folders within classes"),
    ],
)
def test_each_kind_of_thing_that_is_not_read_is_said(tmp_path, names, said):
    put(unequal(tmp_path, a=1, b=1), *names)
    labels, (sentence,) = told(tmp_path)
    assert labels == ("a", "b")
    assert re.match(said, sentence)


def test_endings_in_capitals_and_the_other_endings_of_jpeg_count(tmp_path):
    put(tmp_path, "a/1.PNG", "a/2.Jpg", "a/3.BMP")
    for ending in ("jfif", "JPE"):
        Image.new("L", (8, 8)).save(tmp_path / "a" / f"4.{ending}", "JPEG")
    assert told(tmp_path) == (("a",), [])
    assert tasks.read_folder(tmp_path)[0].shape[1] == 5


def test_a_class_whose_images_are_of_another_kind_or_elsewhere_says_so(tmp_path):
    for names, said in (
        (["c/1.heic"], r"Expected images \(.*\) in .*c\. Got none, but '1.heic'\. Convert them, or move them there"),
        (["c/1.svg"], r"in .*c\. Got none, but '1.svg'\. Convert them"),
        (["c/d/1.png"], r"in .*c\. Got none, but 'd/1.png'\. Convert them, or move them there"),
        (["c/"], r"in .*c\. Got none\. Add images, or remove that folder"),
    ):
        place = put(tmp_path / f"{names[0][2:5]}x", "a/1.png", *names)
        with pytest.raises(DataError, match=said):
            tasks.read_folder(place)
    place = put(tmp_path / "flat", "1.png", "2.png", "@eaDir/1.png")
    with pytest.raises(DataError, match=r"Got 2 images and no folder. Put each image into the folder of its class"):
        tasks.read_folder(place)


def test_pages_and_frames_after_the_first_are_said_but_not_those_of_a_photograph(tmp_path):
    (tmp_path / "a").mkdir()
    pages = [Image.new("L", (8, 8), level) for level in (10, 200)]
    for name in ("1.tif", "2.gif"):
        pages[0].save(tmp_path / "a" / name, save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "a" / "3.jpg", "MPO", save_all=True, append_images=pages[1:])  # with a depth map, or so
    labels, said = told(tmp_path)
    assert labels == ("a",)
    assert said == [
        "Only the first image of 'a/1.tif' and 'a/2.gif' is read. "
        "Save the other images as separate files if they are samples, too."
    ]
    assert tasks.read_folder(tmp_path)[0].unique().tolist() == [10]


# --- labels that know their folder


def test_a_label_is_a_name_that_knows_its_folder_also_when_copied(tmp_path):
    unequal(tmp_path, many=5, some=3)
    _, labels = tasks.read_folder(tmp_path)
    for many, some in (labels, pickle.loads(pickle.dumps(labels)), copy.deepcopy(labels)):
        assert (many, some) == ("many", "some")
        assert isinstance(many, FolderLabel)
        assert (many.smallest, many.samples) == (some.smallest, some.samples) == ("some", 3)
    assert json.dumps(labels) == '["many", "some"]'
    assert hash(labels[0]) == hash("many")


def test_too_few_samples_name_the_smallest_class_also_from_a_slice_without_it(tmp_path):
    unequal(tmp_path, many=40, some=20, other=20, forgotten=2)
    images, labels = tasks.read_folder(tmp_path, size=8)
    said = (
        r"1 shots and 5 queries need 6 samples of a class. Got 2 in images. Lower `shots` or `queries`, add images to "
    )
    said += r"'forgotten', which is the smallest class with 2, or leave out such classes: .*at_least=6"
    for part in (slice(None), slice(1, None), slice(0, 2)):
        with pytest.raises(ConfigError, match=said):
            tasks.ImageSource(images[part], labels[part], tasks.EpisodeConfig(2, 1, 5))
    plain = r"Got 1 in images. Lower `shots` or `queries`\.$"
    with pytest.raises(ConfigError, match=plain):  # cut by someone else
        tasks.ImageSource(images[:, :1], labels, tasks.EpisodeConfig(2, 1, 5))
    with pytest.raises(ConfigError, match=plain.replace("1", "2")):
        tasks.ImageSource(images, tuple(map(str, labels)), tasks.EpisodeConfig(2, 1, 5))
    images, labels = tasks.read_folder(unequal(tmp_path / "equal", a=2, b=2))
    with pytest.raises(ConfigError, match=plain.replace("1", "2")):
        tasks.ImageSource(images, labels, tasks.EpisodeConfig(2, 1, 5))


# --- one image


def test_one_image_is_read_as_its_folder_reads_it(folder, monkeypatch):
    images, labels = tasks.read_folder(folder, size=8, ink=True)
    one = read_image(folder / "b" / "1.png", size=8, ink=True)
    assert one.dtype == torch.uint8
    assert torch.equal(one, images[labels.index("b"), 1])
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert torch.equal(read_image("~/b/1.png", 8, True), one)
    assert tasks.read_folder("~")[1] == labels


def test_what_is_no_image_is_said_in_our_words(tmp_path):
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 99).save(whole, "PNG")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    for name, content, said in (
        ("gone.png", None, r"Expected an image file. Got .*gone.png, which does not exist. Check its name"),
        (
            "empty.png",
            b"",
            r"Expected an image that can be read. Got .*empty.png: it is empty. Remove it, or save it again",
        ),
        (
            "text.png",
            b"some text",
            r"text.png: its content is not an image that Pillow knows. Remove it, or",
        ),
        ("cut.png", whole.getvalue()[:900], r"cut.png: image file is truncated.*\. Remove it, or save it again"),
        ("IMG_1.jpg", heic, r"IMG_1.jpg: it is a HEIC image. Convert it to JPEG\.$"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=said):
            read_image(tmp_path / name)
    with pytest.raises(DataError, match=r"Expected an image file. Got the folder .*\. Name an image in it"):
        read_image(tmp_path)
    with pytest.raises(ConfigError, match=r"`size` must be an integer >= 1. Got -1"):
        read_image(tmp_path / "cut.png", size=-1)


def test_embeddings_are_taken_as_they_are(randn):
    vectors = randn(4, 3, 5, dtype=torch.float32)
    source = tasks.EmbeddingSource(vectors, tuple("abcd"), SHAPE)
    episode = source[0]
    assert episode.support.x.shape == (2, 5)
    known = {tuple(vector): label for label, group in zip("abcd", vectors.tolist(), strict=True) for vector in group}
    for half in (episode.support, episode.query):
        found = [known[tuple(vector)] for vector in half.x.tolist()]
        assert found == [source.classes_of(0)[target] for target in half.y]


def test_what_is_neither_images_nor_embeddings_is_refused(randn):
    match = r"EmbeddingSource needs vectors .* Got \(4, 3, 5\) in torch.int64. For images in uint8, use ImageSource"
    with pytest.raises(ConfigError, match=match):
        tasks.EmbeddingSource(torch.zeros(4, 3, 5, dtype=torch.int64), tuple("abcd"), SHAPE)
    with pytest.raises(ConfigError, match=r"ImageSource needs images .* Got \(4, 3, 8, 8\) in torch.float64"):
        tasks.ImageSource(randn(4, 3, 8, 8), tuple("abcd"), SHAPE)
    with pytest.raises(ConfigError, match=r"Each class needs one label. Got 2 labels for 4 classes"):
        tasks.EmbeddingSource(randn(4, 3, 5), ("a", "b"), SHAPE)


def test_a_learner_and_episodes_of_ones_own_are_trained_saved_and_continued(tmp_path, randn):
    vectors = randn(8, 3, 5, dtype=torch.float32)
    source = tasks.EmbeddingSource(vectors, tuple("abcdefgh"), SHAPE)
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
    with pytest.raises(ConfigError, match=r"a learner of your own. Pass it in Python as the argument `learner`"):
        load_learner(tmp_path)
    loaded, _ = load_learner(tmp_path, learner=MetaLearner(MLP(5, (), 3), FunctionSpace()))
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), whole.learner.parameters(), strict=True))
    with pytest.raises(ConfigError, match=r"must be given together. Got only one. Give both"):
        MetaTrainer(config, train=source)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_levels_of_sixteen_bits_keep_their_shades(tmp_path, ending):
    levels = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    Image.fromarray(levels).save(tmp_path / "eight.png")
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / f"sixteen.{ending}")
    assert torch.equal(read_image(tmp_path / f"sixteen.{ending}"), read_image(tmp_path / "eight.png"))


def tiff(levels: np.ndarray, bits: int, white_is_zero: bool = False, packed: bytes | None = None) -> bytes:
    """A TIFF of one strip, written by hand: Pillow writes neither 12 bits nor white paper as zero."""
    data = levels.tobytes() if packed is None else packed
    kind = {"u": 1, "i": 2, "f": 3}[levels.dtype.kind]
    height, width = levels.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 0 if white_is_zero else 1, 273: 8, 277: 1, 278: height}
    tags |= {279: len(data), 339: kind}
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, tags[tag]) for tag in sorted(tags))
    end = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + end


def twelve_bits(levels: np.ndarray) -> bytes:
    pairs = levels.reshape(-1, 2).astype(int)
    return bytes(b for x, y in pairs for b in (x >> 4, (x & 15) << 4 | y >> 8, y & 255))


RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))  # 0, 4, ..., 252
DEEP = {
    "16 bits": tiff(RAMP.astype("<u2") * 257, 16),
    "16 bits, of which few are used": tiff(RAMP.astype("<u2"), 16),
    "16 bits, white is zero": tiff(65535 - RAMP.astype("<u2") * 257, 16, white_is_zero=True),
    "12 bits": tiff(RAMP.astype("<u2"), 12, packed=twelve_bits(np.rint(RAMP * (4095 / 255)))),
    "floats from 0 to 1": tiff(RAMP.astype("<f4") / 255, 32),
    "floats, white is zero": tiff(1 - RAMP.astype("<f4") / 255, 32, white_is_zero=True),
    "floats that hardly differ": tiff(RAMP.astype("<f4") / 25500 + np.float32(0.5), 32),
}


@pytest.mark.parametrize("kind", DEEP)
def test_levels_are_scaled_by_the_range_of_their_type(tmp_path, kind):
    """Not by the values that occur: a dark scan stays dark, and a class does not depend on its brightest pixel."""
    (tmp_path / "a.tif").write_bytes(DEEP[kind])
    expected = {"16 bits, of which few are used": np.rint(RAMP / 257), "floats that hardly differ": 127.5 + RAMP / 100}
    with Image.open(tmp_path / "a.tif") as image:
        assert np.abs(np.asarray(upright_grey(image)) - expected.get(kind, RAMP).astype(float)).max() <= 1


def floats(*values: float) -> bytes:
    return tiff(np.array([values], "<f4"), 32)


NO_WHITE = {
    "floats from 0 to 255": floats(0, 255),
    "floats below 0": floats(-0.1, 0.5),
    "NaN": floats(0.5, float("nan")),
    "infinity": floats(0.5, float("inf")),
    "32 bits": tiff(np.array([[0, 255]], "<u4"), 32),
    "signs": tiff(np.array([[-5, 255]], "<i2"), 16),
}


@pytest.mark.parametrize("kind", NO_WHITE)
def test_grey_levels_without_a_white_are_said(tmp_path, kind):
    (tmp_path / "a.tif").write_bytes(NO_WHITE[kind])
    with pytest.raises(
        DataError, match=r"the white of grey levels from .* to .* in .* is not known\. Remove it, or save it"
    ):
        read_image(tmp_path / "a.tif")


def painted(mode: str) -> Image.Image:
    """Left half black, right half white, in a mode that a file may have."""
    grey = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 20, 1).repeat(40, 0))
    if mode == "transparent paper":
        image = Image.new("RGBA", grey.size, (0, 0, 0, 255))
        image.putalpha(ImageChops.invert(grey))
        return image
    if mode == "half transparent":  # white paper shines through black: grey
        return Image.merge("LA", (grey.point(lambda level: 0), grey.point(lambda level: 128)))
    return grey.convert("RGB").quantize(7) if mode == "P" else grey.convert(mode)


@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        *[(mode, ending) for mode in ("1", "L", "P", "RGB") for ending in ("png", "gif", "bmp", "tif", "webp")],
        *(("LA", "png"), ("RGBA", "png"), ("RGBA", "webp"), ("RGBA", "tif"), ("CMYK", "tif"), ("CMYK", "jpg")),
        *(("RGB", "jpg"), ("L", "jpg"), ("YCbCr", "tif"), ("transparent paper", "png"), ("transparent paper", "webp")),
        *(("half transparent", "png"),),
    ],
)
def test_every_mode_has_the_right_grey(tmp_path, mode, ending):
    image = painted(mode)
    if (mode, ending) in (("1", "webp"), ("P", "webp")):
        image = image.convert("RGB")
    image.save(tmp_path / f"a.{ending}", **({"lossless": True} if ending == "webp" else {}))
    grey = read_image(tmp_path / f"a.{ending}", 40).int()
    left, right = (127, 127) if mode == "half transparent" else (0, 255)
    assert (grey[:, 2:17] - left).abs().max() <= 3
    assert (grey[:, 23:38] - right).abs().max() <= 3


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "16 bits"])
def test_a_colour_that_counts_as_transparent_is_paper(tmp_path, mode):
    """Black on white, and black is named transparent: nothing is left but paper."""
    image = painted("L").convert("RGB").quantize(2) if mode == "P" else painted("L" if mode == "16 bits" else mode)
    if mode == "16 bits":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    black = image.getpixel((0, 0))
    image.save(tmp_path / "a.png", transparency=black)
    assert read_image(tmp_path / "a.png", 40).min() >= 250


def test_of_moving_images_the_first_is_read(tmp_path):
    first, second = Image.new("L", (20, 20), 200), Image.new("L", (20, 20), 10)
    for ending in ("gif", "webp", "png", "tif"):
        more = {"lossless": True} if ending == "webp" else {}
        first.convert("RGB").save(
            tmp_path / f"a.{ending}", save_all=True, append_images=[second.convert("RGB")], **more
        )
        assert (read_image(tmp_path / f"a.{ending}").int() - 200).abs().max() <= 2


# --- files that are made to do harm


def png_of(width: int, height: int) -> bytes:
    """A few bytes that claim so many pixels of one bit."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9) if width * height < 2**20 else b""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (8193, 8192), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_with_too_many_pixels_is_said(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png_of(*size))
    with pytest.raises(
        DataError, match=r"a.png: it has too many pixels: the limit is 30,000 on each side and 67,108,864 in all"
    ):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("start", "size"), [(b"GIF89a\1\0\1\0\x80\0\0", 2**36), (b"\x89PNG", 2**36), (b"\xff\xd8", 2**36), (b"BM", 2**36)]
)
def test_a_file_of_too_many_bytes_is_said(tmp_path, start, size):
    with open(tmp_path / "a.png", "wb") as file:
        file.write(start)
        file.truncate(size)
    with pytest.raises(DataError, match=r"a.png: it has 68,719,476,736 bytes, more than the"):
        read_image(tmp_path / "a.png")


def progressive(scans: int) -> bytes:
    """A JPEG that refines its last bits so often, and behind it what looks like scans, as a film's bytes may."""
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * scans + data[end:] + b"\xff\xda\0\2" * 999


def test_a_jpeg_of_too_many_scans_is_said(tmp_path):
    (tmp_path / "few.jpg").write_bytes(progressive(9))
    assert read_image(tmp_path / "few.jpg").shape == (28, 28)
    (tmp_path / "many.jpg").write_bytes(progressive(999))
    with pytest.raises(DataError, match=r"many.jpg: it is a JPEG of more than 200 scans"):
        read_image(tmp_path / "many.jpg")


def test_a_tiff_of_huge_tiles_is_said(tmp_path):
    tags = {256: 9, 257: 9, 258: 8, 259: 8, 262: 1, 277: 1, 322: 29_984, 323: 29_984, 324: 8, 325: 9}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(99))
    with pytest.raises(DataError, match=r"a.tif: it has too many pixels"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1), (3, 5000)])
def test_a_thin_image_is_made_smaller_before_it_is_padded(tmp_path, monkeypatch, size):
    padded, pad = [], ImageOps.pad
    monkeypatch.setattr(ImageOps, "pad", lambda image, size, **more: padded.append(size) or pad(image, size, **more))
    (tmp_path / "a.png").write_bytes(png_of(*size))
    image = read_image(tmp_path / "a.png")
    assert padded == [(1024, 1024)]
    assert image[0, 0] == image[-1, -1] == 255  # paper at its sides
    assert image.min() < 255


HARMFUL = {
    "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n(sprung) (w) file\nshowpage\n",
    "pdf.png": b"%PDF-1.4\n",
    "ppm.png": b"P6 1 1 255 abc",
    "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "wmf.bmp": b"\xd7\xcd\xc6\x9a" + bytes(100),
    "icns.tif": b"icns" + bytes(20),
    "psd.jpg": b"8BPS" + bytes(40),
    "\x1b[31m.png": b"",
}


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be on Windows")
@pytest.mark.parametrize("name", HARMFUL)
def test_other_formats_are_no_images_whatever_their_ending(tmp_path, monkeypatch, name):
    """An EPS file would start Ghostscript."""
    monkeypatch.setattr(subprocess, "Popen", None)
    (tmp_path / name).write_bytes(HARMFUL[name])
    with pytest.raises(DataError, match=r"its content is not an image that Pillow knows|it is empty") as caught:
        read_image(tmp_path / name)
    assert "\x1b" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_pipe_for_an_image_is_not_waited_for(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "1.png")
    for read_it in (lambda: read_image(tmp_path / "a" / "1.png"), lambda: tasks.read_folder(tmp_path)):
        with pytest.raises(DataError, match=r"1\.png is a pipe or a device, not a file"):
            read_it()


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be on Windows")
def test_the_name_of_a_class_cannot_command_a_terminal(tmp_path):
    put(tmp_path, "\x1b[31mred\nline\u202e/1.png", "b/1.png")
    labels, _ = told(tmp_path)
    assert labels == (r"\x1b[31mred\nline\u202e", "b")
