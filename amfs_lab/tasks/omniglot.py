"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1,623 handwritten characters of 50 alphabets, 20 drawers each.

Its two protocols are two sources, because their accuracies must not be compared:
`omniglot`: whole alphabets. 25 of the 30 background alphabets are for training, 5 for validation; the 20 evaluation
alphabets are for testing.
`omniglot-random-classes`: all characters shuffled, 1,100 / 100 / 423, as in MAML and its successors. A test character
is new, but its alphabet may have been seen, so this protocol is easier.
"""

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import UInt8
from safetensors.torch import save as serialize
from torch import Tensor

from amfs_lab import files
from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs
from amfs_lab.tasks.junk_files import is_leftover
from amfs_lab.tasks.omniglot_files import DRAWERS, PARTS, SIDE, Drawings, Tree, arrange, opened, read

OFFICIAL, RANDOM_CLASSES = PROTOCOLS = ("omniglot", "omniglot-random-classes")
BACKGROUND, EVALUATION = PARTS
# (alphabets, characters) of the complete set.
COMPLETE = {BACKGROUND: (30, 964), EVALUATION: (20, 659)}
FORMAT = 3  # of the packed copy: another number makes a new one


def split(
    protocol: str, name: str, root: Path | None = None
) -> tuple[UInt8[Tensor, "classes 20 28 28"], tuple[str, ...]]:
    """The images and labels of `"train"`, `"validation"` or `"test"` in one of the two protocols.

    The official splits train and validation need only the background. Raises DataError for a missing or damaged part.
    """
    if protocol == OFFICIAL and name == "test":
        drawings = load(EVALUATION, root)
        return drawings.images, drawings.labels
    if protocol == OFFICIAL:
        drawings = load(BACKGROUND, root)
        images, labels, alphabets = drawings.images, drawings.labels, official(drawings.labels)
        splits = {label: alphabets[label.partition("/")[0]] for label in labels}
    else:
        parts = [load(part, root) for part in PARTS]
        images, labels = torch.cat([part.images for part in parts]), parts[0].labels + parts[1].labels
        splits = random_classes(labels)
    rows = [row for row, label in enumerate(labels) if splits[label] == name]
    return images.index_select(0, torch.tensor(rows, dtype=torch.long)), tuple(labels[row] for row in rows)


def official(labels: tuple[str, ...]) -> dict[str, str]:
    """The split of each background alphabet: one sixth (5 of 30) is for validation, chosen by a hash of the names."""
    alphabets = sorted({label.partition("/")[0] for label in labels}, key=_hash)
    held_out = max(1, round(len(alphabets) / 6))
    return dict.fromkeys(alphabets[:held_out], "validation") | dict.fromkeys(alphabets[held_out:], "train")


def random_classes(labels: tuple[str, ...]) -> dict[str, str]:
    """The split of each character: 1,100 / 100 / 423 of the 1,623, in the order of a hash of the labels."""
    shuffled, share = sorted(labels, key=_hash), len(labels) / 1623
    train, validation = round(1100 * share), round(1200 * share)
    splits = dict.fromkeys(shuffled[:train], "train") | dict.fromkeys(shuffled[train:validation], "validation")
    return splits | dict.fromkeys(shuffled[validation:], "test")


def load(part: str, root: Path | None = None) -> Drawings:
    """All drawings of `"images_background"` or `"images_evaluation"`, from the packed copy if there is one.

    Warns of converted images and of missing alphabets. Raises DataError.
    """
    with opened(find(part, root)) as tree:
        packed, drawings = _unpacked(part, tree)
        if drawings is None:
            drawings = read(tree, part)
            _pack(drawings, packed)
    for said in remarks(part, drawings.labels, drawings.converted):
        warnings.warn(f"{tree.place}: {said}", stacklevel=2)
    return drawings


def survey(part: str, root: Path | None = None) -> tuple[Path, tuple[str, ...], list[str]]:
    """The path of a part, its labels and its remarks, without reading an image. Raises DataError.

    The number of converted images is known only after packing.
    """
    with opened(find(part, root)) as tree:
        _, drawings = _unpacked(part, tree)
        labels, converted = (drawings.labels, drawings.converted) if drawings else (tuple(arrange(tree, part)), 0)
    return tree.place, labels, remarks(part, labels, converted)


def remarks(part: str, labels: tuple[str, ...], converted: int) -> list[str]:
    """Remarks on converted images, and on missing alphabets or characters."""
    said = []
    if converted:
        total = len(labels) * DRAWERS
        said.append(f"{converted} of {total} images were not 105x105 of 1 bit, and were converted.")
    found = len({label.partition("/")[0] for label in labels}), len(labels)
    if found != COMPLETE[part]:
        said.append(
            "Expected {} alphabets of {} characters in all. Got {} of {}. ".format(*COMPLETE[part], *found)
            + "The splits and episodes differ from the ones of the complete set."
        )
    return said


def find(part: str, root: Path | None = None) -> Path:
    """The zip or extracted folder of a part. Raises DataError if there is none."""
    if path := lookup(part, root, say=False):
        data_dirs.warn()
        return path
    folders = ", ".join(map(str, data_dirs.folders(root, part, say=False)))
    wrong = "".join(f" {fault}" for fault in data_dirs.faults())
    raise DataError(
        f"Expected {part}.zip or the folder {part} in one of {folders}, in a folder there, or in `omniglot` there. "
        "Got none. Fetch it with `amfs-lab data fetch omniglot`, or name the folder that has it in "
        f"{data_dirs.VARIABLE}.{wrong}"
    )


def lookup(part: str, root: Path | None = None, say: bool = True) -> Path | None:
    """The zip or else the folder of a part, in the first of the `data_dirs.folders` that has it; None without one."""
    places = (inside(folder, part) for folder in data_dirs.folders(root, f"{part}.zip", say))
    return next(filter(None, places), None)


def inside(folder: Path, part: str) -> Path | None:
    """The zip or else the folder of a part: in `folder`, in `omniglot/` there, or one folder below either of them.

    A zip in a folder with the same name counts, too. Names may be in capitals. Leftovers are not searched.
    """
    near, archive = [folder, folder / "omniglot"], f"{part}.zip"
    for place in [*near, *(below for each in near for below in _entries(each) if os.path.isdir(below))]:
        zips, folders = _alike(place, archive, os.path.isfile), _alike(place, part, os.path.isdir)
        inner = (zipped for each in folders for zipped in _alike(each, archive, os.path.isfile))
        if found := next((entry for entries in (zips, inner, folders) for entry in entries), None):
            return found
    return None


def _alike(place: Path, name: str, is_one: Callable[[Path], bool]) -> list[Path]:
    """The files or folders with this name: first with the exact spelling, then with capitals."""
    return [each for each in (place / name, *_entries(place)) if each.name.lower() == name and is_one(each)]


def _entries(folder: Path) -> list[Path]:
    """The content of a folder, sorted by name; nothing if it cannot be listed."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not is_leftover(name)]
    except OSError:
        return []


