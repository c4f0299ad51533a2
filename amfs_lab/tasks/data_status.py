"""What data is there, what is missing and where it belongs: the lines of `amfs-lab data status`."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from amfs_lab.errors import DataError
from amfs_lab.tasks import data_dirs, download, glyphs, omniglot

Result = TypeVar("Result")


def report(root: Path | None = None) -> Iterator[str]:
    """All lines, as they become known. What is missing or damaged is a line too, never an error.

    Args:
        root: a folder to look in first. Raises DataError if it is none.
    """
    _quietly(data_dirs.folders, root, "data")
    yield from _named()
    yield from _glyphs(root)
    yield from _omniglot(root)
    yield from _cache()


def _named() -> Iterator[str]:
    """What is wrong with AMFS_LAB_DATA: folders that are none, or that have nothing in them."""
    yield from data_dirs.faults()
    wanted = [name for part in omniglot.PARTS for name in (f"{part}.zip", part)]
    for folder in filter(os.path.isdir, named := data_dirs.named()):
        if not (folder / glyphs.FILE).exists() and not any(omniglot.inside(folder, part) for part in omniglot.PARTS):
            verb = "is" if len(named) == 1 else "has"
            yield f"{data_dirs.VARIABLE} {verb} {folder}, in which nothing was found: looked for {', '.join(wanted)}."


def _quietly(call: Callable[..., Result], *arguments: object) -> Result:
    """Without the warning of AMFS_LAB_DATA: `_named` has told of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", data_dirs.DataFolderWarning)
        return call(*arguments)


def _glyphs(root: Path | None) -> Iterator[str]:
    try:
        data = _quietly(glyphs.load, root)
    except (DataError, OSError) as error:
        yield f"glyphs: of no use. {error}"
        return
    yield f"glyphs: {_counts(data.labels, 'scripts', glyphs.SAMPLES)} in {_quietly(glyphs.find, root)}"
    yield "  ready: `--source glyphs`, for train, validation, test"


def _omniglot(root: Path | None) -> Iterator[str]:
    ready = []
    for part in omniglot.PARTS:
        try:
            if _quietly(omniglot.lookup, part, root) is None:
                yield from _missing(download.OMNIGLOT, f"{part}.zip", root)
                continue
            place, labels, remarks = _quietly(omniglot.survey, part, root)
        except (DataError, OSError) as error:
            yield f"omniglot: {part} is of no use. {error}"
            continue
        yield f"omniglot: {_counts(labels, 'alphabets', omniglot.DRAWERS)} in {place}"
        yield from (f"  but: {remark}" for remark in remarks)
        ready.append(part)
    if omniglot.BACKGROUND in ready:
        test = ", test" if omniglot.EVALUATION in ready else ""
        yield f"  ready: `--source {omniglot.OFFICIAL}`, for train, validation{test}"
    if len(ready) == len(omniglot.PARTS):
        yield f"  ready: `--source {omniglot.RANDOM_CLASSES}`, for train, validation, test"


def _missing(remote: download.Remote, name: str, root: Path | None) -> Iterator[str]:
    path, named = data_dirs.downloads() / remote.name / name, os.environ.get(data_dirs.VARIABLE)
    found = [place for part in omniglot.PARTS if (place := _quietly(omniglot.lookup, part, root))]
    beside = found[0].parent if found else path.parent
    first = "" if beside == path.parent else f"It may lie beside the other part, in {beside}. Otherwise "
    yield f"{remote.name}: {name} is missing. {first}{'it' if first else 'It'} belongs in {path.parent}"
    partial = download.partial_of(path)
    come = f" ({_megabytes(partial.stat().st_size)} of it have come)" if partial.is_file() else ""
    yield f"  fetch it: `amfs-lab data fetch {remote.name}`{come}"
    if not named:
        yield f"  or name the folder that has it in {data_dirs.VARIABLE}"


def _cache() -> Iterator[str]:
    folder = data_dirs.cache()
    try:
        sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    except OSError as error:
        yield f"packed copies: {folder} can't be read: {error.strerror}"
        return
    yield f"packed copies: {len(sizes)}, {_megabytes(sum(sizes))} in {folder} (may be deleted: they are made again)"


def _counts(labels: tuple[str, ...], groups: str, samples: int) -> str:
    found = len({label.partition("/")[0] for label in labels})
    return f"{found} {groups}, {len(labels):,} characters, {samples * len(labels):,} images"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
