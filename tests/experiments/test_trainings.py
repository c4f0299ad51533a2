"""The training runs of an experiment: an interrupted experiment goes on, and gives the result of a whole one."""

from dataclasses import replace

import numpy as np
import pytest

import amfs_lab.training
from amfs_lab.errors import ConfigError
from amfs_lab.experiments import figure2
from amfs_lab.experiments.trainings import Trainings
from amfs_lab.tasks import EpisodeConfig

SMALL = figure2.Figure2Config(
    episode=EpisodeConfig(3, 1, 2), seconds=None, meta_steps=3, most=2, episodes=4, seeds=2, width=4, tasks=2
)


@pytest.fixture
def interrupted_at(monkeypatch):
    """Interrupts the n-th meta-step of all training runs."""

    def at(n: int) -> None:
        apply, steps = amfs_lab.training.apply, iter(range(1, 1000))

        def counted(*arguments):
            if next(steps) == n:
                raise KeyboardInterrupt
            apply(*arguments)

        monkeypatch.setattr(amfs_lab.training, "apply", counted)

    return at


@pytest.mark.parametrize("step", [3, 8])
def test_an_interrupted_experiment_resumes_to_the_same_answers(step, interrupted_at, monkeypatch, tmp_path):
    """Interrupted in the first seed's training runs, and after they are complete."""
    whole = figure2.run(SMALL)
    with monkeypatch.context():
        interrupted_at(step)
        with pytest.raises(KeyboardInterrupt):
            figure2.run(SMALL, folder=tmp_path / "one")
        monkeypatch.undo()
    assert not (tmp_path / "one").exists()
    with pytest.raises(ConfigError, match=r"already holds training runs.* Resume them"):
        figure2.run(SMALL, folder=tmp_path / "one")
    told = []
    made = figure2.run(SMALL, folder=tmp_path / "one", resume=True, report=told.append)
    for method in figure2.METHODS:
        assert np.array_equal(made.rows[f"right {method}"], whole.rows[f"right {method}"])
    assert [(run["method"], run["step"], run["loss"]) for run in made.training] == [
        (run["method"], run["step"], run["loss"]) for run in whole.training
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["one"]  # the training runs are deleted
    assert figure2.load(tmp_path / "one").rows.keys() == whole.rows.keys()


def test_a_complete_result_is_resumed_by_loading_it(interrupted_at, tmp_path):
    made = figure2.run(SMALL, folder=tmp_path / "one")
    interrupted_at(1)  # any step would raise
    again = figure2.run(SMALL, folder=tmp_path / "one", resume=True)
    assert again.training == made.training
    with pytest.raises(ConfigError, match=r"The complete result in .*one has other settings: seeds, width. Name"):
        figure2.run(replace(SMALL, seeds=1, width=5), folder=tmp_path / "one", resume=True)


def test_a_complete_run_is_loaded_and_not_trained_again(interrupted_at, tmp_path):
    configs = {"one": SMALL.training("i-amfs", 0)}
    first = Trainings(folder=tmp_path / "r").train(configs)["one"]
    interrupted_at(1)  # any step would raise
    again = Trainings(folder=tmp_path / "r", resume=True).train(configs)["one"]
    assert again.progress.loss == first.progress.loss
    for a, b in zip(again.learner.parameters(), first.learner.parameters(), strict=True):
        assert a.equal(b)
    with pytest.raises(ConfigError, match=r"must have the settings of this experiment. Got others. Resume it"):
        Trainings(folder=tmp_path / "r", resume=True).train({"one": replace(configs["one"], seed=1)})


def test_without_a_folder_nothing_is_resumed():
    with pytest.raises(ConfigError, match="`resume` needs the folder of the result"):
        figure2.run(SMALL, resume=True)
