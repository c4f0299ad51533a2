"""Every lesson as a student uses it: in JupyterLab in a browser, run from top to bottom, with everything moved."""

import re
from collections import Counter

import pytest
from serving import NOTEBOOKS

from amfs_lab import explore

pytestmark = pytest.mark.browser

LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def test_there_are_lessons():
    assert LESSONS, f"no lesson in {NOTEBOOKS}: run `python3 run.py notebooks`"


def kinds(name: str) -> set[str]:
    """The titles of the explorers whose class names are in a lesson."""
    text = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    return {getattr(explore, kind).title for kind in re.findall(r"explore\.(\w+Explorer)\(", text)}


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_and_every_control_changes_something(name, open_lesson, record_property):
    lesson = open_lesson(name)
    lesson.run()
    moves: Counter[str] = Counter()
    before = set().union(*map(kinds, LESSONS[: LESSONS.index(name)]))  # tested in the lesson where they first appear
    for explorer in lesson.explorers():
        moves[explorer.title] += explorer.drive(again=explorer.title in before | set(moves))
    assert moves, f"{name}: nothing on the page can be moved."
    questions = lesson.answer_predictions()
    lesson.check("at its end")
    record_property("moves", dict(moves))
    record_property("questions", questions)
    record_property("messages without an answer", lesson.ask("lost()"))
