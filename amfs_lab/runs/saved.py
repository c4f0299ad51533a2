"""The trained learner of a run: saved to a folder, and loaded from it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from amfs_lab.backbones import BATCH_NORMS
from amfs_lab.config import TrainingConfig
from amfs_lab.devices import pick_device
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.learner import MetaLearner
from amfs_lab.plain import shown, wrong_field
from amfs_lab.provenance import check_same
from amfs_lab.runs import checkpoint
from amfs_lab.runs.progress import Progress
from amfs_lab.stats import Interval
from amfs_lab.trajectory import TrajectoryPoint


def save_learner(
    folder: Path,
    learner: MetaLearner,
    config: TrainingConfig,
    progress: Progress,
    provenance: dict[str, Any] | None = None,
) -> None:
    """Writes meta-parameters, configuration and the last progress; `load_learner` reads them.

    Args:
        provenance: data and learner, as `MetaTrainer.provenance` tells them.
    """
    checkpoint.save(folder, dict(learner.state_dict()), record_of(config, progress, provenance or {}))


def record_of(config: TrainingConfig, progress: Progress | None, provenance: dict[str, Any]) -> dict[str, Any]:
    return {"config": config.to_dict(), "progress": None if progress is None else progress.to_dict()} | provenance


def check_provenance(folder: Path | str | None, recorded: dict[str, Any], present: dict[str, Any]) -> None:
    """Raises ConfigError unless a run may go on with this data and this learner."""
    data = recorded.get("data") or {}
    for half in ("train", "validation"):
        if half in present.get("data", {}):
            check_same(str(folder), "data", data.get(half), present["data"][half])
    if "learner" in present:
        check_same(str(folder), "learner", recorded.get("learner"), present["learner"])


def run_data(folder: Path | str) -> dict[str, Any] | None:
    """What a run was trained on (see `provenance.of_source`); None in older runs. Raises what `load_learner` raises."""
    data = check_record(folder, checkpoint.load(checkpoint.place(folder))[1]).get("data")
    return data.get("train") if data else None


def load_learner(
    folder: Path | str, device: str = "auto", learner: MetaLearner | None = None
) -> tuple[MetaLearner, TrainingConfig]:
    """The learner that a run left in `folder`, with the configuration it was trained under.

    Args:
        learner: one of your own that was trained there; it takes the meta-parameters.
    Raises:
        DataError: no run there, or a damaged one. ConfigError: a configuration that this version does not know, or a
            learner of your own that is not given.
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
    """`load_learner`, and the run's last progress; raises the same.

    Args:
        norm: `"transductive"` or `"support"`, whose statistics BatchNorm shall take in place of those it was trained
            with: how much does it owe to the other queries? ConfigError for a run without BatchNorm.
        precision: of Conv-4, in place of the one in training, at which this machine may be slow. A learner of your own
            keeps its own.
    """
    tensors, record = checkpoint.load(checkpoint.place(folder))
    check_record(folder, record)
    config = TrainingConfig.from_dict(record["config"])
    if norm is not None:
        if not {norm, config.norm} <= set(BATCH_NORMS):
            both = " and ".join(BATCH_NORMS)
            raise ConfigError(f"Only {both} norm can stand for each other. Got {norm!r} for a run with {config.norm}.")
        config = replace(config, norm=norm)
    if precision is not None:
        config = replace(config, precision=precision)
    trained = record.get("learner")
    own = trained.get("own", False) if isinstance(trained, dict) else record.get("own", False)  # in older runs
    if own and learner is None:
        raise ConfigError(
            f"The run in {folder} trained a learner of your own. Make it and give it, in Python: `learner=`."
        )
    learner = config.build() if learner is None else learner
    try:
        learner.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(
            f"Expected the tensors in {folder} to fit the settings beside them. Got others. Train it again."
        ) from error
    return learner.to(pick_device(device)), config, progress_of(folder, record)


@dataclass(frozen=True)
class _Failed:
    """The step that failed, and where one task is to blame, its episode."""

    step: int
    episode: int | None = None


@dataclass(frozen=True)
class _Sources:
    """Which data a run was trained and validated on, see `provenance.of_source`."""

    train: dict | None = None
    validation: dict | None = None


@dataclass(frozen=True)
class _Record:
    """The fields of a record that are read, for a check of their types; older runs lack some."""

    config: dict
    failed: _Failed | None = None
    data: _Sources | None = None
    learner: dict | None = None
    own: bool = False


def check_record(folder: Path | str, record: object) -> dict[str, Any]:
    """The record of a run or of a state, if its fields are of their types.

    Raises:
        DataError: one that is not. ConfigError: settings that this version does not know.
    """
    if wrong := wrong_field(_Record, record, exact=False):
        raise DataError(f"Expected the record of a run in {folder}. Got {wrong}. Train it again.")
    assert isinstance(record, dict)
    TrainingConfig.from_dict(record["config"])
    if record.get("progress") is not None:
        progress_of(folder, record)
    return record


def progress_of(folder: Path | str, record: dict[str, Any]) -> Progress:
    fields = record.get("progress")
    if isinstance(fields, dict) and "accuracy" in fields and fields["accuracy"] is None:  # of real labels
        fields = cast(dict[str, Any], fields | {"accuracy": math.nan})
    wrong = wrong_field(Progress, fields) if isinstance(fields, dict) else shown(fields)
    try:
        if wrong is None and isinstance(fields, dict):
            validation, told = fields.get("validation"), fields.get("followed")  # which older runs lack
            parts = {
                "validation": None if validation is None else Interval(**validation),
                "followed": None if told is None else TrajectoryPoint.from_dict(told),
            }
            return Progress(**fields | parts)
    except (TypeError, ValueError, RuntimeError):
        wrong = shown(fields)
    raise DataError(f"Expected the progress of a run in {folder}. Got {wrong}. Train it again.")