def _unpacked(part: str, tree: Tree) -> tuple[Path, Drawings | None]:
    """The path of the packed copy, named after a hash of its source, and its drawings; None without a complete copy.

    A copy cannot be checked without its source, so a copy that another user could have written is not trusted.
    """
    path = data_dirs.cache() / f"{part}-{tree.key}-{FORMAT}.safetensors"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if not files.is_trusted(path.stat()):
            return path, None
        tensors, metadata = files.tensors(files.content(path, files.ARRAY_BYTES))
        images, labels, notes = tensors["images"], tuple(arrange(tree, part)), files.parse_json(metadata["notes"])
        whole = images.dtype == torch.uint8 and images.shape == (len(labels), DRAWERS, SIDE, SIDE)
        if whole and tuple(notes["labels"]) == labels and notes["sha256"] == _sha256(images):
            return path, Drawings(images, labels, int(notes["converted"]))
    return path, None


def _pack(drawings: Drawings, path: Path) -> None:
    """Writes the packed copy. If that fails, a warning says that the images are read again next time."""
    notes = {"labels": drawings.labels, "converted": drawings.converted, "sha256": _sha256(drawings.images)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as file:
            file.write(serialize({"images": drawings.images}, {"notes": json.dumps(notes)}))
    except OSError as error:
        warnings.warn(
            f"The packed copy {path} could not be written ({error}). Packing is repeated next time.", stacklevel=3
        )


def _sha256(images: UInt8[Tensor, "characters 20 28 28"]) -> str:
    return hashlib.sha256(images.numpy().data).hexdigest()


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
