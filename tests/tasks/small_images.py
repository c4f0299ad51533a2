"""Small photographs in the layouts of real data sets."""

import csv
import io
import random
import warnings
from pathlib import Path

from PIL import Image


def photo(label: str, number: int, size: tuple[int, int] = (12, 12), mode: str = "RGB") -> Image.Image:
    """An image of one colour: the class chooses the hue, the number changes the blue a little."""
    chosen = random.Random(repr(label))
    colour = (chosen.randrange(256), chosen.randrange(256), 5 * number % 256)
    return Image.new("RGB", size, colour).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **settings) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def put(path: Path, image: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def class_folders(place: Path, classes: dict[str, int], **more) -> Path:
    """One folder for each class, with images 0.png, 1.png, ..."""
    for label, count in classes.items():
        for number in range(count):
            put(place / label / f"{number}.png", photo(label, number, **more))
    return place


def write_csv(path: Path, rows: list[tuple[str, str]], columns: tuple[str, ...] = ("filename", "label")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def said_by(call, *arguments, **named):
    """The result of a call, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*arguments, **named)
    return result, [str(each.message) for each in caught]
