"""The teaching guide: its section of a lesson, and errors.

notebooks/conftest.py tests that docs/teaching.md agrees with each lesson, because the lessons run there.
"""

import json
import re

import guide
import nbformat
import pytest
from lessons import lesson_paths, solution_of

GUIDE = guide.PLACE.read_text(encoding="utf-8")


def markdown(source, **metadata):
    return nbformat.v4.new_markdown_cell(source, metadata=metadata)


def code(source, said="", **metadata):
    outputs = [nbformat.v4.new_output("stream", text=said)] if said else []
    return nbformat.v4.new_code_cell(source, outputs=outputs, metadata=metadata)


HEADER = "# 42 · A lesson\n\n**You will** see.\n\n5 minutes · needs: eyes,\nhands · runs offline in seconds\n\nWhy?"
TASK = "## Exercises\n\nHow they work.\n\n### Exercise 1 · in code\nDouble it.\n\n- a list"
ANSWER = "def double(x):\n    ### BEGIN SOLUTION\n    y = x + x\n    return y\n    ### END SOLUTION"
CLAIMED = "assert a  # one is one\nassert b\nfor x in y:\n    assert c  # two is two,\nprint(a)  # nothing"
QUESTION = {
    "question": "Up or down?",
    "options": ["up", "down"],
    "because": {"up": "Warm.", "down": "why?"},
    "key": "down",
}
OPEN = {"question": "Who wins?", "options": ["I", "you"], "because": {}, "key": "you"}


def performed(asked=(QUESTION, OPEN), praise="✓ Twice, 2.50 times in 7.\n"):
    """A solved lesson as `run` returns it."""
    cells = [
        code(guide.RECORD),
        markdown(HEADER),
        code('widgets.predict("Up or down?")'),
        markdown("## Look\n\nText."),
        code('bet = widgets.predict("Who wins?")'),
        markdown(TASK, tags=["exercise"]),
        code(ANSWER, tags=["exercise"], nbgrader={"solution": True}),
        code("check(double)", praise, tags=["check"], nbgrader={"points": 2}),
        markdown("## What we claimed\n\nAll of it\nruns."),
        code(CLAIMED),
        markdown("## Where this breaks\n\n**Here.** It\nbreaks.\n\nA remark."),
        markdown("**There.** Too."),
        markdown("## The next question\n\n**No** break."),
        code(guide.REPORT, json.dumps(asked)),
    ]
    return nbformat.v4.new_notebook(cells=cells)


SECTION = """\
## 42 · A lesson

[lesson](../notebooks/42_a_lesson.ipynb) · [solved](../notebooks/solutions/42_a_lesson.ipynb) · 5 minutes · needs: eyes,
hands · runs offline in seconds

**You will** see.

Why?

**Outline:** Look

### Predictions

**1. Up or down?** (at the start)

- ✓ **down**: why?
- *up*: Warm.

**2. Who wins?** (under “Look”)

Open: I / you. It is measured anew in each run, so there is no key.

### Exercises

**Exercise 1 · in code** (2 points)

Double it.

- a list

```python
def double(x):
    y = x + x
    return y
```

✓ Twice, 2.50 times in 7.

### What we claimed

- All of it
  runs.
  - one is one; two is two

### Where this breaks

- **Here.** It
  breaks.
- **There.** Too.
"""


def test_the_section_of_a_lesson():
    assert guide.section("42_a_lesson", performed()) == SECTION


def test_without_a_bold_paragraph_the_first_paragraph_is_used():
    cells = [markdown("## Where this breaks\n\nHere.\n\nAnd more.")]
    assert list(guide.breaks(cells)) == ["- Here."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(asked=[QUESTION]), "42_a_lesson: each question must have a cell. Got 2 cells for 1"),
        (dict(asked=[QUESTION | {"key": None}, OPEN]), "each question must have an answer at the end. Got none: Up"),
        (dict(praise="○ not attempted yet\n"), r"Exercise 1 · in code: the check must pass. Got '○ not attempted yet'"),
    ],
)
def test_an_invalid_lesson_is_refused(change, message):
    with pytest.raises(guide.GuideError, match=message):
        guide.section("42_a_lesson", performed(**change))


def test_a_lesson_that_stops_gives_no_guide():
    stopping = nbformat.v4.new_notebook(cells=[markdown(HEADER), code("1 / 0")])
    with pytest.raises(guide.GuideError, match=r"42_a_lesson must run without an error\. Got ZeroDivisionError"):
        guide.guide({"42_a_lesson": nbformat.writes(stopping)})


def test_the_correct_option_is_read_at_the_end_of_the_lesson():
    lesson = [
        code("from amfs_lab import widgets\noutcome = {}"),
        code('widgets.predict("?", ["a", "b"], answer=lambda: outcome.get("it"), because={"a": "A.", "b": "B."})'),
        code('outcome["it"] = "b"'),
    ]
    notebook = guide.run(nbformat.v4.new_notebook(cells=lesson), guide.RECORD, guide.REPORT)
    (asked,) = json.loads(guide.printed(notebook.cells[-1]))
    assert asked == {"question": "?", "options": ["a", "b"], "because": {"a": "A.", "b": "B."}, "key": "b"}


def test_the_plan_adds_up():
    plan = guide.plan({name: nbformat.v4.new_notebook(cells=performed().cells[1:-1]) for name in ("a", "b")})
    assert plan.count("| 42 · A lesson | 5 | eyes, hands | 2 | 2 |\n") == 2
    assert plan.endswith("\n\nTogether 10 minutes.\n")


def test_a_header_without_minutes_is_refused():
    with pytest.raises(guide.GuideError, match="expected `N minutes · needs"):
        guide.plan({"a": nbformat.v4.new_notebook(cells=[markdown("# 42\n\nYou will\n\nsoon\n\nWhy?")])})


# --- the page in the project ---


def test_the_page_has_the_plan_and_each_lesson_once():
    solutions = {path.stem: nbformat.read(solution_of(path), 4) for path in lesson_paths()}
    parts = guide.split(GUIDE)
    assert list(parts) == ["", *(name[:2] for name in solutions)], "run `python3 run.py notebooks --guide`"
    assert parts[""].strip() == guide.page(solutions, []).strip(), "run `python3 run.py notebooks --guide`"
    assert "\n".join(parts.values()) == GUIDE


def test_its_link_targets_exist():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", GUIDE)
    assert len(targets) >= 2 * len(lesson_paths())
    assert [target for target in targets if not (guide.PLACE.parent / target).exists()] == []


def test_only_the_numbers_of_check_outputs_may_differ_between_machines():
    elsewhere = SECTION.replace("2.50 times in 7", "2.49 times in 8")
    assert guide.comparable(elsewhere) == guide.comparable(SECTION)
    for changed in (SECTION.replace("Twice", "Thrice"), SECTION.replace("2 points", "3 points")):
        assert guide.comparable(changed) != guide.comparable(SECTION)


def test_a_page_is_split_into_its_parts():
    assert guide.split("head\n\n## Not a lesson\n\n## 01 · One\n\na\n\n## 02 · Two\n") == {
        "": "head\n\n## Not a lesson\n",
        "01": "## 01 · One\n\na\n",
        "02": "## 02 · Two\n",
    }
