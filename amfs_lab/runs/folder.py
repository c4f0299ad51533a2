"""The folder of a run: its lock, its checkpoints, and the final learner."""

import contextlib
import gc
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from amfs_lab import files
from amfs_lab.arguments import check_count
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.learner import MetaLearner
from amfs_lab.plain import differences
from amfs_lab.provenance import check_provenance, check_same
from amfs_lab.runs import checkpoint, saved
from amfs_lab.runs.interrupts import uninterrupted
from amfs_lab.runs.progress import Progress
from amfs_lab.runs.saved import RECORD, TENSORS
from amfs_lab.selection import Selection

LOCK, HOLDER = ".run.lock", ".run.holder"


class RunFolder:
    """The folder of a run: checkpoints and the final learner. Without a path, nothing is written.

    Args:
        save_every: number of meta-steps between checkpoints.
        resume: True reads the newest checkpoint, if the folder holds a run.
        writes: True in the process of rank 0. All other processes only read the folder.
    Raises:
        ConfigError: the folder already holds a run that is not resumed; the run cannot be resumed with `config`; or the
            folder cannot be written.
        DataError: the run has no checkpoint that can be read.
    """

    def __init__(
        self,
        path: Path | str | None,
        config: TrainingConfig,
        save_every: int = 100,
        resume: bool = False,
        writes: bool = True,
    ) -> None:
        check_count("`save_every`", save_every, 1, 2**63)
        self.path, self.config, self.save_every = None if path is None else place(path), config, save_every
        self.writes = writes
        self.checkpoint: checkpoint.Checkpoint | None = None
        self.progress: Progress | None = None
        self.provenance: dict[str, Any] = {}
        self._newest: list[Path] = []  # the newest checkpoint's file, damaged or not
        if self.path is not None:
            with contextlib.suppress(OSError):  # the first function that uses an impossible name reports it
                if (self.path / HOLDER).exists():
                    gc.collect()  # an abandoned run of this process then saves and unlocks
        if resume:
            self._read_checkpoint()
        if self.path is not None and self.checkpoint is None and writes:
            check_free(self.path)
        self._saved_step = self.step

    @property
    def step(self) -> int:
        """The number of completed meta-steps; 0 for a new run."""
        return 0 if self.progress is None else self.progress.step

    def _read_checkpoint(self) -> None:
        if self.path is None:
            raise ConfigError("`resume` needs the folder of the run. Got none. Give `folder`.")
        if not holds_run(self.path):
            return
        if self.config.outer.stateful:
            raise ConfigError(f"{self.config.outer} keeps a state that no checkpoint holds. Start another run.")
        if not holds_checkpoint(self.path):
            raise ConfigError(f"The run in {self.path} is complete. Evaluate it, or start another run.")
        self._newest = checkpoint.checkpoints(self.path)[:1]
        found = checkpoint.load(self.path)
        saved.check_record(found.path, found.record)
        settings = type(self.config).from_dict(found.record["config"])  # an older version lacks some fields
        if differ := differences(settings.to_dict(), self.config.to_dict()):
            raise ConfigError(f"The run in {self.path} has other settings: {', '.join(differ)}. Use its settings.")
        if found.record.get("progress") is not None:
            self.progress = Progress.from_dict(found.record["progress"], found.path)
            validates = self.config.validate_every and self.progress.validation is None
            last = self.config.steps if validates else self.config.steps - 1  # a run may stop in its last validation
            if not 1 <= self.progress.step <= last or self.progress.seconds < 0:
                raise DataError(
                    f"Expected a checkpoint within {self.config.steps} steps in {found.path}. Got step "
                    f"{self.progress.step} after {self.progress.seconds:g} seconds. Start the training again."
                )
        self.checkpoint = found

    def describe(self, provenance: dict[str, Any]) -> None:
        """Stores `provenance`, a description of the data and the learner of the run.

        Raises ConfigError if the checkpoint was made with other data or another learner.
        """
        self.provenance = provenance
        if self.checkpoint is not None:
            check_provenance(self.path, self.checkpoint.record, provenance)

    def check_data_of_settings(self) -> None:
        """Raises ConfigError if the checkpoint comes from a training on your own data.

        Call it before you open the data set of the configuration, because that data set may be missing.
        """
        if self.checkpoint is not None:
            trained_on = (self.checkpoint.record.get("data") or {}).get("train")
            check_same(self.path, "data", trained_on, {"own": False})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """A context that locks the folder for this run.

        Raises ConfigError if another run has locked the folder, or has written to it since this object was made.
        """
        if self.path is None or not self.writes:
            yield
            return
        with held(self.path):
            if self.checkpoint is None:
                check_free(self.path)
            elif checkpoint.checkpoints(self.path)[:1] != self._newest:
                raise ConfigError(
                    f"Another process has continued the run in {self.path} after this trainer was made. Make a new "
                    "trainer, with resume=True."
                )
            yield

    def check_visible(self) -> None:
        """Raises ConfigError if this process does not see the folder of the run. Rank 0 made and locked this folder."""
        if self.path is not None and not self.path.is_dir():
            raise ConfigError(
                f"All processes of a run must see its folder. Got {self.path}, which this process does not see. Name a "
                "folder on a disk that all machines share."
            )

    def check_savable(self, learner: MetaLearner) -> None:
        """Raises ConfigError if the learner cannot be saved. Call it before the training."""
        if self.path is not None:
            saved.check_savable(dict(learner.state_dict()), self._record(self.progress))

    def save_checkpoint(
        self,
        learner: MetaLearner,
        optimizer: torch.optim.Optimizer,
        progress: Progress | None,
        failed: dict[str, int] | None = None,
        selection: Selection | None = None,
    ) -> None:
        """Writes a checkpoint. An error gives only a warning, so that the training can continue."""
        if self.path is None or not self.writes:
            return
        step = 0 if progress is None else progress.step
        try:
            with uninterrupted():
                record = self._record(progress) | {"failed": failed}
                checkpoint.save(self.path, step, learner, optimizer, record, selection)
                self._saved_step = step
        except Exception as error:
            warnings.warn(f"{error} Training goes on, without a checkpoint of step {step}.", stacklevel=2)

    def finish(
        self,
        learner: MetaLearner,
        optimizer: torch.optim.Optimizer,
        progress: Progress | None,
        complete: bool,
        selection: Selection,
    ) -> Path | None:
        """Saves the learner with the selected meta-parameters.

        If the run is complete, its checkpoints are removed. If not, a checkpoint of the last step is written.

        Returns:
            the folder that holds the learner: this folder, or a temporary folder if this folder could not be written;
            None if no learner was saved.
        """
        if progress is None:
            return None
        if self.path is None or not self.writes:
            selection.settle()
            return self.path
        with uninterrupted():
            if not complete and self._saved_step != progress.step:
                self.save_checkpoint(learner, optimizer, progress, selection=selection)
            selection.settle()
            saved_in = self._save_learner(learner, progress)
            if complete and saved_in == self.path:
                checkpoint.remove(checkpoint.checkpoints(self.path))
            return saved_in

    def _save_learner(self, learner: MetaLearner, progress: Progress) -> Path | None:
        assert self.path is not None
        tensors, record = dict(learner.state_dict()), self._record(progress)
        try:
            saved.save(self.path, tensors, record)
            return self.path
        except Exception as error:
            why = f"The learner could not be saved in {self.path}: {error}."
        try:
            other = Path(tempfile.mkdtemp(prefix="amfs-lab-run-"))
            saved.save(other, tensors, record)
        except Exception as error:
            failed = f"A temporary folder failed, too: {error}."
            warnings.warn(f"{why} {failed} The learner is only in memory, as `trainer.learner`.", stacklevel=2)
            return None
        warnings.warn(f"{why} The learner is in {other} instead. Move that folder to its final place.", stacklevel=2)
        return other

    def _record(self, progress: Progress | None) -> dict[str, Any]:
        return saved.record_of(self.config, progress, self.provenance)

    def replay_hint(self) -> str:
        """A text with the command or the Python call that replays a failed step; empty if the run has no folder."""
        if self.path is None:
            return ""
        own = {"train": self.provenance["data"]["train"]["own"], "learner": self.provenance["learner"]["own"]}
        given = ", ".join(f"{name}=..." for name in own if own[name])
        if not given:
            return f" Inspect it: amfs-lab replay {self.path}"
        return f" Inspect it: replay.replay({str(self.path)!r}, {given}); give it the same objects as this trainer"


