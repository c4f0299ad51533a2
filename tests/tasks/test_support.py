"""A support folder of one's own and single images: what is read, and what is refused."""

import pytest
import torch
from PIL import Image

from amfs_lab.errors import DataError
from amfs_lab.tasks.support import NOT_BLACK, read_picture, support_files
from tests.handwriting import photograph, save


def test_classes_may_have_different_numbers_of_images(tmp_path):
    for label, count in (("b", 3), ("a", 1)):
        for number in range(count):
            save(Image.new("L", (30, 30)), tmp_path / label / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no class")
    assert {label: len(files) for label, files in support_files(tmp_path).items()} == {"a": 1, "b": 3}


def test_an_image_is_grey_levels_from_0_to_1_in_the_size_of_the_network(tmp_path):
    path = save(Image.new("RGB", (60, 40), (255, 255, 255)), tmp_path / "white.png")
    x, remarks = read_picture(path, 20)
    assert x.shape == (1, 20, 20)
    assert x.dtype == torch.float32
    assert x.max() == 1
    assert remarks == (NOT_BLACK,)
    assert read_picture(save(Image.new("L", (9, 9)), tmp_path / "black.png"))[1] == ()


def test_a_photograph_is_read_as_ink(tmp_path):
    path = save(photograph("K", 0), tmp_path / "k.jpg")
    x, remarks = read_picture(path, 28, ink=True)
    assert remarks == ()
    assert float(x.median()) == 0
    assert float(x.max()) > 0.8


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "Expected a folder .*nowhere with one folder of images for each class. Got none."),
        ("empty", "Expected one folder of images for each class in .*empty. Got 0 images and no folder."),
        ("single", "at least two classes in .*single. Got one, 'a'."),
        ("hollow", r"Expected images \(.*\.png.*\) in .*b. Got none. Add images"),
    ],
)
def test_a_folder_that_is_no_support_set_is_refused(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    for folder in ("single", "hollow"):
        save(Image.new("L", (9, 9)), tmp_path / folder / "a" / "1.png")
    (tmp_path / "hollow" / "b").mkdir()
    with pytest.raises(DataError, match=words):
        support_files(tmp_path / name)


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"Expected an image that can be read. Got .*broken.png"):
        read_picture(tmp_path / "broken.png")
    with pytest.raises(DataError, match=r"Expected an image file. Got .*gone.png, which does not exist"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"Expected an image file. Got the folder"):
        read_picture(tmp_path)
    save(Image.new("L", (40, 40), 200), tmp_path / "blank.png")
    with pytest.raises(DataError, match=r"Expected a drawing. Got .*blank.png, in which no ink was found"):
        read_picture(tmp_path / "blank.png", ink=True)


def test_a_photograph_that_lies_on_its_side_is_turned(tmp_path):
    upright = photograph("R", 0)
    tags = Image.Exif()
    tags[0x0112] = 6  # the telephone was held upright: turn it by a quarter to the right
    upright.save(tmp_path / "one.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "two.png", exif=tags)
    assert torch.equal(*(read_picture(tmp_path / f"{name}.png", 28, ink=True).x for name in ("one", "two")))


def test_what_is_left_out_is_said(tmp_path):
    for label in "ab":
        save(Image.new("L", (9, 9)), tmp_path / label / "1.png")
    (tmp_path / "a" / "2.heic").write_bytes(b"")
    (tmp_path / "__MACOSX").mkdir()
    with pytest.warns(UserWarning, match=r"Left out: 'a/2.heic'. HEIC images must be converted to JPEG."):
        assert {label: len(files) for label, files in support_files(tmp_path).items()} == {"a": 1, "b": 1}
