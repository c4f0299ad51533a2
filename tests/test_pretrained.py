"""The shipped pretrained learner: small, complete, better than raw pixels, and reproducible by its command."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from amfs_lab import cli, pretrained
from amfs_lab.errors import DataError
from amfs_lab.evaluation import evaluate
from amfs_lab.kernels import squared_distances
from amfs_lab.runs import saved
from amfs_lab.stats import paired_difference
from amfs_lab.tasks import EpisodeConfig, data_dirs, open_source

SHIPPED = Path(__file__).resolve().parents[1] / "data" / pretrained.FOLDER
QUICK = replace(pretrained.CONFIG, width=8, tasks=1, steps=2, episode=EpisodeConfig(5, 1, 2))


def test_it_is_small_and_its_record_is_of_this_configuration():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 500_000
    record = json.loads((SHIPPED / saved.RECORD).read_text(encoding="utf-8"))
    assert pretrained.TrainingConfig.from_dict(record["config"]) == pretrained.CONFIG
    assert record["progress"]["step"] == pretrained.CONFIG.steps
    assert record["progress"]["validation"]["n"] == 600


def test_it_is_far_more_accurate_than_pixels_on_unseen_scripts():
    source = open_source("glyphs", "test", EpisodeConfig(5, 1, 15))
    read = evaluate(pretrained.load().learner, source, 30)
    pixels = []
    for index in range(30):
        episode = source[index]
        nearest = squared_distances(episode.query.x.flatten(1), episode.support.x.flatten(1)).argmin(1)
        pixels.append((nearest == episode.query.y).float().mean())
    assert paired_difference(read.per_episode, torch.stack(pixels)).low > 0.2
    assert read.accuracy.low > 0.8


def test_learning_is_the_learners_own():
    source, read = open_source("glyphs", "test", EpisodeConfig(5, 1, 3)), pretrained.load()
    episode = source[3]
    scores = read.learn(read.features(episode.support.x[:, 0]))(read.features(episode.query.x[:, 0]))
    assert torch.allclose(scores, read.learner.scores(episode), atol=1e-4)


def test_most_queries_of_their_letters_are_usual():
    source, read = open_source("glyphs", "validation", pretrained.EVAL_SHAPE), pretrained.load()
    usual = []
    for index in range(200, 220):  # not the episodes of the measurement
        episode = source[index]
        task = read.learn(read.features(episode.support.x[:, 0]))
        usual.append(task.variance(read.features(episode.query.x[:, 0])) <= read.variance_threshold)
    assert 0.9 < torch.cat(usual).float().mean() < 0.99


def test_its_command_makes_the_same_weights_twice(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pretrained, "CONFIG", QUICK)
    quick = ["--steps", "2", "--episodes", "6"]
    for name in ("one", "two"):
        assert cli.main(["data", "build-pretrained", "--out", str(tmp_path / name), *quick]) == 0
    assert "unseen scripts, glyphs/validation, 5-way 1-shot" in capsys.readouterr().out
    one, two = ((tmp_path / name / pretrained.FOLDER / saved.TENSORS).read_bytes() for name in ("one", "two"))
    assert one == two
    assert pretrained.load(tmp_path / "one").config == QUICK


def test_an_old_one_is_replaced_and_the_number_of_threads_is_restored(tmp_path):
    torch.set_num_threads(2)
    try:
        for seed in (0, 1):
            pretrained.build(tmp_path, replace(QUICK, seed=seed), episodes=6)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert saved.load(tmp_path / pretrained.FOLDER)[1]["config"]["seed"] == 1


def test_a_missing_one_says_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setattr(data_dirs, "PACKAGE", tmp_path / "elsewhere" / "amfs_lab")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMFS_LAB_DATA", raising=False)
    with pytest.raises(DataError, match=r"Expected a pretrained learner in one of .*elsewhere.* Got none\. .*build"):
        pretrained.find()


@pytest.mark.parametrize("damage", ["cut short", "no weights", "another record", "no familiar"])
def test_a_damaged_one_says_what_to_do(tmp_path, damage):
    folder = shutil.copytree(SHIPPED, tmp_path / pretrained.FOLDER)
    tensors, record = folder / saved.TENSORS, folder / saved.RECORD
    if damage == "cut short":
        tensors.write_bytes(tensors.read_bytes()[:1000])
    elif damage == "no weights":
        tensors.unlink()
    elif damage == "another record":
        record.write_text("[]")
    else:
        record.write_text(
            json.dumps({k: v for k, v in json.loads(record.read_text()).items() if k != "variance_threshold"})
        )
    with pytest.raises(DataError, match=r"Expected a complete pretrained learner in .* Got a damaged one: .*build"):
        pretrained.load(tmp_path)
