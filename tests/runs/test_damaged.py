"""A damaged run gets a sentence of ours and exit 2, whatever is wrong with its record, and no traceback."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from amfs_lab import cli
from amfs_lab.config import preset
from amfs_lab.errors import DataError
from amfs_lab.runs import saved
from amfs_lab.runs.folder import HOLDER, LOCK, held
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.training import MetaTrainer
from tests.damage import commands

ROOT = Path(__file__).resolve().parents[2]
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
    "deep": b'{"config": ' + b"[" * 900 + b"]" * 900 + b"}",
    "NaN": b'{"config": {"meta_lr": NaN}}',
    "infinity": b'{"config": {"meta_lr": 1e999}}',
    "a field twice": b'{"config": {}, "config": {"method": "x"}}',
    "half of a character": b'{"config": {"method": "\\ud800"}}',
}


def of_settings(record: dict, **settings: Any) -> dict:
    return record | {"config": record["config"] | settings}


HUGE = {
    "a billion ways": lambda r: of_settings(r, episode={"ways": 10**9, "shots": 1, "queries": 1}),
    "a billion queries": lambda r: of_settings(r, episode={"ways": 2, "shots": 1, "queries": 10**9}),
    "a width of 100,000": lambda r: of_settings(r, width=10**5),
    "a billion tasks": lambda r: of_settings(r, tasks=10**9),
    "2^62 steps": lambda r: of_settings(r, steps=2**62),
    "a billion inner steps": lambda r: of_settings(r, inner={"name": "maml", "steps": 10**9}),
    "2^70 seconds": lambda r: r | {"progress": r["progress"] | {"seconds": 2**70}},
    "a name that commands the terminal": lambda r: of_settings(r, method="\x1b]0;title\x07\x1b[2J"),
    "a name of two lines": lambda r: of_settings(r, method="i-amfs\namfs-lab: all is well"),
    "a source that commands the terminal": lambda r: of_settings(r, source="\x1b[31m"),
    "own data that command the terminal": lambda r: r | {"data": {"train": {"own": True, "name": "\x1b[2J\nfine"}}},
}


@pytest.mark.parametrize("damage", RAW)
@pytest.mark.parametrize("verb", ["evaluate", "predict", "replay", "resume"])
def test_a_record_that_is_no_record(ended, support, tmp_path, capsys, damage, verb):
    folder = shutil.copytree(ended, tmp_path / "run")
    (folder / saved.RECORD).write_bytes(RAW[damage])
    arguments = [*map(str, commands(folder, support)[verb])]
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("amfs-lab: ")
    assert told.count("\n") == 1
    assert len(told) < 600


@pytest.mark.parametrize("kind", HUGE)
def test_a_record_that_asks_for_too_much_or_commands_the_terminal(ended, support, tmp_path, capsys, monkeypatch, kind):
    """Refused in one line, before anything is built."""
    folder = shutil.copytree(ended, tmp_path / "run")
    record = json.loads((folder / saved.RECORD).read_text(encoding="utf-8"))
    (folder / saved.RECORD).write_text(json.dumps(HUGE[kind](record)), encoding="utf-8")
    if "own data" not in kind:
        monkeypatch.setattr("amfs_lab.config.TrainingConfig.build", None)
    assert cli.main([*map(str, commands(folder, support)["evaluate"])]) == 2
    told = capsys.readouterr().err
    assert told.startswith("amfs-lab: ")
    assert told.count("\n") == 1
    assert told.rstrip("\n").isprintable()
    assert len(told) < 600


def blocked(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


PLACES = {
    "a pipe for the record": lambda f: blocked(f, saved.RECORD),
    "a pipe for the tensors": lambda f: blocked(f, saved.TENSORS),
    "a pipe for a checkpoint": lambda f: os.mkfifo(f / "checkpoint-000000009.pt"),
    "a link to itself for the record": lambda f: ((f / saved.RECORD).unlink(), loop(f / saved.RECORD)),
    "a link to itself for the tensors": lambda f: ((f / saved.TENSORS).unlink(), loop(f / saved.TENSORS)),
    "a link to itself for the folder": lambda f: (shutil.rmtree(f), loop(f)),
    "a folder for the tensors": lambda f: ((f / saved.TENSORS).unlink(), (f / saved.TENSORS).mkdir()),
    "a record of a terabyte": lambda f: os.truncate(f / saved.RECORD, 2**40),
    "tensors of a terabyte": lambda f: os.truncate(f / saved.TENSORS, 2**40),
}


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")
@pytest.mark.parametrize("kind", PLACES)
def test_a_run_whose_files_are_none(ended, support, tmp_path, capsys, kind):
    """No command waits for what never comes, or reads without end."""
    folder = shutil.copytree(ended, tmp_path / "run")
    PLACES[kind](folder)
    for verb in ("evaluate", "predict", "replay", "resume"):
        code = cli.main([*map(str, commands(folder, support)[verb])])
        told = capsys.readouterr().err
        whole = kind == "a pipe for a checkpoint" and verb in ("evaluate", "predict")
        assert code == (0 if whole else 2), told
        assert whole or (told.startswith("amfs-lab: ") and told.count("\n") == 1)


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
def test_links_in_a_run_lead_nothing_that_is_written_elsewhere(stopped, tmp_path):
    folder, precious = shutil.copytree(stopped, tmp_path / "run"), tmp_path / "precious"
    precious.write_text("mine")
    for name in (LOCK, HOLDER, saved.TENSORS, saved.RECORD):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(precious)
    for name in ("run.json.partial", "meta_parameters.safetensors.partial", "checkpoint-000000003.partial"):
        (folder / name).symlink_to(precious)
    config = preset("i-amfs", episode=SHAPE, validate_every=0, **SETTINGS)
    list(MetaTrainer(config, folder, device="cpu", resume=True, save_every=1).run())
    assert precious.read_text() == "mine"
    assert load_learner(folder, "cpu")[1] == config


def test_what_a_killed_process_left_half_written_is_removed(stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    (folder / ".0123456789abcdef.part").write_bytes(b"half")
    with held(folder):
        assert not list(folder.glob("*.part"))
        assert not list(folder.glob(".*.part"))


@pytest.mark.parametrize("kind", ["record", "checkpoint"])
def test_any_field_of_another_kind(ended, stopped, support, tmp_path, kind):
    """Refused in a sentence, or of no consequence: by `evaluate`, `predict`, `replay` and `train --resume`."""
    run = {"record": ended, "checkpoint": stopped}[kind]
    command = [sys.executable, "-m", "tests.damage", kind, str(run), str(support), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    faults = json.loads(done.stdout)
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults)


def test_a_run_whose_tensors_are_damaged(ended, support, tmp_path, capsys):
    whole = (ended / saved.TENSORS).read_bytes()
    for number, content in enumerate((b"", whole[:100], b"\xff" * 100, whole[:-1], whole + b"\0")):
        folder = shutil.copytree(ended, tmp_path / str(number))
        (folder / saved.TENSORS).write_bytes(content)
        for arguments in (commands(folder, support)[verb] for verb in ("evaluate", "predict")):
            assert cli.main([*map(str, arguments)]) == 2
            assert "Expected a complete run" in capsys.readouterr().err


def test_a_home_that_nobody_has_is_a_folder_without_a_run():
    with pytest.raises(DataError, match="Expected a run in ~nobody-here/run"):
        load_learner("~nobody-here/run", "cpu")
