"""A table is measured in shares on several machines; then the pools of learners are joined."""

import json
import shutil

import numpy as np
import pytest

from amfs_lab.cli import main
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import EXPERIMENTS, benchmark
from amfs_lab.experiments.benchmark import BenchmarkConfig
from amfs_lab.experiments.merge import merge
from amfs_lab.experiments.pool import DATA, PRICES, Pool
from amfs_lab.runs import saved

TABLE = EXPERIMENTS["table1"]
TINY = dict(baseline_steps=4, seeds=1, episodes=4, width=2, rates=(1e-3, 3e-3), tasks=1)
ROWS = ("i-amfs", "prototypes", "anil")


@pytest.fixture(autouse=True, scope="module")
def priced():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "prices", lambda configs, root, device: dict.fromkeys(configs, 2.0))
        yield


@pytest.fixture(scope="module")
def config():
    return BenchmarkConfig(**TINY, rows=ROWS)


@pytest.fixture(scope="module")
def pools(priced, config, tmp_path_factory):
    """The pools of two machines that shared a table. They are not to be changed."""
    made = [tmp_path_factory.mktemp("machine") / "trained" for _ in range(2)]
    for cell, folder in enumerate(made, start=1):
        TABLE.work(config, Pool(folder), lambda words: None, cell, 2)
    return made


@pytest.fixture
def copies(pools, tmp_path):
    return [shutil.copytree(pool, tmp_path / f"pool-{i}") for i, pool in enumerate(pools)]


def test_joined_shares_give_the_table_of_one_machine_and_train_nothing_again(config, pools, tmp_path, monkeypatch):
    whole = TABLE.run(config, folder=tmp_path / "alone" / "t1")
    runs = [each for pool in pools for each in pool.iterdir() if each.is_dir()]
    assert merge(pools, tmp_path / "joined" / "trained") == len(runs)
    monkeypatch.setattr(Pool, "_train", None)
    joined = TABLE.run(config, folder=tmp_path / "joined" / "t1")
    assert joined.summary == whole.summary
    for name, rows in whole.rows.items():
        assert np.array_equal(joined.rows[name], rows)
    assert merge(pools, tmp_path / "joined" / "trained") == 0  # nothing is new


def test_the_shares_have_different_runs(pools):
    one, other = ({run.name for run in pool.iterdir() if run.is_dir()} for pool in pools)
    assert one
    assert other
    assert not one & other


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("name", "words"),
    [(PRICES, "must have the same .* in prices.json. Copy prices.json of the first"), (DATA, "Use the same data on")],
)
def test_pools_with_other_prices_or_data_are_refused(name, words, copies, tmp_path):
    shared = next(iter(json.loads((copies[0] / name).read_text()).keys() & json.loads((copies[1] / name).read_text())))
    change(copies[1] / name, **{shared: "other"})
    with pytest.raises(ConfigError, match=words):
        merge(copies, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_pools_of_other_versions_or_damaged_ones_are_refused(copies, tmp_path):
    record = next(copies[1].glob(f"*/{saved.RECORD}"))
    kept = record.read_text()
    change(record, code={"commit": "0123", "amfs_lab": "9"})
    with pytest.raises(ConfigError, match=r"All runs must be made by one version of the code. Got .* of 0123"):
        merge(copies, tmp_path / "into")
    record.write_text(kept)
    (copies[0] / PRICES).write_text("[1]")
    with pytest.raises(DataError, match=r"Expected a file of a pool: .*prices.json"):
        merge(copies, tmp_path / "into")
    with pytest.raises(ConfigError, match=r"A pool of learners has a file data.json. Got .*, which has none"):
        merge([tmp_path], tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(benchmark.BUDGETS, "smoke", TINY)
    words = ["reproduce", "table1", "--budget", "smoke", "--rows", "prototypes"]
    for cell in ("1/2", "2/2"):
        assert main([*words, "--cell", cell, "--out", f"machine-{cell[0]}/t1"]) == 0
        assert "Join the pools of all cells: amfs-lab reproduce merge machine-" in capsys.readouterr().out
    assert main(["reproduce", "merge", "machine-1/trained", "machine-2/trained"]) == 0
    assert "runs copied to runs/trained" in capsys.readouterr().out
    assert main(words) == 0
    assert "| prototypes |" in capsys.readouterr().out
    for cell in ("0/2", "3/2", "1/9", "x", "1/2/3"):
        assert main([*words, "--cell", cell, "--out", "other/t1"]) == 2
        assert "cell" in capsys.readouterr().err.lower()
