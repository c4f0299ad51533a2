"""The base of the experiments: a new one is a class and a row of the registry, and its stored result is checked."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from amfs_lab.cli import main
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import EXPERIMENTS, Experiment
from amfs_lab.experiments.experiment import Measured
from amfs_lab.experiments.markdown import markdown_table


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

    def measure(self, config, root, device, report):
        report("thrown")
        return Measured({"heads": np.arange(config.throws) % 2}, [0])

    def summary(self, rows, config):
        return {"share": float(rows["heads"].mean())}

    def check(self, result):
        if len(result.rows["heads"]) != result.config["throws"]:
            raise ValueError("another number of throws")

    def table(self, result):
        return markdown_table(["throws", "heads"], [[str(result.config["throws"]), str(result.summary["share"])]])


@pytest.fixture
def coin(monkeypatch, tmp_path):
    monkeypatch.setitem(EXPERIMENTS, "coin", Coin())
    monkeypatch.chdir(tmp_path)
    return EXPERIMENTS["coin"]


def test_a_row_of_the_registry_is_a_command_with_options_and_a_stored_result(coin, tmp_path, capsys):
    assert main(["reproduce", "coin", "--throws", "6"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["Coin, 6 throws -> runs/coin-6", "thrown", "| throws | heads |", "|---|---|", "| 6 | 0.5 |"]
    result = coin.load(tmp_path / "runs" / "coin-6")
    assert (result.config["throws"], result.machine["device"]) == (6, "cpu")
    assert main(["reproduce", "coin", "--throws", "6"]) == 2
    assert "never overwritten" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["reproduce", "coin", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--throws THROWS throws of the coin (default 4)" in said
    assert "its sides (default even)" in said


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("summary.json", {"share": 0.75}, "a summary that its rows do not give"),
        ("result.json", {"config": {"throws": 5}}, "another number of throws"),
        ("result.json", {"config": {}}, "nothing named 'throws'"),
        ("result.json", {"experiment": "dice"}, "Expected a result of coin in .* Got one of dice"),
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
    with pytest.raises(ConfigError, match="never overwritten"):
        coin.run(CoinConfig(), folder=tmp_path)


def test_every_experiment_is_in_the_registry_by_its_name():
    assert {name: each.name for name, each in EXPERIMENTS.items()} == {name: name for name in EXPERIMENTS}


def test_a_table_has_a_line_a_row():
    assert markdown_table(["a", "b"], [["1", "2"], ["3", "4"]]) == "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
