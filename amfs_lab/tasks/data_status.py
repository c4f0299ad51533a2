"""The lines of `amfs-lab data status`: which data is there, which is missing, and where it belongs."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs, glyphs, omniglot


def report(root: Path | None = None) -> Iterator[str]:
    """The lines, one after the other. Missing or damaged data gives a line, not an error.

    Raises DataError for a `root` (a directory that is searched first) that is not a directory.
    """
    for section in (_named, _glyphs, _omniglot, _cache):
        with warnings.catch_warnings():  # `_named` lists the same faults
            warnings.simplefilter("ignore", data_dirs.DataFolderWarning)
            lines = list(section(root))
        yield from lines


def _named(root: Path | None) -> Iterator[str]:
    """The faults of AMFS_LAB_DATA: entries that are not folders, or that hold no data."""
    data_dirs.folders(root, "data")
    yield from data_dirs.faults()
    wanted = [name for part in omniglot.PARTS for name in (f"{part}.zip", part)]
    for folder in filter(os.path.isdir, named := data_dirs.named()):
        if not (folder / glyphs.FILE).exists() and not any(omniglot.inside(folder, part) for part in omniglot.PARTS):
            verb = "is" if len(named) == 1 else "has"
            yield f"{data_dirs.VARIABLE} {verb} {folder}, which has no data: searched for {', '.join(wanted)}."


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
    for part in omniglot.PARTS:
        try:
            if omniglot.lookup(part, root) is None:
                yield from _missing(f"{part}.zip", root)
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


def _missing(name: str, root: Path | None) -> Iterator[str]:
    """The lines for a missing file of Omniglot. It belongs in the folder of the other file, if that one exists."""
    found, downloads = [omniglot.lookup(part, root) for part in omniglot.PARTS], data_dirs.downloads() / "omniglot"
    folder = next((place.parent for place in found if place), downloads)
    yield f"omniglot: {name} is missing. It belongs in {folder}"
    yield "  download it: `amfs-lab data fetch omniglot`" + f" (downloads to {downloads})" * (folder != downloads)
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
