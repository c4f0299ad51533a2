"""The builder: the notebooks of a source, agreement of notebooks and sources in the project, and errors."""

import importlib.util
import json
import sys
from pathlib import Path

import guide
import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
spec = importlib.util.spec_from_file_location("notebooks_build", NOTEBOOKS / "build.py")
build = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = build
spec.loader.exec_module(build)

SOURCE = '''# %% [markdown]
# # 42 · A lesson
#
# Its header.

# %%
import torch

# %% [markdown] tags=["exercise"]
# ### Exercise 1 · by hand
# How much is one and one?

# %% tags=["exercise"]
### BEGIN SOLUTION
answer = 1 + 1
### END SOLUTION

# %% tags=["check"]
print(answer)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Double it.

# %% tags=["exercise"]
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    y = x + x
    return y
    ### END SOLUTION

# %% tags=["check"] points=3
print(double)
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "42_a_lesson.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def lesson(folder):
    (only,) = build.build(folder)
    return nbformat.reads(only.student, 4), nbformat.reads(only.solution, 4)


def test_the_notebooks_match_their_sources():
    assert not build.drift(), "run `python3 run.py notebooks`"


def test_the_student_gets_the_exercise_without_its_solution(folder):
    student, solution = lesson(folder)
    assert student.cells[3].source == "answer = ...  # your answer"
    assert student.cells[6].source == 'def double(x):\n    """Twice x."""\n    raise NotImplementedError  # your code'
    assert "y = x + x" in solution.cells[6].source
    assert [a.id for a in student.cells] == [b.id for b in solution.cells]
    assert [a.source for a in student.cells if "SOLUTION" in a.source] == []
    changed = [a.source != b.source for a, b in zip(student.cells, solution.cells, strict=True)]
    assert changed == [False, False, False, True, False, False, True, False]


def test_exercises_carry_nbgraders_metadata(folder):
    student, solution = lesson(folder)
    answer, check = student.cells[6].metadata.nbgrader, student.cells[7].metadata.nbgrader
    assert (answer.grade, answer.solution, answer.locked) == (False, True, False)
    assert (check.grade, check.solution, check.locked, check.points) == (True, False, True, 3)
    assert (answer.grade_id, check.grade_id) == ("lesson-42-exercise-2-answer", "lesson-42-exercise-2-check")
    assert student.cells[4].metadata.nbgrader.points == 1
    assert solution.cells[6].metadata == student.cells[6].metadata
    assert [i for i, cell in enumerate(student.cells) if "nbgrader" in cell.metadata] == [3, 4, 6, 7]


def test_a_notebook_is_the_same_on_every_machine(folder):
    first, second = build.build(folder), build.build(folder)
    assert first == second
    student = json.loads(first[0].student)
    assert student["metadata"]["kernelspec"]["name"] == "python3"
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in student["cells"])
    assert len({cell["id"] for cell in student["cells"]}) == len(student["cells"])


def test_the_code_of_a_question_is_collapsed(folder):
    """The code contains the answer and the reasons."""
    path = folder / "source" / "42_a_lesson.py"
    path.write_text(SOURCE.replace("import torch", 'widgets.predict("?", ["a"], answer="a")'), encoding="utf-8")
    folded = [cell.metadata.get("jupyter") for cell in lesson(folder)[0].cells]
    assert folded == [None, {"source_hidden": True}] + [None] * 6


def test_inserting_a_cell_changes_no_other_id(folder):
    before = {cell.source: cell.id for cell in lesson(folder)[0].cells}
    path = folder / "source" / "42_a_lesson.py"
    path.write_text(SOURCE.replace("# %%\nimport torch", "# %%\nimport math\n\n# %%\nimport torch"), encoding="utf-8")
    after = {cell.source: cell.id for cell in lesson(folder)[0].cells}
    assert before.items() < after.items()


def test_equal_cells_have_different_ids(folder):
    path = folder / "source" / "42_a_lesson.py"
    path.write_text(SOURCE + "\n# %%\nimport torch\n\n# %%\nimport torch\n", encoding="utf-8")
    ids = [cell.id for cell in lesson(folder)[0].cells]
    assert len(set(ids)) == len(ids) == 10


IMPORT, MARKED = "# %%\nimport torch", '# %% [markdown] tags=["exercise"]\n'
FIRST_ANSWER = '# %% tags=["exercise"]\n### BEGIN SOLUTION\nanswer = 1 + 1\n### END SOLUTION\n'

BROKEN = [  # replaced text, new text, error of the builder
    ("    ### END SOLUTION\n", "", r"42_a_lesson.py: cell 7: `### END SOLUTION` must stand after `### BEGIN SOLUTION`"),
    ("    ### BEGIN SOLUTION\n", "", "cell 7: `### BEGIN SOLUTION` must stand before `### END SOLUTION`"),
    ("    y = x + x\n", "    ### BEGIN SOLUTION\n", "cell 7: .* Got a second `### BEGIN SOLUTION`"),
    ("answer = 1 + 1", "print(2)", r"cell 4: a solution outside a function must .* Got `print\(2\)`"),
    (IMPORT, "# %%\n### BEGIN SOLUTION", "cell 2: only an answer may have solution markers"),
    (
        IMPORT,
        '# %% tags=["hidden"]\nimport torch',
        "cell 2: .* one of exercise, check. Got hidden",
    ),
    (IMPORT, "# %% [html]\n# <p>", r"cell 2: the `# %%` line of a cell may set only `tags` and `points`"),
    (IMPORT, "# %% [raw]\n# text", "cell 2: a cell must be a code or markdown cell. Got a raw cell"),
    (IMPORT, "# %% points=2\nimport torch", "cell 2: `points` must be an integer >= 0 on a cell tagged `check`. Got 2"),
    (IMPORT, "# %%\n", "cell 2: a cell must not be empty"),
    ("points=3", 'points="3"', "cell 8: `points` must be an integer .* Got '3'"),
    ("# ### Exercise 2 · in code", "# ### Exercise two", "cell 6: .* a heading like `### Exercise 2 · in code`"),
    ("# ### Exercise 2", "# ### Exercise 1", "cell 6: exercise 1 appears twice"),
    ('# %% tags=["check"]\nprint(answer)\n', "", "cell 5: exercise 1 must end in a check"),
    ('# %% tags=["check"] points=3\nprint(double)\n', "", "cell 8: exercise 2 must end in a check"),
    (MARKED + "# ### Exercise 1 · by hand\n", "# %% [markdown]\n", "cell 4: an answer must follow its task"),
    (FIRST_ANSWER, "", "cell 4: a check must follow an answer"),
    ("### BEGIN SOLUTION\nanswer = 1 + 1\n### END SOLUTION", "answer = 2", "cell 4: an answer must have"),
    ("# %% [markdown]\n# # 42", "# # 42", "a source must begin with `# %%"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN, ids=[message for *_, message in BROKEN])
def test_an_invalid_source_is_refused(folder, old, new, message):
    assert SOURCE.count(old) == 1 or old.startswith(("# %%\n", "    ###"))
    (folder / "source" / "42_a_lesson.py").write_text(SOURCE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(build.BuildError, match=message):
        build.build(folder)


def test_a_source_has_a_number_and_a_folder_has_sources(folder):
    (folder / "source" / "42_a_lesson.py").rename(folder / "source" / "Lesson.py")
    with pytest.raises(build.BuildError, match=r"Lesson.py: a source must be named like 01_title.py"):
        build.build(folder)
    (folder / "source" / "Lesson.py").unlink()
    with pytest.raises(build.BuildError, match="expected lessons in"):
        build.build(folder)


def test_differences_are_named_and_a_build_removes_them(folder, monkeypatch, capsys):
    monkeypatch.setattr(build, "HERE", folder)
    assert build.drift(folder) == ["42_a_lesson.ipynb is missing", "solutions/42_a_lesson.ipynb is missing"]
    build.save(build.targets(build.build(folder), folder))
    assert build.drift(folder) == []
    (folder / "42_a_lesson.ipynb").write_text("{}")
    (folder / "07_old.ipynb").write_text("{}")
    assert build.drift(folder) == ["07_old.ipynb has no source", "42_a_lesson.ipynb differs from its source"]


def test_a_failed_write_leaves_the_old_notebook(folder, monkeypatch):
    build.save({folder / "a.ipynb": "before"})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build.Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        build.save({folder / "a.ipynb": "after"})
    assert sorted(path.name for path in folder.iterdir()) == ["a.ipynb", "source"]
    assert (folder / "a.ipynb").read_text() == "before"


def test_nothing_is_written_through_a_link(folder):
    """A broken link also counts as a user's file. A link to a file is replaced, not followed."""
    link, elsewhere = folder / "a.ipynb", folder / "elsewhere"
    link.symlink_to(elsewhere)
    with pytest.raises(build.BuildError, match="must not overwrite files"):
        build.refuse_to_overwrite({link: b"a lesson"})
    build.save({link: "a lesson"})
    assert not elsewhere.exists()
    assert link.read_text() == "a lesson"
    assert not link.is_symlink()


def test_the_command_line(monkeypatch, capsys, tmp_path):
    assert build.main(["--check"]) == 0
    assert capsys.readouterr().out == "every notebook matches its source\n"
    monkeypatch.setattr(build, "drift", lambda: ["01_x.ipynb differs from its source"])
    assert build.main(["--check"]) == 1
    assert "run `python3 run.py notebooks`" in capsys.readouterr().out

    def broken():
        raise build.BuildError("01_x.py: cell 3: a cell must not be empty")

    monkeypatch.setattr(build, "build", broken)
    assert build.main([]) == 2
    assert capsys.readouterr().err == "01_x.py: cell 3: a cell must not be empty\n"


def test_the_guide_is_written_from_the_solved_lessons(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(build, "save", lambda wanted: [path for path in wanted if path.name == "teaching.md"])
    told = {}
    monkeypatch.setattr(guide, "guide", lambda solutions: told.update(solutions) or "the page")
    assert build.main(["--guide"]) == 0
    assert capsys.readouterr().out == f"wrote {guide.PLACE}\n"
    assert told == {lesson.name: lesson.solution for lesson in build.build()}

    def broken(solutions):
        raise guide.GuideError("01_x must run without an error")

    monkeypatch.setattr(guide, "guide", broken)
    assert build.main(["--guide"]) == 2
    assert capsys.readouterr().err == "01_x must run without an error\n"
