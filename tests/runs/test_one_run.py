"""One run a folder, and no saving, log or screen that ends a training."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from amfs_lab import backbones, cli
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError
from amfs_lab.inner import FunctionSpace
from amfs_lab.learner import MetaLearner
from amfs_lab.runs import checkpoint, saved
from amfs_lab.runs.folder import HOLDER, LOCK, held, holds_checkpoint, holds_run
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.training import MetaTrainer

CONFIG = preset("i-amfs", episode=EpisodeConfig(3, 1, 2), steps=4, tasks=1, width=4, validate_every=0)
WORDS = ["train", "--method", "i-amfs", "--width", "4", "--ways", "3"]
WORDS += ["--queries", "2", "--tasks", "1", "--episodes", "2", "--validate-every", "0"]
COMMAND = [sys.executable, "-m", "amfs_lab", *WORDS]


def trainer(folder, **kwargs):
    return MetaTrainer(CONFIG, folder, device="cpu", **kwargs)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(784, 784), nn.Linear(784, 784)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(x.flatten(1)))


class TestTheLock:
    def test_a_second_run_is_refused_and_told_who_holds_the_folder(self, tmp_path):
        one, two = trainer(tmp_path), trainer(tmp_path)
        running = one.run()
        with pytest.raises(
            ConfigError,
            match=rf"Only one run at a time may write to .* Another run writes to it: process {os.getpid()} on ",
        ):
            two.run()
        next(running)
        with pytest.raises(ConfigError, match=r"Another run writes to it: process"):
            trainer(tmp_path, resume=True) if holds_run(tmp_path) else two.run()
        running.close()
        assert not (tmp_path / HOLDER).exists()
        with pytest.raises(ConfigError, match=r"already holds a run"):
            two.run()

    def test_two_resumes_are_two_runs(self, tmp_path):
        run = trainer(tmp_path).run()
        next(run)
        run.close()
        one, two, late = (trainer(tmp_path, resume=True) for _ in range(3))
        running = one.run()
        with pytest.raises(ConfigError, match=r"Another run writes to it: process"):
            two.run()
        next(running)
        running.close()
        with pytest.raises(ConfigError, match=r"Another process has continued the run"):
            late.run()
        assert trainer(tmp_path, resume=True).done == 2

    def test_an_error_in_the_loop_lets_go_and_saves(self, tmp_path):
        def loop(trainer):
            for progress in trainer.run():
                if progress.step == 2:
                    raise RuntimeError("in the reader's loop")

        with pytest.raises(RuntimeError):
            loop(trainer(tmp_path))
        assert trainer(tmp_path, resume=True).done == 2

    def test_a_run_of_this_process_that_was_left_says_how_to_close_it(self, tmp_path):
        run = trainer(tmp_path).run()
        other = trainer(tmp_path)
        with pytest.raises(ConfigError, match=r"which is this one. A run here was not closed. Close"):
            other.run()
        run.close()

    def test_a_run_that_never_began_leaves_no_folder_and_no_lock(self, tmp_path):
        trainer(tmp_path / "run").run()  # dropped before its first step
        assert not (tmp_path / "run").exists()
        assert len(list(trainer(tmp_path / "run").run())) == 4

    def test_a_process_that_is_killed_lets_go(self, tmp_path, capsys):
        """The others are this process: two that write to one folder."""
        out = ["--out", str(tmp_path / "run")]
        with subprocess.Popen([*COMMAND, *out, "--steps", "100000", "--save-every", "1"]) as process:
            try:
                while not holds_checkpoint(tmp_path / "run"):
                    assert process.poll() is None
                    time.sleep(0.05)
                assert cli.main([*WORDS, *out, "--steps", "2"]) == 2
                assert "already holds a run" in capsys.readouterr().err
                assert cli.main([*WORDS, *out, "--steps", "100000", "--resume"]) == 2
                assert f"Another run writes to it: process {process.pid}" in capsys.readouterr().err
            finally:
                process.kill()
        step = checkpoint.load(tmp_path / "run").record["progress"]["step"]
        config = preset("i-amfs").from_dict(checkpoint.load(tmp_path / "run").record["config"])
        again = MetaTrainer(config, tmp_path / "run", device="cpu", resume=True)
        assert again.done == step
        next(again.run())

    def test_a_log_is_not_touched_by_a_run_that_is_refused(self, tmp_path):
        log = tmp_path / "log.jsonl"
        log.write_text('{"step": 1}\n')
        with held(tmp_path / "run"):
            assert cli.main([*WORDS, "--out", str(tmp_path / "run"), "--log", str(log), "--steps", "2"]) == 2
        assert log.read_text() == '{"step": 1}\n'


class TestSaving:
    def test_tied_layers_are_saved_and_come_back_tied(self, tmp_path):
        torch.manual_seed(0)
        mine = MetaLearner(Tied(), FunctionSpace())
        list(trainer(tmp_path, learner=mine).run())
        other = MetaLearner(Tied(), FunctionSpace())
        learner, _ = load_learner(tmp_path, "cpu", other)
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), learner.parameters(), strict=True))
        assert learner.net.network.b.weight is learner.net.network.a.weight

    @pytest.mark.parametrize(
        ("name", "value"),
        [("extra", {"a": 1}), ("sparse", torch.eye(784).to_sparse()), ("quantised", None)],
    )
    def test_what_cannot_be_saved_is_found_before_the_first_step(self, tmp_path, name, value):
        class Odd(Tied):
            def __init__(self):
                super().__init__()
                if isinstance(value, torch.Tensor):
                    self.register_buffer("odd", value)
                elif value is None:
                    self.register_buffer("odd", torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8))

            def get_extra_state(self):
                return value

            def set_extra_state(self, state):
                pass

        run = trainer(tmp_path / "run", learner=MetaLearner(Odd(), FunctionSpace())).run()
        with pytest.raises(
            ConfigError, match=r"The state of a learner must be plain tensors. Got net.network.*, which cannot be saved"
        ):
            next(run)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("refusing", ["checkpoint", "saved"])
    def test_no_failure_to_save_takes_the_training_with_it(self, tmp_path, monkeypatch, refusing):
        module = {"checkpoint": checkpoint, "saved": saved}[refusing]
        whole = module.save

        def full(folder, *args):
            if folder == tmp_path:
                raise OSError(errno.ENOSPC, "No space left on device")
            return whole(folder, *args)

        monkeypatch.setattr(module, "save", full)
        run = trainer(tmp_path, save_every=1)
        said = (
            r"No space left.* Training goes on"
            if refusing == "checkpoint"
            else r"could not be saved .* is in .* instead"
        )
        with pytest.warns(UserWarning, match=said):
            steps = list(run.run())
        assert len(steps) == 4
        assert run.saved_in is not None
        learner, _ = load_learner(run.saved_in, "cpu")
        assert (run.saved_in == tmp_path) == (refusing == "checkpoint")
        assert all(torch.equal(a, b) for a, b in zip(learner.parameters(), run.learner.parameters(), strict=True))

    def test_a_learner_that_nothing_takes_is_still_in_memory(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(saved, "save", full)
        run = trainer(tmp_path)
        with pytest.warns(UserWarning, match=r"The learner is only in memory, as `trainer.learner`"):
            list(run.run())
        assert run.saved_in is None


@pytest.mark.skipif(os.name == "nt", reason="pipes and terminals are other things there")
class TestOutput:
    """A training ends as it would have ended, whatever becomes of its output."""

    def run(self, tmp_path, *more, **kwargs):
        command = [*COMMAND, "--out", str(tmp_path / "run"), "--steps", "6", "--report-every", "1", *more]
        return subprocess.run(command, stdin=subprocess.DEVNULL, **kwargs)

    def saved(self, tmp_path):
        return json.loads((tmp_path / "run" / saved.RECORD).read_text(encoding="utf-8"))["progress"]["step"]

    @pytest.mark.parametrize("encoding", ["ascii", "cp874"])
    def test_in_any_encoding(self, tmp_path, encoding):
        env = os.environ | {"PYTHONIOENCODING": encoding}
        done = self.run(tmp_path, "--episodes", "30", env=env, capture_output=True)
        assert done.returncode == 0, done.stderr
        out = done.stdout.decode(encoding)
        assert "glyphs/test, 3-way 1-shot: " in out
        if encoding == "ascii":
            assert " +/- " in out

    def test_into_a_pipe_that_nobody_reads(self, tmp_path):
        end, start = os.pipe()
        os.close(end)
        done = self.run(tmp_path, stdout=start, stderr=start)
        os.close(start)
        assert done.returncode == 0
        assert self.saved(tmp_path) == 6

    def test_into_a_full_disk(self, tmp_path):
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full here")
        with open("/dev/full", "w") as full:
            done = self.run(tmp_path, stdout=full, stderr=full)
        assert done.returncode == 0
        assert self.saved(tmp_path) == 6

    def test_without_any_output(self, tmp_path):
        def closed():
            os.close(1)
            os.close(2)

        assert self.run(tmp_path, preexec_fn=closed).returncode == 0
        assert self.saved(tmp_path) == 6

    def test_when_its_terminal_goes(self, tmp_path):
        out = ["--out", str(tmp_path / "run"), "--steps", "40", "--save-every", "1"]
        with subprocess.Popen([*COMMAND, *out], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            while not holds_checkpoint(tmp_path / "run"):
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(signal.SIGHUP)
            process.stdout.close()
            assert process.wait(60) == 0
        assert self.saved(tmp_path) == 40

    @pytest.mark.parametrize(
        "command",
        [
            ["data", "status"],
            ["reproduce", "conflict", "--draws", "2", "--steps", "2", "--out"],
            ["bench", "--shapes", "5w1s", "--rounds", "1", "--parts", "rules"],
        ],
    )
    def test_of_the_other_verbs(self, tmp_path, command):
        if command[-1] == "--out":
            command = [*command, str(tmp_path / "result")]
        end, start = os.pipe()
        os.close(end)
        whole = [sys.executable, "-m", "amfs_lab", *command]
        done = subprocess.run(whole, stdin=subprocess.DEVNULL, stdout=start, stderr=subprocess.PIPE, text=True)
        os.close(start)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_an_answer_that_is_lost_is_said(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        whole = [sys.executable, "-m", "amfs_lab", "data", "status"]
        done = subprocess.run(whole, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "The output could not be written: No space left on device." in done.stderr


def test_a_watcher_that_fails_is_left_out(tmp_path):
    from amfs_lab.cli.progress import Watcher, all_of, show

    class Failing(Watcher):
        def show(self, progress):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    class Counting(Watcher):
        steps = 0

        def show(self, progress):
            self.steps += 1

        def close(self):
            pass

    counting = Counting()
    with all_of(Failing(), counting) as watchers:
        run = trainer(None).run()
        with pytest.warns(UserWarning, match=r"Failing stops at step 1: .*No space left"):
            show(watchers, next(run))
        for progress in run:
            show(watchers, progress)
    assert counting.steps == 4


def test_a_backbone_of_the_kit_is_saved_as_before(tmp_path):
    list(trainer(tmp_path).run())
    learner, _ = load_learner(tmp_path, "cpu")
    assert isinstance(learner.net, backbones.Conv4)
    assert {path.name for path in tmp_path.iterdir()} <= {saved.RECORD, saved.TENSORS, LOCK}


def test_a_home_folder_is_found_by_the_library_and_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    list(trainer("~/run").run())
    load_learner("~/run", "cpu")
    assert (tmp_path / "run" / saved.RECORD).is_file()
    assert cli.main([*WORDS, "--steps", "2", "--out=~/other"]) == 0
    assert (tmp_path / "other" / saved.RECORD).is_file()
    assert not (tmp_path / "~").exists()


def test_a_second_interrupt_waits_until_the_first_has_saved(tmp_path, monkeypatch):
    whole = checkpoint.save

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return whole(*args)

    monkeypatch.setattr(checkpoint, "save", interrupted)
    run = trainer(tmp_path).run()
    next(run)
    with pytest.raises(KeyboardInterrupt):
        run.close()
    assert checkpoint.load(tmp_path).record["progress"]["step"] == 1
    load_learner(tmp_path, "cpu")


def test_a_log_never_replaces_another_file(tmp_path, capsys):
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes\n")
    assert cli.main([*WORDS, "--out", str(tmp_path / "run"), "--log", str(notes), "--steps", "2"]) == 2
    assert "it has a line that is not JSON and would be lost" in capsys.readouterr().err
    assert notes.read_text() == "my notes\n"


def test_so_many_threads_that_the_system_breaks_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda number: pytest.fail(f"{number} threads"))
    assert cli.main([*WORDS, "--out", str(tmp_path / "run"), "--threads", "99999"]) == 2
    assert "`threads` must be at most" in capsys.readouterr().err


def test_a_record_that_an_editor_of_windows_saved_is_read(tmp_path):
    list(trainer(tmp_path).run())
    record = tmp_path / saved.RECORD
    record.write_bytes(b"\xef\xbb\xbf" + record.read_bytes())
    load_learner(tmp_path, "cpu")
