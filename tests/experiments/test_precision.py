"""float32 and bfloat16: rows agree with direct evaluation, and a result is checked when it is loaded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from amfs_lab.cli import main
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import Result, precision
from amfs_lab.experiments.precision import PrecisionConfig
from amfs_lab.experiments.result import stored
from amfs_lab.stats import accuracy_difference, accuracy_interval
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"
SMALL = PrecisionConfig(
    methods=("i-amfs", "maml"), seeds=2, meta_steps=2, episode=EpisodeConfig(5, 1, 2), episodes=5, width=4
)


@pytest.fixture(scope="module")
def made():
    return precision.run(SMALL)


@pytest.mark.parametrize("name", ["i-amfs float32", "i-amfs bfloat16", "maml float32", "maml bfloat16"])
def test_right_answers_are_counted_one_by_one(made, name):
    method, kind = name.split()
    source = open_source("glyphs", "validation", SMALL.episode)
    for seed in range(2):
        trainer = MetaTrainer(SMALL.training(method, kind, seed), device="cpu")
        list(trainer.run())
        with torch.no_grad():
            right = [
                int((trainer.learner.scores(e).argmax(1) == e.query.y).sum()) for e in (source[i] for i in range(5))
            ]
        assert made.rows[name][seed].tolist() == right


def test_precisions_differ_in_nothing_else():
    full, short = (SMALL.training("maml", kind, 1).to_dict() for kind in ("float32", "bfloat16"))
    assert {name for name in full if full[name] != short[name]} == {"precision"}
    assert TrainingConfig.from_dict(short).build().net.backbone.precision == "bfloat16"


def test_the_two_precisions_give_different_rows(made):
    losses = {(run["method"], run["precision"]): run["loss"] for run in made.training if run["seed"] == 0}
    assert losses["i-amfs", "float32"] != losses["i-amfs", "bfloat16"]


def test_the_summary_follows_from_the_rows(made):
    full, short = (torch.from_numpy(made.rows[f"maml {kind}"] / 10) for kind in ("float32", "bfloat16"))
    told = made.summary["maml"]
    ahead = accuracy_difference(short.mean(0), full.mean(0))
    for numbers, interval in (
        (told["float32"], accuracy_interval(full.mean(0))),
        (told["bfloat16"], accuracy_interval(short.mean(0))),
        (told["ahead"], ahead),
        (told["ahead by seed"][1], accuracy_difference(short[1], full[1])),
    ):
        assert numbers["mean"] == pytest.approx(interval.mean, abs=1e-6)
        assert numbers["half_width"] is interval.half_width is None  # five episodes


def test_the_table_has_one_line_for_each_method(made):
    lines = precision.table(made).splitlines()
    assert len(lines) == 2 + 2
    full = accuracy_interval(torch.from_numpy(made.rows["i-amfs float32"] / 10).mean(0))
    assert lines[2].startswith(f"| i-amfs | {100 * full.mean:.2f} % |")
    full, short = (
        sum(run["seconds"] for run in made.training if (run["method"], run["precision"]) == ("i-amfs", kind))
        for kind in ("float32", "bfloat16")
    )
    assert lines[2].endswith(f" | {short / full:.2f} |")


def test_it_is_saved_and_loaded_completely(made, tmp_path):
    made.save(tmp_path / "one")
    assert precision.table(precision.load(tmp_path / "one")) == precision.table(made)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: {"rows": {"maml float32": r.rows["maml float32"]}}, r"the rows must be i-amfs .* Got maml float32"),
        (lambda r: {"rows": r.rows | {"maml float32": r.rows["maml float32"][:1]}}, r"shape \(2, 5\)\. Got \(1, 5\)"),
        (lambda r: {"rows": r.rows | {"maml float32": r.rows["maml float32"] + 11}}, r"have 0 to 10 correct answers"),
        (lambda r: {"training": r.training[1:]}, r"each row must have its training runs"),
        (
            lambda r: {"summary": r.summary | {"maml": r.summary["i-amfs"]}},
            r"the summary must be the one that is computed from the rows",
        ),
        (lambda r: {"config": {"episodes": 5}}, r"there is no entry 'episode'"),
    ],
)
def test_an_incomplete_result_is_refused(made, tmp_path, change, words):
    Result(**vars(made) | change(made)).save(tmp_path / "one")
    with pytest.raises(DataError, match=rf"Expected a complete result in .*{words}.*Make it again"):
        precision.load(tmp_path / "one")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seeds": 0}, r"PrecisionConfig.seeds must be an integer >= 1. Got 0"),
        ({"split": "train"}, r"PrecisionConfig.split must be one of validation, test. Got 'train'"),
        ({"methods": ()}, r"PrecisionConfig.methods must name at least one of i-amfs, .* Got none"),
        ({"methods": ("magic",)}, r"The method must be one of .* Got 'magic'"),
        ({"methods": ("anil", "anil")}, r"PrecisionConfig.methods must name each method once. Got anil, anil"),
        ({"episodes": 1}, r"`episodes` must be >= 2"),
        ({"meta_steps": 0}, r"TrainingConfig.steps must be an integer >= 1. Got 0"),
    ],
)
def test_invalid_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        PrecisionConfig(**settings)


def test_the_shipped_result_agrees_with_the_text():
    result, told = precision.load(stored("precision-glyphs")), RESULTS.read_text(encoding="utf-8")
    asked, found = result.config, list(result.summary.values())
    assert result.code["changed"] is False  # made by a commit without local changes
    assert (asked["source"], asked["split"], asked["episodes"]) == ("glyphs", "validation", 600)
    assert tuple(asked["methods"]) == PrecisionConfig().methods
    signs = [
        int(np.sign(each["ahead"]["mean"]))
        for each in found
        if abs(each["ahead"]["mean"]) > each["ahead"]["half_width"]
    ]
    assert sorted(signs) == [-1, -1, -1, 1]
    luck = precision.over_seeds(result)
    pairs = [seed["mean"] for each in found for seed in each["ahead by seed"]]
    assert luck.mean == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    assert luck.low < 0 < luck.high
    for sentence in (
        f"with {asked['width']} filters, {asked['meta_steps']} meta-steps each, three seeds",
        f"over the {len(pairs)} pairs of training runs (4 methods, 3 seeds) is {luck.points()}. So no cost can be "
        "shown",
        f"`amfs-lab reproduce precision --width {asked['width']} --steps {asked['meta_steps']}` makes this table",
    ):
        assert sentence in " ".join(told.split()), sentence
    assert len(result.seeds) == 3


def test_the_command_makes_a_folder_and_prints_the_table(tmp_path, capsys):
    words = ["reproduce", "precision", "--methods", "prototypes", "--steps", "1", "--seeds", "1", "--episodes", "2"]
    words += ["--width", "4", "--out", str(tmp_path / "one")]
    assert main(words) == 0
    back = precision.load(tmp_path / "one")
    assert precision.table(back) in capsys.readouterr().out
    assert json.loads((tmp_path / "one" / "result.json").read_text())["config"]["methods"] == ["prototypes"]
    assert back.rows["prototypes float32"].shape == (1, 2)
    assert main(words) == 2
    assert "needs a new folder" in capsys.readouterr().err
