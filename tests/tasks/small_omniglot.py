"""A small Omniglot of our own in the official layout: strokes drawn by chance, as a zip or as a folder."""

import io
import os
import random
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

BACKGROUND = {"Greek": 3, "Latin": 2, "N_Ko": 4, "Korean": 2, "Braille": 2, "Tagalog": 2}
EVALUATION = {"Tengwar": 3, "ULOG": 2}


def drawing(label: str, drawer: int, mode: str = "1", side: int = 105) -> Image.Image:
    """Dark strokes on white paper: those of the label, moved a little by the drawer."""
    strokes, hand = random.Random(label), random.Random(f"{label} {drawer}")
    image = Image.new("L", (105, 105), 255)
    points = [
        (strokes.randrange(15, 90) + hand.randrange(-5, 6), strokes.randrange(15, 90) + hand.randrange(-5, 6))
        for _ in range(5)
    ]
    ImageDraw.Draw(image).line(points, fill=0, width=3)
    return image.resize((side, side)).convert(mode)


def png(image: Image.Image, level: int = 6) -> bytes:
    """A PNG file; at level 0, without compression, all drawings have the same number of bytes."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=level)
    return file.getvalue()


def members(part: str, alphabets: dict[str, int]) -> dict[str, bytes]:
    """The files of a part by name: images_background/Greek/character01/0001_01.png, and so on."""
    labels = [f"{alphabet}/character{n:02d}" for alphabet, count in alphabets.items() for n in range(1, count + 1)]
    return {
        f"{part}/{label}/{number:04d}_{drawer:02d}.png": png(drawing(label, drawer))
        for number, label in enumerate(labels, 1)
        for drawer in range(1, 21)
    }


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def real_folder() -> Path:
    """The folder with the real background set; skips with a reason where there is none."""
    named = os.environ.get("AMFS_LAB_DATA")
    places = [Path(named), Path(named) / "omniglot"] if named else []
    if not any((place / name).exists() for place in places for name in ("images_background.zip", "images_background")):
        pytest.skip("no images_background in AMFS_LAB_DATA: the real Omniglot is not here")
    return Path(named)
