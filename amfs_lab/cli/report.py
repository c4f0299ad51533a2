"""Outputs of `amfs-lab evaluate`: a JSON object, a file with one row for each query, and a confusion matrix."""

import contextlib
import csv
import dataclasses
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from amfs_lab import files
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import Evaluation
from amfs_lab.prediction.confusion import Confusion, QueryResult, readable
from amfs_lab.stats import FEW, Interval
from amfs_lab.tasks import SOURCES

ROWS = (".csv", ".jsonl")
PICTURES = (".pdf", ".png", ".svg")
SHOWN = 20  # largest number of pairs of classes in a table
FIELDS = ("episode", "query", "true", "predicted", "correct", "probability")


def check_ending(path: Path, endings: tuple[str, ...], option: str) -> None:
    """Raises ConfigError unless the file is new, can be written, and has one of these endings.

    The check leaves no file there.
    """
    if path.suffix.lower() not in endings:
        raise ConfigError(f"`{option}` needs a file name that ends in {' or '.join(endings)}. Got {path}.")
    check_new(path, option)
    with _writable(path, option), tempfile.TemporaryFile(dir=path.parent):
        pass


def check_new(path: Path, option: str) -> None:
    """Raises ConfigError if the file exists and is not empty."""
    if path.is_file() and path.stat().st_size:
        raise ConfigError(
            f"`{option}` needs a new file. Got {path}, which exists and is not overwritten. Name another file."
        )


@contextlib.contextmanager
def _writable(path: Path, option: str) -> Iterator[None]:
    """A context that raises ConfigError if no file can be made at `path`, or if the block fails to write."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                raise IsADirectoryError(21, "Is a directory")
        yield
    except OSError as error:
        raise ConfigError(
            f"`{option}` needs a file that can be written. Got {path}: {error.strerror}. Name another file."
        ) from error


def write_rows(path: Path, results: Iterable[QueryResult], option: str = "--per-query") -> int:
    """Writes one row for each query and returns the number of rows.

    The format is CSV for a file name that ends in .csv. Otherwise, each row is a line of JSON.
    """
    with _writable(path, option), files.replacing(path, text=True) as file:
        return _csv(file, results) if path.suffix.lower() == ".csv" else _lines(file, results)


def save_text(path: Path, text: str, option: str) -> None:
    """Writes a text file with a line break at its end. Raises ConfigError if the file cannot be written."""
    with _writable(path, option), files.replacing(path, text=True) as file:
        file.write(text + "\n")


def _csv(file: IO[str], results: Iterable[QueryResult]) -> int:
    table, count = csv.writer(file, lineterminator="\n"), 0
    table.writerow(FIELDS)
    for each in results:
        count += 1
        table.writerow(
            [each.episode, each.query, each.true, each.predicted, int(each.correct), f"{each.probability:.6g}"]
        )
    return count


def _lines(file: IO[str], results: Iterable[QueryResult]) -> int:
    count = 0
    for each in results:
        count += 1
        file.write(json.dumps(each.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")
    return count


def _interval(interval: Interval) -> dict[str, Any]:
    """An interval as plain data. `low` and `high` are None if there are too few values."""
    ends = {name: None if interval.half_width is None else getattr(interval, name) for name in ("low", "high")}
    return {"mean": interval.mean, **ends, "level": interval.level, "n": interval.n, "of": interval.of}


def evaluation_record(result: Evaluation, confusion: Confusion | None = None) -> dict[str, Any]:
    """An evaluation as plain data: data, episode shape, accuracy with its interval, and each episode's accuracy."""
    record = {
        "data": result.data,
        "episode": None if result.config is None else dataclasses.asdict(result.config),
        "episodes": {"first": result.first, "number": len(result.per_episode)},
        "accuracy": _interval(result.accuracy),
        "over_groups": None if result.over_groups is None else _interval(result.over_groups),
        "by_group": result.by_group,
        "per_episode": result.per_episode.tolist(),
        "remark": result.remark or None,
    }
    if confusion is None:
        return record
    return record | {"confusion": [pair.to_dict() for pair in confusion.mistakes]}


def groups_line(result: Evaluation) -> str:
    """A line of text with the accuracy over groups of classes, for example alphabets, and its interval.

    The line is empty if the names of the classes are not known. It is also empty if the training data may contain these
    groups, because the groups then do not represent unseen groups.
    """
    source, _, split = result.data.rpartition("/")
    over, known = result.over_groups, SOURCES.get(source)
    if over is None or split == "train" or (known and not known.groups):
        return ""
    groups = known.groups if known and over.of == "groups of classes" else over.of
    return f"for other {groups}: {over.percent()}{', which are few' if over.n < FEW else ''}"


def confusion_table(confusion: Confusion) -> Iterator[str]:
    """Lines of text with the most frequent mistakes.

    If there are many classes, the lines also have the mistakes by script or alphabet.
    """
    mistakes = confusion.mistakes
    if not mistakes:
        yield "No query was classified as another class."
        return
    shown = mistakes[:SHOWN]
    width = max(len(name) for pair in shown for name in (pair.true, pair.predicted, "taken for"))
    yield f"most frequent mistakes, {len(shown)} of {len(mistakes)} pairs of classes:"
    yield f"  {'true':<{width}}  {'taken for':<{width}}  {'times':>5}  {'of':>5}  {'share':>7}"
    for pair in shown:
        yield (
            f"  {pair.true:<{width}}  {pair.predicted:<{width}}  {pair.times:>5}  {pair.offered:>5}  "
            f"{100 * pair.share:>5.1f} %"
        )
    yield "  (`of`: queries of the true class in episodes that also have the other class)"
    matrix = readable(confusion)
    if not matrix.grouped:
        return
    groups = confusion.grouped()
    width = max(map(len, groups.classes))
    yield f"mistakes by group of the {len(confusion.classes)} classes:"
    yield f"  {'':<{width}}  {'right':>7}  {'within':>7}  {'to others':>9}"
    for name in groups.classes:
        asked = sum(n for (a, b), n in confusion.offered.items() if a == b and a.startswith(f"{name}/"))
        within = groups.times[name, name]
        others = sum(n for (a, b), n in groups.times.items() if a == name != b)
        right = 100 * (asked - within - others) / asked
        yield f"  {name:<{width}}  {right:>5.1f} %  {100 * within / asked:>5.1f} %  {100 * others / asked:>7.1f} %"


def draw_confusion(path: Path, confusion: Confusion, option: str = "--confusion") -> None:
    """Writes the confusion matrix as a picture. Raises ConfigError without matplotlib."""
    plots = plotting(option)
    matrix = readable(confusion)
    save_figure(path, plots.confusion_matrix(matrix.names, matrix.shares, matrix.title, matrix.grouped), option)


def save_figure(path: Path, figure: Any, option: str) -> None:
    """Writes a matplotlib figure in the format of the file's ending. Raises ConfigError if it cannot be written."""
    with _writable(path, option), files.replacing(path) as file:
        figure.savefig(file, format=path.suffix.lower().removeprefix("."), dpi=150)


def plotting(option: str):
    """The module `amfs_lab.plots`. Raises ConfigError if matplotlib is not installed."""
    try:
        from amfs_lab import plots
    except ImportError as error:
        raise ConfigError(f"`{option} FILE` needs the extra `lab`. Install it: pip install 'amfs-lab[lab]'.") from error
    return plots
