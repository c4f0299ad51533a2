"""A result is one complete folder. It is needs a new folder, and it is refused if its parts do not belong together."""

import json
import os
import re

import numpy as np
import pytest

from amfs_lab import __version__
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import Result
from amfs_lab.experiments.result import RECORD, ROWS, SUMMARY, code_version, machine, stored


@pytest.fixture
def made():
    rows = {"right maml": np.arange(6, dtype=np.int16).reshape(1, 3, 2)}
    training = [{"method": "maml", "seed": 0, "step": 4, "seconds": 1.5}]
    return Result("figure2", {"episodes": 3}, [0], training, rows, {"mean": 0.25})


def test_it_is_loaded_as_it_was_saved(made, tmp_path):
    made.save(tmp_path / "deep" / "one")
    back = Result.load(tmp_path / "deep" / "one", "figure2")
    assert np.array_equal(back.rows["right maml"], made.rows["right maml"])
    for name in ("experiment", "config", "seeds", "training", "summary", "code", "machine"):
        assert getattr(back, name) == getattr(made, name)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["one"]
    assert sorted(path.name for path in (tmp_path / "deep" / "one").iterdir()) == sorted([RECORD, ROWS, SUMMARY])


def test_it_records_code_and_hardware_without_the_name_of_the_machine(made):
    assert made.code["amfs_lab"] == __version__
    assert code_version()["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", code_version()["commit"])
    assert {"cpu", "cores", "threads", "torch", "python", "system", "load"} == set(machine())
    if hasattr(os, "uname"):
        assert os.uname().nodename not in json.dumps(machine())


def test_it_is_never_overwritten(made, tmp_path):
    (tmp_path / "empty").mkdir()
    made.save(tmp_path / "one")
    before = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    for name in ("one", "empty"):
        with pytest.raises(ConfigError, match=rf"needs a new folder. Got .*{name}, which exists. Name another"):
            made.save(tmp_path / name)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}


def test_a_failed_save_leaves_nothing(made, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ConfigError, match=r"needs a folder that can be written. Got .*one: No space left on device"):
        made.save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_another_run_has_saved_meanwhile_is_kept(made, tmp_path, monkeypatch):
    rename = os.rename

    def late(source, target):
        target.mkdir()
        (target / "other").write_text("first")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(ConfigError, match="needs a new folder"):
        made.save(tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["other"]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def changed(record, **changes):
    content = json.loads(record.read_text())
    record.write_text(json.dumps({k: v for k, v in (content | changes).items() if v is not None}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / RECORD).unlink(), r"Expected a result in .* \(result.json\). Got none. `amfs-lab reproduce`"),
        (lambda f: (f / SUMMARY).unlink(), r"Expected a complete result in .*summary.json"),
        (lambda f: (f / SUMMARY).write_text("[]"), r"summary.json must hold a JSON object. Got a list"),
        (lambda f: (f / RECORD).write_text("{"), r"Expected a complete result in"),
        (lambda f: changed(f / RECORD, format=99), r"the format must be 1. Got 99"),
        (lambda f: changed(f / RECORD, seeds="0"), r"must have `seeds` of type list"),
        (lambda f: changed(f / RECORD, machine=None), r"must have `machine` of type dict"),
        (lambda f: (f / ROWS).write_bytes((f / ROWS).read_bytes()[:-9]), r"rows.npz must be the file that was saved"),
        (lambda f: changed(f / RECORD, experiment="table9"), r"must have a result of `figure2`. Got .* `table9`"),
    ],
)
def test_damage_is_named(made, tmp_path, damage, words):
    made.save(tmp_path / "one")
    damage(tmp_path / "one")
    with pytest.raises(DataError, match=words):
        Result.load(tmp_path / "one", "figure2")


def test_a_summary_is_plain_numbers(made, tmp_path):
    bad = Result("figure2", {}, [0], [], made.rows, {"mean": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        bad.save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_stored_result_that_is_missing_is_named():
    with pytest.raises(DataError, match=r"Expected a stored result 'figure9'.*Reinstall the package"):
        stored("figure9")
