"""Letters drawn by hand and photographed: strokes with jitter, a thick pen, grey and uneven paper, off-centre."""

import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FIVE, SIXTH = "AKSER", "M"


def _arc(cx, cy, rx, ry, first, last, n=14):
    angles = [math.radians(first + (last - first) * i / n) for i in range(n + 1)]
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


STROKES = {
    "A": [[(0.1, 1), (0.5, 0), (0.9, 1)], [(0.27, 0.62), (0.73, 0.62)]],
    "K": [[(0.15, 0), (0.15, 1)], [(0.85, 0), (0.15, 0.55)], [(0.35, 0.42), (0.88, 1)]],
    "S": [_arc(0.5, 0.26, 0.36, 0.26, -30, -250) + _arc(0.5, 0.74, 0.38, 0.26, -80, 150)],
    "E": [[(0.85, 0), (0.15, 0), (0.15, 1), (0.88, 1)], [(0.15, 0.5), (0.7, 0.5)]],
    "R": [
        [(0.15, 1), (0.15, 0)],
        [(0.15, 0.02), *_arc(0.45, 0.27, 0.4, 0.26, -80, 85), (0.15, 0.53)],
        [(0.45, 0.53), (0.88, 1)],
    ],
    "M": [[(0.08, 1), (0.15, 0), (0.5, 0.7), (0.85, 0), (0.92, 1)]],
}


def photograph(letter: str, number: int, size=(480, 360)) -> Image.Image:
    """Drawing number `number` of a letter. Each number gives another drawing."""
    hand = random.Random(f"{letter} {number}")
    width, height = size
    side = min(size) * hand.uniform(0.4, 0.6)
    x0, y0 = width * hand.uniform(0.4, 0.6), height * hand.uniform(0.42, 0.58)
    turn, slant, pen = math.radians(hand.gauss(0, 6)), hand.gauss(0, 0.1), side * hand.uniform(0.07, 0.12)
    ink = Image.new("L", size, 0)
    draw = ImageDraw.Draw(ink)
    for stroke in STROKES[letter]:
        points, dx, dy, phase = [], hand.gauss(0, 0.03), hand.gauss(0, 0.03), hand.uniform(0, 6.28)
        for (ax, ay), (bx, by) in pairwise(stroke):
            points += [(ax + (bx - ax) * i / 8, ay + (by - ay) * i / 8) for i in range(9)]
        drawn = []
        for i, (x, y) in enumerate(points):
            x += dx + 0.02 * math.sin(7 * i / len(points) + phase) + hand.gauss(0, 0.006) - 0.5
            y += dy + 0.02 * math.cos(7 * i / len(points) + phase) + hand.gauss(0, 0.006) - 0.5
            x += slant * y
            drawn.append(
                (
                    x0 + side * (x * math.cos(turn) - y * math.sin(turn)),
                    y0 + side * (x * math.sin(turn) + y * math.cos(turn)),
                )
            )
        draw.line(drawn, fill=255, width=round(pen), joint="curve")
    noise = np.random.default_rng(hand.randrange(2**31))
    light = np.linspace(0, hand.uniform(-45, 45), width) + np.linspace(0, hand.uniform(-45, 45), height)[:, None]
    paper = light + hand.uniform(150, 200) + noise.normal(0, 4, (height, width))
    share = np.asarray(ink.filter(ImageFilter.GaussianBlur(1)), float) / 255
    return Image.fromarray((paper * (1 - share) + hand.uniform(25, 60) * share).clip(0, 255).astype(np.uint8))


def support_folder(place: Path, counts=(1, 2, 3, 1, 2)) -> Path:
    """A support folder: one folder of photographs for each letter, with different numbers of photographs."""
    for letter, count in zip(FIVE, counts, strict=True):
        for number in range(count):
            save(photograph(letter, number), place / letter / f"{number}.jpg")
    return place


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path
