"""FC100 and CIFAR-FS: the classes of CIFAR-100 (Krizhevsky 2009) as few-shot data sets, 32x32 in colour.

In FC100 (Oreshkin et al. 2018), all classes of a superclass are in the same split. In CIFAR-FS (Bertinetto et al.
2019), the classes of a superclass may be in several splits. So FC100 is harder. Both data sets are read from the
official archive `cifar-100-python.tar.gz`, or from the extracted folder `cifar-100-python`. No file of the archive is
written to disk. The files are pickles. The module `unpickle` reads them, and never calls a function that a file names.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from amfs_lab import files
from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs, packed, unpickle
from amfs_lab.tasks.image_splits import few
from amfs_lab.tasks.ragged import Ragged

FC100, CIFAR_FS = PROTOCOLS = ("fc100", "cifar-fs")
REMEDY = "Fetch the official archive with `amfs-lab data fetch cifar100`"
WANTED = data_dirs.Wanted("cifar-100-python.tar.gz", ("cifar-100-python",), "cifar100", REMEDY)
PARTS, META = ("train", "test"), "meta"
LARGEST, MOST = 2**28, 2**29  # bytes of one file, and of all; the official ones have 155 and 187 million
SIDE, SAMPLES = 32, 600  # pixels, and images of each class in the complete set

# The classes of each superclass, which have the indices 0 to 19.
CLASSES = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}
LABELS = {fine: f"{superclass}/{fine}" for superclass, words in CLASSES.items() for fine in words.split()}
# FC100: indices of superclasses; CIFAR-FS: classes. All others are for training.
HELD_OUT: dict[str, dict[str, set[Any]]] = {
    FC100: {"validation": {8, 11, 13, 16}, "test": {0, 7, 12, 14}},
    CIFAR_FS: {
        "validation": {
            *("beaver", "otter", "flatfish", "shark", "lamp", "television", "beetle", "butterfly", "sea", "camel"),
            *("cattle", "crab", "crocodile", "maple_tree", "motorcycle", "tractor"),
        },
        "test": {
            *("whale", "poppy", "rose", "sweet_pepper", "telephone", "bed", "table", "wardrobe", "leopard", "plain"),
            *("chimpanzee", "fox", "snail", "worm", "baby", "man", "woman", "bicycle", "pickup_truck", "rocket"),
        },
    },
}


def split(protocol: str, name: str, root: Path | None = None, partial: bool = False) -> tuple[Ragged, tuple[str, ...]]:
    """The images (n 3 32 32) of `"train"`, `"validation"` or `"test"`, and labels such as "fish/shark".

    Args:
        protocol: "fc100" or "cifar-fs". partial: True gives only a warning if all images of a class are missing.
    Raises:
        DataError: a missing or damaged file; a class without images. With `partial`, the last error is raised only if
            no class of the split has images.
    """
    place = data_dirs.find(WANTED, root)
    copy = packed.copy(protocol, key(place), lambda: _source(place, protocol))
    complete, got = labels_of(protocol)[name], copy.splits[name]
    if missing := [label for label in complete if label not in got]:
        count = f"{len(missing)} of {len(complete)} classes of {protocol}/{name}"
        said = f"{count} have no image in {place}: {few(missing)}."
        if not partial or not got:
            go_on = f", or use the source `{protocol}:partial`, which leaves these classes out" if got else ""
            raise DataError(f"Expected {SAMPLES} images of each class. {said} {REMEDY}{go_on}.")
        warnings.warn(f"{said} Accuracies differ from the ones on all classes.", stacklevel=2)
    counts = sorted(set(got.values()))
    if got and counts[0] < SAMPLES:
        have = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        warnings.warn(
            f"{place}: the number of images of each class of {protocol}/{name} is {have}. "
            f"In the complete set it is {SAMPLES}.",
            stacklevel=2,
        )
    return copy.split(name)


def key(place: Path) -> str:
    """The key of the packed copies (see `tasks.packed`): a hash of the names, sizes and times of the source files."""
    return packed.file_key([place / part for part in (*PARTS, META)] if place.is_dir() else [place])


def labels_of(protocol: str) -> dict[str, list[str]]:
    """The sorted labels of all classes of each split."""
    found: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for index, (superclass, words) in enumerate(CLASSES.items()):
        for fine in words.split():
            chosen = index if protocol == FC100 else fine
            split = next((name for name, held_out in HELD_OUT[protocol].items() if chosen in held_out), "train")
            found[split].append(f"{superclass}/{fine}")
    return {name: sorted(labels) for name, labels in found.items()}


def _source(place: Path, protocol: str) -> packed.Source:
    images = read(place)
    splits = {
        name: {label: len(images[label]) for label in labels if label in images}
        for name, labels in labels_of(protocol).items()
    }
    labels = [label for counts in splits.values() for label in counts]

    def blocks() -> Iterator[packed.Block]:
        row = 0
        for label in tqdm(labels, f"packing {protocol}", unit="class", disable=None, leave=False):
            yield packed.Block(row, images[label])
            row += len(images[label])

    return packed.Source(splits, (SIDE, SIDE, 3), blocks)


def read(place: Path) -> dict[str, UInt8[np.ndarray, "n 32 32 3"]]:
    """The images of each class: first the images in the file `train`, then in the file `test`. Raises DataError."""
    try:
        data = _files(place)
        found = _field(unpickle.load(data[META]), "fine_label_names")
        names = [_text(name) for name in found] if isinstance(found, list) else []
        if sorted(names) != sorted(LABELS):
            raise ValueError(f"other classes than CIFAR-100 has: {few(sorted(set(names) ^ set(LABELS)))}")
        classes: dict[str, list[np.ndarray]] = {}
        for part in (part for part in PARTS if part in data):
            images, numbers = _examples(part, unpickle.load(data.pop(part)), len(names))
            for number in np.unique(numbers):
                classes.setdefault(LABELS[names[number]], []).append(images[numbers == number])
        return {label: np.concatenate(parts) for label, parts in classes.items()}
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        got = f"no {error.args[0]}" if isinstance(error, KeyError) else error
        raise DataError(f"Expected CIFAR-100 in its python layout at {place}. Got: {got}. {REMEDY}.") from error


def _files(place: Path) -> dict[str, bytes]:
    """The content of each existing CIFAR-100 file, by name. Raises OSError and ValueError."""
    if place.is_dir():
        paths = [path for name in (*PARTS, META) if (path := place / name).is_file()]
        found = {path.name: files.content(path, LARGEST) for path in paths}
    else:
        members = files.tar_members(place, MOST, LARGEST, lambda name: _last(name) in (*PARTS, META))
        found = {_last(name): data for name, data in members}
    if not set(PARTS) & set(found):
        raise ValueError(f"no file {' or '.join(PARTS)}")
    return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _examples(part: str, batch: Any, classes: int) -> tuple[UInt8[np.ndarray, "n 32 32 3"], np.ndarray]:
    """The images of a file, and the class of each image. Raises ValueError and KeyError."""
    data, numbers = _field(batch, "data"), _field(batch, "fine_labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * SIDE**2,):
        raise ValueError(f"`data` of {part} that is no array (n 3072) in uint8")
    whole = isinstance(numbers, list) and all(type(number) is int and 0 <= number < classes for number in numbers)
    if not whole or len(numbers) != len(data):
        raise ValueError(f"`fine_labels` of {part} that are not {len(data):,} numbers below {classes}")
    return data.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), np.array(numbers)


def _field(found: Any, name: str) -> Any:
    """The value of a key of `found`. The argument `name` is the key as a string; in the file it may be bytes.

    Raises KeyError.
    """
    for key in (name, name.encode()):
        if isinstance(found, dict) and key in found:
            return found[key]
    raise KeyError(name)


def _text(name: object) -> str:
    if not isinstance(name, str | bytes):  # a list may hold itself many times, and have a text that fills the memory
        raise ValueError(f"a class name of type {type(name).__name__}")
    return name.decode("latin-1") if isinstance(name, bytes) else name
