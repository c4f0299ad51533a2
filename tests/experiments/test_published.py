"""Published accuracies: one for each shape of the data set, with where they were read."""

import re

import pytest

from amfs_lab.experiments.published import PUBLISHED, SHAPES, published_table
from amfs_lab.tasks import SOURCES


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: f"{each.method}, {each.source}")
def test_an_entry_is_complete_and_its_numbers_are_percentages(each):
    assert each.source in SOURCES
    assert each.read_in
    assert len(each.values) == (len(SHAPES) if "omniglot" in each.source else 2)
    for value in each.values:
        numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", value)]
        assert value == "–" or all(20 < number < 100 for number in numbers)
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: f"{each.method}, {each.source}")
def test_more_shots_are_easier_and_more_ways_are_harder(each):
    """So numbers in the wrong order are found."""
    first = {shape: re.match(r"[\d.]+", value) for shape, value in zip(SHAPES, each.values, strict=False)}
    for easy, hard in (("5w5s", "5w1s"), ("20w5s", "20w1s"), ("5w1s", "20w1s"), ("5w5s", "20w5s")):
        if first.get(easy) and first.get(hard):
            assert float(first[easy][0]) > float(first[hard][0])


def test_a_data_set_has_a_table_or_nothing():
    lines = published_table("fc100").splitlines()
    assert lines[0] == "| method | 5w1s | 5w5s | read in | remark |"
    assert len(lines) == 2 + sum(each.source == "fc100" for each in PUBLISHED)
    assert published_table("omniglot-random-classes").startswith("| method | 5w1s | 5w5s | 20w1s | 20w5s |")
    assert published_table("glyphs") == ""
