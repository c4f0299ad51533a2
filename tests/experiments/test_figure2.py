"""Figure 2: its numbers agree with direct evaluation, and a result is reproducible and checked when loaded."""

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from amfs_lab.cli import main
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.evaluation import evaluate
from amfs_lab.experiments import Result, figure2
from amfs_lab.experiments.result import stored
from amfs_lab.experiments.trainings import in_turns
from amfs_lab.inner import Maml
from amfs_lab.runs.progress import Progress
from amfs_lab.stats import accuracy_difference, accuracy_interval
from amfs_lab.tasks import EpisodeConfig, open_source

SMALL = figure2.Figure2Config(
    episode=EpisodeConfig(3, 1, 4), seconds=None, meta_steps=2, most=3, episodes=6, seeds=2, width=4, tasks=2
)


@pytest.fixture(scope="module")
def made():
    return figure2.run(SMALL)


def test_right_answers_are_those_of_maml_with_so_many_steps_and_of_the_solve():
    source = open_source("glyphs", "test", SMALL.episode)
    learners = {method: SMALL.training(method, 0).build() for method in figure2.METHODS}
    learners["i-amfs"].start(source[0])
    for p in learners["maml"].parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(3))
    rows = figure2.measure(learners, source, 6, 3)
    assert rows["right maml"].shape == (6, 4)
    assert rows["right i-amfs"].shape == (6, 1)
    solve = evaluate(learners["i-amfs"], source, 6).per_episode
    assert np.allclose(rows["right i-amfs"][:, 0] / 12, solve)
    for k in range(1, 4):
        learners["maml"].inner = Maml(SMALL.maml.lr, k)
        assert np.allclose(rows["right maml"][:, k] / 12, evaluate(learners["maml"], source, 6).per_episode)
    with torch.no_grad():
        start = [(learners["maml"].net(e.query.x).argmax(1) == e.query.y).sum() for e in (source[i] for i in range(6))]
    assert rows["right maml"][:, 0].tolist() == start


def test_more_steps_take_more_time(made):
    medians = np.median(made.rows["microseconds maml"], axis=(0, 1))
    assert (np.diff(medians) > 0).all()
    assert (made.rows["microseconds i-amfs"] > 0).all()


def test_the_same_configuration_gives_the_same_answers(made):
    again = figure2.run(SMALL)
    for method in figure2.METHODS:
        assert np.array_equal(again.rows[f"right {method}"], made.rows[f"right {method}"])
    other = figure2.run(replace(SMALL, seeds=1, meta_steps=1))
    assert not np.array_equal(other.rows["right i-amfs"][0], made.rows["right i-amfs"][0])


def test_the_result_records_the_training(made):
    assert made.experiment == "figure2"
    assert made.seeds == [0, 1]
    assert made.config["maml"]["steps"] == 5
    assert [(run["method"], run["seed"], run["step"]) for run in made.training] == [
        ("maml", 0, 2),
        ("i-amfs", 0, 2),
        ("maml", 1, 2),
        ("i-amfs", 1, 2),
    ]


def test_the_summary_follows_from_the_rows(made):
    right = made.rows["right maml"] / 12
    solve = made.rows["right i-amfs"][:, :, 0] / 12
    for k, numbers in enumerate(made.summary["maml"]):
        interval = accuracy_interval(torch.from_numpy(right[:, :, k].mean(0)))
        assert numbers["over episodes"]["mean"] == pytest.approx(interval.mean, abs=1e-6)
        assert numbers["over episodes"]["half_width"] is None  # six episodes
        assert numbers["over seeds"]["values"] == pytest.approx(right[:, :, k].mean(1).tolist(), abs=1e-6)
        gap = made.summary["i-amfs minus maml"][k]["over episodes"]
        expected = accuracy_difference(torch.from_numpy(solve.mean(0)), torch.from_numpy(right[:, :, k].mean(0)))
        assert gap["mean"] == pytest.approx(expected.mean, abs=1e-6)


def test_it_is_saved_and_loaded_completely(made, tmp_path):
    made.save(tmp_path / "one")
    back = figure2.load(tmp_path / "one")
    for method, curve in figure2.curves(back).items():
        assert np.array_equal(curve.per_episode, figure2.curves(made)[method].per_episode)
    assert figure2.curves(back)["maml"].interval(2, episodes=3).n == 3


