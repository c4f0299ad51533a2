"""A run records its data and its network, and resumes only with the same ones."""

import json
import subprocess
import sys

import pytest
import torch

from amfs_lab import backbones, cli
from amfs_lab.config import preset
from amfs_lab.errors import ConfigError, NumericalError
from amfs_lab.inner import FunctionSpace
from amfs_lab.learner import MetaLearner
from amfs_lab.provenance import data_name, of_source
from amfs_lab.runs import checkpoint, saved
from amfs_lab.runs.replay import replay
from amfs_lab.runs.saved import run_data
from amfs_lab.tasks import EpisodeConfig, ImageSource
from amfs_lab.tasks.sinusoids import SinusoidSource
from amfs_lab.training import MetaTrainer

SHAPE = EpisodeConfig(3, 1, 2)
CONFIG = preset("i-amfs", episode=SHAPE, steps=3, tasks=1, width=4, validate_every=0)
LABELS = tuple("abcdefghijkl")


def source_of(images, rows=slice(6), **kwargs):
    return ImageSource(images[rows], LABELS[rows], kwargs.pop("config", SHAPE), **kwargs)


def stopped(folder, config=CONFIG, **kwargs):
    run = MetaTrainer(config, folder, device="cpu", **kwargs).run()
    next(run)
    run.close()


@pytest.fixture
def own(images):
    return {"train": source_of(images), "validation": source_of(images, slice(6, 12))}


def test_a_run_records_its_data_and_its_learner(tmp_path, own):
    stopped(tmp_path, **own)
    for record in (json.loads((tmp_path / saved.RECORD).read_text()), checkpoint.load(tmp_path).record):
        train = record["data"]["train"]
        assert train["own"]
        assert (train["name"], train["seed"], train["classes"]) == ("images/all", 0, 6)
        assert train["episode"] == {"ways": 3, "shots": 1, "queries": 2}
        assert train["labels and shapes"] != record["data"]["validation"]["labels and shapes"]
        assert not record["learner"]["own"]
    assert run_data(tmp_path) == train


def test_it_resumes_only_with_the_same_data(tmp_path, own, images):
    stopped(tmp_path, **own)
    again = {"train": source_of(images), "validation": source_of(images, slice(6, 12))}
    assert MetaTrainer(CONFIG, tmp_path, resume=True, device="cpu", **again).done == 1
    for changed, match in (
        (source_of(images, slice(5)), "classes"),
        (source_of(images[:, :7]), "labels and shapes"),
        (source_of(images, name="other"), "name"),
        (source_of(images, seed=1), "seed"),
        (source_of(images, config=EpisodeConfig(3, 1, 3)), "episode"),
        (ImageSource(images[:6], LABELS[6:], SHAPE), "labels and shapes"),
    ):
        with pytest.raises(ConfigError, match=rf"with other data: .* differs in .*{match}"):
            MetaTrainer(CONFIG, tmp_path, resume=True, device="cpu", **again | {"train": changed})
        with pytest.raises(ConfigError, match=r"with other data"):
            replay(tmp_path, 0, train=changed)
    with pytest.raises(ConfigError, match=r"with other data"):
        MetaTrainer(CONFIG, tmp_path, resume=True, device="cpu", **again | {"validation": source_of(images)})


def test_without_the_data_of_the_user_there_is_no_result(tmp_path, own):
    stopped(tmp_path, **own)
    match = r"trained with data of your own \(images/all, 6 classes\). Give the same data again, in Python: `train=`"
    with pytest.raises(ConfigError, match=match):
        MetaTrainer(CONFIG, tmp_path, resume=True, device="cpu").run()
    with pytest.raises(ConfigError, match=match):
        replay(tmp_path, 0)


def test_a_run_on_the_kits_data_goes_on_with_none_of_ones_own(tmp_path, own):
    stopped(tmp_path)
    with pytest.raises(
        ConfigError, match=r"trained with the data of its settings \(glyphs/train, .* Leave out `train=`"
    ):
        MetaTrainer(CONFIG, tmp_path, resume=True, device="cpu", **own)
    with pytest.raises(ConfigError, match=r"Leave out `train=`"):
        replay(tmp_path, 0, train=own["train"])


