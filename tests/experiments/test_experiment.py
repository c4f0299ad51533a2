"""The base class: a new experiment is a class and an entry of the registry, and its stored result is checked."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from amfs_lab.cli import main
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import EXPERIMENTS, Experiment, figures
from amfs_lab.experiments.experiment import Measured
from amfs_lab.experiments.result import Result, stored
from amfs_lab.markdown import markdown_table
from amfs_lab.stats import Interval


@dataclass(frozen=True)
class CoinConfig:
    """Settings of the toy.

    Args:
        throws: throws of the coin.
        weights: its sides.
    """

    throws: int = 4
    weights: tuple[str, ...] = ("even",)


class Coin(Experiment[CoinConfig]):
    name = "coin"
    help = "how often a coin shows heads"
    config = CoinConfig

    def title(self, config):
        return f"Coin, {config.throws} throws"

    def folder(self, config):
        return f"coin-{config.throws}"

    def measure(self, config, trainings, report):
        report("thrown")
        return Measured({"heads": np.arange(config.throws) % 2}, [0])

    def summary(self, rows, config):
        return {"share": float(rows["heads"].mean())}

    def check(self, result):
        if len(result.rows["heads"]) != result.config["throws"]:
            raise ValueError("another number of throws")

    def table(self, result):
        return markdown_table(["throws", "heads"], [[str(result.config["throws"]), str(result.summary["share"])]])

    def figure(self, result):
        return figures.intervals({"coin": {"heads": Interval(result.summary["share"], 0.1, 4)}}, "share")


@pytest.fixture
def coin(monkeypatch, tmp_path):
    monkeypatch.setitem(EXPERIMENTS, "coin", Coin())
    monkeypatch.chdir(tmp_path)
    return EXPERIMENTS["coin"]


def test_an_entry_of_the_registry_gives_a_command_with_options_and_a_stored_result(coin, tmp_path, capsys):
    assert main(["reproduce", "coin", "--throws", "6"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["Coin, 6 throws -> runs/coin-6", "thrown", "| throws | heads |", "|---|---|", "| 6 | 0.5 |"]
    result = coin.load(tmp_path / "runs" / "coin-6")
    assert (result.config["throws"], result.machine["device"]) == (6, "cpu")
    assert main(["reproduce", "coin", "--throws", "6"]) == 2
    assert "needs a new folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["reproduce", "coin", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--throws THROWS throws of the coin (default 4)" in said
    assert "its sides (default even)" in said


def test_a_result_is_saved_as_a_figure(coin, tmp_path, capsys):
    assert main(["reproduce", "coin", "--figure", "heads.svg"]) == 0
    assert "<svg" in (tmp_path / "heads.svg").read_text(encoding="utf-8")
    assert main(["reproduce", "coin", "--throws", "6", "--figure", "heads.txt"]) == 2
    assert "ends in .pdf or .png or .svg" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "coin-6").exists()


@pytest.mark.parametrize("name", ["accuracy-omniglot", "conflict-planes", "figure2-glyphs", "precision-glyphs"])
def test_the_figure_of_each_stored_result_shows_its_numbers(name):
    result = Result.load(stored(name))
    panels = EXPERIMENTS[result.experiment].figure(result).axes
    bars = [each.lines[0].get_xydata() for axes in panels for each in axes.containers]
    dots, heights = np.concatenate(bars).astype(float).T
    expected = {
        "accuracy-omniglot": lambda s: [
            100 * s[f"{m} 5w1s transductive"]["accuracy"]["mean"] for m in ("amfs", "maml")
        ],
        "conflict-planes": lambda s: [s["one outlier of five"]["to theta*"]["O-AMFS"]["minus mean"]["mean"]],
        "figure2-glyphs": lambda s: [100 * each["over episodes"]["mean"] for each in s["maml"]],
        "precision-glyphs": lambda s: [100 * each["ahead"]["mean"] for each in s.values()],
    }[name](result.summary)
    drawn = heights if name == "figure2-glyphs" else dots
    assert all(np.isclose(drawn, value, atol=1e-3).any() for value in expected)


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("summary.json", {"share": 0.75}, "the summary must be the one that is computed from the rows"),
        ("result.json", {"config": {"throws": 5}}, "another number of throws"),
        ("result.json", {"config": {}}, "there is no entry 'throws'"),
        ("result.json", {"experiment": "dice"}, "must have a result of `coin`. Got a result of `dice`"),
    ],
)
def test_a_stored_result_whose_parts_do_not_agree_is_refused(coin, tmp_path, file, change, words):
    coin.run(CoinConfig(), folder=tmp_path / "one")
    path = tmp_path / "one" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=words):
        coin.load(tmp_path / "one")


def test_a_folder_that_exists_is_refused_before_anything_is_measured(coin, tmp_path, monkeypatch):
    monkeypatch.setattr(Coin, "measure", lambda *_: pytest.fail("measured"))
    with pytest.raises(ConfigError, match="needs a new folder"):
        coin.run(CoinConfig(), folder=tmp_path)


def test_a_complete_result_is_resumed_only_with_its_own_settings(coin, tmp_path, monkeypatch):
    """Nothing is measured again, and another configuration is refused."""
    measured = coin.run(CoinConfig(6), folder=tmp_path / "c")
    monkeypatch.setattr(Coin, "measure", lambda *given: pytest.fail("measured again"))
    assert coin.run(CoinConfig(6), folder=tmp_path / "c", resume=True).summary == measured.summary
    with pytest.raises(ConfigError, match=r"has other settings: throws, weights\. Name another folder"):
        coin.run(CoinConfig(4, ("odd",)), folder=tmp_path / "c", resume=True)


def test_every_experiment_is_in_the_registry_by_its_name():
    assert {name: each.name for name, each in EXPERIMENTS.items()} == {name: name for name in EXPERIMENTS}


def test_a_table_has_one_line_for_each_row():
    assert markdown_table(["a", "b"], [["1", "2"], ["3", "4"]]) == "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
