"""Resumed runs equal uninterrupted ones: checkpoints, signals, killed processes, damage, and replay."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from amfs_lab import cli, training
from amfs_lab.backbones import MLP
from amfs_lab.cli.progress import Board, StepLog, line
from amfs_lab.config import FunctionSpaceConfig, preset
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.inner import Anil, FunctionSpace, Maml, Prototypes
from amfs_lab.learner import MetaLearner
from amfs_lab.outer import PCGrad
from amfs_lab.outer.from_torchjd import TorchJD
from amfs_lab.runs import checkpoint, saved
from amfs_lab.runs.interrupts import uninterrupted
from amfs_lab.runs.progress import Progress
from amfs_lab.runs.replay import replay
from amfs_lab.runs.saved import load_run
from amfs_lab.stats import Interval
from amfs_lab.tasks import EmbeddingSource, EpisodeConfig, ImageSource
from amfs_lab.training import MetaTrainer
from amfs_lab.trajectory import CountSketch

SMALL = {"width": 4, "tasks": 2, "episode": EpisodeConfig(3, 1, 3), "validate_every": 0}
CONFIG = preset("amfs", steps=7, schedule="cosine", augment=("affine",), **SMALL)


def left_after(folder, steps, config=CONFIG, **how):
    """A run that was stopped after so many steps."""
    run = MetaTrainer(config, folder, **how).run()
    for progress in run:
        if progress.step == steps:
            break
    run.close()
    return folder


def checkpoints(folder):
    return sorted(path.name for path in folder.glob(checkpoint.CHECKPOINTS))


def losses(run):
    return [(progress.step, progress.loss, progress.accuracy) for progress in run]


def weights(folder):
    return (folder / saved.TENSORS).read_bytes()


def stop(*_, **__):
    raise KeyboardInterrupt


class TestGoingOn:
    @pytest.mark.parametrize(
        ("inner", "outer"),
        [
            (FunctionSpaceConfig(learn_lam=True), CONFIG.outer),
            (Maml(steps=2), PCGrad()),
            (Anil(steps=2), TorchJD("UPGrad")),
            (Prototypes(), TorchJD("Random", seed=3)),
        ],
        ids=["function-space", "maml", "anil", "prototypes"],
    )
    def test_it_ends_bit_by_bit_where_an_uninterrupted_run_ends(self, tmp_path, inner, outer):
        config = replace(CONFIG, inner=inner, outer=outer)
        whole = losses(MetaTrainer(config, tmp_path / "whole").run())
        left_after(tmp_path / "parts", 2, config)
        left_after(tmp_path / "parts", 5, config, resume=True)
        trainer = MetaTrainer(config, tmp_path / "parts", resume=True)
        assert trainer.done == 5
        assert losses(trainer.run()) == whole[5:]
        assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
        assert checkpoints(tmp_path / "parts") == []  # what has ended needs none

    @pytest.mark.parametrize("step", [2, 4])
    def test_a_validation_that_was_stopped_is_done_again(self, tmp_path, monkeypatch, step):
        """Step 4 is the last one. Without its validation the run is not complete."""
        config = replace(CONFIG, steps=4, validate_every=2, validation_episodes=5, keep="best", meta_lr=0.1)
        whole = list(MetaTrainer(config, tmp_path / "whole").run())
        measure, calls = training.evaluate, []

        def stopped(*given, **named):
            calls.append(1)
            if 2 * len(calls) == step:
                raise KeyboardInterrupt
            return measure(*given, **named)

        monkeypatch.setattr(training, "evaluate", stopped)
        with pytest.raises(KeyboardInterrupt):
            list(MetaTrainer(config, tmp_path / "parts").run())
        monkeypatch.setattr(training, "evaluate", measure)
        trainer = MetaTrainer(config, tmp_path / "parts", resume=True)
        assert trainer.done == step
        rest = [(each.step, each.loss, each.validation) for each in trainer.run()]
        assert rest == [(each.step, each.loss, each.validation) for each in whole[step - 1 :]]
        assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
        assert checkpoints(tmp_path / "parts") == []

    def test_a_stopped_last_validation_ends_a_run_with_a_limit_in_seconds(self, tmp_path, monkeypatch):
        config = replace(CONFIG, steps=1000, seconds=1e-6, validate_every=500, validation_episodes=5)
        with monkeypatch.context() as patch:
            patch.setattr(training, "evaluate", stop)
            with pytest.raises(KeyboardInterrupt):
                list(MetaTrainer(config, tmp_path).run())
        (only,) = MetaTrainer(config, tmp_path, resume=True).run()
        assert only.step == 1
        assert only.validation is not None
        assert checkpoints(tmp_path) == []

    def test_the_trajectory_goes_on_as_well(self, tmp_path):
        sketch = CountSketch(16)
        whole = list(MetaTrainer(CONFIG, trajectory=sketch).run())
        left_after(tmp_path, 3, trajectory=sketch)
        rest = list(MetaTrainer(CONFIG, tmp_path, trajectory=sketch, resume=True).run())
        assert [each.trajectory for each in rest] == [each.trajectory for each in whole[3:]]
        assert all(
            torch.equal(a.trajectory.position, b.trajectory.position) for a, b in zip(rest, whole[3:], strict=True)
        )

    def test_a_run_never_touches_the_global_random_numbers(self, tmp_path):
        drawn = torch.get_rng_state()
        left_after(tmp_path, 2)
        next(MetaTrainer(CONFIG, tmp_path, resume=True).run())
        assert torch.equal(torch.get_rng_state(), drawn)

    def test_resume_where_nothing_was_begun_begins(self, tmp_path):
        trainer = MetaTrainer(CONFIG, tmp_path / "new", resume=True)
        assert (trainer.done, trainer.folder.checkpoint) == (0, None)
        assert len(list(trainer.run())) == 7

    def test_states_come_every_so_many_steps_and_two_are_kept(self, tmp_path):
        seen = []
        for progress in MetaTrainer(CONFIG, tmp_path, save_every=2).run():
            seen.append((progress.step, [int(name[11:20]) for name in checkpoints(tmp_path)]))
        assert seen == [(1, []), (2, [2]), (3, [2]), (4, [2, 4]), (5, [2, 4]), (6, [4, 6]), (7, [4, 6])]
        assert checkpoints(tmp_path) == []

    def test_a_stopped_run_can_be_used_and_a_second_one_is_refused_with_the_way_on(self, tmp_path):
        left_after(tmp_path, 3)
        assert load_run(tmp_path)[2].step == 3
        with pytest.raises(
            ConfigError, match=r"already holds a run. .* Name another folder, or resume it \(resume=True"
        ):
            MetaTrainer(CONFIG, tmp_path)


class TestRefusals:
    def test_another_configuration_is_refused_with_the_fields_that_differ(self, tmp_path):
        left_after(tmp_path, 2)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        other = replace(CONFIG, inner=FunctionSpaceConfig(lam=0.2), meta_lr=0.5, episode=EpisodeConfig(3, 2, 3))
        with pytest.raises(ConfigError) as caught:
            MetaTrainer(other, tmp_path, resume=True)
        for words in ("inner.lam (0.1 there, 0.2 here)", "meta_lr (0.001 there, 0.5 here)", "episode.shots (1 there"):
            assert words in str(caught.value)
        assert "mu" not in str(caught.value)
        with pytest.raises(ConfigError, match=r"inner.name \('function-space' there, 'maml' here\)"):
            MetaTrainer(replace(CONFIG, inner=Maml()), tmp_path, resume=True)
        assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def test_a_run_that_has_ended_does_not_go_on(self, tmp_path):
        list(MetaTrainer(CONFIG, tmp_path).run())
        with pytest.raises(ConfigError, match=r"is complete. Evaluate it"):
            MetaTrainer(CONFIG, tmp_path, resume=True)

    def test_a_rule_that_remembers_can_not_go_on(self, tmp_path):
        config = replace(CONFIG, outer=TorchJD("GradVac"))
        left_after(tmp_path, 2, config)
        with pytest.raises(ConfigError, match=r"GradVac.* keeps a state that no checkpoint holds. Start another"):
            MetaTrainer(config, tmp_path, resume=True)

    def test_no_folder_and_no_whole_number_of_steps(self):
        with pytest.raises(ConfigError, match=r"`resume` needs the folder of the run. Got none"):
            MetaTrainer(CONFIG, resume=True)
        with pytest.raises(ConfigError, match=r"`save_every` must be an integer >= 1. Got 0"):
            MetaTrainer(CONFIG, save_every=0)


def test_a_checkpoint_of_an_older_version_has_the_defaults_of_new_settings(tmp_path):
    left_after(tmp_path, 2)
    path = tmp_path / checkpoints(tmp_path)[-1]
    content = torch.load(path, weights_only=True)
    assert content["record"]["config"]["inner"].pop("objective") == "query-loss"
    torch.save(content, path)
    assert MetaTrainer(CONFIG, tmp_path, resume=True).done == 2


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        run = MetaTrainer(CONFIG, tmp_path, save_every=2).run()
        for progress in run:
            if progress.step == 4:
                break
        run.close()
        assert len(checkpoints(tmp_path)) == 2
        return tmp_path

    @pytest.mark.parametrize("harm", ["cut short", "one bit", "no checkpoint", "another setting"])
    def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(self, folder, harm):
        newest = folder / checkpoints(folder)[-1]
        data = bytearray(newest.read_bytes())
        if harm == "one bit":
            bias = torch.load(newest, weights_only=True)["learner"]["net.blocks.1.norm.bias"]
            data[data.index(bias.numpy().tobytes())] ^= 1
        if harm == "another setting":
            data = data.replace(b"cosine", b"sine..")
            assert data != newest.read_bytes()
        newest.write_bytes({"cut short": data[:-100], "no checkpoint": b"{}"}.get(harm, data))
        trainer = MetaTrainer(CONFIG, folder, resume=True)
        assert trainer.done == 2
        assert len(trainer.folder.checkpoint.damaged) == 1
        assert f"{newest.name} is damaged (" in trainer.folder.checkpoint.damaged[0]
        whole = losses(MetaTrainer(CONFIG).run())
        assert losses(trainer.run()) == whole[2:]

    def test_without_a_whole_one_it_is_said(self, folder):
        for path in folder.glob(checkpoint.CHECKPOINTS):
            path.write_bytes(b"nothing")
        with pytest.raises(
            DataError,
            match=r"Expected a checkpoint .* only damaged ones: checkpoint-0+4.pt is damaged .*; checkpoint-0+2",
        ):
            MetaTrainer(CONFIG, folder, resume=True)

    @pytest.mark.parametrize("part", ["learner", "optimizer", "shape"])
    def test_the_state_of_another_learner(self, folder, part):
        path = folder / checkpoints(folder)[-1]
        content = torch.load(path, weights_only=True)
        if part == "shape":
            content["optimizer"]["state"][1]["exp_avg"] = torch.zeros(3, 7)
        else:
            content[part] = {"x": torch.ones(2)}
        torch.save(content, path)
        with pytest.raises(DataError, match=r"The checkpoint .*0004.pt must have the parameters of this learner"):
            next(MetaTrainer(CONFIG, folder, resume=True).run())

    def test_a_checkpoint_runs_no_code(self, folder, tmp_path):
        class Command:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "made"),)

        for path in folder.glob(checkpoint.CHECKPOINTS):
            torch.save({"record": Command(), "learner": {}, "optimizer": {}}, path)
        with pytest.raises(DataError, match=r"Got only damaged ones: checkpoint-0+4.pt is damaged \(Weights only load"):
            MetaTrainer(CONFIG, folder, resume=True)
        assert not (tmp_path / "made").exists()

    def test_the_checkpoints_of_an_older_version_are_refused(self, folder, capsys):
        for path in folder.glob(checkpoint.CHECKPOINTS):
            path.rename(path.with_name(f"state-{path.stem[-9:]}.safetensors"))
        match = r"must be resumed by the version that began it. Got state-\*.safetensors .* Start the training again"
        with pytest.raises(ConfigError, match=match):
            MetaTrainer(CONFIG, folder, resume=True)
        with pytest.raises(ConfigError, match=match):
            replay(folder, 0)
        with pytest.raises(ConfigError, match="already holds a run"):
            MetaTrainer(CONFIG, folder)
        assert load_run(folder)[2].step == 4

    @pytest.mark.parametrize("wrong", [{"step": -5}, {"step": 0}, {"step": 7}, {"step": 2**62}, {"seconds": -1.0}])
    def test_a_step_outside_of_the_run(self, folder, wrong):
        path = folder / checkpoints(folder)[-1]
        content = torch.load(path, weights_only=True)
        content["record"]["progress"] |= wrong
        torch.save(content, path)
        with pytest.raises(DataError, match=r"Expected a checkpoint within 7 steps in .*0004.pt. Got step"):
            MetaTrainer(CONFIG, folder, resume=True)

    def test_a_folder_with_the_name_of_a_state_is_in_nobodys_way(self, folder):
        (folder / "checkpoint-999999999.pt").mkdir()
        assert losses(MetaTrainer(CONFIG, folder, resume=True).run())[-1][0] == 7

    def test_a_full_disk_leaves_the_earlier_checkpoints(self, folder, monkeypatch):
        layer = MetaLearner(MLP(1, (), 1), FunctionSpace())
        before = {path.name: path.read_bytes() for path in folder.iterdir()}

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"must be writable in .* No space left on device. The earlier checkpoints"):
            checkpoint.save(folder, 6, layer, torch.optim.Adam(layer.parameters()), {})
        assert before == {path.name: path.read_bytes() for path in folder.iterdir()}

    def test_nothing_is_replaced_before_it_is_whole(self, folder, monkeypatch):
        layer = MetaLearner(MLP(1, (), 1), FunctionSpace())

        def killed(*_):
            raise KeyboardInterrupt

        before = checkpoints(folder)
        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(folder, 6, layer, torch.optim.Adam(layer.parameters()), {})
        assert checkpoints(folder) == before
        assert checkpoint.load(folder).record["progress"]["step"] == 4


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_waits_until_the_update_is_whole(self, number):
        heard, before = [], signal.getsignal(number)
        signal.signal(number, lambda *_: heard.append("outside"))
        try:
            with uninterrupted():
                signal.raise_signal(number)
                signal.raise_signal(number)
                assert heard == []
            assert heard == ["outside"]
        finally:
            signal.signal(number, before)

    def test_an_interrupt_in_the_middle_of_an_update_saves_the_whole_of_it(self, tmp_path, monkeypatch):
        step = torch.optim.Adam.step

        def interrupted(self, *rest):
            signal.raise_signal(signal.SIGINT)
            return step(self, *rest)

        whole = losses(MetaTrainer(CONFIG).run())
        run = MetaTrainer(CONFIG, tmp_path).run()
        next(run)
        monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(run)
        monkeypatch.undo()
        trainer = MetaTrainer(CONFIG, tmp_path, resume=True)
        assert trainer.done == 2
        assert losses(trainer.run()) == whole[2:]

    def test_an_interrupt_before_the_update_saves_the_step_before(self, tmp_path, monkeypatch):
        run = MetaTrainer(CONFIG, tmp_path).run()
        next(run)

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("amfs_lab.training.meta_gradient", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(run)
        assert MetaTrainer(CONFIG, tmp_path, resume=True).done == 1


TRAIN = ["--width", "4", "--tasks", "2", "--queries", "3", "--ways", "3", "--validate-every", "0", "--episodes", "4"]


class TestProcesses:
    """`amfs-lab train` as a process of its own, ended from outside."""

    @pytest.fixture(autouse=True)
    def processes(self):
        """The processes of a test, which end with it, even if it is interrupted."""
        self.started = []
        yield
        for process in self.started:
            process.kill()

    def start(self, folder, steps, *more):
        command = [
            sys.executable,
            "-m",
            "amfs_lab",
            "train",
            *TRAIN,
            "--steps",
            str(steps),
            "--out",
            str(folder / "run"),
        ]
        env = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        process = subprocess.Popen(
            [*command, "--save-every", "5", "--log", str(folder / "log.jsonl"), *more],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def reach(self, process, folder, step):
        """Waits until the process has written that step down."""
        end = time.monotonic() + 120
        log = folder / "log.jsonl"
        while not log.exists() or log.read_text().count("\n") < step:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)

    def test_killed_at_a_random_step_it_goes_on_to_the_same_end(self, tmp_path):
        steps, at = 40, random.randrange(6, 30)
        whole = self.start(tmp_path / "whole", steps)
        assert whole.wait(300) == 0, whole.communicate()
        folder = tmp_path / "killed"
        process = self.start(folder, steps)
        self.reach(process, folder, at)
        process.kill()
        process.communicate()
        assert checkpoints(folder / "run"), f"killed after step {at}"
        assert not (folder / "run" / saved.RECORD).exists()
        again = self.start(folder, steps, "--resume")
        out, err = again.communicate(timeout=300)
        assert again.returncode == 0, err
        assert "continuing after step " in out
        assert weights(folder / "run") == weights(tmp_path / "whole" / "run"), f"killed after step {at}"
        logs = [
            [json.loads(each) for each in (place / "log.jsonl").read_text().splitlines()]
            for place in (folder, tmp_path / "whole")
        ]
        assert [each["step"] for each in logs[0]] == list(range(1, steps + 1))
        assert [each["loss"] for each in logs[0]] == [each["loss"] for each in logs[1]]
        assert out.splitlines()[-1] == whole.communicate()[0].splitlines()[-1]  # the same accuracy

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_stops_it_and_says_how_to_go_on(self, tmp_path, number, status):
        process = self.start(tmp_path, 100_000)
        self.reach(process, tmp_path, 3)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        assert process.returncode == status, err
        assert "the learner so far is in" in err
        assert "the same command with --resume continues from there" in err
        written = [json.loads(each) for each in (tmp_path / "log.jsonl").read_text().splitlines()]
        state = checkpoint.load(tmp_path / "run")
        assert state.record["progress"]["step"] in (written[-1]["step"], written[-1]["step"] + 1)


def poisoned(episode):
    x = episode.query.x.clone()
    x[0] = float("nan")
    return Episode(episode.support, type(episode.query)(x, episode.query.y, episode.query.ways))


class TestReplay:
    @pytest.fixture
    def failed(self, tmp_path, monkeypatch):
        draw = ImageSource.__getitem__
        monkeypatch.setattr(ImageSource, "__getitem__", lambda s, i: poisoned(draw(s, i)) if i == 5 else draw(s, i))
        trainer = MetaTrainer(CONFIG, tmp_path)
        with pytest.raises(NumericalError, match=r"meta-step 3, episode 5 of .*seed=0\)\. Inspect it: amfs-lab replay"):
            list(trainer.run())
        return tmp_path

    def test_the_state_before_the_step_is_kept_and_no_learner(self, failed):
        assert checkpoints(failed) == ["checkpoint-000000002.pt"]
        assert not (failed / saved.RECORD).exists()
        assert checkpoint.load(failed).record["failed"] == {"step": 3, "episode": 5}

    def test_one_command_goes_through_the_episode_and_names_what_broke_first(self, failed, capsys):
        assert cli.main(["replay", str(failed)]) == 0
        said = capsys.readouterr().out
        assert "meta-step 3, episode 5 of ImageSource(glyphs/train" in said
        assert "The first tensor that is not finite: query images." in said
        assert "of 441" not in said
        (seen,) = replay(failed)
        assert seen.first_broken.broken == 28 * 28
        assert len(seen.classes) == 3

    def test_another_episode_of_that_state(self, failed, capsys):
        assert cli.main(["replay", str(failed), "--episode", "0"]) == 0
        assert "Everything is finite." in capsys.readouterr().out

    def test_what_did_not_fail_is_asked_for_by_name(self, tmp_path):
        left_after(tmp_path, 2)
        with pytest.raises(ConfigError, match=r"did not fail. Name the episode to replay: --episode INDEX"):
            replay(tmp_path)
        (seen,) = replay(tmp_path, episode=7)
        assert (seen.step, seen.episode, seen.first_broken) == (3, 7, None)
        with pytest.raises(DataError, match=r"Expected a checkpoint in .* Got none"):
            replay(tmp_path / "nowhere")

    def test_a_run_that_has_ended_cannot_be(self, tmp_path):
        list(MetaTrainer(CONFIG, tmp_path).run())
        with pytest.raises(ConfigError, match=r"Only a run that was stopped or failed can be replayed. The one in"):
            replay(tmp_path, episode=0)

    def test_a_learner_of_ones_own_and_its_data_are_handed_in(self, tmp_path, randn):
        source = EmbeddingSource(randn(6, 4, 3, dtype=torch.float32), tuple("abcdef"), EpisodeConfig(2, 1, 1))
        mine = lambda: MetaLearner(MLP(3, (), 2), FunctionSpace())  # noqa: E731
        run = MetaTrainer(CONFIG, tmp_path, learner=mine(), train=source, validation=source).run()
        next(run)
        run.close()
        (seen,) = replay(tmp_path, 3, learner=mine(), train=source)
        assert seen.first_broken is None
        assert "gradient of net.layers.0.weight" in {part.name for part in seen.parts}


def test_the_command_on_a_complete_run_evaluates_it(tmp_path, capsys):
    """A process may be stopped in the evaluation after training."""
    words = f"train --steps 2 --width 4 --ways 3 --episodes 5 --validate-every 0 --out {tmp_path}".split()
    assert cli.main(words) == 0
    expected = capsys.readouterr().out.splitlines()[-1]
    before = weights(tmp_path)
    assert cli.main([*words, "--resume"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"the run in {tmp_path} is complete: evaluating its learner",
        expected,
    ]
    assert weights(tmp_path) == before
    assert cli.main([*words, "--resume", "--seed", "3"]) == 2
    assert "has other settings: seed (0 there, 3 here). Use its settings." in capsys.readouterr().err


class TestShowing:
    def progress(self, step, **rest):
        return Progress("amfs", step, 2.0 * step, 0.5, 0.25, **rest)

    def test_a_line_tells_speed_and_what_is_left(self):
        assert (
            line(self.progress(10, left=125.0))
            == "step    10    20.0 s  0.50/s  02:05 left  loss 0.500  accuracy 25.0%"
        )
        assert line(self.progress(10, left=0.0, validation=Interval(0.5, 0.1, 4))).endswith(
            "validation 50.00 ± 10.00 % (95 %, 4 episodes)"
        )

    def test_what_is_left_is_the_budget_that_ends_first(self):
        run = list(MetaTrainer(replace(CONFIG, steps=4)).run())
        assert run[1].left == pytest.approx(run[1].seconds)
        assert run[-1].left == 0
        first = next(MetaTrainer(replace(CONFIG, steps=10**6, seconds=100.0)).run())
        assert first.left == pytest.approx(100 - first.seconds)

    def test_a_log_goes_on_where_the_run_does(self, tmp_path):
        path = tmp_path / "deep" / "log.jsonl"
        with StepLog(path) as log:
            for step in range(1, 6):
                log.show(self.progress(step, validation=Interval(0.5, 0.1, 4) if step == 2 else None))
        path.write_text(path.read_text() + '{"step": 6, "lo')  # cut short by a kill
        with StepLog(path, done=3) as log:
            log.show(replace(self.progress(4), accuracy=float("nan")))
        found = [json.loads(each) for each in path.read_text().splitlines()]
        assert [each["step"] for each in found] == [1, 2, 3, 4]
        assert found[1]["validation"] == {"mean": 0.5, "half_width": 0.1, "n": 4, "level": 0.95, "of": "episodes"}
        assert found[3]["accuracy"] is None

    def test_a_log_that_is_none_is_refused(self, tmp_path):
        (tmp_path / "other.txt").write_text("A letter to my aunt.\n")
        with pytest.raises(ConfigError, match=r"`--log` needs a new file or an older log. Got .*other.txt"):
            StepLog(tmp_path / "other.txt", done=3)
        with pytest.raises(ConfigError, match=r"Got .*: .*directory"):
            StepLog(tmp_path)
        assert (tmp_path / "other.txt").read_text() == "A letter to my aunt.\n"

    def test_tensorboard_reads_what_was_written(self, tmp_path):
        accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        with Board(tmp_path) as board:
            for step in range(1, 4):
                board.show(self.progress(step, validation=Interval(0.75, 0.1, 4) if step == 2 else None))
        events = accumulator.EventAccumulator(str(tmp_path)).Reload()
        assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 0.5), (2, 0.5), (3, 0.5)]
        assert [(e.step, e.value) for e in events.Scalars("validation/accuracy")] == [(2, 0.75)]

    def test_without_tensorboard_it_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(
            ConfigError, match=r"needs the extra `tensorboard`. Install it: pip install 'amfs-lab\[tensorboard\]'"
        ):
            Board(tmp_path)

    def test_lines_come_every_so_many_steps_where_there_is_no_terminal(self, tmp_path, capsys):
        assert cli.main(["train", *TRAIN, "--steps", "6", "--report-every", "2", "--out", str(tmp_path / "a")]) == 0
        steps = [each.split()[1] for each in capsys.readouterr().out.splitlines() if each.startswith("step")]
        assert steps == ["2", "4", "6"]
        assert cli.main(["train", *TRAIN, "--report-every", "0", "--out", str(tmp_path / "b")]) == 2
        assert "`--report-every` must be >= 1" in capsys.readouterr().err

    def test_a_damaged_state_is_told_on_the_way(self, tmp_path, capsys):
        asked = ["train", *TRAIN, "--steps", "5", "--save-every", "1", "--out", str(tmp_path / "run")]
        config = cli.train.config_of(cli.parser().parse_args(asked))
        left_after(tmp_path / "run", 3, config, save_every=1)
        (tmp_path / "run" / checkpoints(tmp_path / "run")[-1]).write_bytes(b"")
        assert cli.main([*asked, "--resume"]) == 0
        said = capsys.readouterr()
        assert "checkpoint-000000003.pt is damaged" in said.err
        assert "continuing after step 2" in said.out
