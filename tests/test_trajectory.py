"""Trajectories: sketches preserve distances, the plane is PCA's, and a run without a sketch costs nothing."""

import itertools
import json
import math
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from amfs_lab import training, trajectory
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.outer import AGGREGATORS
from amfs_lab.outer.conflict import measure
from amfs_lab.runs import saved
from amfs_lab.runs.progress import Progress
from amfs_lab.runs.saved import load_run
from amfs_lab.tasks import EpisodeConfig
from amfs_lab.training import MetaTrainer
from amfs_lab.trajectory import CountSketch, Plane, paths, random_walk_shares, record

SMALL = {"width": 8, "tasks": 3, "episode": EpisodeConfig(3, 1, 3), "validate_every": 0}


def pca(positions):
    """Expected values by numpy's SVD of the centred positions: coordinates up to sign, and shares of variance."""
    rows = np.asarray(positions) - np.asarray(positions).mean(0)
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    return u[:, :2] * s[:2], s[:2] ** 2 / (s**2).sum()


def miss(coordinates, expected):
    """The largest distance between points of two paths, divided by the largest distance to the centre.

    The signs of the axes are made equal first.
    """
    ours = np.asarray(coordinates)
    ours = ours * np.where((ours * expected).sum(0) < 0, -1, 1)
    return np.linalg.norm(ours - expected, axis=1).max() / np.linalg.norm(expected, axis=1).max()


def walk(randn, steps=60, size=20_000):
    """A random walk with a drift, similar to a training. Its spectrum decays slowly, which is hard for PCA."""
    return (randn(steps, size) + 0.1 * randn(size)).cumsum(0)


class TestSketch:
    def test_it_is_linear_and_repeats_itself_and_another_seed_is_another(self, randn):
        a, b = randn(500), randn(500)
        sketch = CountSketch(64)
        assert torch.allclose(sketch.of([2 * a - b]), 2 * sketch.of([a]) - sketch.of([b]))
        assert torch.equal(sketch.of([a]), CountSketch(64).of([a[:200].view(20, 10), a[200:]]))
        assert not torch.equal(sketch.of([a]), CountSketch(64, seed=1).of([a]))

    @pytest.mark.parametrize("kind", ["normal", "all alike", "every 128th"])
    def test_squared_distances_are_right_on_average_and_as_scattered_as_promised(self, randn, kind):
        """Without random signs, equal entries would add up. Without random places, every 128th entry would add up."""
        x = {
            "normal": randn(3001),
            "all alike": torch.ones(3001),
            "every 128th": (torch.arange(3001) % 128 == 0).double(),
        }
        squares = torch.stack([CountSketch(128, seed).of([x[kind]]).square().sum() for seed in range(400)])
        squares = squares / x[kind].square().sum()
        promised = math.sqrt(2 / 128)
        assert abs(squares.mean() - 1) < 4 * promised / math.sqrt(400)
        assert squares.std() < 1.15 * promised
        assert kind != "normal" or squares.std() > 0.8 * promised

    @pytest.mark.parametrize("numbers", [300, 512])
    def test_with_a_number_for_each_entry_nothing_is_lost(self, randn, numbers):
        x = randn(7, 300)
        y = torch.stack([CountSketch(numbers).of([row]) for row in x])
        assert y.shape == (7, numbers)
        assert torch.allclose(torch.cdist(x, x), torch.cdist(y, y))

    def test_it_leaves_the_global_random_state_alone(self, randn):
        before = torch.get_rng_state()
        trajectory._sample.cache_clear()
        CountSketch().of([randn(100)])
        assert torch.equal(before, torch.get_rng_state())

    @pytest.mark.parametrize("numbers", [1, -3, True])
    def test_a_sketch_of_one_number_is_refused(self, numbers):
        with pytest.raises(ConfigError, match=r"CountSketch.numbers must be an integer >= 2. Got"):
            CountSketch(numbers)


