"""The model of a meta-step in several processes."""

import json
from pathlib import Path

import pytest
import torch

from amfs_lab.bench import ranks
from amfs_lab.bench.ranks import RANKS, TASKS, Costs, measure_costs, modelled, traffic
from amfs_lab.cli import main
from amfs_lab.distributed import ALONE
from amfs_lab.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
COSTS = Costs(gradient=0.5, latency=0.001, bandwidth=1e6, episode=0.01)


def test_a_single_process_sends_nothing_and_a_large_ring_sends_each_vector_twice():
    assert traffic(100, 1) == COSTS.reductions(100, 1) == 0
    assert traffic(100, 2) == 3 * 100 * 4
    assert traffic(100, 10**6) == pytest.approx(2 * 3 * 100 * 4, rel=1e-5)


def test_the_largest_share_decides_and_messages_add_up():
    assert COSTS.gradients(5, 2) == 3 * 0.5
    assert COSTS.gradients(4, 4) == 0.5
    assert COSTS.reductions(100, 3) == pytest.approx(2 * 2 * 2 * 0.001 + traffic(100, 3) / 1e6)
    assert COSTS.evaluation(7) == pytest.approx(86 * 0.01)


def test_the_table_has_a_line_for_each_number_of_ranks():
    lines = modelled(COSTS, 112_000).splitlines()[2:]
    assert [int(line.split("|")[1]) for line in lines] == list(ranks.RANKS)
    assert lines[0] == "| 1 | 16 | 8 | 0 | 6 | 0 |"
    assert lines[-1].startswith("| 1024 | 1024 | 0.5 |")


def test_a_single_process_is_told_how_to_start_several(capsys):
    with pytest.raises(ConfigError, match="needs several processes"):
        measure_costs(ALONE, 1, torch.device("cpu"))
    assert main(["bench", "--ranks", "--device", "cpu"]) == 2
    assert "Start it with torchrun --nproc-per-node 2." in capsys.readouterr().err


def test_the_page_has_the_numbers_of_the_stored_measurement():
    """`bench --ranks --json data/results/ranks-cpu.json` made it."""
    found = json.loads((ROOT / "data" / "results" / "ranks-cpu.json").read_text(encoding="utf-8"))
    page = " ".join((ROOT / "docs" / "distributed.md").read_text(encoding="utf-8").split())
    own = found["networks"]["conv4"]
    assert f"{1000 * own['gradient']:.1f} ms for a gradient, {1e6 * own['latency']:.0f} microseconds" in page
    assert f"{own['bandwidth'] / 1e9:.2f} GB/s, {1000 * own['episode']:.1f} ms" in page
    one, two = found["steps"]["1"], found["steps"]["2"]
    assert f"{one / two:.1f} times as fast" in page
    assert f"median of {found['rounds']} interleaved rounds" in page
    assert "the times of the model are at most 20 % too long" in page
    own = Costs(**{name: value for name, value in own.items() if name != "meta-parameters"})
    for size, seconds in ((1, one), (2, two)):
        assert 1 <= (own.gradients(16, size) + own.reductions(111_682, size)) / seconds < 1.2
    large = found["networks"]["resnet12"]
    assert f"a gradient ({large['gradient']:.2f} s)" in page
    assert f"an episode ({large['episode']:.2f} s)" in page
    assert "only for the small network (Conv-4) with 64 processes or more" in page
    assert "With up to 64 processes, one evaluation takes longer than a meta-step" in page
    for name, network in found["networks"].items():
        parameters = network.pop("meta-parameters")
        costs = Costs(**network)
        for size in RANKS:
            gradients, reductions = costs.gradients(max(TASKS, size), size), costs.reductions(parameters, size)
            assert (reductions > gradients) == (name == "conv4" and size >= 64), (name, size)
            assert (costs.evaluation(size) > gradients + reductions) == (size <= 64), (name, size)
