"""`amfs-lab evaluate`: one JSON object, one row for each query, and the confused classes."""

import csv
import dataclasses
import json
import re

import pytest

from amfs_lab import cli
from amfs_lab.cli.report import groups_line
from amfs_lab.evaluation import evaluate
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EpisodeConfig, open_source
from tests.prediction.test_classifier import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "i-amfs")


def ask(run, *arguments):
    asked = ["evaluate", str(run), "--episodes", "6", "--queries", "3", "--device", "cpu"]
    return cli.main([*asked, *map(str, arguments)])


@pytest.fixture(scope="module")
def expected(run):
    learner, _ = load_learner(run, "cpu")
    return evaluate(learner, open_source("glyphs", "test", EpisodeConfig(5, 1, 3)), 6)


def test_json_is_one_object_with_settings_data_accuracy_and_episodes(run, capsys, expected):
    assert ask(run, "--json") == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert printed.err == ""
    assert told["config"]["method"] == "i-amfs"
    assert told["steps"] == 2
    assert told["trained_on"]["name"].startswith("glyphs")
    assert told["data"] == "glyphs/test"
    assert told["episode"] == {"ways": 5, "shots": 1, "queries": 3}
    assert told["episodes"] == {"first": 0, "number": 6}
    mean = pytest.approx(expected.accuracy.mean)
    assert told["accuracy"] == {"mean": mean, "low": None, "high": None, "level": 0.95, "n": 6, "of": "episodes"}
    assert told["by_group"] == pytest.approx(expected.by_group)
    over = expected.over_groups
    assert told["over_groups"]["of"] == "groups of classes"
    assert (told["over_groups"]["low"], told["over_groups"]["high"]) == pytest.approx((over.low, over.high))
    assert told["per_episode"] == pytest.approx(expected.per_episode.tolist())
    assert told["remark"] == "An interval needs 30 episodes. Got 6. 600 is the usual number."
    assert "confusion" not in told


def test_few_episodes_give_a_remark_and_enough_do_not(run, capsys):
    assert ask(run) == 0
    assert " % (6 episodes: an interval needs 30)" in capsys.readouterr().out
    assert ask(run, "--episodes", "30") == 0
    first, second = capsys.readouterr().out.strip().splitlines()
    assert first.endswith(" % (95 %, 30 episodes)")
    assert re.fullmatch(
        r"for other scripts: .* ± .* % \(95 %, \d+ groups of classes\), which are few",
        second,
    )


def test_rows_are_the_queries_whose_mean_is_the_accuracy(run, tmp_path, capsys, expected):
    assert ask(run, "--per-query", tmp_path / "rows.csv") == 0
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 5 * 3
    assert sum(int(row["correct"]) for row in rows) / len(rows) == pytest.approx(expected.accuracy.mean)
    source = open_source("glyphs", "test", EpisodeConfig(5, 1, 3))
    for index in range(6):
        mine = [row for row in rows if row["episode"] == str(index)]
        assert [row["true"] for row in mine] == [name for name in source.classes_of(index) for _ in range(3)]
        assert {row["predicted"] for row in mine} <= set(source.classes_of(index))


def test_confusion_is_a_table_and_a_picture(run, tmp_path, capsys):
    assert ask(run, "--confusion") == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0].startswith("for other scripts: ")
    assert lines[1].startswith("most frequent mistakes, ")
    assert ask(run, "--json", "--confusion", tmp_path / "matrix.png") == 0
    pairs = json.loads(capsys.readouterr().out)["confusion"]
    times, offered, share = lines[3].split()[-4:-1]
    assert (int(times), int(offered)) == (pairs[0]["times"], pairs[0]["offered"])
    assert float(share) == pytest.approx(100 * pairs[0]["share"], abs=0.06)
    assert pairs[0]["share"] == pairs[0]["times"] / pairs[0]["offered"]
    assert (tmp_path / "matrix.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--per-query", "rows.txt"], "`--per-query` needs a file name that ends in .csv or .jsonl. Got rows.txt."),
        (["--confusion", "matrix.bmp"], "`--confusion` needs a file name that ends in .pdf or .png or .svg."),
        (["--per-query", "file/rows.csv"], "`--per-query` needs a file that can be written. Got file/rows.csv"),
    ],
)
def test_an_invalid_file_is_refused_before_any_computation(run, tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cli.train, "evaluate", lambda *_: pytest.fail("computed"))
    assert ask(run, *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_training_scripts_give_no_interval_over_scripts(run, capsys, expected):
    assert ask(run, "--split", "train") == 0
    assert "for other" not in capsys.readouterr().out
    assert groups_line(expected).startswith("for other scripts: ")
    for source, start in (
        ("fc100:partial", "for other superclasses: "),
        ("my letters", "for other groups of classes: "),
    ):
        assert groups_line(dataclasses.replace(expected, data=f"{source}/test")).startswith(start)
    for source in ("omniglot-random-classes", "cifar-fs"):
        assert groups_line(dataclasses.replace(expected, data=f"{source}/test")) == ""
    mixed = tuple(("letter", *names[1:]) for names in expected.classes)
    assert groups_line(dataclasses.replace(expected, classes=mixed)).startswith("for other classes: ")
