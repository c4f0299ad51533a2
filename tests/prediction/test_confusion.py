"""Confusion of classes: counts by hand, shares of possible predictions, and readable tables."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from amfs_lab.cli.report import FIELDS, check_ending, confusion_table, draw_confusion, write_rows
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.prediction.confusion import Confusion, QueryResult, query_results, readable

NAMES = {7: ["x/a", "x/b"], 8: ["x/b", "y/c"]}


@pytest.fixture
def results() -> list[QueryResult]:
    """Two episodes of two classes and three queries each. The first episode has index 7."""
    scores = (
        torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]]),
    )
    labels = (torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1]))
    return list(query_results(scores, labels, NAMES.__getitem__, first=7))


def test_each_query_has_one_row_with_names_and_the_probability_of_the_prediction(results):
    assert [(r.episode, r.query) for r in results] == [(7, 0), (7, 1), (7, 2), (8, 0), (8, 1), (8, 2)]
    assert [r.true for r in results] == ["x/a", "x/a", "x/b", "x/b", "x/b", "y/c"]
    assert [r.predicted for r in results] == ["x/a", "x/b", "x/b", "x/b", "y/c", "x/b"]
    assert [r.correct for r in results] == [True, False, True, True, False, False]
    assert results[0].probability == pytest.approx(math.exp(2) / (1 + math.exp(2)))
    assert results[5].probability == pytest.approx(math.exp(5) / (1 + math.exp(5)))


def test_a_share_counts_only_episodes_with_both_classes(results):
    """x/b has three queries, but only the second episode has both x/b and y/c."""
    confusion = Confusion.of(results)
    assert confusion.classes == ("x/a", "x/b", "y/c")
    assert [(p.true, p.predicted, p.times, p.offered) for p in confusion.mistakes] == [
        ("y/c", "x/b", 1, 1),
        ("x/a", "x/b", 1, 2),
        ("x/b", "y/c", 1, 2),
    ]
    expected = [[1 / 2, 1 / 2, np.nan], [0, 2 / 3, 1 / 2], [np.nan, 1, 0]]
    np.testing.assert_allclose(confusion.shares(confusion.classes), expected)


def test_groups_count_mistakes_only(results):
    groups = Confusion.of(results).grouped()
    assert groups.classes == ("x", "y")
    assert groups.times == {("x", "x"): 1, ("x", "y"): 1, ("y", "x"): 1}
    assert groups.offered == {("x", "x"): 3, ("x", "y"): 2, ("y", "x"): 1}


def test_few_classes_are_shown_one_by_one_many_by_their_groups(results):
    confusion = Confusion.of(results)
    assert (readable(confusion).names, readable(confusion).grouped) == (("x/a", "x/b", "y/c"), False)
    assert (readable(confusion, most=2).names, readable(confusion, most=2).grouped) == (("x", "y"), True)


def test_many_classes_without_groups_show_those_with_the_most_mistakes():
    results = [QueryResult(0, n, f"c{n}", "c0", n == 0, 0.5, ("c0", f"c{n}")) for n in range(40)]
    matrix = readable(Confusion.of(results))
    assert len(matrix.names) == 30
    assert "c0" in matrix.names
    assert matrix.title.startswith("The 30 of 40 classes with the most mistakes")


def test_two_classes_of_one_name_are_not_one(results):
    (one,) = query_results([torch.tensor([[0.0, 1.0]])], [torch.tensor([0])], lambda _: ["same", "same"])
    assert not one.correct


def test_an_episode_needs_a_name_for_each_class():
    with pytest.raises(DataError, match=r"Episode 3 must have a name for each of 2 classes"):
        list(query_results([torch.zeros(1, 2)], [torch.tensor([0])], lambda _: ["a"], first=3))


def test_the_table_has_the_most_frequent_mistakes_first(results):
    lines = list(confusion_table(Confusion.of(results)))
    assert lines[0] == "most frequent mistakes, 3 of 3 pairs of classes:"
    assert [line.split()[:4] for line in lines[2:5]] == [
        ["y/c", "x/b", "1", "1"],
        ["x/a", "x/b", "1", "2"],
        ["x/b", "y/c", "1", "2"],
    ]
    assert list(confusion_table(Confusion.of(results[:1]))) == ["No query was classified as another class."]


def test_the_table_of_groups_has_shares_that_add_up():
    classes = [f"{group}/{n}" for group in "xy" for n in range(20)]
    chosen = [classes[(3 * n) % 40] for n in range(40)]
    results = [
        QueryResult(0, n, true, predicted, true == predicted, 0.5, tuple(classes))
        for n, (true, predicted) in enumerate(zip(classes, chosen, strict=True))
    ]
    rows = [line.split() for line in confusion_table(Confusion.of(results)) if line.strip()[:2] in ("x ", "y ")]
    assert [row[0] for row in rows] == ["x", "y"]
    for row in rows:
        assert float(row[1]) + float(row[3]) + float(row[5]) == pytest.approx(100, abs=0.2)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_rows_are_csv_or_lines_of_json_by_the_ending(results, tmp_path, ending):
    path = tmp_path / "deep" / f"rows.{ending}"
    assert write_rows(path, results) == 6
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    if ending == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == list(FIELDS)
        assert [row["correct"] for row in rows] == ["1", "0", "1", "1", "0", "0"]
    else:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert list(rows[0]) == list(FIELDS)
        assert [row["correct"] for row in rows] == [True, False, True, True, False, False]
    assert [row["true"] for row in rows] == [r.true for r in results]
    assert [int(row["episode"]) for row in rows] == [7, 7, 7, 8, 8, 8]
    assert float(rows[0]["probability"]) == pytest.approx(results[0].probability, rel=1e-5)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_drawn_of_few_and_of_many(results, tmp_path, ending):
    many = [QueryResult(0, n, f"g{n % 3}/{n}", f"g0/{0}", n == 0, 0.5, ("g0/0", f"g{n % 3}/{n}")) for n in range(40)]
    for name, some in (("few", results), ("many", many), ("none", results[:1])):
        path = tmp_path / f"{name}.{ending}"
        draw_confusion(path, Confusion.of(some))
        assert path.stat().st_size > 1000
        if ending == "png":
            with Image.open(path) as image:
                assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rows.txt", r"`--per-query` needs a file name that ends in .csv or .jsonl. Got .*rows.txt"),
        ("rows", r"ends in .csv or .jsonl"),
        ("folder.csv", r"`--per-query` needs a file that can be written. Got .*folder.csv: Is a directory"),
        ("file/rows.csv", r"needs a file that can be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_computation(tmp_path, name, words):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=words):
        check_ending(tmp_path / name, (".csv", ".jsonl"), "--per-query")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv"]