def test_a_learner_of_ones_own_is_recognised(tmp_path, own):
    def mine(features=5):
        return MetaLearner(backbones.MLP(784, (), features), FunctionSpace())

    stopped(tmp_path, learner=mine(), **own)
    assert MetaTrainer(CONFIG, tmp_path, resume=True, learner=mine(), device="cpu", **own).done == 1
    with pytest.raises(ConfigError, match=r"with learner of your own \(MLP\)"):
        MetaTrainer(CONFIG, tmp_path, resume=True, device="cpu", **own)
    with pytest.raises(ConfigError, match=r"with other learner: .* differs in names and shapes"):
        MetaTrainer(CONFIG, tmp_path, resume=True, learner=mine(6), device="cpu", **own)
    with pytest.raises(ConfigError, match=r"learner of your own"):
        replay(tmp_path, 0, train=own["train"])


def test_the_command_line_gives_no_number_for_data_it_lacks(tmp_path, own, capsys):
    stopped(tmp_path, **own)
    for command in (["evaluate", str(tmp_path)], ["replay", str(tmp_path), "--episode", "0"]):
        assert cli.main(command) == 2
        said = capsys.readouterr()
        assert "data of your own" in said.err
        assert "%" not in said.out
    asked = ["--source", "glyphs", "--episodes", "3", "--split", "validation"]
    assert cli.main(["evaluate", str(tmp_path), *asked]) == 0
    out = capsys.readouterr().out
    assert "meta-steps on images/all, 6 classes: glyphs/validation, 3-way 1-shot:" in out


def test_a_failed_run_on_ones_own_data_names_a_way_that_works(tmp_path, images, own):
    class Broken(ImageSource):
        def __getitem__(self, index):
            episode = super().__getitem__(index)
            if index == 1:
                episode.query.x[0] = float("nan")
            return episode

    def source():
        return Broken(images[:6], LABELS[:6], SHAPE)

    trainer = MetaTrainer(CONFIG, tmp_path, device="cpu", train=source(), validation=own["validation"])
    with pytest.raises(NumericalError, match=r"Inspect it: replay.replay\('.*', train=...\)") as error:
        list(trainer.run())
    assert "amfs-lab replay" not in str(error.value)
    assert replay(tmp_path, train=source())[0].first_broken.name == "query images"


def test_a_source_that_tells_little_has_a_fingerprint_of_its_shapes():
    small, large = of_source(SinusoidSource(shots=5), True), of_source(SinusoidSource(shots=6), True)
    assert data_name(SinusoidSource()) == "SinusoidSource/train"
    assert small["labels and shapes"] != large["labels and shapes"]


def test_older_runs_without_a_record_are_read(tmp_path):
    stopped(tmp_path)
    record = json.loads((tmp_path / saved.RECORD).read_text())
    for name in ("data", "learner"):
        del record[name]
    (tmp_path / saved.RECORD).write_text(json.dumps(record))
    assert run_data(tmp_path) is None
    assert cli.main(["evaluate", str(tmp_path), "--episodes", "2"]) == 0


def test_a_factory_is_built_under_the_seed_of_the_settings(own):
    def factory():
        return MetaLearner(backbones.MLP(784, (), 5), FunctionSpace())

    drawn = torch.get_rng_state()
    first = [MetaTrainer(CONFIG, learner=factory, device="cpu", **own).learner.net.layers[0].weight for _ in range(2)]
    assert torch.equal(*first)
    assert torch.equal(torch.get_rng_state(), drawn)


SCRIPT = """
import torch
from torch import nn
from amfs_lab import backbones
class Small(backbones.Backbone):
    features, norm = 2, "none"
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
before = torch.get_rng_state()
a, b = float(Small().layer.weight.sum()), float(Small().layer.weight.sum())
assert torch.equal(before, torch.get_rng_state())
torch.manual_seed(1)
c, d = float(Small().layer.weight.sum()), float(Small().layer.weight.sum())
torch.manual_seed(1)
e = float(nn.Linear(3, 2).weight.sum())
print(a, b, c, d, e)
"""


def test_a_backbone_of_ones_own_begins_alike_in_each_process_and_obeys_a_seed():
    runs = [
        subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout for _ in "ab"
    ]
    assert runs[0] == runs[1]
    a, b, c, d, e = map(float, runs[0].split())
    assert a == b
    assert c == e
    assert len({a, c, d}) == 3
