"""A damaged run gets a sentence of ours and exit 2, whatever is wrong with its record, and no traceback."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from amfs_lab import checkpoint, cli
from amfs_lab.config import preset
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.training import MetaTrainer
from tests.damage import commands

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"width": 2, "tasks": 1, "steps": 3}
VALIDATED = {"validate_every": 1, "validation_episodes": 2}
SHAPE = EpisodeConfig(2, 1, 1)


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    """A run that has ended."""
    folder = tmp_path_factory.mktemp("runs") / "ended"
    list(MetaTrainer(preset("i-amfs", episode=SHAPE, **SETTINGS, **VALIDATED), folder, device="cpu").run())
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """A run that was stopped after its first step, and can be resumed."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with contextlib.closing(
        MetaTrainer(preset("i-amfs", episode=SHAPE, validate_every=0, **SETTINGS), folder, device="cpu").run()
    ) as run:
        next(run)
    return folder


@pytest.fixture(scope="module")
def support(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("support")
    for label in "ab":
        (folder / label).mkdir()
        Image.new("L", (28, 28)).save(folder / label / "1.png")
    return folder


RAW = {
    "empty": b"",
    "cut short": b'{"config": {"method": "i-am',
    "binary": bytes(range(256)),
    "UTF-16": '{"config": {}}'.encode("utf-16"),
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "a string": b'"run"',
    "an empty object": b"{}",
    "too deep": b"[" * 100_000,
    "a huge number": b"1" * 10_000,
}


@pytest.mark.parametrize("damage", RAW)
@pytest.mark.parametrize("verb", ["evaluate", "predict", "replay", "resume"])
def test_a_record_that_is_no_record(ended, support, tmp_path, capsys, damage, verb):
    folder = shutil.copytree(ended, tmp_path / "run")
    (folder / checkpoint.RECORD).write_bytes(RAW[damage])
    arguments = [*map(str, commands(folder, support)[verb])]
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("amfs-lab: ")
    assert told.count("\n") == 1
    assert len(told) < 600


@pytest.mark.parametrize("kind", ["record", "state"])
def test_any_field_of_another_kind(ended, stopped, support, tmp_path, kind):
    """Refused in a sentence, or of no consequence: by `evaluate`, `predict`, `replay` and `train --resume`."""
    run = {"record": ended, "state": stopped}[kind]
    command = [sys.executable, "-m", "tests.damage", kind, str(run), str(support), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    faults = json.loads(done.stdout)
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults)


def test_a_run_whose_tensors_are_damaged(ended, support, tmp_path, capsys):
    whole = (ended / checkpoint.TENSORS).read_bytes()
    for number, content in enumerate((b"", whole[:100], b"\xff" * 100, whole[:-1], whole + b"\0")):
        folder = shutil.copytree(ended, tmp_path / str(number))
        (folder / checkpoint.TENSORS).write_bytes(content)
        for arguments in (commands(folder, support)[verb] for verb in ("evaluate", "predict")):
            assert cli.main([*map(str, arguments)]) == 2
            assert "Expected a complete run" in capsys.readouterr().err
