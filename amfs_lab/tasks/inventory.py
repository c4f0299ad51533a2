"""What data is there, what is missing and where it belongs: the lines of `amfs-lab data status`."""

import os
from collections.abc import Iterator
from pathlib import Path

from amfs_lab.errors import DataError
from amfs_lab.tasks import download, glyphs, omniglot, places


def report(root: Path | None = None) -> Iterator[str]:
    """All lines, as they become known. What is missing or damaged is a line too, never an error.

    Args:
        root: a folder to look in first. Raises DataError if it is none.
    """
    places.folders(root, "data")
    yield from _named()
    yield from _glyphs(root)
    yield from _omniglot(root)
    yield from _cache()


def _named() -> Iterator[str]:
    """What is wrong with AMFS_LAB_DATA: where data is looked for, a folder that is none is passed over in silence."""
    if not (named := os.environ.get("AMFS_LAB_DATA")):
        return
    folder = Path(named)
    if not folder.is_dir():
        wrong = "is no folder" if folder.exists() else "does not exist"
        yield f"AMFS_LAB_DATA is {named}, which {wrong}: name another folder, or make that one."
        return
    wanted = [name for part in omniglot.PARTS for name in (f"{part}.zip", part)]
    if not any((place / name).exists() for place in (folder, folder / "omniglot") for name in (glyphs.FILE, *wanted)):
        yield f"AMFS_LAB_DATA is {named}, in which nothing was found: looked for {', '.join(wanted)}."


def _glyphs(root: Path | None) -> Iterator[str]:
    try:
        data = glyphs.load(root)
    except (DataError, OSError) as error:
        yield f"glyphs: of no use. {error}"
        return
    yield f"glyphs: {_counts(data.labels, 'scripts', glyphs.SAMPLES)} in {glyphs.find(root)}"
    yield "  ready: `--source glyphs`, for train, validation, test"


def _omniglot(root: Path | None) -> Iterator[str]:
    ready = []
    for part in omniglot.PARTS:
        try:
            if omniglot.lookup(part, root) is None:
                yield from _missing(download.OMNIGLOT, f"{part}.zip", root)
                continue
            place, labels, remarks = omniglot.survey(part, root)
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
    path, named = places.downloads() / remote.name / name, os.environ.get("AMFS_LAB_DATA")
    beside = next((place.parent for part in omniglot.PARTS if (place := omniglot.lookup(part, root))), path.parent)
    first = "" if beside == path.parent else f"It may lie beside the other part, in {beside}. Otherwise "
    yield f"{remote.name}: {name} is missing. {first}{'it' if first else 'It'} belongs in {path.parent}"
    partial = download.partial_of(path)
    come = f" ({_megabytes(partial.stat().st_size)} of it have come)" if partial.is_file() else ""
    yield f"  fetch it: `amfs-lab data fetch {remote.name}`{come}"
    if not named:
        yield "  or name the folder that has it in AMFS_LAB_DATA"


def _cache() -> Iterator[str]:
    folder = places.cache()
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
