"""The answers to the paper's claims follow from the rows of the tables."""

import numpy as np
import pytest

from amfs_lab.experiments.benchmark_rows import KINDS, key
from amfs_lab.experiments.claims import CLAIMS, claims_table
from amfs_lab.experiments.result import Result

SHAPE = {"ways": 5, "shots": 1, "queries": 15}
ANSWERS = 75
ROWS = {
    "table1": ("i-amfs", "maml", "o-amfs", "amfs", "i-amfs+5-way"),
    "table2": ("i-amfs", "maml", "o-amfs"),
    "table4": ("i-amfs", "maml", "i-amfs+first-order", "fo-maml"),
}


def table(name, better=None, source="glyphs", seeds=3, target=None, **more):
    """A result in which each row has 30 + 0, 1, 2 correct answers with the seeds, and more in the rows of `better`."""
    noise = np.random.default_rng(0).integers(0, 5, (seeds, 60)) + np.arange(seeds)[:, None]
    rows = {
        key(row, "5w1s", norm, equal): 30 + noise + (better or {}).get(row, 0)
        for row in ROWS[name]
        for norm, equal in KINDS
    }
    prices = {"i-amfs": 4.0, "maml": 2.0, "i-amfs+5-way": 1.0}
    columns = {"5w1s": {"source": target or source, "shape": SHAPE}}
    config = {"source": source, "split": "test", "columns": columns, "prices": prices}
    return Result(name, config, list(range(seeds)), [], rows | more, {}, {}, {})


def answers(*results):
    lines = [line.strip("|").split(" | ") for line in claims_table(results).splitlines()[2:]]
    return [[cell.strip() for cell in line[2:]] for line in lines]


@pytest.mark.parametrize(
    ("table_name", "claim", "better", "expected"),
    [
        ("table1", 1, {"i-amfs": 6}, "+8.0 ± 0.7 points: yes"),
        ("table1", 1, {"maml": 6}, "-8.0 ± 0.7 points: no"),
        ("table1", 1, {}, "+0.0 ± 0.7 points: unclear"),
        ("table1", 2, {"i-amfs+5-way": 6}, "+8.0 ± 0.7 points: yes"),
        ("table2", 4, {"i-amfs": 6}, "+8.0 ± 0.7 points: yes"),
        ("table4", 5, {"i-amfs": 3, "maml": 6}, "+4.0 ± 0.7 points: yes"),  # MAML loses 6, and I-AMFS 3 answers of 75
        ("table4", 5, {"i-amfs": 3}, "-4.0 ± 0.7 points: no"),
        ("table1", 6, {"o-amfs": 3}, "+4.0 ± 0.7 points: yes"),
        ("table1", 7, {"i-amfs": 3}, "-4.0 ± 0.7 points: no"),
        ("table2", 8, {"o-amfs": 3}, "+4.0 ± 0.7 points: yes"),
    ],
)
def test_an_answer_is_the_sign_of_an_interval(table_name, claim, better, expected):
    assert CLAIMS[claim].table == table_name
    assert answers(table(table_name, better))[claim] == [expected]


def test_trainings_that_differ_make_a_difference_unclear():
    """All episodes show the same, and still three trainings do not show which method is better."""
    found = table("table1", {"i-amfs": 6})
    maml = found.rows[key("maml", "5w1s", *KINDS[0])] + np.array([[-9], [0], [9]])
    assert answers(table("table1", {"i-amfs": 6}, **{key("maml", "5w1s", *KINDS[0]): maml}))[1][0].endswith("unclear")


def test_the_price_of_a_meta_step_is_compared_with_maml():
    assert answers(table("table1"))[0] == ["0.50: yes"]
    dear = table("table1")
    dear.config["prices"]["i-amfs+5-way"] = 3.0
    assert answers(dear)[0] == ["1.50: no"]


@pytest.mark.parametrize(("factor", "word"), [(1, "unclear"), (7, "yes"), (6, "unclear")])
def test_stability_is_a_ratio_of_standard_deviations_with_an_f_test(factor, word):
    """With 2 and 2 degrees of freedom the ratio of the variances must be larger than 39, since F(0.975) = 39."""
    rows = {
        key(row, "5w1s", *KINDS[0]): np.full((3, 60), 30) + spread * np.array([[-1], [0], [1]])
        for row, spread in (("i-amfs", 1), ("maml", factor))
    }
    told = f"{100 / ANSWERS:.1f} against {100 * factor / ANSWERS:.1f} points: {word}"
    assert answers(table("table1", **rows))[3] == [told]


def test_one_training_answers_nothing():
    found = answers(table("table1", {"i-amfs": 6}, seeds=1))
    assert found[1] == ["+8.0 points: unclear"]
    assert found[3] == ["unclear"]


def test_each_data_set_has_a_column_and_what_was_not_measured_has_a_dash():
    shown = claims_table([table("table1"), table("table4", source="fc100")])
    assert shown.splitlines()[0] == "| claim | measured | glyphs, test | fc100, test |"
    across = claims_table([table("table1"), table("table2", target="omniglot")])
    assert across.splitlines()[0] == "| claim | measured | glyphs, test | glyphs to omniglot, test |"
    found = answers(table("table1"), table("table4", source="fc100"))
    assert found[4] == ["–", "–"]
    assert found[5][0] == "–"
    assert found[5][1] != "–"
    few = table("table1")
    del few.rows[key("o-amfs", "5w1s", *KINDS[0])]
    assert answers(few)[6] == ["–"]
