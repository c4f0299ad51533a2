"""Joins pools of trained learners from several machines into one pool."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amfs_lab import files
from amfs_lab.errors import ConfigError
from amfs_lab.experiments.pool import ANSWERS, DATA, PRICES, Pool, read_dictionary
from amfs_lab.runs import saved

ADVICE = {
    DATA: "Use the same data on all machines.",
    PRICES: f"Copy {PRICES} of the first machine into the pools of the other machines before they start.",
}


def merge(folders: Sequence[Path], into: Path) -> int:
    """Copies the runs of the pools in `folders` into the pool `into`. Returns the number of runs with new files.

    If the pools do not belong together, nothing is copied.

    Raises:
        ConfigError: a folder is not a pool, or the pools have other data, other prices of meta-steps, or runs of other
            versions of the code.
    """
    pools = [*folders, *([into] if into.is_dir() else [])]
    for folder in folders:
        if not (folder / DATA).is_file():
            raise ConfigError(
                f"A pool of learners has a file {DATA}. Got {folder}, which has none. Name `.../trained`."
            )
    for name, advice in ADVICE.items():
        known: dict[str, tuple[Any, Path]] = {}
        for folder in pools:
            for key, value in _read(folder / name).items():
                first, place = known.setdefault(key, (value, folder))
                if first != value:
                    raise ConfigError(f"The pools {place} and {folder} must have the same {key} in {name}. {advice}")
    trained = [run for folder in pools for run in _runs(folder) if (run / saved.RECORD).is_file()]
    versions = {_version(run): run for run in trained}
    if len(versions) > 1:
        one, other, *_ = versions.values()
        raise ConfigError(
            f"All runs must be made by one version of the code. Got {one} of {_version(one)}, and {other} of "
            f"{_version(other)}."
        )
    target, count = Pool(into), 0
    for name in ADVICE:
        with target.stored(name) as found:
            for folder in folders:
                found |= _read(folder / name)
    for run in (run for folder in folders for run in _runs(folder)):
        new = [path for path in sorted(run.iterdir()) if not (into / run.name / path.name).exists()]
        (into / run.name).mkdir(exist_ok=True)
        for path in new:
            with files.replacing(into / run.name / path.name) as file, path.open("rb") as content:
                shutil.copyfileobj(content, file)
        count += bool(new)
    return count


def _runs(folder: Path) -> list[Path]:
    """The folders of those runs of a pool that have at least one complete evaluation."""
    return sorted({path.parent for path in folder.glob(f"*/{ANSWERS}")})


def _version(run: Path) -> str:
    """The version of the code that made a run: the commit, or the version of the package."""
    code = _read(run / saved.RECORD).get("code") or {}
    return str(code.get("commit") or code.get("amfs_lab"))


def _read(path: Path) -> dict[str, Any]:
    return read_dictionary(path, "Leave this pool out.")
