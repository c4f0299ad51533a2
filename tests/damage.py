"""Damaged records of runs: each has one field of another type, and the commands must refuse it with an error.

    python -m tests.damage record|checkpoint RUN SUPPORT FOLDER

prints the failures as JSON: a traceback, an exit status other than 0 or 2, or a message of another library. It runs in
a process of its own, because the type checks of the tests would raise before the library does.
"""

import contextlib
import functools
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from amfs_lab import cli, training
from amfs_lab.runs import checkpoint, saved

OTHERS: list[Any] = [None, True, "text", [], [1, "a"], 3, -1.5, 2**62, {"name": "text"}]
SAME = ["--width", "2", "--tasks", "1", "--steps", "3", "--validate-every", "0", "--ways", "2", "--queries", "1"]


def places(record: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value in a record, including values in nested parts."""
    for key, value in record.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


def replaced(record: dict[str, Any], path: tuple, value: Any) -> dict[str, Any]:
    """A copy of the record in which the value at `path` is replaced."""
    copy = json.loads(json.dumps(record))
    part = copy
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return copy


def without(record: dict[str, Any], path: tuple) -> dict[str, Any]:
    copy = json.loads(json.dumps(record))
    part = copy
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return copy


def variants(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, path in enumerate(places(record)):
        name = ".".join(path)
        yield f"{name} left out", without(record, path)
        for value in OTHERS[number % 3 :: 3]:  # a third for each field, because all would take a minute
            yield f"{name} = {value!r}", replaced(record, path, value)


class WentOn(Exception):
    """Raised when a run begins to train, which means that it accepted the record."""


went_on: list[str] = []


def complaint(*arguments: object) -> str | None:
    """The fault of a command, as text. None if the command works, or if it prints one sentence and ends with 2."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stderr(out), contextlib.redirect_stdout(io.StringIO()):
            code = cli.main([*map(str, arguments)])
    except SystemExit as error:
        code = error.code
    except WentOn:
        went_on.append(str(arguments[0]))
        return None
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:150]}"
    told = out.getvalue()
    if code == 0:
        return None
    sentences = [line for line in told.splitlines() if line]
    if code != 2 or not sentences or not all(line.startswith("amfs-lab: ") for line in sentences):
        return f"exit {code}: {told[:150]!r}"
    return None


def commands(folder: Path, support: Path) -> dict[str, list[object]]:
    return {
        "evaluate": ["evaluate", folder, "--episodes", 2, "--device", "cpu"],
        "predict": [
            *("predict", folder, "--support", support, support / "a" / "1.png"),
            *("--episodes", 0, "--device", "cpu"),
        ],
        "replay": ["replay", folder, "--episode", 0, "--device", "cpu"],
        "resume": [
            *("train", *SAME, "--out", folder, "--resume"),
            *("--device", "cpu", "--episodes", 2, "--precision", "float32"),
        ],
    }


def faults_of_records(run: Path, support: Path, place: Path) -> Iterator[str]:
    """The faults of `evaluate` and `predict` with damaged records."""
    folder = shutil.copytree(run, place / "run")
    record = json.loads((folder / saved.RECORD).read_text(encoding="utf-8"))
    for name, damaged in variants(record):
        (folder / saved.RECORD).write_text(json.dumps(damaged), encoding="utf-8")
        for verb in ("evaluate", "predict"):
            if fault := complaint(*commands(folder, support)[verb]):
                yield f"{verb}: {name}: {fault}"


def faults_of_checkpoints(run: Path, support: Path, place: Path) -> Iterator[str]:
    """The faults of `replay` and `train --resume` with damaged checkpoints."""
    found = checkpoint.load(run)
    complaint(*commands(shutil.copytree(run, place / "whole"), support)["resume"])
    if went_on != ["train"]:
        yield "resume: the whole record was refused"
    for number, (name, damaged) in enumerate(variants(found.record)):
        folder = place / str(number)
        shutil.copytree(run, folder)
        torch.save(
            {"record": damaged, "learner": found.learner, "optimizer": found.optimizer}, folder / found.path.name
        )
        for verb in ("replay", "resume"):
            if fault := complaint(*commands(folder, support)[verb]):
                yield f"{verb}: {name}: {fault}"


def main(kind: str, *places: str) -> None:
    def train_on(*arguments: Any) -> Any:
        raise WentOn

    training.meta_gradient = train_on  # type: ignore[assignment]  # training would take long
    cli.parser = functools.cache(cli.parser)  # building the parser takes long
    find = faults_of_records if kind == "record" else faults_of_checkpoints
    print(json.dumps(list(find(*map(Path, places)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
