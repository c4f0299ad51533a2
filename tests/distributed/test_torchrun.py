"""The command under PyTorch's launcher: output, Ctrl-C, a killed process, and a restart."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from amfs_lab.runs import checkpoint
from amfs_lab.runs.folder import holds_checkpoint
from amfs_lab.runs.saved import load_run

LONG = 100_000  # steps of a run that does not end by itself


def command(folder: Path, steps: int, *launcher: str) -> list[str]:
    train = (
        f"train --steps {steps} --width 4 --ways 3 --queries 2 --tasks 2 --episodes 4 --validate-every 0 --threads 1"
    )
    words = [*train.split(), "--save-every", "5", "--precision", "float32", "--report-every", "1", "--out", str(folder)]
    return under_torchrun(words, *launcher)


def under_torchrun(words: list[str], *launcher: str) -> list[str]:
    """A command of the library in two processes."""
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *LOCAL, *launcher, *MODULE, *words]


LOCAL = ("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1")
MODULE = ("-m", "amfs_lab")


@pytest.fixture
def launched(tmp_path):
    """Starts a command. Its output goes to a file; what is left of it is killed at the end."""
    started = []

    def start(words: list[str]) -> tuple[subprocess.Popen, Path]:
        log = tmp_path / f"log-{len(started)}"
        with log.open("w") as file:
            environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
            process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env=environment)
        started.append(process)
        return process, log

    yield start
    for process in started:
        if process.poll() is None:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
            process.wait()


def rank(process: subprocess.Popen, number: int) -> psutil.Process:
    """The process of a rank."""
    return next(
        each
        for each in psutil.Process(process.pid).children(recursive=True)
        if each.environ().get("RANK") == str(number) and "amfs_lab" in each.cmdline()
    )


def until(true, process: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    """Waits until `true()`, and fails if the command ends before."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_a_killed_process_ends_the_run_with_its_reason_and_the_run_is_resumed(tmp_path, launched):
    folder = tmp_path / "run"
    process, log = launched(command(folder, LONG))
    until(lambda: holds_checkpoint(folder), process, log)
    rank(process, 1).send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert process.wait(60) != 0
    assert time.monotonic() - began < 60
    said = log.read_text()
    assert "Signal 9 (SIGKILL)" in said  # the launcher names the process that was killed
    assert 'Traceback (most recent call last):\n  File "/' not in said.split("amfs_lab/__main__")[-1]
    done = checkpoint.load(folder).record["progress"]["step"]
    assert done >= 5
    process, log = launched([*command(folder, LONG), "--resume"])
    until(lambda: f"step {done + 1:>5}" in re.sub(" +", lambda found: found[0], log.read_text()), process, log)
    assert f"continuing after step {done}" in log.read_text()


def test_the_launcher_restarts_a_killed_group_from_the_checkpoint(tmp_path, launched):
    folder = tmp_path / "run"
    process, log = launched(command(folder, 200, "--max-restarts", "1"))
    until(lambda: holds_checkpoint(folder), process, log)
    rank(process, 1).send_signal(signal.SIGKILL)
    assert process.wait(90) == 0, log.read_text()
    said = log.read_text()
    resumed = re.search(r"continuing after step (\d+)", said)
    assert resumed, said
    assert int(resumed[1]) >= 5
    assert load_run(folder)[2].step == 200
    assert said.count("unseen scripts, glyphs/test") == 1  # only rank 0 prints


def test_ctrl_c_at_the_launcher_saves_the_run(tmp_path, launched):
    folder = tmp_path / "run"
    process, log = launched(command(folder, LONG))
    until(lambda: "step     2" in log.read_text(), process, log)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    said = log.read_text()
    assert said.count("stopped, the learner so far is in") == 1, said
    assert checkpoint.load(folder).record["progress"]["step"] >= 2


def test_the_processes_share_the_work_of_a_table(tmp_path, launched):
    table = f"reproduce table1 --budget smoke --rows prototypes --out {tmp_path}/t1".split()
    process, log = launched(under_torchrun(table))
    assert process.wait(120) == 0, log.read_text()
    assert log.read_text().count("| prototypes |") == 3  # three tables, of rank 0
    assert len(list((tmp_path / "trained").glob("*/run.json"))) > 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--rows maml", "Each process needs a row of the table. Got 2 processes and 1 rows."),
        ("--rows maml prototypes --cell 1/2", "`--cell` is for single processes. Got several processes."),
    ],
)
def test_a_table_that_cannot_be_shared_is_refused_by_one_sentence(options, words, tmp_path, launched):
    table = f"reproduce table1 --budget smoke {options} --out {tmp_path}/t1".split()
    process, log = launched(under_torchrun(table))
    assert process.wait(120) != 0
    assert log.read_text().count(f"amfs-lab: {words}") == 1
    assert not (tmp_path / "trained").exists()
