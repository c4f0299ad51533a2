"""A trained learner on disk: tensors as safetensors, everything else as JSON; nothing in it can run code."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError

TENSORS, RECORD = "meta_parameters.safetensors", "run.json"


def save(folder: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Writes both files beside their places and moves them there, so that a reader never sees half of one.

    `record` is written last: a folder without it holds no run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (TENSORS + ".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)
    os.replace(partial, folder / TENSORS)
    partial = folder / (RECORD + ".partial")
    record = record | {"sha256": _sha256(folder / TENSORS)}
    partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / RECORD)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record that `save` wrote.

    Raises:
        DataError: no run in that folder, or a file of it that is damaged or may not be read.
    """
    try:
        if (folder / RECORD).is_file():
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            if not isinstance(record, dict) or record.get("sha256") != _sha256(folder / TENSORS):
                raise ValueError(f"{TENSORS} is not the file that was saved with {RECORD}")
            return load_file(folder / TENSORS), record
    except PermissionError as error:
        raise DataError(f"Expected a run in {folder} that may be read. Got: {error.strerror}.") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(f"Expected a complete run in {folder}. Got: {error}. Train it again.") from error
    raise DataError(f"Expected a run in {folder} ({RECORD} and {TENSORS}). Got none. Make one: `amfs-lab train`.")


def holds_run(folder: Path) -> bool:
    """Whether that folder holds a run, whole or damaged."""
    return (folder / RECORD).exists() or (folder / TENSORS).exists()


def check_free(folder: Path) -> None:
    """Raises ConfigError unless a run can be saved in that folder, without overwriting one. Leaves nothing behind."""
    with writable(folder, "run"):
        taken = holds_run(folder)
    if taken:
        raise ConfigError(f"{folder} already holds a run, which is never overwritten. Name another folder.")


@contextlib.contextmanager
def writable(folder: Path, what: str) -> Iterator[None]:
    """Raises ConfigError if the block fails to look at `folder`, or if no file can then be made in it.

    Whatever it makes to find that out is gone afterwards.
    """
    try:
        yield
        made = [place for place in (folder, *folder.absolute().parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for place in made:
            place.rmdir()
    except OSError as error:
        raise ConfigError(
            f"A {what} needs a folder that can be written. Got {folder} ({error.strerror}). Name another one."
        ) from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
