"""The explorer of trajectories: it draws the recorded steps in a fixed plane, and its sentence claims no more."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from amfs_lab.config import preset
from amfs_lab.errors import ConfigError
from amfs_lab.explore import TrainingTrajectoryExplorer
from amfs_lab.explore.training.curves import slots
from amfs_lab.explore.training.trajectory import ARROWS, COSINE, POINTS, WEIGHTS
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.training import MetaTrainer
from amfs_lab.trajectory import CountSketch, TrajectoryPoint, paths, random_walk_shares
from amfs_lab.widgets.drive import drive
from amfs_lab.widgets.live import live

SIZE = 40
PATH, LOSS, RIGHT = "path_0", "loss_0", "right_0"  # traces of I-AMFS, which has the first look


def steps(method="i-amfs", n=60, seed=0, size=SIZE, cosine=0.1):
    """A recorded run from the origin. Its task weights differ by 0.2, and its cosine and loss are 1/step."""
    draw = torch.Generator().manual_seed(seed)
    places = torch.randn(n, SIZE, generator=draw).cumsum(0)
    places -= places[0].clone()
    for step in range(1, n + 1):
        told = TrajectoryPoint(places[step - 1], size, cosine and cosine / step, (0.45, 0.55))
        yield SimpleNamespace(method=method, step=step, seconds=step / 10, loss=1 / step, accuracy=0.5, trajectory=told)


def shown(*runs, **start):
    explorer = TrainingTrajectoryExplorer(**start)
    for run in runs:
        for step in run:
            explorer.push(step)
    explorer.refresh()
    return explorer


@pytest.fixture
def explorer():
    return shown(steps("i-amfs", seed=1), steps("amfs", seed=2), smoothing=1)


def test_every_control_moves_it_and_an_empty_one_can_be_shown(explorer):
    assert drive(explorer) >= 10
    assert drive(shown(steps(cosine=None), smoothing=1)) >= 10
    empty = TrainingTrajectoryExplorer()
    assert empty.sentence.text == "Nothing has run yet."
    assert not any(trace.showlegend for trace in empty.figure.data)


def test_the_curves_are_what_was_pushed(explorer):
    exact = paths({name: list(steps(name, seed=seed)) for name, seed in (("i-amfs", 1), ("amfs", 2))})
    for name, n in slots(("i-amfs", "amfs")).items():  # each run has the look of its method
        path, end, loss, low, right = (
            explorer.trace(f"{what}_{n}") for what in ("path", "end", "loss", "low", "right")
        )
        assert np.allclose(np.stack([path.x, path.y], 1), exact.coordinates[name], atol=1e-9)
        assert np.allclose([end.x[0], end.y[0]], exact.coordinates[name][-1], atol=1e-9)
        assert np.allclose(loss.y, 1 / np.arange(1, 61))
        assert np.allclose(right.y, 0.1 / np.arange(1, 61))
        assert len(low.y) == 0
    explorer.set(right=WEIGHTS)
    low, high = explorer.trace("low_0"), explorer.trace(RIGHT)
    assert (set(np.round(low.y, 6)), set(np.round(high.y, 6))) == ({0.9}, {1.1})  # t c_j of weights 0.45 and 0.55
    assert high.fill == "tonexty"
    assert len(explorer.picture().axes[2].patches) == 2  # one for each run


def test_the_axes_name_their_shares_of_the_variance(explorer):
    shares = explorer.found.shares
    layout = explorer.figure.layout
    assert layout.xaxis.title.text == f"axis 1: {100 * shares[0]:.0f} % of the variance"
    assert layout.yaxis.title.text == f"axis 2: {100 * shares[1]:.0f} % of the variance"
    assert layout.yaxis.scaleanchor == "x"  # equal units on both axes


def test_moving_along_the_trajectory_shortens_the_curves_and_keeps_the_plane(explorer):
    whole, ranges = np.array(explorer.trace(PATH).x), explorer.figure.layout.xaxis.range
    explorer.set(until=50)
    assert np.array_equal(explorer.trace(PATH).x, whole[:30])
    assert {len(explorer.trace(name).x) for name in (LOSS, RIGHT)} == {30} == {len(explorer.trace(LOSS).y)}
    assert explorer.figure.layout.xaxis.range == ranges
    assert "after 30 steps" in explorer.sentence.text
    explorer.set(until=0)
    assert len(explorer.trace(PATH).x) == 1


def test_arrows_point_forward_along_the_path(explorer):
    path = explorer.trace(PATH)
    assert np.count_nonzero(path.marker.size) == len(ARROWS)
    assert (path.marker.symbol, path.marker.angleref) == ("arrow", "previous")


def test_both_runs_begin_at_the_one_mark_of_the_start(explorer):
    start = explorer.trace("start")
    assert start.name == "start"
    assert len(set(start.x)) == len(set(start.y)) == 1
    assert (start.x[0], start.y[0]) == (explorer.trace(PATH).x[0], explorer.trace(PATH).y[0])


def test_the_sentence_gives_distances_and_what_random_walks_would_show(explorer):
    a, b = (list(steps(name, seed=seed)) for name, seed in (("i-amfs", 1), ("amfs", 2)))
    apart = float((a[-1].trajectory.position - b[-1].trajectory.position).norm())
    away = float(a[-1].trajectory.position.norm())
    said = explorer.sentence.text
    assert said.startswith(f"I-AMFS is {away:.3g} from its start after 60 steps, loss 0.02, mean cosine 0.00; AMFS")
    assert f"The distance between them is {apart:.3g}." in said
    assert f"2 random walks from one start would show {100 * sum(random_walk_shares(2)):.0f} %" in said
    assert f"plane of a random walk would show {100 * sum(random_walk_shares(1)):.0f} %" in shown(steps()).sentence.text


def test_runs_that_are_not_comparable_are_not_compared():
    said = shown(steps("a", n=5, seed=1), steps("b", n=9, seed=2)).sentence.text
    assert "random walk" not in said  # the runs have too few steps
    assert "distance between" not in said  # the runs have different numbers of steps


def test_a_long_run_is_thinned_and_keeps_both_ends():
    explorer = shown(steps(n=500), smoothing=1)
    path = explorer.trace(PATH)
    assert len(path.x) == len(explorer.trace(LOSS).x) == POINTS
    assert list(explorer.trace(LOSS).x[:: POINTS - 1]) == [1, 500]


def test_a_run_of_one_step_is_a_point():
    explorer = shown(steps(n=1))
    assert explorer.trace(LOSS).mode == "lines+markers"
    assert np.isfinite(explorer.figure.layout.xaxis.range).all()
    assert "I-AMFS is at its start, loss 1.00" in explorer.sentence.text


def test_an_undefined_cosine_is_not_drawn():
    assert len(shown(steps(cosine=None)).trace(RIGHT).x) == 0
    assert "cosine" not in shown(steps(cosine=None)).sentence.text


def test_a_run_without_a_sketch_ends_at_its_first_step_with_advice():
    explorer, seen = TrainingTrajectoryExplorer(), []

    def unrecorded():
        for step in steps():
            seen.append(step.step)
            yield SimpleNamespace(**{**vars(step), "trajectory": None})

    with pytest.raises(ConfigError, match=r"without one. Make the trainer with `trajectory=CountSketch\(\)`"):
        asyncio.run(live(unrecorded(), explorer))
    assert seen == [1]
    assert explorer.status == "failed"
    assert "trajectory=CountSketch()" in explorer.banner.value


def test_an_eighth_run_and_runs_of_other_parameters_are_refused():
    with pytest.raises(ConfigError, match=r"One figure can show at most 7 runs. Got 8: open a second explorer"):
        shown(*(steps(f"run {n}", n=2, seed=n) for n in range(8)))
    explorer = TrainingTrajectoryExplorer()
    with pytest.raises(ConfigError, match=r"must have the same meta-parameters"):
        asyncio.run(live({"amfs": steps("amfs"), "maml": steps("maml", size=SIZE + 1)}, explorer))
    assert "the same inner loop and width" in explorer.banner.value
    assert list(explorer.history) == ["amfs"]  # the valid run stays


def test_real_training_is_drawn_live():
    small = {"width": 8, "tasks": 2, "steps": 3, "episode": EpisodeConfig(3, 1, 3), "validate_every": 0}
    runs = {name: MetaTrainer(preset(name, **small), trajectory=CountSketch()).run() for name in ("i-amfs", "amfs")}
    explorer = TrainingTrajectoryExplorer(right=COSINE)
    asyncio.run(live(runs, explorer, every=0))
    assert explorer.sentence.text.startswith("Finished: ")
    assert [trace.name for trace in explorer.figure.data if trace.showlegend] == ["I-AMFS", "AMFS", "start"]
    assert explorer.trace(PATH).x[0] == explorer.trace(f"path_{slots(runs)['amfs']}").x[0]


def test_a_trajectory_that_does_not_move_has_no_arrow_there():
    """The step before an arrow head gives its direction. A step of length zero has no direction."""
    run = list(steps("i-amfs", seed=1))
    for step in run[20:]:
        step.trajectory = replace(step.trajectory, position=run[20].trajectory.position)
    marked = np.flatnonzero(shown(run).arrays[f"arrows_{slots(('i-amfs',))['i-amfs']}"])
    assert 0 < len(marked) < len(ARROWS)
    assert marked.max() <= 20
