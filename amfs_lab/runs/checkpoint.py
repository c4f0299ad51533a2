"""Checkpoints: files from which a run can be resumed. A run keeps its two newest checkpoints."""

import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from amfs_lab import files
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.learner import MetaLearner
from amfs_lab.selection import Selection

CHECKPOINTS = "checkpoint-*.pt"
OLDER = "state-*.safetensors"  # checkpoints of older versions
KEPT = 2  # the newest, and the one before it, in case the newest is damaged


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory: the record of the run, and the states of the learner, the optimizer and the `Selection`.

    The record has the settings, the progress and the data of the run (see `saved.record_of`). `damaged` has one line
    for each newer checkpoint file that could not be read.
    """

    path: Path
    record: dict[str, Any]
    learner: dict[str, Any]
    optimizer: dict[str, Any]
    damaged: tuple[str, ...] = ()
    selection: dict[str, Any] = field(default_factory=dict)

    def restore(
        self,
        learner: MetaLearner,
        optimizer: torch.optim.Optimizer | None = None,
        selection: Selection | None = None,
    ) -> None:
        """Loads the saved states into the given objects. Raises DataError if a state does not fit its object."""
        try:
            learner.load_state_dict(self.learner)
            if selection is not None:
                selection.restore(self.selection)
            if optimizer is not None:
                optimizer.load_state_dict(self.optimizer)
                for param, state in optimizer.state.items():
                    if any(value.shape not in (param.shape, ()) for value in state.values()):
                        raise ValueError("a tensor of the optimizer has another shape than its parameter")
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"The checkpoint {self.path} must have the parameters of this learner and its optimizer. Got others. "
                "Start the training again."
            ) from error


def save(
    folder: Path,
    step: int,
    learner: MetaLearner,
    optimizer: torch.optim.Optimizer,
    record: dict[str, Any],
    selection: Selection | None = None,
) -> Path:
    """Writes a checkpoint, and removes all checkpoints except the two newest.

    The function writes a temporary file and then renames it. So the earlier checkpoints do not change if the process
    is killed during the writing. Raises DataError if the file cannot be written, for example because the disk is full.
    """
    path, packed = folder / CHECKPOINTS.replace("*", f"{step:09d}"), io.BytesIO()
    states = {"learner": learner.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"record": record, "selection": {} if selection is None else selection.state()} | states, packed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as file:
            file.write(packed.getbuffer())
    except OSError as error:
        raise DataError(
            f"A checkpoint must be writable in {folder}. Got: {error}. The earlier checkpoints are intact."
        ) from error
    remove(checkpoints(folder)[KEPT:])
    return path


def load(folder: Path) -> Checkpoint:
    """The newest checkpoint that is not damaged.

    Raises DataError if there is no such checkpoint. Raises ConfigError if an older version of the package wrote all
    checkpoints in `folder`.
    """
    damaged = []
    for path in checkpoints(folder):
        try:
            return Checkpoint(path, **_read(path), damaged=tuple(damaged))
        except Exception as error:  # zipfile, pickle and torch raise many types of error
            damaged.append(f"{path.name} is damaged ({str(error).partition(chr(10))[0][:100]})")
    if not damaged and any(folder.glob(OLDER)):
        raise ConfigError(
            f"A run must be resumed by the version that began it. Got {OLDER} of an older version in {folder}. "
            "Start the training again in another folder."
        )
    found = f"only damaged ones: {'; '.join(damaged)}" if damaged else "none"
    raise DataError(f"Expected a checkpoint in {folder}. Got {found}. Start the training again.")


def _read(path: Path) -> dict[str, Any]:
    packed = io.BytesIO(files.content(path, files.TENSOR_BYTES))
    with files.archive(packed) as opened:  # torch.load does not compare checksums
        if wrong := opened.testzip():
            raise ValueError(f"{wrong} has another checksum")
    packed.seek(0)
    content = torch.load(packed, map_location="cpu", weights_only=True)
    names = ("record", "learner", "optimizer")
    return {name: content[name] for name in names} | {"selection": content.get("selection", {})}


def checkpoints(folder: Path) -> list[Path]:
    """The files of all checkpoints in `folder`, from the newest to the oldest."""
    return sorted(folder.glob(CHECKPOINTS), reverse=True)


def remove(paths: list[Path]) -> None:
    """Removes the files, and ignores errors. For example, a folder with the name of a checkpoint is not removed."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
