"""The benchmark: steps take turns in each round, times are ratios to a baseline, and all rows do the same work."""

import json
from pathlib import Path

import pytest
import torch

from amfs_lab import cli
from amfs_lab.backbones import Conv4
from amfs_lab.bench import PARTS, methods, report, rounds, tables
from amfs_lab.bench.memory import peak, peak_of_training
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError
from amfs_lab.learner import WithHead
from amfs_lab.tasks import EpisodeConfig, glyphs

SHAPE = EpisodeConfig(2, 1, 15)


def test_rounds_take_turns_and_the_first_does_not_count():
    calls = []
    times = rounds.measure({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 4
    assert {name: len(own) for name, own in times.seconds.items()} == {"a": 3, "b": 3}


def test_each_measurement_waits_for_the_device():
    waits = []
    rounds.measure({"a": lambda: None, "b": lambda: None}, 3, lambda: waits.append(1))
    assert len(waits) == 1 + 6
    assert rounds.synchronize(torch.device("cuda")) is torch.cuda.synchronize
    assert rounds.synchronize(methods.CPU)() is None


def test_steps_go_where_their_episodes_are():
    """On the meta device, which exists on every machine."""
    episodes = methods.episodes_of(SHAPE, 2, torch.device("meta"))
    methods.baseline_step(episodes, torch.channels_last)()
    assert methods.rules(3, 50, torch.device("meta"))["mean(0)"]().device.type == "meta"


def test_ratios_are_taken_round_by_round():
    times = rounds.Times({"a": [2.0, 6.0, 3.0], "b": [1.0, 2.0, 3.0]})
    assert times.ratio("a", "b") == (2.0, 1.0, 3.0)
    assert times.ms("a") == 3000
    assert rounds.ratio_text(times.ratio("a", "b")) == "2.00 (1.00 to 3.00)"
    assert times.to_dict("b")["a"] == {"seconds": [2.0, 6.0, 3.0], "x b": (2.0, 1.0, 3.0)}


def test_the_baseline_is_our_network_in_its_ordinary_form():
    """With the same parameters, both networks have the same outputs and gradients."""
    (episode,) = methods.episodes_of(SHAPE, 1)
    theirs, ours = methods.ordinary(episode), WithHead(Conv4(), SHAPE.ways)
    torch.nn.init.normal_(ours.head.weight)
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        yours.data.copy_(mine.data)
    for net in (ours, theirs):
        episode.query.loss(net(episode.query.x)).backward()
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine.grad, yours.grad, atol=1e-5)
    assert torch.allclose(ours(episode.query.x), theirs(episode.query.x), atol=1e-5)


def test_the_baseline_trains():
    episodes = methods.episodes_of(SHAPE, 2)
    before = torch.random.get_rng_state()
    step = methods.baseline_step(episodes, torch.channels_last)
    step()
    assert not torch.equal(before, torch.random.get_rng_state())  # its initial weights are random


@pytest.mark.skipif(methods.higher is None, reason="higher is not installed")
def test_a_meta_step_by_higher_equals_ours(monkeypatch):
    """One step of each from the same parameters. The outer gradients are equal, so Adam makes the same step."""
    made = []
    build = type(preset("maml")).build
    monkeypatch.setattr(
        type(preset("maml")), "build", lambda self, *shape: made.append(build(self, *shape)) or made[-1]
    )
    episodes = methods.episodes_of(SHAPE, 2)
    methods.learner_step(preset("maml", episode=SHAPE), episodes)()
    methods.higher_step(SHAPE, episodes)()
    ours, theirs = (torch.cat([p.detach().flatten() for p in learner.net.parameters()]) for learner in made)
    assert ((ours - theirs).abs() < 1e-5).float().mean() > 0.98  # rounding may change a sign


def test_every_part_is_a_table_and_all_seconds_are_kept(tmp_path, capsys, monkeypatch):
    """The timed steps are replaced by empty ones. The tests above check the real steps."""
    idle = {name: lambda: None for name in (methods.BASELINE, methods.LAST, "i-amfs", "maml")}
    monkeypatch.setattr(tables, "meta_steps", lambda *_: idle)
    monkeypatch.setattr(tables, "adaptations", lambda *_: idle)
    monkeypatch.setattr(tables, "against", lambda *_: {name: idle[name] for name in ("baseline", "i-amfs", "maml")})
    monkeypatch.setattr(tables, "rules", lambda tasks, device: {"mean(0)": lambda: None, "O-AMFS": lambda: None})
    monkeypatch.setattr(tables, "peak", lambda *_: 10.0)
    monkeypatch.setattr(tables, "peak_of_training", lambda tasks, streamed, *_: 1.0 if streamed else float(tasks))
    monkeypatch.setattr(tables.subprocess, "run", lambda *_, **__: None)
    to_json, to_plot = tmp_path / "deep" / "bench.json", tmp_path / "cost.png"
    asked = ["bench", "--rounds", "2", "--shapes", "5w1s", "20w1s", "--parts", "all"]
    assert cli.main([*asked, "--json", str(to_json), "--plot", str(to_plot)]) == 0
    said = capsys.readouterr().out
    for words in ("20-way 1-shot, 4 tasks of 320 images", "adaptation", "MiB", "64 gradients", "x torch", "image size"):
        assert words in said
    kept = json.loads(to_json.read_text())
    assert set(PARTS) <= set(kept)
    assert len(kept["meta-steps"]["20w1s"]["i-amfs"]["seconds"]) == 2
    assert kept["streamed"]["20w1s"]["256"] == {"all gradients": 256, "streamed": 1}
    assert "| 256 | 256 | 1 |" in said
    assert kept["machine"]["torch"] == torch.__version__
    assert to_plot.read_bytes()[:4] == b"\x89PNG"


def test_memory_is_measured_in_a_new_process():
    assert 1 < peak("baseline", "2w1s", methods.CPU) < 4000


def test_streamed_training_keeps_one_gradient_at_a_time():
    """The gradients of 100 small tasks need tens of MiB, and one gradient less than one."""
    whole, streamed = (peak_of_training(100, each, "2w1s", methods.CPU) for each in (False, True))
    gradients = 100 * sum(p.numel() for p in preset("amfs", episode=SHAPE).build().meta_parameters()) * 4 / 2**20
    assert whole - streamed > 0.5 * gradients > 20


def test_rules_are_timed_on_gradients_of_a_network():
    steps = methods.rules(3, parameters=50)
    assert torch.allclose(steps["mean(0)"](), steps["mean"](), atol=1e-6)
    assert not torch.allclose(steps["mean(0)"](), steps["O-AMFS"](), atol=1e-3)


def test_glyphs_are_opened_anew_each_time(monkeypatch):
    read, reads = glyphs.read, []
    monkeypatch.setattr(glyphs, "read", lambda path: reads.append(path) or read(path))
    for _ in range(2):
        methods.open_anew("glyphs")
    assert len(reads) == 2


@pytest.mark.parametrize(("what", "value", "images"), [("shots", 3, 4 * 90), ("ways", 3, 4 * 48), ("tasks", 2, 160)])
def test_against_changes_one_setting(what, value, images, monkeypatch):
    seen = []
    monkeypatch.setattr(methods, "baseline_step", lambda episodes, *_: seen.append(episodes) or list)
    monkeypatch.setattr(methods, "learner_step", lambda *_: list)
    methods.against(what, value)
    assert sum(len(e.support.x) + len(e.query.x) for e in seen[0]) == images


def test_invalid_arguments_are_refused_before_any_measurement(tmp_path):
    with pytest.raises(ConfigError, match=r"`rounds` must be >= 1. Got 0"):
        report(0)
    with pytest.raises(ConfigError, match=r"`parts` must be one or more of meta-steps, .* Got weather"):
        report(parts=["weather"])
    with pytest.raises(ConfigError, match=r"A shape must look like 5w1s"):
        report(shapes=["5x1"])
    with pytest.raises(ConfigError, match=r"The device must be auto, .* Got 'abacus'"):
        report(device="abacus")
    with pytest.raises(ConfigError, match=r"The file must be writable. Got .* Name another file"):
        report(to_json=tmp_path / "seconds.json", to_plot=tmp_path)
    assert list(tmp_path.iterdir()) == []  # an empty file would look like a result


class TestTheNumbersInTheText:
    ROOT = Path(__file__).resolve().parents[2]
    RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")

    @pytest.fixture
    def found(self):
        return json.loads((self.ROOT / "data" / "results" / "bench-cpu.json").read_text(encoding="utf-8"))

    def test_all_shapes_were_measured_often_enough(self, found):
        assert {"5w1s", "5w5s", "20w1s"} == set(found["meta-steps"]) == set(found["adaptation"])
        assert found["rounds"] >= 7

    def test_the_text_agrees_with_the_stored_times(self, found):
        told, here = " ".join(self.RESULTS.split()), found["machine"]

        def times(name, baseline):
            """Median ratio for each shape."""
            rows = [{row: own["seconds"] for row, own in shape.items()} for shape in found["meta-steps"].values()]
            return [rounds.Times(seconds).ratio(name, baseline)[0] for seconds in rows]

        assert max(abs(ratio - 1) for ratio in times("amfs", "i-amfs")) < 0.1
        own, maml = times("i-amfs", "baseline channels-last"), times("maml", "i-amfs")
        sizes = [shape["maml"] / shape["i-amfs"] for shape in found["memory"].values()]
        short, full = times("i-amfs bfloat16", "baseline"), times("i-amfs", "baseline")
        maml_short = times("maml bfloat16", "maml")
        assert max(full) < 1
        for sentence in (
            f"({here['cpu']}, {here['threads']} threads, torch {here['torch']}, {found['date']})",
            f"takes {own[0]:.2f}, {own[1]:.2f} and {own[2]:.2f} times as long as *baseline channels-last*",
            f"A meta-step of MAML takes {maml[0]:.1f}, {maml[1]:.1f} and {maml[2]:.1f} times as long as one of I-AMFS, "
            f"and needs {min(sizes):.1f} to {max(sizes):.1f} times the memory",
            f"a meta-step of I-AMFS takes {short[0]:.2f}, {short[1]:.2f} and {short[2]:.2f} times the baseline, "
            f"in float32 {full[0]:.2f}, {full[1]:.2f} and {full[2]:.2f}",
            f"its time in bfloat16 is between {min(maml_short):.2f} and {max(maml_short):.2f} of its time in float32",
        ):
            assert sentence in told, sentence