def place(folder: Path | str) -> Path:
    """The folder as a path, with `~` expanded."""
    return Path(os.path.expanduser(folder))


def holds_run(folder: Path) -> bool:
    """True if the folder holds a run. An incomplete or damaged run counts too."""
    return (folder / RECORD).exists() or (folder / TENSORS).exists() or holds_checkpoint(folder)


def holds_checkpoint(folder: Path) -> bool:
    """True if the folder holds a checkpoint, also one of an older version. A complete run has no checkpoint."""
    return any(folder.glob(checkpoint.CHECKPOINTS)) or any(folder.glob(checkpoint.OLDER))


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """A context that locks the folder of a run, until the block or the process ends.

    Raises ConfigError if another run has locked the folder. The message names the process of that run, if it is known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / LOCK), folder / HOLDER  # FileLock opens no link
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = ""
        with contextlib.suppress(OSError, ValueError):
            who = files.content(holder, 1000).decode("utf-8", "replace").strip()
        advice = "Wait until that run has ended, stop it, or name another folder."
        if who.startswith(f"process {os.getpid()} on {platform.node()},"):
            who += ", which is this one"
            advice = "A run here was not closed. Close the iterator that `run()` returned, or restart the kernel."
        raise ConfigError(
            f"Only one run at a time may write to {folder}. Another run writes to it{who and f': {who}'}. {advice}"
        ) from None
    except (OSError, NotImplementedError) as error:  # some network drives have no locks
        warnings.warn(f"{folder} cannot be locked ({error}). Make sure that no other run writes there.", stacklevel=3)
    try:
        with contextlib.suppress(OSError):
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            for left in folder.glob(files.LEFT):  # from a process that was killed while it wrote
                left.unlink()
            with files.replacing(holder, text=True) as file:
                file.write(f"process {os.getpid()} on {platform.node()}, since {now}\n")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
            if not holds_run(folder):  # nothing was saved, so the folder is restored
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
        lock.release()


def check_free(folder: Path) -> None:
    """Raises ConfigError if the folder already holds a run, or if no file can be written to it."""
    with writable(folder, "run"):
        taken = holds_run(folder)
    if taken:
        resumable = any(folder.glob(checkpoint.CHECKPOINTS))
        way = ", or resume it (resume=True, on the command line --resume)" if resumable else ""
        raise ConfigError(f"{folder} already holds a run. A run is never overwritten. Name another folder{way}.")


@contextlib.contextmanager
def writable(folder: Path, what: str) -> Iterator[None]:
    """A context that raises ConfigError if the block cannot read `folder`, or if no file can be written to `folder`.

    The check writes a temporary file and removes it. The argument `what` is the word for the content of the folder in
    the error message, such as "run".
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
            f"A {what} needs a folder that can be written. Got {folder} ({error.strerror}). Name another folder."
        ) from error
