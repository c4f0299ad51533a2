"""Progress reporting: a bar or lines on the screen, a file with one line of JSON for each step, and TensorBoard."""

import contextlib
import json
import math
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from amfs_lab import files
from amfs_lab.cli.options import bar_of
from amfs_lab.errors import ConfigError
from amfs_lab.runs.progress import Progress


class Watcher(contextlib.AbstractContextManager["Watcher"]):
    """An object that gets the progress of every step. The end of the `with` block closes the object."""

    def show(self, progress: Progress) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        self.close()


class Screen(Watcher):
    """Progress on the screen. On a terminal it is a progress bar. Otherwise, lines are printed at regular intervals.

    After a validation, a line is printed in both cases.

    Args:
        steps: number of steps of the run. every: number of steps between two lines.
        begun: number of steps already done.
        data: the name of the validation data.
    """

    def __init__(self, steps: int, every: int, begun: int = 0, data: str = "") -> None:
        self.every, self.data = every, data
        self.bar = bar_of("step", steps)
        self.bar.update(begun)

    def close(self) -> None:
        self.bar.close()

    def show(self, progress: Progress) -> None:
        self.bar.update(progress.step - self.bar.n)
        self.bar.set_postfix_str(f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.1%}")
        validated = progress.validation is not None
        if validated or (self.bar.disable and progress.step % self.every == 0):
            tqdm.write(line(progress, self.data), file=sys.stdout)
            sys.stdout.flush()


def line(progress: Progress, data: str = "") -> str:
    """The line `step   100    21.3 s  4.69/s  01:45 left  loss 0.512  accuracy 80.1%`.

    After a validation, the line ends with the validation accuracy.
    """
    told = f"step {progress.step:5d}  {progress.seconds:6.1f} s  {progress.step / progress.seconds:.2f}/s"
    if progress.left is not None:
        told += f"  {tqdm.format_interval(progress.left)} left"
    told += f"  loss {progress.loss:.3f}  accuracy {progress.accuracy:.1%}"
    if progress.validation is None:
        return told
    return f"{told}  {data or 'validation'} {progress.validation.percent()}"


class StepLog(Watcher):
    """A log file with one JSON object for each step.

    The fields are method, step, seconds, left, loss, accuracy, validation and trajectory. A resumed run continues its
    log. The run computes all steps after step number `done` again. So the old lines of these steps are removed first.

    Raises:
        ConfigError: the file cannot be written, or it is not a log.
    """

    def __init__(self, path: Path, done: int = 0) -> None:
        try:
            kept = [each for each in _lines(path) if each["step"] <= done]  # raises if it is not a log
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file: IO[str] = path.open("w", encoding="utf-8")
            for each in kept:
                self._write(each)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"`--log` needs a new file or an older log. Got {path}: {error}. Name another."
            ) from error

    def close(self) -> None:
        self.file.close()

    def show(self, progress: Progress) -> None:
        self._write(progress.to_dict())

    def _write(self, values: dict[str, Any]) -> None:
        """Writes one line of JSON. NaN becomes null; the accuracy of a task with real labels is NaN."""
        plain = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
        self.file.write(json.dumps(plain, allow_nan=False) + "\n")
        self.file.flush()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a log. An incomplete last line is left out."""
    if not path.is_file():
        return
    for each in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if each.endswith("\n"):
            try:
                step = files.parse_json(each)
            except ValueError as error:
                raise ValueError("it has a line that is not JSON and would be lost") from error
            yield step


class Board(Watcher):
    """TensorBoard events in a folder: loss, accuracy and validation accuracy.

    Raises:
        ConfigError: tensorboard is not installed, or the folder is a file.
    """

    def __init__(self, folder: Path, done: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "`--tensorboard` needs the extra `tensorboard`. Install it: pip install 'amfs-lab[tensorboard]'."
            ) from error
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"`--tensorboard` must name a folder. Got {folder}, which is a file. Name another.")
        self.writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def close(self) -> None:
        self.writer.close()

    def show(self, progress: Progress) -> None:
        self.writer.add_scalar("train/loss", progress.loss, progress.step)
        self.writer.add_scalar("train/accuracy", progress.accuracy, progress.step)
        if progress.validation is not None:
            self.writer.add_scalar("validation/accuracy", progress.validation.mean, progress.step)


@contextlib.contextmanager
def all_of(*watchers: Watcher | None) -> Iterator[list[Watcher]]:
    """A context with the list of all watchers that are not None. The end of the context closes the watchers."""
    opened: list[Watcher] = [watcher for watcher in watchers if watcher is not None]
    try:
        yield list(opened)
    finally:
        for watcher in opened:
            with contextlib.suppress(Exception):  # `show` has already reported a failed write
                watcher.close()


def show(watchers: list[Watcher], progress: Progress) -> None:
    """Sends the progress of a step to all watchers.

    If a watcher fails, for example because the disk is full, it is removed, and training continues.
    """
    for watcher in list(watchers):
        try:
            watcher.show(progress)
        except Exception as error:
            watchers.remove(watcher)
            warnings.warn(f"{type(watcher).__name__} stops at step {progress.step}: {error}", stacklevel=2)
