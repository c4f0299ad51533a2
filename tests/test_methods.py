"""The table of methods and the table of rules are complete, and each row has its own colour and line style."""

import pytest

from amfs_lab import methods, planes
from amfs_lab.outer import AGGREGATORS
from amfs_lab.widgets import style


def test_every_inner_loop_has_a_method():
    assert {type(each.inner) for each in methods.METHODS.values()} == set(methods.INNER_LOOPS.values())


def test_every_rule_can_be_saved_and_every_rule_of_the_plane_has_a_row():
    assert {type(each.aggregator) for each in methods.RULES.values()} <= set(AGGREGATORS.values())
    assert set(planes.RULES) <= set(methods.RULES)


@pytest.mark.parametrize("table", [methods.METHODS, methods.RULES])
def test_no_two_rows_look_the_same_and_all_are_of_the_palette(table):
    palette = {value for name, value in vars(style).items() if name.isupper() and isinstance(value, str)}
    assert {each.color for each in table.values()} <= palette
    for part in ("color", "dash", "marker"):
        assert len({getattr(each, part) for each in table.values()}) == len(table)


def test_labels_are_the_names_in_the_papers_spelling():
    assert [row.label.lower() for row in methods.METHODS.values()] == list(methods.METHODS)
