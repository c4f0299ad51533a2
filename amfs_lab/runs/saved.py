"""Saved runs: the final learner in `meta_parameters.safetensors` and `run.json`. Loading these files runs no code."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialize
from torch import Tensor

from amfs_lab import files
from amfs_lab.backbones import BATCH_NORMS
from amfs_lab.config import TrainingConfig
from amfs_lab.devices import pick_device
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.learner import MetaLearner
from amfs_lab.plain import wrong_field
from amfs_lab.runs.progress import Progress

TENSORS, RECORD = "meta_parameters.safetensors", "run.json"


def save(folder: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Writes the tensors and the record of a run to `folder`.

    The function writes each file under a temporary name and then renames it, so that no process reads an incomplete
    file. The record is written last, because `load` accepts only a folder with a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packed = serialize(_own_copies(tensors))
    with files.replacing(folder / TENSORS) as file:
        file.write(packed)
    with files.replacing(folder / RECORD, text=True) as file:
        file.write(json.dumps(record | {"sha256": hashlib.sha256(packed).hexdigest()}, indent=2) + "\n")


def check_savable(tensors: dict[str, Any], record: dict[str, Any]) -> None:
    """Raises ConfigError if `save` cannot save one of the tensors or the record."""
    for name, tensor in tensors.items():
        try:
            serialize(_own_copies({name: tensor}))
        except Exception as error:
            raise ConfigError(
                f"The state of a learner must be plain tensors. Got {name}, which cannot be saved ({error}). Leave it "
                "out of the module's state, for example by register_buffer(..., persistent=False)."
            ) from error
    try:
        files.parse_json(json.dumps(record))  # the same check as at reading
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The settings of a run must be plain data. Got others: {error}.") from error


def _own_copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors on the CPU. Each copy has its own memory.

    This is needed because safetensors cannot save two tensors that share memory.
    """
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def load(folder: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record that `save` wrote.

    Raises DataError if there is no run in that folder, or if one of its files is damaged or not readable.
    """
    folder = Path(os.path.expanduser(folder))  # unlike pathlib, this call accepts an unknown `~user`
    try:
        if (folder / RECORD).is_file():
            record = files.read_json(folder / RECORD)
            packed = files.content(folder / TENSORS, files.TENSOR_BYTES)
            if not isinstance(record, dict) or record.get("sha256") != hashlib.sha256(packed).hexdigest():
                raise ValueError(f"{TENSORS} is not the file that was saved with {RECORD}")
            return files.tensors(packed)[0], record
    except PermissionError as error:
        raise DataError(
            f"Expected a readable run in {folder}. Got: {error.strerror}. Change its permissions."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"Expected a complete run in {folder}. Got: {error}. Start the training again.") from error
    raise DataError(f"Expected a run in {folder} ({RECORD} and {TENSORS}). Got none. Make one: `amfs-lab train`.")


def save_learner(folder: Path, learner: MetaLearner, config: TrainingConfig, progress: Progress) -> None:
    """Saves a learner that your own training loop has trained. `load_learner` loads it."""
    save(folder, dict(learner.state_dict()), record_of(config, progress, {}))


def record_of(config: TrainingConfig, progress: Progress | None, provenance: dict[str, Any]) -> dict[str, Any]:
    """The record of a run as plain data: its settings, its last progress, and its provenance (data and learner)."""
    return {"config": config.to_dict(), "progress": None if progress is None else progress.to_dict()} | provenance


def run_data(folder: Path | str) -> dict[str, Any] | None:
    """A description of the training data of a run (see `provenance.of_source`); None if the data are unknown.

    Raises the errors of `load_learner`.
    """
    data = check_record(folder, load(folder)[1]).get("data")
    return data.get("train") if data else None


def load_learner(
    folder: Path | str, device: str = "auto", learner: MetaLearner | None = None
) -> tuple[MetaLearner, TrainingConfig]:
    """The final learner of the run in `folder`, and its configuration.

    Args:
        learner: the untrained learner, if the run trained your own learner. It receives the meta-parameters.
    Raises:
        DataError: `folder` holds no run, or a damaged run. ConfigError: unknown settings, or a missing `learner`.
    """
    learner, config, _ = load_run(folder, device, learner=learner)
    return learner, config


def load_run(
    folder: Path | str,
    device: str = "auto",
    norm: str | None = None,
    learner: MetaLearner | None = None,
    precision: str | None = None,
) -> tuple[MetaLearner, TrainingConfig, Progress]:
    """The final learner of the run in `folder`, its configuration, and its last progress.

    Raises the errors of `load_learner`.

    Args:
        norm: kind of BatchNorm statistics, instead of the kind in training: `"transductive"` or `"support"`. Raises
            ConfigError for a run without BatchNorm.
        precision: number format of the backbone, instead of the format in training. Your own learner keeps its format.
    """
    tensors, record = load(folder)
    check_record(folder, record)
    config = TrainingConfig.from_dict(record["config"])
    if norm is not None:
        if not {norm, config.norm} <= set(BATCH_NORMS):
            both = " and ".join(BATCH_NORMS)
            raise ConfigError(f"`norm` can only replace {both} by each other. Got {norm!r} for {config.norm!r}.")
        config = replace(config, norm=norm)
    if precision is not None:
        config = replace(config, precision=precision)
    if learner is None and (record.get("learner") or {}).get("own"):
        raise ConfigError(
            f"The run in {folder} trained a learner of your own. Pass it in Python as the argument `learner`."
        )
    learner = config.build(tuple(record.get("input_shape") or (1, 28, 28))) if learner is None else learner
    try:
        learner.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(
            f"The tensors in {folder} must fit its settings. Got others. Start another training."
        ) from error
    return learner.to(pick_device(device)), config, Progress.from_dict(record.get("progress"), folder)


@dataclass(frozen=True)
class _Failed:
    """The step that failed, and the index of the failed episode, if a single episode was the cause."""

    step: int
    episode: int | None = None


@dataclass(frozen=True)
class _Sources:
    """Descriptions of the training data and the validation data of a run (see `provenance.of_source`)."""

    train: dict | None = None
    validation: dict | None = None


@dataclass(frozen=True)
class _Record:
    """The fields of a record and their types. The record of an older run may have only some of the fields."""

    config: dict
    failed: _Failed | None = None
    data: _Sources | None = None
    learner: dict | None = None
    input_shape: tuple[int, ...] | None = None


def check_record(folder: Path | str, record: object) -> dict[str, Any]:
    """Checks the record of a run or of a checkpoint, and returns the record.

    Raises DataError for a field of a wrong type, and ConfigError for settings that this version does not have.
    """
    if wrong := wrong_field(_Record, record, exact=False):
        raise DataError(f"Expected the record of a run in {folder}. Got {wrong}. Start the training again.")
    assert isinstance(record, dict)
    TrainingConfig.from_dict(record["config"])
    if record.get("progress") is not None:
        Progress.from_dict(record["progress"], folder)
    return record
