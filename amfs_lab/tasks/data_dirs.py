"""Data directories: the folders in which the package searches for data sets, and the folder of packed copies."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from amfs_lab.errors import DataError
from amfs_lab.tasks.junk_files import is_leftover

PACKAGE = Path(__file__).resolve().parents[1]
VARIABLE = "AMFS_LAB_DATA"


class DataFolderWarning(UserWarning):
    """The warning for an entry of $AMFS_LAB_DATA that is not a readable folder."""


@dataclass(frozen=True)
class Wanted:
    """The names of the file or folder of a data set, for the search in the data directories.

    Args:
        archive: name of the file; empty if the data set has no single file. trees: possible names of the folder.
        below: name of a folder in a data directory. This folder may contain the file or folder of the data set.
        remedy: advice if the data set is missing.
    """

    archive: str
    trees: tuple[str, ...]
    below: str
    remedy: str

    def __str__(self) -> str:
        trees = f"the folder {' or '.join(self.trees)}"
        return f"{self.archive} or {trees}" if self.archive else trees


def find(wanted: Wanted, root: Path | None = None) -> Path:
    """The path of the archive or folder of a data set. Raises DataError if there is none."""
    if path := lookup(wanted, root, say=False):
        warn()
        return path
    searched = ", ".join(map(str, folders(root, str(wanted), say=False)))
    wrong = "".join(f" {fault}" for fault in faults())
    raise DataError(
        f"Expected {wanted} in one of {searched}, in a folder there, or in `{wanted.below}` there. "
        f"Got none. {wanted.remedy}, or name the folder that has it in {VARIABLE}.{wrong}"
    )


def lookup(wanted: Wanted, root: Path | None = None, say: bool = True) -> Path | None:
    """The path of a data set (archive or folder) in the first data directory that has it; None if there is none."""
    places = (inside(folder, wanted) for folder in folders(root, wanted.archive or wanted.trees[0], say))
    return next(filter(None, places), None)


def inside(folder: Path, wanted: Wanted) -> Path | None:
    """The archive or the folder of a data set in `folder` or in its subfolders; None if there is none.

    The search covers `folder`, its subfolder `wanted.below`, and the direct subfolders of these two. An archive inside
    a folder with a name in `wanted.trees` is also found. The case of letters is ignored. Leftovers (`is_leftover`) are
    not searched.
    """
    near, archive = [folder, folder / wanted.below], [wanted.archive] if wanted.archive else []
    for place in [*near, *(below for each in near for below in _entries(each) if os.path.isdir(below))]:
        archives, trees = _alike(place, archive, os.path.isfile), _alike(place, wanted.trees, os.path.isdir)
        inner = (zipped for each in trees for zipped in _alike(each, archive, os.path.isfile))
        if found := next((entry for entries in (archives, inner, trees) for entry in entries), None):
            return found
    return None


def _alike(place: Path, names: Sequence[str], is_one: Callable[[Path], bool]) -> list[Path]:
    """The files or folders in `place` that have one of the names. The case of letters is ignored.

    Exact matches come first.
    """
    lower = [name.lower() for name in names]
    candidates = (*(place / name for name in names), *_entries(place))
    return [each for each in candidates if each.name.lower() in lower and is_one(each)]


def _entries(folder: Path) -> list[Path]:
    """The content of a folder without leftovers, sorted by name; an empty list if the folder cannot be read."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not is_leftover(name)]
    except OSError:
        return []


def folders(root: Path | None, what: str, say: bool = True) -> list[Path]:
    """The data directories in the order of search: `root`, $AMFS_LAB_DATA, the package, the checkout, ./data.

    Args:
        what: name of the file or folder to find, for the error message.
        say: True warns of each invalid entry of $AMFS_LAB_DATA.
    Raises:
        DataError: `root` is given, but is not a folder.
    """
    given = [] if root is None else [_written_out(root)]
    if not all(map(os.path.isdir, given)):
        raise DataError(
            f"Expected a folder to look for {what} in. Got {root}, which is not a folder. Correct it, or leave it out."
        )
    if say:
        warn()
    return list(dict.fromkeys([*given, *named(), PACKAGE / "data", PACKAGE.parent / "data", Path.cwd() / "data"]))


def warn() -> None:
    """Warns of each invalid entry of $AMFS_LAB_DATA (see `faults`).

    All warnings come from one code line, so Python shows each warning only once.
    """
    for fault in faults():
        warnings.warn(fault, DataFolderWarning, stacklevel=1)


def named() -> list[Path]:
    """The entries of $AMFS_LAB_DATA: one folder, or several folders with the separator of PATH.

    An entry may be invalid (see `faults`). Blanks and quotes around a name are removed, and `~` and `$NAME` are
    replaced. A shell makes the same changes. A program that reads the variable from a settings file may not make these
    changes.
    """
    value = os.environ.get(VARIABLE, "")
    if os.path.isdir(value):
        return [Path(value)]
    whole = _bare(value)
    parts = [whole] if os.path.isdir(_written_out(whole)) else map(_bare, whole.split(os.pathsep))
    return [_written_out(part) for part in parts if part]


def faults() -> list[str]:
    """One sentence for each entry of $AMFS_LAB_DATA that is not a readable folder."""
    value = os.environ.get(VARIABLE, "")
    places = named()
    if value and not places:
        return [f"{VARIABLE} is {value!r}, which names no folder. Name a folder, or remove the variable."]
    return [
        f"{VARIABLE} {'is' if len(places) == 1 else 'has'} {place}, which {wrong}."
        for place in places
        if (wrong := _wrong(place))
    ]


def downloads() -> Path:
    """The default folder for downloads: `data/` in the checkout, or in the current directory without a checkout."""
    return (PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else Path.cwd()) / "data"


def cache() -> Path:
    """The folder of packed copies: $AMFS_LAB_CACHE, or else the user's cache folder. You can delete the copies."""
    value = os.environ.get("AMFS_LAB_CACHE", "")
    if os.path.isdir(value) or _bare(value):
        return Path(value) if os.path.isdir(value) else _written_out(_bare(value))
    from platformdirs import user_cache_path

    return user_cache_path("amfs-lab", appauthor=False)


def _wrong(place: Path) -> str:
    if os.path.isdir(place):
        return "" if os.access(place, os.R_OK | os.X_OK) else "is not readable. Make it so, or name another folder"
    if os.path.exists(place):
        return "is a file, not a folder. Name the folder that contains it"
    others = [mark for mark in ":;," if mark != os.pathsep and mark in os.path.splitdrive(place)[1]]
    return "does not exist. Name another folder, or make that one" + (
        f" (several are joined by {os.pathsep!r})" if others else ""
    )


def _bare(value: str) -> str:
    return value.strip().strip("'\"").strip()


def _written_out(place: Path | str) -> Path:
    return Path(place) if os.path.isdir(place) else Path(os.path.expandvars(os.path.expanduser(place)))
