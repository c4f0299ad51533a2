"""Stored results. Each result is one folder with three files:

result.json    experiment, configuration, seeds, records of the training runs, code version, machine, hash of the rows
rows.npz       the measurements of each episode, from which the summary can be computed again
summary.json   means and intervals
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from amfs_lab import files
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.provenance import code_version, machine
from amfs_lab.runs.folder import writable

RECORD, ROWS, SUMMARY = "result.json", "rows.npz", "summary.json"
FORMAT = 1
MAKE_AGAIN = "Make it again: `amfs-lab reproduce`."
PARTS: dict[str, type] = {
    "experiment": str,
    "config": dict,
    "seeds": list,
    "training": list,
    "code": dict,
    "machine": dict,
}


@dataclass(frozen=True)
class Result:
    """The result of one experiment. `save` writes it; `load` reads and checks it.

    Args:
        experiment: name of the experiment, as in `amfs-lab reproduce NAME`. config: all settings, as plain data.
        training: one record for each training run: method, seed, meta-steps, seconds, last loss.
        rows: arrays with one entry for each episode (some also for each seed and number of inner steps).
        summary: computed from `rows` and `config`. code, machine: see `code_version` and `machine`.
    """

    experiment: str
    config: dict[str, Any]
    seeds: list[int]
    training: list[dict[str, Any]]
    rows: Mapping[str, np.ndarray]
    summary: dict[str, Any]
    code: dict[str, Any] = field(default_factory=code_version)
    machine: dict[str, Any] = field(default_factory=machine)

    def save(self, folder: Path | str) -> None:
        """Writes a temporary folder and renames it, so that `folder` never has an incomplete result.

        Raises:
            ConfigError: the folder exists. A result is never overwritten.
        """
        folder = Path(folder)
        check_free(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = files.unguessable(folder)
        try:
            partial.mkdir()  # with the usual mode of the user's folders
            np.savez_compressed(partial / ROWS, allow_pickle=False, **self.rows)
            record = {"format": FORMAT} | {name: getattr(self, name) for name in PARTS}
            digest = hashlib.sha256((partial / ROWS).read_bytes()).hexdigest()
            _write(partial / RECORD, record | {"sha256": digest})
            _write(partial / SUMMARY, self.summary)
            os.rename(partial, folder)
        except OSError as error:
            check_free(folder)  # another run may have made it
            raise ConfigError(
                f"A result needs a folder that can be written. Got {folder}: {error.strerror}. Name another one."
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path | str, experiment: str | None = None) -> "Result":
        """Loads the result in `folder`.

        Args:
            experiment: the expected name of the experiment; None: any.
        Raises:
            DataError: no result, a result of another experiment or version, or files that do not belong together.
        """
        folder = Path(folder)
        if not (folder / RECORD).is_file():
            raise DataError(f"Expected a result in {folder} ({RECORD}). Got none. `amfs-lab reproduce` makes a result.")
        try:
            record = _read(folder / RECORD)
            if record.get("format") != FORMAT:
                raise ValueError(f"the format must be {FORMAT}. Got {record.get('format')!r}")
            for name, kind in PARTS.items():
                if not isinstance(record.get(name), kind):
                    raise ValueError(f"{RECORD} must have `{name}` of type {kind.__name__}. Got none")
            packed = files.content(folder / ROWS, files.ARRAY_BYTES)
            if record.get("sha256") != hashlib.sha256(packed).hexdigest():
                raise ValueError(f"{ROWS} must be the file that was saved with {RECORD}. Got another file")
            rows, summary = files.arrays(packed), _read(folder / SUMMARY)
        except (OSError, ValueError) as error:
            raise DataError(f"Expected a complete result in {folder}. Problem: {error}. {MAKE_AGAIN}") from error
        if experiment is not None and record["experiment"] != experiment:
            raise DataError(
                f"{folder} must have a result of `{experiment}`. Got a result of `{record['experiment']}`. Name "
                "another folder."
            )
        return cls(rows=rows, summary=summary, **{name: record[name] for name in PARTS})


@contextlib.contextmanager
def whole(folder: Path | str) -> Iterator[None]:
    """A context for checks of a result. A KeyError, TypeError or ValueError in the block becomes a DataError."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        problem = f"there is no entry {error}" if isinstance(error, KeyError) else error
        raise DataError(f"Expected a complete result in {folder}. Problem: {problem}. {MAKE_AGAIN}") from error


def check_free(folder: Path | str) -> None:
    """Raises ConfigError if `folder` exists, or if it cannot be created."""
    folder = Path(folder)
    with writable(folder, "result"):
        if folder.exists():
            raise ConfigError(f"A result needs a new folder. Got {folder}, which exists. Name another folder.")


def stored(name: str) -> Path:
    """The folder of a result that is part of the installed package or of the repository.

    Raises:
        DataError: no such result.
    """
    package = Path(__file__).resolve().parents[1]
    folders = [place / "data" / "results" / name for place in (package, package.parent)]
    for folder in folders:
        if (folder / RECORD).is_file():
            return folder
    raise DataError(f"Expected a stored result {name!r} in {' or '.join(map(str, folders))}. Reinstall the package.")


def plain(interval: Any) -> dict[str, Any]:
    """The numbers of a dataclass, such as an Interval, as plain data with rounded floats. Strings are left out."""
    numbers = {name: v for name, v in asdict(interval).items() if not isinstance(v, str)}
    return {name: round(v, 6) if isinstance(v, float) else v for name, v in numbers.items()}


def alike(a: Any, b: Any) -> bool:
    """True if two pieces of plain data are equal. The tolerance for floats covers the rounding in `plain`."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    return math.isclose(a, b, abs_tol=2e-6) if isinstance(a, float) else a == b


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} must hold a JSON object. Got a {type(content).__name__}")
    return content
