"""What training does to its images is drawn from the episode's own seed, and leaves the rest of the episode alone."""

import math

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.tasks import EpisodeConfig, ImageSource, open_source
from amfs_lab.tasks.augment import DEGREES, SHEAR, SHIFT, STRETCH, bent, rotated

SHAPE = EpisodeConfig(3, 1, 2)


@pytest.fixture
def source():
    images = torch.randint(0, 256, (4, 6, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return lambda *augment, **rest: ImageSource(images, tuple("abcd"), SHAPE, augment=augment, **rest)


def test_rotations_make_four_classes_of_one(source):
    turned = source("rotations")
    assert turned.classes == 16
    assert len(set(turned.labels)) == 16
    seen = set()
    for index in range(40):
        episode, drawn = turned[index], turned.classes_of(index)
        for label, image in zip(drawn, episode.support.x, strict=True):
            name, degrees = label.removesuffix("°").split("/")
            upright = torch.rot90(image, -int(degrees) // 90, (-2, -1))
            originals = turned.samples["abcd".index(name)].float() / 255
            assert any(torch.equal(upright[0], original) for original in originals)
            seen.add(degrees)
    assert seen == {"0", "90", "180", "270"}


def test_an_augmented_episode_is_a_pure_function_too(source):
    both = source("affine", "rotations")
    first = both[5].support.x
    both[6]
    torch.manual_seed(1)
    assert torch.equal(first, source("affine", "rotations")[5].support.x)
    assert not torch.equal(first, source("affine", "rotations", seed=1)[5].support.x)


def test_bending_changes_no_class_and_no_drawing(source):
    plain, soft = source()[3], source("affine")[3]
    assert source("affine").classes_of(3) == source().classes_of(3)
    assert torch.equal(plain.query.y, soft.query.y)
    assert not torch.equal(plain.query.x, soft.query.x)
    assert soft.query.x.min() >= 0
    assert soft.query.x.max() <= 1


def test_each_image_is_bent_by_its_own_map_within_the_limits():
    """A bright dot moves no further than the maps allow, and two dots of one batch move differently."""
    dots = torch.zeros(200, 1, 29, 29)
    row, column = 14, 24
    dots[:, :, row - 1 : row + 2, column - 1 : column + 2] = 1.0
    moved = bent(dots, torch.Generator().manual_seed(0))
    weight = moved.sum((1, 2, 3))
    places = torch.arange(29.0)
    at = torch.stack([(moved.sum(3)[:, 0] * places).sum(1), (moved.sum(2)[:, 0] * places).sum(1)], 1) / weight[:, None]
    apart = (at - torch.tensor([float(row), float(column)])).norm(dim=1)
    radius = column - 14
    farthest = radius * (math.radians(DEGREES) + STRETCH + SHEAR) / (1 - STRETCH - SHEAR) + 2 * 14.5 * SHIFT
    assert 1 < apart.max() < farthest
    assert apart.std() > 0.5


def test_quarters_are_exact():
    images = torch.rand(1, 2, 1, 28, 28)
    assert torch.equal(rotated(images, torch.tensor([2])), images.flip(-1).flip(-2))
    assert torch.equal(rotated(images, torch.tensor([0])), images)


def test_unknown_augmentations_and_turned_glyphs_are_refused(source):
    with pytest.raises(ConfigError, match=r"`augment` must hold each of rotations, affine at most once. Got"):
        source("mirror")
    with pytest.raises(ConfigError, match=r"at most once"):
        source("affine", "affine")
    with pytest.raises(ConfigError, match=r"must not be turned"):
        open_source("glyphs", "train", SHAPE, augment=("rotations",))
