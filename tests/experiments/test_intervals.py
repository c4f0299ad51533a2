"""The tables of docs/statistics.md: they agree with the command, and the rules have their nominal rates."""

import re
from pathlib import Path

import pytest

from amfs_lab.experiments import intervals

DOC = Path(__file__).parents[2] / "docs" / "statistics.md"
NUMBER = re.compile(r"([0-9]+(?:[.][0-9])?) %")


@pytest.fixture(scope="module")
def lines():
    return intervals.tables().splitlines()


def cells(line):
    return [float(number) for number in NUMBER.findall(line.partition("|")[2].partition("|")[2])]


def test_the_page_has_the_tables_that_the_command_prints(lines):
    """Words are equal. Shares may differ by one point, because another processor may round a sample differently."""
    told = [line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    told = told[next(i for i, line in enumerate(told) if line == lines[0]) :]
    printed = [line for line in lines if line]
    assert len(told) == len(printed)
    for ours, theirs in zip(printed, told, strict=True):
        assert NUMBER.sub("", ours) == NUMBER.sub("", theirs)
        assert cells(ours) == pytest.approx(cells(theirs), abs=1.0)


def test_the_intervals_cover_in_94_per_cent_on_every_stored_row(lines):
    rows = [cells(line) for line in lines if line.startswith(("| accuracy", "| paired difference"))]
    assert len(rows) == 6
    for student, ours, mean in rows:
        assert ours >= 94
        assert mean >= 95
        assert ours > student


def test_the_rules_in_use_have_at_most_five_per_cent_false_alarms(lines):
    wrong = {line.split("|")[1].strip(): cells(line)[0] for line in lines if cells(line)}
    used = (
        "6 pairs together (`CompareExplorer`), one look at 200",
        "6 pairs together, confidence sequence, a look after each episode",
        "`ahead` of three learners, 200 episodes",
        "`difference_of_trainings`, 1 against 2",
        "`difference_of_trainings`, 3 against 3",
        "three questions, `holm`",
    )
    assert max(wrong[name] for name in used) <= 5 + 2  # two standard errors of at most a thousand samples
    assert wrong["each of 6 pairs at 95 %, looks at 30, 50, 100, 150 and 200"] > 40
    assert wrong["6 pairs together, a look after each episode from 30 on"] > 15


def test_scripts_are_covered_by_an_interval_over_scripts_only(lines):
    for line in (line for line in lines if re.match(r"[|] [0-9]+ scripts", line)):
        by_episodes, by_scripts = cells(line)
        assert by_episodes < 85
        assert by_scripts >= 93
