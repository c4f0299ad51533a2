"""Photographs of drawings become bright ink on black, in the middle, filling the frame, as training images are."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from amfs_lab.tasks.ink import extract_ink, has_black_paper
from tests.handwriting import photograph


def cross(width=400, height=300, paper=180, ink=40, middle=(250, 180), arm=60, pen=14) -> Image.Image:
    image = Image.new("L", (width, height), paper)
    draw, (x, y) = ImageDraw.Draw(image), middle
    draw.line([(x - arm, y), (x + arm, y)], fill=ink, width=pen)
    draw.line([(x, y - arm), (x, y + arm)], fill=ink, width=pen)
    return image


def test_grey_paper_is_black_and_the_drawing_is_in_the_middle_and_fills_the_frame():
    pixels, light_on_dark, at_edge, blank = extract_ink(cross(), 28)
    assert (light_on_dark, at_edge, blank) == (False, False, False)
    assert pixels.shape == (28, 28)
    assert pixels[3:12, 3:12].max() < 16  # between the arms
    assert max(pixels[:2].max(), pixels[:, :2].max()) < 16  # the margin
    assert pixels[13:15, 4:24].min() > 200
    assert pixels[4:24, 13:15].min() > 200
    assert np.abs(pixels.astype(int) - pixels[::-1, ::-1]).max() < 64


def test_place_size_and_brightness_of_the_photograph_change_next_to_nothing():
    one = extract_ink(cross(), 28).pixels.astype(int)
    moved = extract_ink(cross(middle=(100, 100)), 28).pixels
    dark = extract_ink(cross(paper=110, ink=30), 28).pixels
    large = extract_ink(cross().resize((1600, 1200)), 28).pixels
    for other in (moved, dark, large):
        assert np.abs(one - other).mean() < 5


def test_a_shadow_over_the_sheet_is_no_ink():
    image = np.asarray(cross(), float) * np.linspace(1.3, 0.6, 400)
    shaded = extract_ink(Image.fromarray(image.astype(np.uint8)), 28).pixels
    assert np.abs(extract_ink(cross(), 28).pixels.astype(int) - shaded).mean() < 8


def test_chalk_on_a_board_is_ink_too_and_is_said():
    inverted = extract_ink(ImageOps.invert(cross()), 28)
    assert inverted.light_on_dark
    assert np.abs(extract_ink(cross(), 28).pixels.astype(int) - inverted.pixels).mean() < 8


def test_dust_is_dropped_but_the_dot_of_an_i_stays():
    image = cross()
    draw = ImageDraw.Draw(image)
    draw.point([(20, 20), (21, 20), (20, 21)], fill=60)
    with_dust = extract_ink(image, 28).pixels
    assert np.abs(extract_ink(cross(), 28).pixels.astype(int) - with_dust).mean() < 2
    draw.ellipse([242, 80, 258, 96], fill=40)
    assert np.abs(with_dust.astype(int) - extract_ink(image, 28).pixels).mean() > 10


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_sheet_has_no_ink(level):
    noise = np.random.default_rng(0).normal(0, 3, (200, 200))
    assert extract_ink(Image.fromarray((level + noise).clip(0, 255).astype(np.uint8)), 28).blank
    assert extract_ink(Image.new("L", (50, 50), level), 28).blank


def test_ink_at_the_edge_is_said():
    assert extract_ink(cross(middle=(380, 150)), 28).at_edge


def test_small_images_and_thin_ones_work():
    for size in ((1, 1), (3, 200), (28, 28), (5, 5)):
        assert extract_ink(Image.new("L", size, 200), 28).pixels.shape == (28, 28)
    assert not extract_ink(ImageOps.invert(Image.fromarray(extract_ink(cross(), 28).pixels)), 28).blank


def test_every_photograph_of_a_letter_shows_ink_on_black():
    for letter in "AKSERM":
        found = extract_ink(photograph(letter, 0), 28)
        assert not found.blank
        assert has_black_paper(found.pixels)
        assert found.pixels.max() > 200
        assert 0.05 < (found.pixels > 127).mean() < 0.4
    assert not has_black_paper(np.asarray(photograph("A", 0)))


@pytest.mark.parametrize("grain", [40, 100, 200])
def test_a_photograph_of_nothing_but_noise_has_no_ink(grain):
    assert extract_ink(Image.effect_noise((600, 600), grain), 28).blank