class TestPlane:
    @pytest.mark.parametrize("shape", [(30, 200), (200, 30), (2, 9), (9, 2)])
    def test_it_is_the_plane_of_the_svd(self, randn, shape):
        positions = randn(*shape).cumsum(0)
        plane = Plane.of([positions])
        expected, shares = pca(positions)
        assert miss(plane.coordinates(positions), expected) < 1e-6
        assert plane.shares == pytest.approx(shares, abs=1e-9)

    def test_from_the_default_sketch_it_is_near_the_exact_one_and_from_more_numbers_nearer(self, randn):
        positions = walk(randn)
        expected, shares = pca(positions)
        misses = {}
        for numbers in (64, 1024):
            sketches = [[CountSketch(numbers, seed).of([row]) for row in positions] for seed in range(4)]
            planes = [(Plane.of([torch.stack(rows)]), torch.stack(rows)) for rows in sketches]
            misses[numbers] = max(miss(plane.coordinates(rows), expected) for plane, rows in planes)
        assert misses[1024] < 0.10  # relative to the path's radius, as the docstring states
        assert misses[1024] < misses[64]
        assert planes[0][0].shares == pytest.approx(shares, abs=0.05)

    def test_it_starts_on_the_negative_sides_and_does_not_flip_as_a_run_grows(self, randn):
        positions = walk(randn, size=400)
        planes = [Plane.of([positions[:n]]) for n in range(20, 61)]
        for plane in planes:
            assert (plane.coordinates(positions[:1]) <= 0).all()
        for one, two in itertools.pairwise(planes):
            assert float(one.axes[0] @ two.axes[0]) > 0.9

    def test_each_run_counts_the_same_whatever_its_number_of_steps(self, randn):
        a, b = randn(5, 40), randn(8, 40) + 1
        dense = Plane.of([a, b.repeat_interleave(9, 0)])
        assert torch.allclose(dense.axes, Plane.of([a, b]).axes, atol=1e-8)
        assert not torch.allclose(dense.axes, Plane.of([torch.cat([a, b.repeat_interleave(9, 0)])]).axes, atol=1e-3)

    def test_lengths_in_the_plane_are_lengths_of_the_parameters(self, randn):
        flat = randn(30, 2) @ torch.linalg.qr(randn(50, 2)).Q.T + randn(50)
        plane = Plane.of([flat])
        assert torch.allclose(torch.pdist(flat), torch.pdist(plane.coordinates(flat)), atol=1e-9)
        assert sum(plane.shares) == pytest.approx(1)

    @pytest.mark.parametrize("positions", [torch.ones(1, 5), torch.ones(4, 5), torch.eye(5)[:2]])
    def test_where_nothing_spreads_it_stays_finite(self, positions):
        plane = Plane.of([positions])
        assert torch.isfinite(plane.axes).all()
        assert plane.coordinates(positions)[:, 1].abs().max() < 1e-12
        assert plane.shares[1] == 0

    def test_it_needs_a_position(self):
        with pytest.raises(ConfigError, match=r"A plane needs at least one position. Got none. Record a run first."):
            Plane.of([])

    @pytest.mark.parametrize("runs", [1, 2, 3])
    def test_random_walks_have_the_shares_that_theory_gives_them(self, randn, runs):
        walks = [randn(250, 20_000, dtype=torch.float32).cumsum(0) for _ in range(runs)]
        assert Plane.of(walks).shares == pytest.approx(random_walk_shares(runs), abs=0.012)
        assert random_walk_shares(1) == pytest.approx((6 / math.pi**2, 1.5 / math.pi**2))


class TestTold:
    @pytest.mark.parametrize("name", AGGREGATORS)
    def test_a_step_keeps_the_weights_of_its_own_aggregator(self, randn, name):
        grads, rule = randn(4, 9), AGGREGATORS[name]()
        point = record(randn(5), rule, grads)
        assert point.weights == pytest.approx(rule.weights(grads).tolist())
        assert point.size == 9
        assert record(randn(5), rule, grads[:1]).cosine is None


