"""The accuracy table: rows agree with direct evaluation, and a result is checked when it is loaded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from amfs_lab.cli import main, parser
from amfs_lab.cli.reproduce import reproduce_experiment
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import Result, accuracy
from amfs_lab.experiments.accuracy import RECIPES, SHAPES, AccuracyConfig, key
from amfs_lab.experiments.result import stored
from amfs_lab.stats import accuracy_difference, accuracy_interval
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"
SMALL = AccuracyConfig(
    source="glyphs",
    seconds=None,
    meta_steps=1,
    episodes=4,
    width=4,
    tasks=1,
    augment=(),
    methods={name: replace(RECIPES[name], episode=EpisodeConfig(5, 1, 2)) for name in ("i-amfs", "maml", "prototypes")},
)


@pytest.fixture(scope="module")
def made():
    return accuracy.run(SMALL)


@pytest.mark.parametrize("norm", ["transductive", "support"])
@pytest.mark.parametrize("method", SMALL.methods)
def test_right_answers_are_counted_one_by_one(made, method, norm):
    trainer = MetaTrainer(SMALL.training(method), device="cpu")
    for _ in trainer.run():
        pass
    learner = trainer.learner
    for layer in learner.modules():
        if hasattr(layer, "norm") and isinstance(layer.norm, str):
            layer.norm = norm
    source = open_source("glyphs", "validation", SHAPES["5w1s"])
    with torch.no_grad():
        right = [int((learner.scores(e).argmax(1) == e.query.y).sum()) for e in (source[i] for i in range(4))]
    assert made.rows[key(method, "5w1s", norm)].tolist() == right


def test_a_method_with_a_head_is_evaluated_only_with_its_own_ways(made):
    asked = {(name.split()[0], name.split()[1]) for name in made.rows}
    everything = {"5w1s", "5w5s", "20w1s"}
    for method, shapes in (("i-amfs", everything), ("prototypes", everything), ("maml", {"5w1s", "5w5s"})):
        assert {shape for name, shape in asked if name == method} == shapes


def test_the_two_norms_give_different_rows(made):
    pairs = [(made.rows[key("i-amfs", shape, norm)] for norm in ("transductive", "support")) for shape in SHAPES]
    assert any(not np.array_equal(a, b) for a, b in pairs)


def test_the_summary_follows_from_the_rows(made):
    for shape, asked in (("5w1s", 75), ("5w5s", 75), ("20w1s", 100)):
        own, other = (made.rows[key(method, shape, "support")] for method in ("prototypes", "i-amfs"))
        own, other = (torch.from_numpy(right / asked) for right in (own, other))
        numbers = made.summary[key("prototypes", shape, "support")]
        mean, ahead = accuracy_interval(own), accuracy_difference(other, own)
        assert numbers["accuracy"]["mean"] == pytest.approx(mean.mean, abs=1e-6)
        assert numbers["accuracy"]["half_width"] is None  # five episodes
        assert numbers["i-amfs minus it"]["mean"] == pytest.approx(ahead.mean, abs=1e-6)
        assert "i-amfs minus it" not in made.summary[key("i-amfs", shape, "support")]


def test_the_result_records_the_training(made):
    assert (made.experiment, made.seeds) == ("accuracy", [0])
    assert [(run["method"], run["step"]) for run in made.training] == [("i-amfs", 1), ("maml", 1), ("prototypes", 1)]
    assert made.config["methods"]["maml"] == {"episode": {"ways": 5, "shots": 1, "queries": 2}, "meta_lr": 3e-3}
    assert made.config["shapes"]["20w1s"] == {"ways": 20, "shots": 1, "queries": 5}
    for method, training in made.config["trainings"].items():
        assert TrainingConfig.from_dict(training) == SMALL.training(method)


def test_a_result_is_read_by_its_own_shapes_and_trainings(made, tmp_path, monkeypatch):
    """Not by the current defaults."""
    made.save(tmp_path / "one")
    monkeypatch.setattr(accuracy, "SHAPES", {"5w1s": EpisodeConfig(5, 1, 30), "7w1s": EpisodeConfig(7, 1, 5)})
    monkeypatch.setattr(accuracy, "RECIPES", {})
    assert accuracy.table(accuracy.load(tmp_path / "one")) == accuracy.table(made)


def test_the_table_has_a_line_for_each_method_and_norm(made):
    lines = accuracy.table(made).splitlines()
    assert lines[0].endswith("| 5-way 1-shot | 5-way 5-shot | 20-way 1-shot |")
    assert len(lines) == 2 + 3 * 2
    assert lines[4].startswith("| maml | 1 | transductive |")
    assert lines[4].endswith("| – |")
    interval = accuracy_interval(torch.from_numpy(made.rows["maml 5w1s transductive"] / 75))
    assert f"| {100 * interval.mean:.2f} % |" in lines[4]  # of five episodes, without an interval


def test_it_is_saved_and_loaded_completely(made, tmp_path):
    made.save(tmp_path / "one")
    back = accuracy.load(tmp_path / "one")
    assert accuracy.table(back) == accuracy.table(made)


def test_a_result_whose_numbers_disagree_is_refused(made, tmp_path):
    wrong = json.loads(json.dumps(made.summary))
    wrong["maml 5w5s support"]["accuracy"]["mean"] += 0.01
    Result(**{**vars(made), "summary": wrong}).save(tmp_path / "summary")
    with pytest.raises(
        DataError, match=r"Expected a complete result in .* the summary must be the one that is computed from the rows"
    ):
        accuracy.load(tmp_path / "summary")
    fewer = {name: values[:-1] for name, values in made.rows.items()}
    Result(**{**vars(made), "rows": fewer}).save(tmp_path / "rows")
    with pytest.raises(DataError, match=r"`i-amfs 5w1s transductive` must have shape \(4,\)\. Got \(3,\)"):
        accuracy.load(tmp_path / "rows")


def without(values, *names):
    return {name: value for name, value in values.items() if name not in names}


def with_row(name, change):
    return lambda r: {"rows": r.rows | {name: change(r.rows["maml 5w5s support"])}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: {"rows": without(r.rows, "maml 5w1s support")}, r"the row `maml 5w1s support` is missing\. Make"),
        (with_row("i-amfs 7w1s support", np.copy), r"the row `i-amfs 7w1s support` does not belong"),
        (with_row("maml 20w1s support", np.copy), r"the row `maml 20w1s support` does not belong"),
        (with_row("maml 5w5s support", lambda right: right + 76), r"must have 0 to 75 correct answers\. Got \d+ to"),
        (with_row("maml 5w5s support", lambda right: right - 76), r"`maml 5w5s support` must .* Got -\d+ to -?\d+"),
        (lambda r: {"training": []}, r"the training runs must be those of i-amfs, maml, prototypes\. Got none"),
        (lambda r: {"training": r.training[1:]}, r"those of i-amfs, maml, prototypes\. Got maml, prototypes"),
        (lambda r: {"training": [*r.training, r.training[0]]}, r"those of i-amfs, maml, prototypes\. Got .*, i-amfs"),
        (lambda r: {"config": r.config | {"methods": {}}}, r"the training runs must be those of .* Got none"),
        (lambda r: {"config": without(r.config, "shapes")}, r"Problem: there is no entry 'shapes'\. Make it"),
        (lambda r: {"config": r.config | {"shapes": []}}, r"`shapes` must be an object\. Got \[\]\. Make it"),
        (lambda r: {"config": r.config | {"trainings": None}}, r"`trainings` must be an object\. Got None\. Make it"),
        (lambda r: {"config": without(r.config, "trainings")}, r"there is no entry 'trainings'\. Make it"),
        (
            lambda r: {"config": r.config | {"shapes": without(r.config["shapes"], "5w5s")}},
            r"the row `i-amfs 5w5s support` does not belong",
        ),
    ],
)
def test_an_incomplete_result_is_refused(made, tmp_path, change, words):
    """The summary follows from the rows, so that nothing else is wrong."""
    parts = vars(made) | change(made)
    shapes = {name: vars(shape) for name, shape in (SHAPES | {"7w1s": EpisodeConfig(7, 1, 15)}).items()}
    parts["summary"] = accuracy.EXPERIMENT.summary(parts["rows"], {"shapes": shapes})
    Result(**parts).save(tmp_path / "one")
    with pytest.raises(DataError, match=rf"Expected a complete result in .*{words}"):
        accuracy.load(tmp_path / "one")


def test_a_folder_that_exists_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match="A result needs a new folder"):
        accuracy.run(replace(SMALL, meta_steps=10**6), folder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split": "train"}, r"AccuracyConfig.split must be one of validation, test. Got 'train'"),
        ({"methods": {}}, r"AccuracyConfig.methods must name at least one of i-amfs, amfs, maml, prototypes. Got none"),
        ({"methods": {"magic": RECIPES["maml"]}}, r"The method must be one of .* Got 'magic'"),
        ({"episodes": 1}, r"`episodes` must be >= 2"),
        ({"source": "moon"}, r"The source must be one of .*Got 'moon'"),
        ({"seconds": -1.0}, r"TrainingConfig.seconds must be a finite number > 0"),
        (
            {"methods": {"maml": replace(RECIPES["maml"], episode=EpisodeConfig(7, 1, 2))}},
            r"maml must be trained with the ways of one of 5w1s, 5w5s, 20w1s,.* Got 7 ways",
        ),
    ],
)
def test_invalid_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        AccuracyConfig(**settings)


def test_the_command_makes_a_folder_and_prints_the_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(RECIPES, "prototypes", SMALL.methods["prototypes"])
    words = ["reproduce", "accuracy", "--source", "glyphs", "--methods", "prototypes", "--steps", "1"]
    words += ["--episodes", "3", "--width", "4", "--seed", "5", "--out", str(tmp_path / "one")]
    assert main(words) == 0
    back = accuracy.load(tmp_path / "one")
    assert accuracy.table(back) in capsys.readouterr().out
    assert (back.config["seconds"], back.config["meta_steps"], back.seeds) == (None, 1, [5])
    assert main(words) == 2
    assert "needs a new folder" in capsys.readouterr().err
    assert main([*words, "--threads", "-1"]) == 2
    assert "`threads` must be >= 1" in capsys.readouterr().err


def test_maml_trains_in_float32_when_others_use_bfloat16():
    config = replace(SMALL, precision="bfloat16")
    kinds = {method: config.training(method).precision for method in SMALL.methods}
    assert kinds == {"i-amfs": "bfloat16", "maml": "float32", "prototypes": "bfloat16"}


@pytest.mark.parametrize(
    ("words", "augment"),
    [
        ([], ("rotations",)),
        (["--source", "glyphs"], ()),
        (["--augment"], ()),
        (["--augment", "affine"], ("affine",)),
        (["--source", "glyphs", "--augment", "affine"], ("affine",)),
    ],
)
def test_the_default_augmentation_depends_on_the_source(monkeypatch, made, words, augment):
    configs = []
    monkeypatch.setattr(accuracy.Accuracy, "run", lambda self, config, *rest: configs.append(config) or made)
    reproduce_experiment(parser().parse_args(["reproduce", "accuracy", *words]))
    assert [config.augment for config in configs] == [augment]


def test_each_option_of_the_command_says_what_it_is(capsys):
    with pytest.raises(SystemExit):
        main(["reproduce", "accuracy", "--help"])
    said = " ".join(capsys.readouterr().out.partition("options:")[2].split())
    assert "no name: no changes (default rotations, but none for glyphs)" in said
    assert "methods to train, in turns (default all)" in said
    assert "--seed SEED seed of every training run (default 0)" in said


COUNTS = ("none", "one", "two", "three", "four", "five", "six")


def test_the_shipped_result_is_complete():
    folder = stored("accuracy-omniglot")
    result = accuracy.load(folder)
    assert (result.config["source"], result.config["split"]) == ("omniglot", "validation")
    assert result.config["episodes"] == 600
    assert list(result.config["methods"]) == list(RECIPES)
    assert result.code["changed"] is False  # made by a commit without local changes


def test_the_text_beside_the_table_agrees_with_the_result():
    result = accuracy.load(stored("accuracy-omniglot"))
    trained, steps = result.config["trainings"], {run["method"]: run["step"] for run in result.training}
    ways = {method: training["episode"]["ways"] for method, training in trained.items()}
    width = trained["i-amfs"]["width"]
    kinds = {method: training["precision"] for method, training in trained.items()}
    assert {training["norm"] for training in trained.values()} == {"transductive"}

    def ahead(method):
        """I-AMFS minus `method` in points: mean, lower end and upper end of the interval."""
        gaps = [found["i-amfs minus it"] for name, found in result.summary.items() if name.split()[0] == method]
        mean, half = (100 * np.array([gap[part] for gap in gaps]) for part in ("mean", "half_width"))
        return mean, mean - half, mean + half

    p_values = accuracy.adjusted(result)
    assert len(p_values) == 8

    def clear(method):
        return COUNTS[sum(p <= 0.05 for (name, _), p in p_values.items() if name == method)]

    maml, amfs, prototypes = map(ahead, ("maml", "amfs", "prototypes"))
    assert (maml[1] > 0).all()
    assert (amfs[0] > 0).all()
    assert (prototypes[0] > 0).all()
    told = " ".join(RESULTS.read_text(encoding="utf-8").split())
    for sentence in (
        f"I-AMFS, AMFS and prototypes trained on {ways['i-amfs']}-way tasks and in {kinds['i-amfs']}. "
        f"MAML trained on {ways['maml']}-way tasks, since its head has five outputs, and in {kinds['maml']}",
        "*Transductive* BatchNorm uses all images of an episode, and all methods were trained with it",
        "On 5-way 1-shot and 5-way 5-shot tasks, MAML has a lower accuracy than I-AMFS, "
        f"by {maml[0].min():.1f} to {maml[0].max():.1f} points, with transductive BatchNorm and with the statistics",
        "There is one test for each shape",
        "Both adjusted p-values are below 0.05.",
        f"in eight minutes MAML made {steps['maml']} meta-steps, I-AMFS {steps['i-amfs']} meta-steps.",
        f"the accuracy of AMFS is up to {amfs[0].max():.2f} points lower than that of I-AMFS",
        f"and {clear('amfs')} of its three adjusted p-values is below 0.05. For other alphabets, the intervals",
        f"prototypes is up to {prototypes[0].max():.2f} points lower than that of I-AMFS; "
        f"{clear('prototypes')} of its three adjusted",
        f"`amfs-lab reproduce accuracy --width {width} --precision {kinds['i-amfs']}` measures this table",
    ):
        assert sentence in told
    assert clear("maml") == "two"
    for same in (ways, kinds):
        assert same["amfs"] == same["prototypes"] == same["i-amfs"]


def test_the_text_about_other_alphabets_agrees_with_the_rows():
    result, told = accuracy.load(stored("accuracy-omniglot")), " ".join(RESULTS.read_text(encoding="utf-8").split())
    try:
        accuracy.over_groups(result, "i-amfs", "5w1s")
    except DataError as error:
        pytest.skip(f"needs Omniglot for the alphabets of each episode: {error}")
    own = [accuracy.over_groups(result, "i-amfs", shape) for shape in ("5w1s", "5w5s", "20w1s")]
    assert {each.n for each in own} == {5}
    one, five, twenty = (f"{each.hundredths(1)} %" for each in own)
    assert f"I-AMFS has {one} on 5-way 1-shot tasks, {five} on 5-way 5-shot and {twenty} on 20-way 1-shot" in told
    one, five = (accuracy.over_groups(result, "i-amfs", shape, "maml") for shape in ("5w1s", "5w5s"))
    assert (
        f"I-AMFS minus MAML is {one.hundredths(1)} points on 5-way 1-shot tasks, and {five.hundredths(1)} on 5-way"
        in told
    )
    for method in ("amfs", "prototypes"):
        gaps = [accuracy.over_groups(result, "i-amfs", shape, method) for shape in ("5w1s", "5w5s", "20w1s")]
        assert all(gap.low < 0 < gap.high for gap in gaps)


def test_groups_are_fitted_to_the_episodes_they_are_in(made):
    """If accuracies are exact means of group accuracies, the fit returns the group accuracies, each counted once."""
    source = open_source("glyphs", "validation", SHAPES["5w1s"])
    groups = sorted({name.split("/")[0] for name in source.labels})
    true = {group: round(0.2 + 0.6 * i / len(groups), 2) for i, group in enumerate(groups)}
    right = [sum(true[name.split("/")[0]] for name in source.classes_of(i)) / 5 for i in range(400)]
    rows = {"i-amfs 5w1s transductive": 75 * np.array(right)}
    changed = Result(**vars(made) | {"config": made.config | {"episodes": 400}, "rows": rows})
    found = accuracy.over_groups(changed, "i-amfs", "5w1s")
    assert found.mean == pytest.approx(sum(true.values()) / len(true))
    assert found.n == len(groups)
