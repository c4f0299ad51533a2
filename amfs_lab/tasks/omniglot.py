"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1,623 characters of 50 alphabets, each drawn by 20 people.

Omniglot has two protocols. Each protocol is a separate source, because you must not compare the accuracies of two
protocols.
- `omniglot`: each alphabet is in one split. 25 of the 30 background alphabets are for training and 5 for validation.
  The 20 evaluation alphabets are for testing.
- `omniglot-random-classes`: all characters are shuffled and split into 1,100 / 100 / 423, as in MAML and later papers.
  A test character is new, but its alphabet may be used in training, so this protocol is easier.
"""

import warnings
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab.tasks import data_dirs, packed
from amfs_lab.tasks.omniglot_files import DRAWERS, PARTS, SIDE, Drawings, Tree, arrange, opened, read
from amfs_lab.tasks.rng import shuffled

OFFICIAL, RANDOM_CLASSES = PROTOCOLS = ("omniglot", "omniglot-random-classes")
BACKGROUND, EVALUATION = PARTS
# (alphabets, characters) of the complete set.
COMPLETE = {BACKGROUND: (30, 964), EVALUATION: (20, 659)}


# The alphabets whose script the glyphs also have, under the name of Unicode.
SCRIPTS = {
    "Blackfoot_(Canadian_Aboriginal_Syllabics)": "Canadian Aboriginal",
    "Inuktitut_(Canadian_Aboriginal_Syllabics)": "Canadian Aboriginal",
    "Ojibwe_(Canadian_Aboriginal_Syllabics)": "Canadian Aboriginal",
    "Asomtavruli_(Georgian)": "Georgian",
    "Mkhedruli_(Georgian)": "Georgian",
    "Burmese_(Myanmar)": "Myanmar",
    "Ge_ez": "Ethiopic",
    "Malay_(Jawi_-_Arabic)": "Arabic",
    "Manipuri": "Meetei Mayek",
    "Old_Church_Slavonic_(Cyrillic)": "Cyrillic",
    "Sanskrit": "Devanagari",
    "Syriac_(Estrangelo)": "Syriac",
    "Syriac_(Serto)": "Syriac",
}


def script(label: str) -> str:
    """The script of a character of Omniglot or the glyphs, e.g. "Georgian" for "Mkhedruli_(Georgian)/character01"."""
    alphabet = label.partition("/")[0]
    return SCRIPTS.get(alphabet, alphabet)


def split(
    protocol: str, name: str, root: Path | None = None
) -> tuple[UInt8[Tensor, "classes 20 28 28"], tuple[str, ...]]:
    """The images and labels of `"train"`, `"validation"` or `"test"` in one of the two protocols.

    For training and validation, the protocol `omniglot` needs only the part images_background. Raises DataError for a
    missing or damaged part.
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
    alphabets = shuffled({label.partition("/")[0] for label in labels})
    held_out = max(1, round(len(alphabets) / 6))
    return dict.fromkeys(alphabets[:held_out], "validation") | dict.fromkeys(alphabets[held_out:], "train")


def random_classes(labels: tuple[str, ...]) -> dict[str, str]:
    """The split of each character: 1,100 / 100 / 423 of the 1,623 characters, in the order of a hash of the labels."""
    order, share = shuffled(labels), len(labels) / 1623
    train, validation = round(1100 * share), round(1200 * share)
    splits = dict.fromkeys(order[:train], "train") | dict.fromkeys(order[train:validation], "validation")
    return splits | dict.fromkeys(order[validation:], "test")


def load(part: str, root: Path | None = None) -> Drawings:
    """All drawings of `"images_background"` or `"images_evaluation"`, from the packed copy if there is one.

    Warns if images were converted, or if alphabets are missing. Raises DataError for a missing or damaged part.
    """
    with opened(find(part, root)) as tree:
        drawings = _drawings(packed.copy(part, tree.key, lambda: _source(tree, part)))
    for said in remarks(part, drawings.labels, drawings.converted):
        warnings.warn(f"{tree.place}: {said}", stacklevel=2)
    return drawings


def survey(part: str, root: Path | None = None) -> tuple[Path, tuple[str, ...], list[str]]:
    """The path of a part of Omniglot, its labels, and its `remarks`. Reads no image. Raises DataError.

    The number of converted images is known only if there is a packed copy.
    """
    with opened(find(part, root)) as tree:
        copy = packed.stored(part, tree.key)
        labels, converted = (tuple(copy.splits[part]), copy.modes) if copy else (tuple(arrange(tree, part)), 0)
    return tree.place, labels, remarks(part, labels, converted)


def remarks(part: str, labels: tuple[str, ...], converted: int) -> list[str]:
    """Sentences on converted images, and on missing alphabets or characters."""
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
    """The path of the zip or the extracted folder of a part. Raises DataError if there is none."""
    return data_dirs.find(wanted(part), root)


def wanted(part: str) -> data_dirs.Wanted:
    """The names of the zip and the folder of a part, for the search in the data directories."""
    return data_dirs.Wanted(f"{part}.zip", (part,), "omniglot", "Fetch it with `amfs-lab data fetch omniglot`")


def _source(tree: Tree, part: str) -> packed.Source:
    drawings = read(tree, part)
    images = drawings.images.flatten(0, 1).numpy()
    counts = dict.fromkeys(drawings.labels, DRAWERS)
    return packed.Source({part: counts}, (SIDE, SIDE), lambda: [packed.Block(0, images, drawings.converted)])


def _drawings(copy: packed.Packed) -> Drawings:
    (labels,) = map(tuple, copy.splits.values())
    return Drawings(torch.from_numpy(copy.images).view(-1, DRAWERS, SIDE, SIDE), labels, copy.modes)
