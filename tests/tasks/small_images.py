"""Small photographs in the layouts of real data sets."""

import csv
import io
import random
import warnings
from pathlib import Path

from PIL import Image

from amfs_lab.tasks import data_dirs


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


def empty_data(monkeypatch, tmp_path: Path) -> Path:
    """An empty data directory and an empty cache, the only ones that are searched."""
    monkeypatch.setenv("AMFS_LAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data_dirs, "PACKAGE", tmp_path / "nowhere" / "amfs_lab")
    monkeypatch.chdir(tmp_path)
    empty_cache(monkeypatch, tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def empty_cache(monkeypatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("AMFS_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
