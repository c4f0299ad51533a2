"""Stored results: one folder with configuration, code version, machine, the numbers of every episode and a summary.

result.json    experiment, configuration, seeds, what training really did, code version, machine, hash of the rows
rows.npz       the numbers of each episode, from which everything else can be computed again
summary.json   means and intervals
"""

import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amfs_lab import __version__, files
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.runs.folder import writable

RECORD, ROWS, SUMMARY = "result.json", "rows.npz", "summary.json"
FORMAT = 1
PARTS: dict[str, type] = {
    "experiment": str,
    "config": dict,
    "seeds": list,
    "training": list,
    "code": dict,
    "machine": dict,
}


def code_version() -> dict[str, Any]:
    """The package's version and, in a checkout, the commit and whether files differ from it."""
    code: dict[str, Any] = {"amfs_lab": __version__, "commit": None}
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return code

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace").strip()

    try:
        return code | {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "amfs_lab"))}
    except (OSError, subprocess.CalledProcessError):
        return code


def machine() -> dict[str, Any]:
    """The hardware and software that times depend on, without the name of the machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # what else ran, at the start
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Result:
    """One experiment's outcome; `save` writes it, `load` reads and checks it.

    Args:
        experiment: its name, as in `amfs-lab reproduce NAME`. config: all its settings, plain data.
        training: one record a run: method, seed, meta-steps, seconds, last loss.
        rows: arrays with one entry an episode (and a seed, and a number of steps).
        summary: computed from `rows` alone. code, machine: see `code_version` and `machine`.
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
        """Writes a temporary folder and renames it, so that an incomplete result is never seen.

        Raises:
            ConfigError: the folder exists; a result is never overwritten.
        """
        folder = Path(folder)
        check_free(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = files.unguessable(folder)
        try:
            partial.mkdir()  # new, and with the mode that the user's folders have
            np.savez_compressed(partial / ROWS, allow_pickle=False, **self.rows)
            record = {"format": FORMAT} | {name: getattr(self, name) for name in PARTS}
            digest = hashlib.sha256((partial / ROWS).read_bytes()).hexdigest()
            _write(partial / RECORD, record | {"sha256": digest})
            _write(partial / SUMMARY, self.summary)
            os.rename(partial, folder)
        except OSError as error:
            check_free(folder)  # another run was faster
            raise ConfigError(
                f"A result needs a folder that can be written. Got {folder}: {error.strerror}."
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path | str, experiment: str | None = None) -> "Result":
        """The result in that folder.

        Args:
            experiment: the name it must have, if given.
        Raises:
            DataError: none there, one of another experiment or version, or files that don't belong together.
        """
        folder = Path(folder)
        if not (folder / RECORD).is_file():
            raise DataError(f"Expected a result in {folder} ({RECORD}). Got none. Make one: `amfs-lab reproduce`.")
        try:
            record = _read(folder / RECORD)
            if record.get("format") != FORMAT:
                raise ValueError(f"format {record.get('format')!r}, not {FORMAT}")
            for name, kind in PARTS.items():
                if not isinstance(record.get(name), kind):
                    raise ValueError(f"no `{name}` of type {kind.__name__} in {RECORD}")
            packed = files.content(folder / ROWS, files.ARRAY_BYTES)
            if record.get("sha256") != hashlib.sha256(packed).hexdigest():
                raise ValueError(f"{ROWS} is not the file that was saved with {RECORD}")
            rows, summary = files.arrays(packed), _read(folder / SUMMARY)
        except (OSError, ValueError) as error:
            raise DataError(f"Expected a whole result in {folder}. Got: {error}. Reproduce it.") from error
        if experiment is not None and record["experiment"] != experiment:
            raise DataError(f"Expected a result of {experiment} in {folder}. Got one of {record['experiment']}.")
        return cls(rows=rows, summary=summary, **{name: record[name] for name in PARTS})


@contextlib.contextmanager
def whole(folder: Path | str) -> Iterator[None]:
    """A context for checks of a result: a missing part or a disagreement becomes a DataError."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        got = f"nothing named {error}" if isinstance(error, KeyError) else error
        raise DataError(f"Expected a whole result in {folder}. Got: {got}. Reproduce it.") from error


def check_free(folder: Path | str) -> None:
    """Raises ConfigError if there is something at that place already, or if no folder can be made there."""
    folder = Path(folder)
    with writable(folder, "result"):
        if folder.exists():
            raise ConfigError(f"{folder} exists, and a result is never overwritten. Name another folder.")


def stored(name: str) -> Path:
    """The folder of a result of the package, in the wheel or in the checkout. Raises DataError."""
    package = Path(__file__).resolve().parents[1]
    folders = [place / "data" / "results" / name for place in (package, package.parent)]
    for folder in folders:
        if (folder / RECORD).is_file():
            return folder
    raise DataError(f"Expected a stored result {name!r} in {' or '.join(map(str, folders))}. Reinstall the package.")


def plain(interval: Any) -> dict[str, Any]:
    """The numbers of a dataclass (an Interval, say) as plain data, floats rounded, without its strings."""
    numbers = {name: v for name, v in asdict(interval).items() if not isinstance(v, str)}
    return {name: round(v, 6) if isinstance(v, float) else v for name, v in numbers.items()}


def alike(a: Any, b: Any) -> bool:
    """True for equal plain data, with a tolerance for floats that covers the rounding of `plain`."""
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
        raise ValueError(f"{path.name} holds a {type(content).__name__}")
    return content
