"""The report of `amfs-lab data status`: existing data sets, missing data sets, and the folders for missing files."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from amfs_lab.errors import DataError
from amfs_lab.tasks import cifar, cub, data_dirs, glyphs, mini_imagenet, omniglot, packed

OMNIGLOT = {part: omniglot.wanted(part) for part in omniglot.PARTS}
WANTED = (*OMNIGLOT.values(), cifar.WANTED, mini_imagenet.WANTED, cub.WANTED)
NOT_OPENED = "  `--source {}` reads it at its first use"


def report(root: Path | None = None) -> Iterator[str]:
    """The lines of the report. Missing or damaged data give a line, not an error.

    The directory `root` is searched first. Raises DataError if `root` is not a directory.
    """
    for section in (_named, _glyphs, _omniglot, _cifar, _mini_imagenet, _cub, _cache):
        with warnings.catch_warnings():  # `_named` lists the same faults
            warnings.simplefilter("ignore", data_dirs.DataFolderWarning)
            lines = list(section(root))
        yield from lines


def _named(root: Path | None) -> Iterator[str]:
    """One line for each fault of $AMFS_LAB_DATA: an entry that is not a readable folder, or a folder without data."""
    data_dirs.folders(root, "data")
    yield from data_dirs.faults()
    names = [name for wanted in WANTED for name in (wanted.archive, *wanted.trees) if name]
    for folder in filter(os.path.isdir, named := data_dirs.named()):
        if not (folder / glyphs.FILE).exists() and not any(data_dirs.inside(folder, wanted) for wanted in WANTED):
            verb = "is" if len(named) == 1 else "has"
            yield f"{data_dirs.VARIABLE} {verb} {folder}, which has no data: searched for {', '.join(names)}."


def _glyphs(root: Path | None) -> Iterator[str]:
    try:
        data = glyphs.load(root)
    except (DataError, OSError) as error:
        yield f"glyphs: not usable. {error}"
        return
    yield f"glyphs: {_counts(data.labels, 'scripts', glyphs.SAMPLES)} in {glyphs.find(root)}"
    yield "  ready: `--source glyphs`, for train, validation, test"


def _omniglot(root: Path | None) -> Iterator[str]:
    ready = []
    for part, wanted in OMNIGLOT.items():
        try:
            if data_dirs.lookup(wanted, root) is None:
                yield from _missing(part, root)
                continue
            place, labels, remarks = omniglot.survey(part, root)
        except (DataError, OSError) as error:
            yield f"omniglot: {part} is not usable. {error}"
            continue
        yield f"omniglot: {_counts(labels, 'alphabets', omniglot.DRAWERS)} in {place}"
        yield from (f"  note: {remark}" for remark in remarks)
        ready.append(part)
    if omniglot.BACKGROUND in ready:
        test = ", test" if omniglot.EVALUATION in ready else ""
        yield f"  ready: `--source {omniglot.OFFICIAL}`, for train, validation{test}"
    if len(ready) == len(omniglot.PARTS):
        yield f"  ready: `--source {omniglot.RANDOM_CLASSES}`, for train, validation, test"


def _missing(part: str, root: Path | None) -> Iterator[str]:
    """The lines for one missing file of Omniglot. Its place is the folder of the other file, if that file exists."""
    found = next(filter(None, (data_dirs.lookup(wanted, root) for wanted in OMNIGLOT.values())), None)
    yield from _absent("omniglot", f"{part}.zip", found and found.parent)


def _cifar(root: Path | None) -> Iterator[str]:
    if (place := data_dirs.lookup(cifar.WANTED, root)) is None:
        yield from _absent("cifar100", cifar.WANTED.archive)
        return
    yield f"cifar100: {place}"
    key = cifar.key(place)
    for protocol in cifar.PROTOCOLS:
        if copy := packed.stored(protocol, key):
            complete = cifar.labels_of(protocol)
            full = [name for name, classes in copy.splits.items() if len(classes) == len(complete[name])]
            some = [name for name, classes in copy.splits.items() if classes and name not in full]
            yield from ([_ready(protocol, full)] if full else [])
            yield from ([_ready(f"{protocol}:partial", some) + ", without the missing classes"] if some else [])
        else:
            yield NOT_OPENED.format(protocol)


def _mini_imagenet(root: Path | None) -> Iterator[str]:
    if (place := data_dirs.lookup(mini_imagenet.WANTED, root)) is None:
        yield f"mini-imagenet: the folder mini-imagenet is missing. It belongs in {data_dirs.downloads()}"
        yield f"  it has no official address. {mini_imagenet.LAYOUT}"
        return
    yield from _survey("mini-imagenet", place, mini_imagenet.survey)


def _cub(root: Path | None) -> Iterator[str]:
    if (place := data_dirs.lookup(cub.WANTED, root)) is None:
        yield from _absent("cub", cub.WANTED.archive)
    elif place.is_dir():
        yield from _survey("cub", place, cub.survey)
    else:
        yield f"cub: {place}"
        yield _ready("cub", copy.splits) if (copy := packed.stored("cub", cub.key(place))) else NOT_OPENED.format("cub")


def _survey(name: str, place: Path, survey: Callable[[Path], dict[str, dict[str, list[str]]]]) -> Iterator[str]:
    """The lines for a folder of images. The image files are counted, but not read."""
    try:
        splits = survey(place)
    except (DataError, OSError) as error:
        yield f"{name}: not usable. {error}"
        return
    classes = [each for split in splits.values() for each in split.values()]
    yield f"{name}: {len(classes)} classes, {sum(map(len, classes)):,} images in {place}"
    yield _ready(name, splits)


def _ready(source: str, splits: Iterable[str]) -> str:
    return f"  ready: `--source {source}`, for {', '.join(splits)}"


def _absent(name: str, file: str, folder: Path | None = None) -> Iterator[str]:
    """The lines for a missing file that can be downloaded. It belongs in `folder`, by default the downloads folder."""
    downloads = data_dirs.downloads() / name
    folder = folder or downloads
    yield f"{name}: {file} is missing. It belongs in {folder}"
    yield f"  download it: `amfs-lab data fetch {name}`" + f" (downloads to {downloads})" * (folder != downloads)
    if not os.environ.get(data_dirs.VARIABLE):
        yield f"  or name its folder in {data_dirs.VARIABLE}"


def _cache(root: Path | None) -> Iterator[str]:
    folder = data_dirs.cache()
    try:
        sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    except OSError as error:
        yield f"packed copies: {folder} can't be read: {error.strerror}"
        return
    yield f"packed copies: {len(sizes)}, {sum(sizes) / 1e6:.1f} MB in {folder} (safe to delete: they are made again)"


def _counts(labels: tuple[str, ...], groups: str, samples: int) -> str:
    found = len({label.partition("/")[0] for label in labels})
    return f"{found} {groups}, {len(labels):,} characters, {samples * len(labels):,} images"