class TestTraining:
    def test_a_step_tells_where_its_gradients_were_taken(self):
        config = preset("amfs", steps=3, **SMALL)
        trainer = MetaTrainer(config, trajectory=CountSketch(32))
        start = config.build()
        start.start(trainer.train[0])
        places = [CountSketch(32).of(start.meta_parameters())]
        for progress in trainer.run():
            assert torch.equal(progress.trajectory.position, places[-1])
            places.append(CountSketch(32).of(trainer.learner.meta_parameters()))
            if progress.step == 1:
                rows = start.task_gradients([trainer.train[t] for t in range(config.tasks)]).rows
                assert progress.trajectory.weights == pytest.approx(config.outer.weights(rows).tolist(), rel=1e-4)
                assert progress.trajectory.cosine == pytest.approx(float(measure(rows).mean_cosine), abs=1e-4)
        assert progress.trajectory.size == sum(p.numel() for p in start.meta_parameters())

    def test_a_sketch_changes_nothing_and_no_sketch_costs_nothing(self, monkeypatch):
        def trained(**sketch):
            trainer = MetaTrainer(preset("amfs", steps=3, **SMALL), **sketch)
            losses = [progress.loss for progress in trainer.run()]
            return losses, torch.cat([p.detach().flatten() for p in trainer.learner.parameters()])

        recorded_losses, recorded_end = trained(trajectory=CountSketch(16))
        monkeypatch.setattr(training, "record", None)  # a call would raise
        monkeypatch.setattr(CountSketch, "of", None)
        losses, end = trained()
        assert losses == recorded_losses
        assert torch.equal(end, recorded_end)

    def test_runs_of_one_seed_start_at_one_point_and_part(self):
        runs = {
            name: list(MetaTrainer(preset(name, steps=4, **SMALL), trajectory=CountSketch(64)).run())
            for name in ("i-amfs", "amfs")
        }
        found = paths(runs)
        a, b = found.coordinates.values()
        assert torch.equal(a[0], b[0])
        assert torch.linalg.vector_norm(a[-1] - b[-1]) > 0
        assert found.positions["amfs"].shape == (4, 64)

    def test_a_trajectory_point_is_saved_and_comes_back_and_older_runs_still_load(self, tmp_path):
        *_, last = MetaTrainer(preset("amfs", steps=2, **SMALL), tmp_path, trajectory=CountSketch(16)).run()
        _, _, back = load_run(tmp_path)
        assert back == last
        assert torch.equal(back.trajectory.position, last.trajectory.position)
        record = json.loads((tmp_path / saved.RECORD).read_text())
        whole = json.dumps(record)
        point = record["progress"].pop("trajectory")
        (tmp_path / saved.RECORD).write_text(json.dumps(record))
        assert load_run(tmp_path)[2].trajectory is None
        record["progress"]["followed"] = point  # the name in older runs
        (tmp_path / saved.RECORD).write_text(json.dumps(record))
        assert load_run(tmp_path)[2] == last
        (tmp_path / saved.RECORD).write_text(whole.replace('"cosine"', '"sine"'))
        with pytest.raises(DataError, match=r"Expected the progress of a run in"):
            load_run(tmp_path)

    def test_progress_stays_a_frozen_value(self):
        one, two = (Progress("a", 1, 0.0, 1.0, 0.5, None, told(torch.full((4,), x))) for x in (0.0, 1.0))
        assert one == two  # the position is not compared
        assert hash(one) == hash(two)
        assert "position" not in repr(one)
        assert asdict(one)["trajectory"]["weights"] == (0.5, 0.5)


def told(position, size=9):
    return trajectory.TrajectoryPoint(position, size, 0.1, (0.5, 0.5))


class TestPaths:
    def test_runs_of_other_meta_parameters_or_sketches_do_not_meet(self):
        for other in (told(torch.ones(4), size=10), told(torch.ones(5))):
            runs = {"a": [SimpleNamespace(step=1, trajectory=told(torch.ones(4)))]}
            runs["b"] = [SimpleNamespace(step=1, trajectory=other)]
            with pytest.raises(
                ConfigError, match=r"Runs in one plane must have the same meta-parameters .* Got 9 meta-parameters in 4"
            ):
                paths(runs)

    def test_a_step_without_a_position_is_refused_with_advice(self):
        with pytest.raises(ConfigError, match=r"without one. Make the trainer with `trajectory=CountSketch\(\)`"):
            paths({"a": [Progress("a", 1, 0.0, 1.0, 0.5)]})

    def test_no_walkers_have_no_shares(self):
        with pytest.raises(ConfigError, match=r"`runs` must be >= 1. Got 0."):
            random_walk_shares(0)
