"""What training does to its images is drawn from the episode's own seed, and leaves the rest of the episode alone."""

import math

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.tasks import EpisodeConfig, ImageSource, open_source
from amfs_lab.tasks.augment import (
    BEND,
    CHANGES,
    DEGREES,
    JITTER,
    MARGIN,
    SHEAR,
    SHIFT,
    STRETCH,
    bent,
    cropped,
    elastic,
    flipped,
    jittered,
    rotated,
)

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
    with pytest.raises(
        ConfigError,
        match=r"`augment` must hold each of rotations, affine, elastic, flip, crop, color at most once. Got",
    ):
        source("mirror")
    with pytest.raises(ConfigError, match=r"at most once"):
        source("affine", "affine")
    with pytest.raises(ConfigError, match=r"must not be turned"):
        open_source("glyphs", "train", SHAPE, augment=("rotations",))


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", CHANGES)
def test_every_change_keeps_shape_and_range_and_treats_images_differently(name, channels, random):
    images = torch.rand(1, channels, 32, 32, generator=random).expand(64, -1, -1, -1)
    changed = CHANGES[name](images, random)
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({tuple(image.flatten().tolist()) for image in changed}) >= 2
    again = [CHANGES[name](images, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*again)


def test_half_of_the_images_are_mirrored(random):
    images = torch.rand(400, 3, 8, 8, generator=random)
    mirrored = flipped(images, random)
    same = (mirrored == images).flatten(1).all(1)
    assert torch.equal(mirrored[~same], images[~same].flip(-1))
    assert 160 < same.sum() < 240


def test_a_crop_is_one_of_all_windows_of_the_padded_image(random):
    image, pad = torch.rand(1, 2, 16, 16, generator=random) + 0.5, 16 // MARGIN
    padded = torch.nn.functional.pad(image[0], (pad,) * 4)
    windows = [padded[:, r : r + 16, c : c + 16] for r in range(2 * pad + 1) for c in range(2 * pad + 1)]
    moved = cropped(image.expand(400, -1, -1, -1), random)
    seen = [next(n for n, window in enumerate(windows) if torch.equal(one, window)) for one in moved]
    assert set(seen) == set(range(len(windows)))


def test_jitter_keeps_black_and_the_order_of_grey_levels(random):
    ramp = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(100, 1, 8, 8)
    changed = jittered(ramp, random).flatten(1)
    assert (changed.diff(dim=1) >= -1e-6).all()
    means = changed.mean(1)
    assert means.min() < 0.5 * (1 - JITTER / 2) < 0.5 * (1 + JITTER / 3) < means.max()


def test_a_grey_picture_in_colour_stays_grey(random):
    grey = torch.rand(20, 1, 8, 8, generator=random).expand(20, 3, 8, 8)
    changed = jittered(grey, random)
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)


def test_elastic_shifts_are_smooth_and_as_large_as_they_say(random):
    """A ramp in x is its own coordinate, so its change is the shift."""
    side = 64
    ramp = torch.linspace(0, 1, side).expand(300, 1, side, side)
    shift = (elastic(ramp, random) - ramp)[:, 0, 16:-16, 16:-16]  # far from the blank outside
    assert BEND / 2 < shift.std() < 1.5 * BEND
    assert shift.diff(dim=1).abs().max() < BEND
