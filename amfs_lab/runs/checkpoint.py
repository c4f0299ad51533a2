"""A run on disk: the learner it ended with, and on the way states that it can go on from.

Tensors are safetensors, everything else is JSON; nothing in it can run code.
"""

import contextlib
import gc
import hashlib
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import Timeout
from safetensors import SafetensorError
from safetensors.torch import save as serialize
from torch import Tensor

from amfs_lab import files
from amfs_lab.errors import ConfigError, DataError

TENSORS, RECORD = "meta_parameters.safetensors", "run.json"
STATES = "state-*.safetensors"
LOCK, HOLDER = ".run.lock", ".run.holder"
KEPT = 2  # states: the newest, and the one before, should that be damaged


def place(folder: Path | str) -> Path:
    """A folder as it was named; `~` at its start is the user's own, which not every shell replaces."""
    return Path(os.path.expanduser(folder))


def save(folder: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Writes both files beside their places and moves them there, so that a reader never sees half of one.

    `record` is written last: a folder without it holds no run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed = serialize(_own_copies(tensors))
    with files.replacing(folder / TENSORS) as file:
        file.write(packed)
    with files.replacing(folder / RECORD, text=True) as file:
        file.write(json.dumps(record | {"sha256": hashlib.sha256(packed).hexdigest()}, indent=2) + "\n")


def check_savable(tensors: dict[str, Any], record: dict[str, Any]) -> None:
    """Raises ConfigError if `save` would refuse one of them, naming the first: before a training rather than after."""
    for name, tensor in tensors.items():
        try:
            serialize(_own_copies({name: tensor}))
        except Exception as error:
            raise ConfigError(
                f"What a run saves must be plain tensors. Got {name}, which cannot be saved ({error}). Leave it out of "
                "the module's state, for example by register_buffer(..., persistent=False)."
            ) from error
    try:
        files.parse_json(json.dumps(record))  # as it is read again
    except (TypeError, ValueError) as error:
        raise ConfigError(f"What a run saves of its settings must be plain data. Got others: {error}.") from error


def _own_copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, each in memory of its own: layers that share a weight would share it, which the format refuses."""
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record that `save` wrote.

    Raises:
        DataError: no run in that folder, or a file of it that is damaged or may not be read.
    """
    try:
        if (folder / RECORD).is_file():
            record = files.read_json(folder / RECORD)
            packed = files.content(folder / TENSORS, files.TENSOR_BYTES)
            if not isinstance(record, dict) or record.get("sha256") != hashlib.sha256(packed).hexdigest():
                raise ValueError(f"{TENSORS} is not the file that was saved with {RECORD}")
            return files.tensors(packed)[0], record
    except PermissionError as error:
        raise DataError(f"Expected a run in {folder} that may be read. Got: {error.strerror}.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"Expected a complete run in {folder}. Got: {error}. Train it again.") from error
    raise DataError(f"Expected a run in {folder} ({RECORD} and {TENSORS}). Got none. Make one: `amfs-lab train`.")


@dataclass(frozen=True)
class State:
    """What `save_state` wrote, and of each newer state that could not be read why not."""

    path: Path
    tensors: dict[str, Tensor]
    record: dict[str, Any]
    damaged: tuple[str, ...] = ()


def save_state(folder: Path, step: int, tensors: dict[str, Tensor], record: dict[str, Any]) -> Path:
    """Writes one file beside its place and moves it there, then removes all but the newest states.

    A process that is killed meanwhile leaves the states before as they were.

    Raises:
        DataError: it cannot be written, for want of space for example.
    """
    path = folder / STATES.replace("*", f"{step:09d}")
    whole = _own_copies(tensors)
    words = json.dumps(record)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as file:
            file.write(serialize(whole, {"record": words, "sha256": _digest(whole, words)}))
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"The state of a run must be written to {folder}. Got: {error}. The states before it are whole."
        ) from error
    _remove(_states(folder)[KEPT:])
    return path


def load_state(folder: Path) -> State:
    """The newest state that is whole.

    Raises:
        DataError: there is none.
    """
    damaged = []
    for path in _states(folder):
        try:
            tensors, meta = files.tensors(files.content(path, files.TENSOR_BYTES))
            words = meta.get("record", "")
            if meta.get("sha256") != _digest(tensors, words):
                raise ValueError("it is not what was written")
            return State(path, tensors, files.parse_json(words), tuple(damaged))
        except (OSError, ValueError) as error:
            damaged.append(f"{path.name} is damaged ({error})")
    found = f"nothing whole: {'; '.join(damaged)}" if damaged else "none"
    raise DataError(f"Expected a state that a run can go on from in {folder}. Got {found}. Train it again.")


def clear_states(folder: Path) -> None:
    """Removes them: a run that has ended needs none."""
    _remove(_states(folder))


def _remove(states: list[Path]) -> None:
    """Removes what can be removed: a folder with the name of a state stays."""
    for path in states:
        with contextlib.suppress(OSError):
            path.unlink()


def _states(folder: Path) -> list[Path]:
    """All states, the newest first."""
    return sorted(folder.glob(STATES), reverse=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a run's folder for one process: the lock ends with the block, or with the process, however it ends.

    Raises:
        ConfigError: another one holds it, with what is known of that one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = files.lock(folder / LOCK), folder / HOLDER
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = ""
        with contextlib.suppress(OSError, ValueError):
            who = files.content(holder, 1000).decode("utf-8", "replace").strip()
        advice = "Wait until that one has ended, stop it, or name another folder."
        if who.startswith(f"process {os.getpid()} on {platform.node()},"):
            who += ", which is this one"
            advice = "A run here was left in the middle: close what `run()` returned, or restart the kernel."
        raise ConfigError(
            f"One run at a time may write to {folder}. It is held{f' by {who}' if who else ''}. {advice}"
        ) from None
    except (OSError, NotImplementedError) as error:  # some network drives know no locks
        warnings.warn(f"{folder} cannot be locked ({error}): see to it that no other run writes there.", stacklevel=3)
    try:
        with contextlib.suppress(OSError):
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            for left in folder.glob(files.LEFT):  # by a process that was killed while it wrote
                left.unlink()
            with files.replacing(holder, text=True) as file:
                file.write(f"process {os.getpid()} on {platform.node()}, since {now}\n")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
            if not holds_run(folder):  # nothing was saved: the folder is as it was before
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
        lock.release()


def end_abandoned(folder: Path) -> None:
    """Ends a run that was interrupted in this process, and that nobody holds any more: it then saves what it learned.

    Python does that when it collects the run, which may be long after the interrupt.
    """
    with contextlib.suppress(OSError):  # a name that cannot be is told by whoever needs the folder
        if (folder / HOLDER).exists():
            gc.collect()


def newest_state(folder: Path) -> Path | None:
    """The file of the newest state, whole or damaged."""
    return next(iter(_states(folder)), None)


def holds_run(folder: Path) -> bool:
    """Whether that folder holds a run, whole or damaged."""
    return (folder / RECORD).exists() or (folder / TENSORS).exists() or holds_state(folder)


def holds_state(folder: Path) -> bool:
    """Whether a run was left there that can go on."""
    return bool(_states(folder))


def check_free(folder: Path) -> None:
    """Raises ConfigError unless a run can be saved in that folder, without overwriting one. Leaves nothing behind."""
    with writable(folder, "run"):
        taken = holds_run(folder)
    if taken:
        way = ", or go on with it (resume=True, on the command line --resume)" if holds_state(folder) else ""
        raise ConfigError(f"{folder} already holds a run, which is never overwritten. Name another folder{way}.")


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


def _digest(tensors: dict[str, Tensor], words: str) -> str:
    digest = hashlib.sha256(words.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
