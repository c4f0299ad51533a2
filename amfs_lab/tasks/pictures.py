"""Pictures of any size and mode as squares of grey, and a folder of your own as classes."""

import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import normalize

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError, printable
from amfs_lab.files import opened
from amfs_lab.tasks.junk_files import is_leftover

ENDINGS = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
HEIC = (".heic", ".heics", ".heif", ".heifs", ".hif")  # photographs of many telephones, which Pillow cannot read
HEIC_BRANDS = (b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")  # bytes 8 to 12 of such a file
ICLOUD = ".icloud"  # `.IMG_1.jpg.icloud` stands for an `IMG_1.jpg` that is not on this machine
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # a file of any other, EPS for one, would start a program
LONGEST, MOST_PIXELS = 30_000, 2**26  # sides and pixels that are read: 8192 x 8192, some 300 MB in memory
MOST_BYTES = {b"GIF8": 2**24, b"BM": 2**29, b"II": 2**29, b"MM": 2**29}  # by how a file starts
OTHER_BYTES = 2**26  # of a file that starts otherwise
SCANS = 200  # of a progressive JPEG, each over all its pixels; usual are ten
_MARKER = re.compile(b"\xff[^\x00\x01\xff\xd0-\xd8]")  # of a JPEG, where a segment begins or the image ends
ROWS = 256  # of an image that are converted at a time
PADDED = 1024  # pixels a side that are padded at most
CONVERT = "Convert them to JPEG"
Made = TypeVar("Made")
SHOWN = 5  # names in a sentence; the others are counted


class FolderLabel(str):
    """The name of a class; also how many images its folder holds, and the class that all were cut to, if any were."""

    samples: int
    smallest: "FolderLabel | None"

    def __new__(cls, name: str, samples: int = 0, smallest: "FolderLabel | None" = None) -> "FolderLabel":
        label = super().__new__(cls, name)
        label.samples, label.smallest = samples, smallest
        return label


def read_folder(
    folder: Path | str, size: int = 28, ink: bool = False, at_least: int | None = None
) -> tuple[UInt8[Tensor, "c s size size"], tuple[str, ...]]:
    """Images of your own, one folder a class: `(images, labels)` for `EpisodeSource`, classes and samples by name.

    Every class keeps as many samples as the smallest one has: the first, in the order of their names. Names are
    compared by code point in Unicode's form NFC, so that the order is the same on every system; `A` and `a` are two
    classes. What systems leave behind (`is_leftover`) is passed over, and so are notes beside the folders of the
    classes. All else that is left out is told by a warning.

    Args:
        size: pixels a side. ink: dark drawings on light paper become bright ink on black, as Omniglot's do.
        at_least: pass over the classes that have fewer images than this.
    Raises:
        DataError: no folder, no class in it, a class without an image, two classes of one name, or an image that
            cannot be read.
        ConfigError: Pillow is not installed, or `size` or `at_least` < 1.
    """
    _check_pillow()
    _check_positive("size", size)
    if at_least is not None:
        _check_positive("at_least", at_least)
    place = _folder(folder)
    found = classes = _classes(place)
    small = ""
    if at_least is not None:
        classes, small = _large_enough(place, found, at_least)
    for each in classes:
        if not each.images:
            raise DataError(_without_images(each))
    for said in [*_left_out(place, found), *([small] if small else [])]:
        warnings.warn(said, stacklevel=2)
    samples = min(len(each.images) for each in classes)
    smallest = [FolderLabel(each.label, samples) for each in classes if len(each.images) == samples]
    if total := sum(len(each.images) - samples for each in classes):
        warnings.warn(_cut(total, total + samples * len(classes), smallest), stacklevel=2)
    images, several = np.empty((len(classes), samples, size, size), np.uint8), []
    for row, each in zip(images, classes, strict=True):
        for sample, path in enumerate(each.images[:samples]):
            row[sample], more = _read(path, size, ink)
            several += [path] * more
    if several:
        warnings.warn(
            f"{_count(len(several), 'file')} of more than one picture, {_example(place, several)}: only the first "
            "picture of each is read. Save the others as files of their own if they are samples too.",
            stacklevel=2,
        )
    cut_to = smallest[0] if total else None
    return torch.from_numpy(images), tuple(FolderLabel(each.label, len(each.images), cut_to) for each in classes)


def read_image(path: Path | str, size: int = 28, ink: bool = False) -> UInt8[Tensor, "size size"]:
    """One image as the same square of grey that `read_folder` makes of it; the arguments are the same, too.

    Raises:
        DataError: no file, a folder, or a file that cannot be read as an image.
        ConfigError: Pillow is not installed, or `size` < 1.
    """
    _check_pillow()
    _check_positive("size", size)
    return torch.from_numpy(_read(Path(os.path.expanduser(path)), size, ink)[0].copy())


def squared(image, size: int, ink: bool) -> UInt8[np.ndarray, "size size"]:
    """Grey levels, upright. Transparent is white paper, and what is not square gets paper at its sides (black with
    `ink`); before that it is made smaller than `PADDED`, because a thin image would become a huge square.

    Lanczos, because strokes are thin: an area average dims those that fall between two pixels.
    """
    from PIL import Image, ImageChops, ImageOps

    image = upright_grey(image)
    if ink:
        image = ImageChops.invert(image)
    if image.width != image.height:
        if max(image.size) > PADDED:
            image.thumbnail((PADDED, PADDED), Image.Resampling.LANCZOS)
        side = max(image.size)
        image = ImageOps.pad(image, (side, side), color=0 if ink else 255)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def upright_grey(image):
    """An open Pillow image in mode L, upright: 0 is black and 255 white. Transparent is white paper."""
    from PIL import Image

    image = _eight_bits(_upright(image))
    if not image.has_transparency_data:
        return image.convert("L")
    grey = Image.new("L", image.size)
    for top in range(0, image.height, ROWS):  # three copies in colour of a part take less memory than of the whole
        part = image.crop((0, top, image.width, min(top + ROWS, image.height))).convert("RGBA")
        grey.paste(Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("L"), (0, top))
    return grey


def _eight_bits(image):
    """Grey levels of more than 8 bits as 0..255 by the range of their type, not by the values that occur: 0..4095 of
    12 bits, 0..65535 of 16, and [0, 1] of floating point. Pillow would cut off all above 255. Others stay as they are.

    Raises:
        ValueError: levels of which none is known to be white (integers of 32 bits or with a sign, floating point above
            1 or below 0), or that are not finite.
    """
    from PIL import Image

    if image.mode[0] not in "IF":
        return image
    tags = getattr(image, "tag_v2", {})
    bits, white_is_zero = (tags.get(258) or (16,))[0], tags.get(262) == 0  # of a TIFF; a PNG has 16 bits
    levels = np.asarray(image)
    low, high = levels.min(), levels.max()  # NaN if any is
    white = 1 if image.mode == "F" else 2 ** min(bits, 16) - 1
    if not (0 <= low <= high <= white) or (image.mode == "I" and tags):
        raise ValueError(f"grey levels of {low:g} to {high:g} in {levels.dtype}, none of them white")
    transparent = image.info.get("transparency")
    if image.mode == "F":
        grey = np.empty(levels.shape, np.uint8)
        for top in range(0, len(levels), ROWS):
            grey[top : top + ROWS] = np.rint(levels[top : top + ROWS] * np.float32(255))
    else:
        table = (np.arange(white + 1) * 255 + white // 2) // white
        if isinstance(transparent, int):
            table[transparent : transparent + 1] = 255
        grey = table.astype(np.uint8)[levels]
    return Image.fromarray(255 - grey if white_is_zero else grey)


def open_image(file, formats: tuple[str, ...] = FORMATS):
    """An image of one of these formats, whose size is looked at before its pixels are.

    Raises:
        ValueError: one with more pixels than are read. What else Pillow raises at a damaged file.
    """
    from PIL import Image

    least = f"it has too many pixels: at most {LONGEST:,} a side and {MOST_PIXELS:,} in all are read. Make it smaller"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our limit is lower
            image = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise ValueError(least) from error
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(322, 1), tags.get(323, 1)  # of a TIFF; memory is taken for a whole one, whatever the image's size
    for width, height in (image.size, tile):
        if max(width, height) > LONGEST or width * height > MOST_PIXELS:
            raise ValueError(least)
    return image


def _upright(image):
    """Turned as EXIF (or XMP) says that it is to be shown: telephones store photographs as the sensor lay.

    `ImageOps.exif_transpose` also writes the other tags anew, and fails at one that is damaged. As in a browser, what
    cannot be read of the tags turns nothing.
    """
    from PIL import Image

    image.load()  # a TIFF is turned here, and then has no such tag any more
    try:
        orientation = image.getexif().get(0x0112)
    except Exception:  # whatever a damaged block of tags leads Pillow to
        return image
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def image_files(folder: Path | str) -> dict[str, list[Path]]:
    """The image files of each class, both by name, in a folder with one folder a class.

    As in `read_folder`, whatever else lies there and is left out is told by a warning. Classes keep all their images.

    Raises:
        DataError: no folder, no class in it, a class without an image, or two classes of one name.
    """
    place = _folder(folder)
    classes = _classes(place)
    for each in classes:
        if not each.images:
            raise DataError(_without_images(each))
    for said in _left_out(place, classes):
        warnings.warn(said, stacklevel=2)
    return {each.label: each.images for each in classes}


def loose_images(folder: Path) -> list[Path]:
    """The image files in a folder itself, by name. Raises DataError for none."""
    found = [path for path in _listed(folder)[1] if _is_image(path)]
    if not found:
        raise DataError(f"Expected images ({', '.join(ENDINGS)}) in {folder}. Got none: add some, or name images.")
    return found


def open_grey(path: Path | str):
    """A file as a Pillow image in mode L, upright, in its own size. Raises what `read_image` raises."""
    _check_pillow()
    return _opened(Path(os.path.expanduser(path)), upright_grey)[0]


def _folder(folder: Path | str) -> Path:
    """Raises DataError for what is no folder."""
    place = Path(os.path.expanduser(folder))
    if not os.path.isdir(place):
        got = "a file: extract it if it is an archive, and name the folder" if place.exists() else "none"
        raise DataError(f"Expected a folder {place} with one folder of images a class. Got {got}.")
    return place


@dataclass(frozen=True)
class _Class:
    """What lies in the folder of a class, in the order of the names: images, other files, and folders."""

    label: str
    place: Path
    images: list[Path]
    others: list[Path]
    folders: list[Path]


def _classes(place: Path) -> list[_Class]:
    """The classes by name. Raises DataError for none, and for two whose names are one."""
    folders, files = _listed(place)
    if not folders:
        loose = [path for path in files if _is_image(path)]
        but = f", but {_count(len(loose), 'image')}: put each into the folder of its class" if loose else ""
        raise DataError(f"Expected one folder of images a class in {place}. Got no folder in it{but}.")
    found: dict[str, _Class] = {}
    for folder in folders:
        label, (below, files) = _label(folder.name), _listed(folder)
        if label in found:
            raise DataError(
                f"Expected one folder a class in {place}. Got two of the name {label!r}, which differ in how its "
                f"letters are coded: {found[label].place.name!a} and {folder.name!a}. Put their images into "
                "one, or rename one."
            )
        images = [path for path in files if _is_image(path)]
        found[label] = _Class(label, folder, images, [path for path in files if not _is_image(path)], below)
    return list(found.values())


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, each by name, without what systems left there. Raises DataError."""
    try:
        with os.scandir(folder) as entries:
            names = [(entry.name, entry.is_dir()) for entry in entries if not is_leftover(entry.name) or _away(entry)]
    except OSError as error:
        raise DataError(f"Expected a folder that may be read. Got {folder}: {error.strerror}. Correct that.") from error
    names.sort(key=lambda each: (_label(each[0]), each[0]))
    return [folder / name for name, inside in names if inside], [folder / name for name, inside in names if not inside]


def _away(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(ICLOUD)


def _label(name: str) -> str:
    """NFC, because macOS decomposes what other systems do not; bytes that are no UTF-8 become marks of replacement, and
    control characters are written out."""
    return printable(normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")), line=True)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS


def _left_out(place: Path, classes: list[_Class]) -> Iterator[str]:
    """A sentence for each kind of thing that lies there and is not read."""
    loose = [path for path in _listed(place)[1] if path.suffix.lower() in (*ENDINGS, *HEIC)]
    if loose:
        yield (
            f"{_count(len(loose), 'image')} beside the folders of the classes, {_example(place, loose)}: left out. "
            "Put each into the folder of its class."
        )
    others = [path for each in classes for path in each.others]
    if heic := [path for path in others if path.suffix.lower() in HEIC]:
        yield f"{_count(len(heic), 'HEIC image')}, {_example(place, heic)}: left out. {CONVERT}."
    if away := [path for path in others if path.suffix.lower() == ICLOUD]:
        yield f"{_count(len(away), 'file')} that iCloud still holds, {_example(place, away)}: left out. Download them."
    if rest := [path for path in others if path.suffix.lower() not in (*HEIC, ICLOUD)]:
        yield (
            f"{_count(len(rest), 'file')} in the folders of the classes that no image's ending has, "
            f"{_example(place, rest)}: left out. Endings of images are {', '.join(ENDINGS)}."
        )
    if folders := [path for each in classes for path in each.folders]:
        deeper = sum(1 for folder in folders for _ in _images_below(folder))
        yield (
            f"{_count(len(folders), 'folder')} in the folders of the classes, {_example(place, folders)}, with "
            f"{_count(deeper, 'image')}: left out. A class has its images in its own folder: move them there."
        )


def _images_below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_leftover(name))
        yield from (Path(root, name) for name in sorted(files) if not is_leftover(name) and _is_image(Path(name)))


def _large_enough(place: Path, classes: list[_Class], at_least: int) -> tuple[list[_Class], str]:
    """The classes with `at_least` images, and a sentence about the others. Raises DataError if none is left."""
    small = [each for each in classes if len(each.images) < at_least]
    if len(small) == len(classes):
        most = max(len(each.images) for each in classes)
        raise DataError(
            f"Expected a class of at least {at_least} images in {place}. Got {most} in the largest. Lower `at_least`."
        )
    counts = [f"{each.label!r} ({len(each.images)})" for each in small]
    if not small:
        return classes, ""
    said = f"{len(small)} of {len(classes)} classes passed over, with fewer than {at_least} images: {_few(counts)}."
    return [each for each in classes if len(each.images) >= at_least], said


def _without_images(each: _Class) -> str:
    expected = f"Expected images ({', '.join(ENDINGS)}) in {each.place}."
    if deeper := next((path for folder in each.folders for path in _images_below(folder)), None):
        return (
            f"{expected} Got none there, but folders with images, such as {deeper.parent}. Name the folder in which "
            f"the folders of the classes lie (is it {each.place}?), or move the images up."
        )
    if any(path.suffix.lower() in HEIC for path in each.others):
        return f"{expected} Got {_count(len(each.others), 'file')} such as {each.others[0].name}. {CONVERT}."
    if each.others:
        return f"{expected} Got none: add some. (Of other kinds: {_example(each.place, each.others)}.)"
    return f"{expected} Got none: add some, or remove that folder."


def _cut(left_out: int, total: int, smallest: list[FolderLabel]) -> str:
    samples, names = smallest[0].samples, _few([repr(str(label)) for label in smallest])
    one, have, it = ("one", "has", "it") if len(smallest) == 1 else ("ones", "have", "them")
    return (
        f"{left_out} of {total} images are left out, because every class keeps as many as the smallest {one}, {names}, "
        f"{have}: {samples}. Add images to {it}, or pass {it} over with `at_least={samples + 1}`."
    )


def _read(path: Path, size: int, ink: bool) -> tuple[UInt8[np.ndarray, "size size"], bool]:
    """The square, and whether the file holds more pictures than this one. Raises DataError."""
    return _opened(path, lambda image: squared(image, size, ink))


def _opened(path: Path, make: Callable[[Any], Made]) -> tuple[Made, bool]:
    """What is made of an image file, and whether it holds more pictures than this one. Raises DataError."""
    if os.path.isdir(path):
        raise DataError(f"Expected an image file. Got the folder {path}: name an image in it.")
    if not os.path.lexists(path):
        raise DataError(f"Expected an image file. Got {path}, which does not exist. Check its name.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Corrupt EXIF data")  # damaged tags turn nothing
            with opened(path) as file, open_image(_bounded(file)) as image:
                kind, made = image.format, make(image)
        return made, kind in ("GIF", "TIFF", "WEBP") and _has_more(path)
    except Exception as error:  # Pillow raises nearly anything at a damaged file
        what, remedy = _unreadable(path, error)
        raise DataError(f"Expected an image that can be read. Got {path}: {what}. {remedy}.") from error


def _bounded(file):
    """The open file. Raises ValueError for one that would take Pillow minutes: too many bytes, or scans of a JPEG."""
    start, size = file.peek(4)[:4], os.fstat(file.fileno()).st_size
    most = next((most for head, most in MOST_BYTES.items() if start.startswith(head)), OTHER_BYTES)
    if size > most:
        raise ValueError(f"it has {size:,} bytes, more than the {most:,} that are read of such a file")
    if start.startswith(b"\xff\xd8"):
        _check_scans(file.read())
        file.seek(0)
    return file


def _check_scans(data: bytes) -> None:
    at, scans = 2, 0
    while (found := _MARKER.search(data, at)) and found[0] != b"\xff\xd9":  # to the end of the first image
        at = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
        scans += found[0] == b"\xff\xda"
        if scans > SCANS:
            raise ValueError(f"it is a JPEG of more than {SCANS} scans")


def _has_more(path: Path) -> bool:
    """True for a file with more pages or frames. It is opened anew: a damaged end must not cost the first page."""
    try:
        with opened(path) as file, open_image(file) as image:
            return getattr(image, "is_animated", False)  # which does not count them
    except Exception:
        return False


def _unreadable(path: Path, error: Exception) -> tuple[str, str]:
    """Why a file cannot be read as an image, and what to do."""
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        reason = error.strerror if isinstance(error, OSError) else None
        return reason or str(error) or type(error).__name__, "Remove it, or save it anew"
    with opened(path) as file:
        start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:] in HEIC_BRANDS:
        return "it is a HEIC image, whatever its ending", "Convert it to JPEG"
    return "it is empty" if not start else "what is in it is no image that Pillow knows", "Remove it, or save it anew"


def _check_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ConfigError("Reading images needs the extra `data`: pip install 'amfs-lab[data]'.") from error


def _check_positive(name: str, value: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(f"`{name}` must be an integer. Got {value!r}.")
    if value < 1:
        raise ConfigError(f"`{name}` must be >= 1. Got {value}.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _example(place: Path, paths: list[Path]) -> str:
    name = str(paths[0].relative_to(place).as_posix())
    return f"{name!r}" if len(paths) == 1 else f"{name!r} for example"


def _few(names: list[str]) -> str:
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    *first, last = [*names[:SHOWN], *more]
    return f"{', '.join(first)} and {last}" if first else last