def test_a_result_whose_numbers_disagree_is_refused(made, tmp_path):
    wrong = json.loads(json.dumps(made.summary))
    wrong["maml"][1]["over episodes"]["mean"] += 0.01
    Result(**{**vars(made), "summary": wrong}).save(tmp_path / "summary")
    with pytest.raises(
        DataError, match=r"Expected a complete result in .* the summary must be the one that is computed from the rows"
    ):
        figure2.load(tmp_path / "summary")
    fewer = {name: values[:, :-1] for name, values in made.rows.items()}
    Result(**{**vars(made), "rows": fewer}).save(tmp_path / "rows")
    with pytest.raises(DataError, match=r"`right maml` must have shape \(2, 6, 4\)\. Got \(2, 5, 4\)"):
        figure2.load(tmp_path / "rows")
    Result(**{**vars(made), "rows": {}}).save(tmp_path / "empty")
    with pytest.raises(DataError, match=r"Expected a complete result .*'right maml'"):
        figure2.load(tmp_path / "empty")


def test_a_folder_that_exists_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match="needs a new folder"):
        figure2.run(replace(SMALL, meta_steps=10**6), folder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"most": 0}, r"Figure2Config.most must be an integer >= 1. Got 0"),
        ({"split": "train"}, r"Figure2Config.split must be one of validation, test. Got 'train'"),
        ({"seeds": 0}, r"Figure2Config.seeds must be an integer >= 1. Got 0"),
        ({"episodes": 1}, r"`episodes` must be >= 2"),
        ({"source": "moon"}, r"The source must be one of .*Got 'moon'"),
        ({"seconds": -1.0}, r"TrainingConfig.seconds must be a finite number > 0"),
    ],
)
def test_invalid_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        figure2.Figure2Config(**settings)


def test_runs_take_turns_by_their_training_time():
    order = []

    def run(name, pace, last):
        for step in count(1):
            order.append(name)
            yield Progress(name, step, step * pace, 0.0, 0.0)
            if step * pace >= last:
                return

    ended = in_turns({"slow": run("slow", 4.0, 8.0), "fast": run("fast", 1.0, 8.0)})
    assert order == ["slow", "fast", "fast", "fast", "fast", "slow", "fast", "fast", "fast", "fast"]
    assert {name: progress.step for name, progress in ended.items()} == {"slow": 2, "fast": 8}


def test_the_command_makes_a_folder_and_prints_the_table(tmp_path, capsys):
    words = [
        "reproduce",
        "figure2",
        "--ways",
        "3",
        "--queries",
        "4",
        "--steps",
        "1",
        "--seeds",
        "1",
        "--episodes",
        "3",
        "--width",
        "4",
    ]
    own = ["--split", "validation", "--inner-lr", "0.3", "--lam", "0.7"]
    assert main([*words, *own, "--out", str(tmp_path / "one")]) == 0
    printed = capsys.readouterr().out
    assert "| MAML | 10 |" in printed
    assert "| I-AMFS | one solve |" in printed
    back = figure2.load(tmp_path / "one")
    assert back.config["seconds"] is None
    assert back.config["meta_steps"] == 1
    assert (back.config["split"], back.config["maml"]["lr"], back.config["i_amfs"]["lam"]) == ("validation", 0.3, 0.7)
    assert back.training[0]["method"] == "maml"
    assert main([*words, "--out", str(tmp_path / "one")]) == 2
    assert "needs a new folder" in capsys.readouterr().err
    assert main([*words, "--threads", "-1", "--out", str(tmp_path / "two")]) == 2
    assert "`threads` must be >= 1" in capsys.readouterr().err


@pytest.mark.parametrize(("source", "split"), [("glyphs", "test"), ("omniglot", "validation")])
def test_the_shipped_results_are_complete_and_small(source, split):
    folder = stored(f"figure2-{source}")
    result = figure2.load(folder)
    assert (result.config["source"], result.config["split"]) == (source, split)
    assert result.code["changed"] is False  # made by a commit without local changes
    assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000
