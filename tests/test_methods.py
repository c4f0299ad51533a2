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
    labels = [row.label.lower().replace("r2-d2", "r2d2") for row in methods.METHODS.values()]
    assert labels == list(methods.METHODS)
    assert set(methods.LESSONS) < set(methods.METHODS)


@pytest.mark.parametrize("table", [methods.METHODS, methods.RULES])
def test_every_colour_stands_out_from_white(table):
    for row in table.values():
        parts = [int(row.color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        luminance = sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
        assert 1.05 / (luminance + 0.05) >= 3, row.color  # WCAG 2
