"""Several processes make the same training run as one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from amfs_lab.distributed import joined
from amfs_lab.errors import ConfigError

CPU = torch.device("cpu")
WORKER = Path(__file__).with_name("worker.py")


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """The environment that torchrun gives to a process."""
    own = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=size, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    return os.environ | {name: str(value) for name, value in own.items()} | {"GLOO_SOCKET_IFNAME": "lo"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def group(size: int, case: str, folder: Path) -> list[tuple[int, str]]:
    """Runs a case in `size` processes. Returns the exit status and the errors of each process."""
    port, command = free_port(), [sys.executable, str(WORKER), case, str(folder)]
    started = [
        subprocess.Popen(command, env=environment(rank, size, port), stderr=subprocess.PIPE, text=True)
        for rank in range(size)
    ]
    try:
        said = [each.communicate(timeout=120)[1] for each in started]
    finally:
        for each in started:
            each.kill()
    return [(each.returncode, text) for each, text in zip(started, said, strict=True)]


def answers(size: int, case: str, folder: Path) -> list[dict]:
    ended = group(size, case, folder)
    assert [code for code, _ in ended] == [0] * size, ended
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]


@pytest.mark.parametrize("size", [2, 3])
def test_the_direction_of_all_methods_and_rules_is_that_of_one_process(size, tmp_path):
    """Five tasks, so the shares are uneven."""
    for found in answers(size, "equality", tmp_path):
        assert len(found) > 100
        assert {name: error for name, error in found.items() if not error <= 1e-6} == {}


def test_a_run_with_buffers_dropout_validation_and_a_trajectory_is_that_of_one_process(tmp_path):
    for found in answers(3, "training", tmp_path):
        alone, shared = found["alone"], found["shared"]
        assert min(alone["loss"]) > 1e-3
        for name in ("loss", "accuracy", "validation", "cosine", "running mean"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-6, abs=1e-9), name
        for one, other in zip(shared["weights"], alone["weights"], strict=True):
            assert one == pytest.approx(other, abs=1e-7)
        assert shared["counter"] == alone["counter"] > 0


def test_all_ranks_start_with_the_parameters_of_rank_0(tmp_path):
    one, other = answers(2, "other_weights", tmp_path)
    assert one == other


def test_an_evaluation_has_the_episodes_of_one_process(tmp_path):
    for found in answers(2, "evaluation", tmp_path):
        assert found["shared"] == found["alone"]
        assert len(found["shared"]["accuracy"]) == 11


def test_a_run_of_two_processes_is_continued_by_one_and_by_three(tmp_path):
    (whole := tmp_path / "whole").mkdir()
    expected = answers(1, "run", whole)[0]["loss"]
    for size in (1, 3):
        (folder := tmp_path / str(size)).mkdir()
        (folder / "stop").touch()
        first = answers(2, "run", folder)
        assert [each["done"] for each in first] == [0, 0]
        for found in answers(size, "run", folder):
            assert found["done"] == 3
            assert first[0]["loss"] + found["loss"] == pytest.approx(expected, rel=1e-2)
        assert (folder / "run" / "run.json").exists()


def test_the_benchmark_measures_a_group_and_says_what_it_assumes(tmp_path):
    for found in answers(2, "measured_and_modelled", tmp_path):
        assert "| ranks | measured, ms | model, ms | MB sent by a rank |" in found["report"]
        assert "Model for more ranks" in found["report"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("other_settings", r"must have the same settings. Rank 1 differs from rank 0: seed (0 there, 1 here)"),
        ("too_few_tasks", "Each process needs a task. Got 2 processes and 1 tasks in a meta-step."),
        ("other_folder", "Rank 1: All processes of a run must see its folder."),
        ("no_data", "Expected"),
        ("other_data", "must have the same data. Rank 1 differs from rank 0"),
        ("not_finite", "Losses and gradients must be finite. Got NaN or infinity."),
    ],
)
def test_all_processes_end_with_one_sentence(case, words, tmp_path, monkeypatch):
    if case == "no_data":
        monkeypatch.setenv("AMFS_LAB_DATA", str(tmp_path / "nothing"))
        monkeypatch.setenv("HOME", str(tmp_path))
    ended = group(2, case, tmp_path)
    assert [code for code, _ in ended] == [2, 2], ended
    for _, said in ended:
        assert words in said
        assert ", all: " in said


@pytest.mark.parametrize("seconds", [0.0, -3.0, float("nan"), 1e12])
def test_a_timeout_is_a_positive_number(seconds):
    with pytest.raises(ConfigError, match=r"The timeout must be > 0 and < 1e\+09 seconds. Got "), joined(CPU, seconds):
        pass
