"""Waves to regress: each a pure function of (split, seed, index), in the ranges of Finn et al. 2017."""

import math

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.tasks.sinusoids import SinusoidSource


def test_labels_lie_on_the_wave_of_the_episode():
    source = SinusoidSource(shots=5, queries=7)
    for index in range(20):
        episode, wave = source[index], source.wave(index)
        for half, n in ((episode.support, 5), (episode.query, 7)):
            assert half.x.shape == half.y.shape == (n, 1)
            assert half.ways == 1
            assert half.x.dtype == half.y.dtype == torch.float32
            expected = [wave.amplitude * math.sin(x + wave.phase) for x in half.x[:, 0].tolist()]
            assert half.y[:, 0].tolist() == pytest.approx(expected, abs=1e-5)


def test_amplitudes_phases_and_places_fill_their_ranges():
    source = SinusoidSource(shots=50)
    waves = [source.wave(index) for index in range(1000)]
    for values, low, high in (
        (torch.tensor([w.amplitude for w in waves]), 0.1, 5.0),
        (torch.tensor([w.phase for w in waves]), 0.0, math.pi),
        (torch.cat([source[i].support.x for i in range(40)]), -5.0, 5.0),
    ):
        width = high - low
        assert low <= values.min() < low + 0.02 * width
        assert high - 0.02 * width < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.05 * width


def same(a, b):
    return all(torch.equal(m.x, n.x) and torch.equal(m.y, n.y) for m, n in ((a.support, b.support), (a.query, b.query)))


def test_an_episode_depends_on_split_seed_and_index_and_on_nothing_else():
    source = SinusoidSource()
    first = source[3]
    torch.manual_seed(7)
    torch.rand(5)
    source[9]
    assert same(first, source[3])
    assert same(first, SinusoidSource(noise=0.0)[3])
    others = [source[4], SinusoidSource(seed=1)[3], SinusoidSource(split="test")[3]]
    assert not any(same(first, other) for other in others)


def test_the_global_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    SinusoidSource(noise=0.5)[0]
    assert torch.equal(before, torch.random.get_rng_state())


def test_more_shots_keep_the_first_ones():
    few, many = SinusoidSource(shots=3, noise=0.2)[5].support, SinusoidSource(shots=30, noise=0.2)[5].support
    assert torch.equal(few.x, many.x[:3])
    assert torch.equal(few.y, many.y[:3])


def test_noise_is_in_the_support_labels_only():
    clean, noisy = SinusoidSource(shots=2000)[1], SinusoidSource(shots=2000, noise=0.3)[1]
    assert torch.equal(clean.query.y, noisy.query.y)
    error = noisy.support.y - clean.support.y
    assert abs(float(error.std()) - 0.3) < 0.02
    assert abs(float(error.mean())) < 0.03


def test_it_goes_on_without_end():
    episodes = iter(SinusoidSource())
    assert same([next(episodes) for _ in range(3)][2], SinusoidSource()[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": 0}, r"SinusoidSource.shots must be an integer >= 1. Got 0"),
        ({"queries": -2}, r"SinusoidSource.queries must be an integer >= 1. Got -2"),
        ({"noise": -1.0}, r"SinusoidSource.noise must be a finite number >= 0. Got -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SinusoidSource(**settings)
