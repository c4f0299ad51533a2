"""The command line: train, evaluate and bench, and errors of one sentence."""

import json
import warnings

import pytest
import torch

from amfs_lab import cli, devices, explore, runs, training, widgets
from amfs_lab.bench import tables
from amfs_lab.meta_step import meta_gradient
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.widgets import timing

QUICK = ["--width", "8", "--tasks", "1", "--steps", "2", "--queries", "3", "--episodes", "4", "--validate-every", "0"]
FIGURE2 = ["reproduce", "figure2", "--steps", "2", "--seeds", "1", "--width", "4", "--episodes", "2"]
ACCURACY = ["reproduce", "accuracy", "--source", "glyphs", "--steps", "2", "--width", "4", "--episodes", "2"]


def test_train_then_evaluate(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert cli.main(["train", "--method", "amfs", "--out", run, "--validate-every", "1", *QUICK[:-2]]) == 0
    printed = capsys.readouterr().out
    assert "5-way 1-shot" in printed
    assert "transductive" in printed
    assert printed.count("validation") == 2
    assert "(4 episodes: an interval needs 30)" in printed
    assert cli.main(["evaluate", run, "--ways", "20", "--episodes", "3"]) == 0
    assert "20-way 1-shot" in capsys.readouterr().out


def test_a_warning_is_printed_once_in_a_command(monkeypatch, capsys):
    def warn(root):
        for text in ("first", "second", "first", "second"):
            warnings.simplefilter("default")  # this makes Python forget that it has shown a warning
            warnings.warn(text, stacklevel=1)
        yield "done"

    monkeypatch.setattr(cli.data.data_status, "report", warn)
    for _ in range(2):
        assert cli.main(["data", "status"]) == 0
        assert capsys.readouterr().err == "amfs-lab: first\namfs-lab: second\n"


def test_a_run_is_evaluated_with_another_norm(tmp_path, capsys):
    run = str(tmp_path / "run")
    cli.main(["train", "--out", run, *QUICK])
    asked, said = ["evaluate", run, "--episodes", "20"], []
    for norm in ([], ["--norm", "transductive"], ["--norm", "support"]):
        capsys.readouterr()
        assert cli.main([*asked, *norm]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "support norm" in said[2]
    assert said[2].rpartition("norm")[2] != said[0].rpartition("norm")[2]
    assert cli.main([*asked, "--norm", "group"]) == 2
    assert "Got 'group' for 'transductive'." in capsys.readouterr().err


def test_a_run_is_evaluated_in_another_precision(tmp_path, capsys):
    run = str(tmp_path / "run")
    cli.main(["train", "--precision", "bfloat16", "--out", run, *QUICK])
    assert "transductive norm, bfloat16, " in capsys.readouterr().out
    for asked, expected in (([], "bfloat16"), (["--precision", "float32"], "float32")):
        assert cli.main(["evaluate", run, "--episodes", "2", *asked]) == 0
        assert f"transductive norm, {expected}, " in capsys.readouterr().out
        assert runs.load_run(run, precision=expected)[0].net.precision == expected


def test_a_run_resumes_in_its_own_precision_on_another_machine(tmp_path, monkeypatch, capsys):
    asked = ["train", "--device", "cpu", "--save-every", "1", "--out", str(tmp_path / "run"), *QUICK]
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr(runs.checkpoint, "remove", lambda paths: None)  # as if it had been stopped
    assert cli.main(asked) == 0
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device: False)
    assert cli.main([*asked, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "bfloat16, " in said.partition("continuing after step 1")[0].splitlines()[-1]


def test_a_run_that_began_with_batched_resumes_so_without_the_option(tmp_path, monkeypatch, capsys):
    """On a machine without CUDA, where the default is another one."""
    asked = ["train", "--device", "cpu", "--save-every", "1", "--out", str(tmp_path / "run"), *QUICK]
    monkeypatch.setattr(runs.checkpoint, "remove", lambda paths: None)  # as if it had been stopped
    assert cli.main([*asked, "--batched"]) == 0
    assert cli.main([*asked, "--resume"]) == 0
    assert "continuing after step 1" in capsys.readouterr().out
    assert cli.main([*asked, "--resume", "--no-batched"]) == 2
    assert "other settings: batched" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "best"), [("i-amfs", "bfloat16"), ("maml", "float32")])
def test_bfloat16_is_used_where_it_is_fast_and_the_run_records_it(tmp_path, monkeypatch, capsys, method, best):
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda device: True)
    assert cli.main(["train", "--method", method, "--device", "cpu", "--out", str(tmp_path / "run"), *QUICK]) == 0
    assert f"transductive norm, {best}, " in capsys.readouterr().out
    assert runs.load_learner(tmp_path / "run")[1].precision == best


def test_resuming_without_a_checkpoint_starts_a_new_run(tmp_path, capsys):
    assert cli.main(["train", "--resume", "--out", str(tmp_path / "run"), *QUICK]) == 0
    assert ": starting a new run" in capsys.readouterr().out


def test_an_unknown_rule_is_named(tmp_path, capsys):
    run = tmp_path / "run"
    cli.main(["train", "--out", str(run), *QUICK])
    record = json.loads((run / "run.json").read_text())
    record["config"]["outer"] = {"name": "shortest"}
    (run / "run.json").write_text(json.dumps(record))
    assert cli.main(["evaluate", str(run)]) == 2
    assert "Got 'shortest', which is unknown. If it is your own, register it first" in capsys.readouterr().err


def test_settings_reach_the_run(tmp_path):
    options = cli.parser().parse_args(["train", "--method", "maml", "--inner-lr", "0.3", "--inner-steps", "2"])
    config = cli.train.config_of(options)
    assert (config.inner.lr, config.inner.steps) == (0.3, 2)
    options = cli.parser().parse_args(["train", "--lam", "0.3", "--bandwidth", "2", "--ways", "7", "--norm", "group"])
    config = cli.train.config_of(options)
    assert (config.inner.lam, config.inner.bandwidth, config.episode.ways, config.norm) == (0.3, 2.0, 7, "group")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--ways", "5000"], "An episode of 5000 ways needs at least 5000 classes."),
        (["train", "--shots", "10"], "10 shots and 15 queries need 25 samples of a class."),
        (["train", "--lam", "0"], "`lam` must be a finite number > 0. Got 0.0."),
        (["train", "--bandwidth", "-1"], "`bandwidth` must be a finite number > 0. Got -1.0."),
        (["train", "--method", "maml", "--lam", "1"], "maml has no setting lam."),
        (["train", "--norm", "batch"], "`--norm` must be one of"),
        (["train", "--device", "abacus"], "The device must be auto, cpu, cuda or mps, and this machine must have it."),
        (["train", "--method", "prototypes", "--inner-steps", "3"], "prototypes has no setting inner_steps."),
        (["train", "--episodes", "1"], "`episodes` must be >= 2, for a mean over them. Got 1."),
        (["train", "--bandwidth", "1e30"], "A learned `bandwidth` must start between 0.001 and 1000. Got 1e+30."),
        (["train", "--data", "no/such/folder"], "Expected a folder to look for glyphs.npz in. Got no/such/folder"),
        (["train", "--out", __file__], "A run needs a folder that can be written."),
        (["train", "--out", "x" * 300], "A run needs a folder that can be written."),
        ([*FIGURE2, "--out", "x" * 300], "A result needs a folder that can be written."),
        ([*FIGURE2, "--out", f"{__file__}/deep"], "A result needs a folder that can be written."),
        ([*ACCURACY, "--out", f"{__file__}/deep"], "A result needs a folder that can be written."),
        (["train", "--seed", "9" * 30], "`--seed` must be an integer from 0 to 2^63 - 1."),
        (["evaluate", "nowhere"], "Expected a run in nowhere"),
        (["bench", "--shapes", "5x1"], "A shape must look like 5w1s"),
    ],
)
def test_bad_input_is_one_sentence_exit_2_and_nothing_written(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training.MetaTrainer, "run", lambda _: pytest.fail("refused only after training"))
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("amfs-lab: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_benchmark_is_a_table_of_ratios(capsys, monkeypatch):
    monkeypatch.setattr(tables, "episode_config", lambda shape: EpisodeConfig(2, 1, 2))  # 15 queries would take long
    assert cli.main(["bench", "--rounds", "1", "--shapes", "2w1s"]) == 0
    printed = capsys.readouterr().out
    rows = {line.split("  ")[0]: line for line in printed.splitlines() if line}
    assert {"baseline", "baseline channels-last", "i-amfs", "amfs", "maml", "prototypes"} <= set(rows)
    assert "1.00 (1.00 to 1.00)" in rows["baseline"]


def test_the_explorers_have_their_own_table(capsys, monkeypatch):
    monkeypatch.setattr(timing, "ready_kinds", lambda room: [explore.ConflictExplorer, explore.RbfExplorer])
    assert cli.main(["bench", "--explorers", "--rounds", "1"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["explorer", "control", "median", "ms", "worst", "ms"]
    declared = [*explore.ConflictExplorer.declared, *explore.RbfExplorer.declared]
    assert [row.split()[1] for row in rows] == declared
    for row in rows:
        median, worst = map(float, row.split()[2:])
        assert 0 < median <= worst


def test_every_explorer_that_needs_no_run_is_timed():
    kinds = timing.ready_kinds(explore)
    assert {explore.RbfExplorer, explore.CharacterExplorer, explore.MetaTrainingExplorer} <= set(kinds)
    assert not {explore.CompareExplorer, widgets.Explorer} & set(kinds)


@pytest.mark.parametrize(("stop_at", "sentence"), [(2, "the learner so far is in"), (1, "nothing to save")])
def test_ctrl_c_prints_what_is_saved(tmp_path, monkeypatch, capsys, stop_at, sentence):
    steps = []

    def interrupted(*arguments):
        steps.append(1)
        if len(steps) == stop_at:
            raise KeyboardInterrupt
        return meta_gradient(*arguments)

    monkeypatch.setattr(training, "meta_gradient", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--out", str(tmp_path / "run"), *QUICK])
    assert ended.value.code == 130
    assert sentence in capsys.readouterr().err
    assert (tmp_path / "run").exists() == (stop_at == 2)
    if stop_at == 2:
        assert cli.main(["evaluate", str(tmp_path / "run"), "--episodes", "2"]) == 0
        assert "1 of 2 meta-steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("room", "steps_kept", "words"),
    [
        (training, 1, "the learner so far is in {}"),
        (cli.train, 2, "training had already ended. Evaluate it: amfs-lab evaluate {} --split"),
    ],
)
def test_ctrl_c_during_an_evaluation_loses_no_step(tmp_path, monkeypatch, capsys, room, steps_kept, words):
    """In the validation after the first step, and in the test at the end."""

    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(room, "evaluate", interrupted)
        with pytest.raises(SystemExit):
            cli.main(["train", "--out", str(tmp_path / "run"), *QUICK, "--validate-every", "1"])
    assert words.format(tmp_path / "run") in capsys.readouterr().err
    assert cli.main(["evaluate", str(tmp_path / "run"), "--episodes", "2"]) == 0
    assert f"{steps_kept} of 2 meta-steps" in capsys.readouterr().out


def test_an_error_prints_no_control_codes(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", "status", "\x1b[A\r"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("unrecognized arguments: \\x1b[A\\r\n")


@pytest.mark.parametrize("name", ["draws", "steps"])
def test_too_many_draws_or_steps_for_any_memory_are_refused(name, capsys):
    assert cli.main(["reproduce", "conflict", f"--{name}", "9" * 30]) == 2
    assert f"`--{name}` must be at most 1000000. Got 999" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), None])
def test_too_little_memory_is_one_sentence(fault, tmp_path, monkeypatch, capsys):
    def step(*_, **__):
        if fault:
            raise fault
        torch.empty(2**60)  # refused by torch's allocator on the CPU

    monkeypatch.setattr(training, "meta_gradient", step)
    assert cli.main(["train", "--device", "cpu", "--out", str(tmp_path / "run"), *QUICK]) == 2
    assert capsys.readouterr().err.endswith("Use fewer tasks, a smaller network or smaller images.\n")


def test_an_error_of_the_code_is_not_called_a_lack_of_memory(tmp_path, monkeypatch):
    def step(*_, **__):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(training, "meta_gradient", step)
    with pytest.raises(RuntimeError, match="multiplied"):
        cli.main(["train", "--device", "cpu", "--out", str(tmp_path / "run"), *QUICK])
