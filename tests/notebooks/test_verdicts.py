"""Verdicts in a kernel: boxes that stop nothing for a reader, errors for a grader and for a test of solved lessons."""

import html
import os
import re
import sys

import guide
import nbformat
import pytest
from lessons import NOTEBOOKS, solution_of
from nbclient import NotebookClient

from amfs_lab.explore.box import Box

IMPORT = "from amfs_lab.explore import check\nimport torch"
UNTOUCHED = "def my_rbf(x1, x2, bandwidth):\n    raise NotImplementedError  # your code"
RIGHT = "from amfs_lab.kernels import rbf_kernel as my_rbf"
WRONG = "def my_rbf(a, b, s):\n    return torch.exp(-(a[:, None] - b).square().sum(-1) / s**2)"
BROKEN = """\
def helper(a):
    size = a.shape[0]
    return a.reshape(size + 1, -1)
def my_rbf(a, b, s):
    return helper(a)"""
SAID = {
    UNTOUCHED: "○ not attempted yet",
    RIGHT: "✓ Your kernel and the library's agree on three sets of points.",
    WRONG: "Not yet. You divided by σ² where the exponent has 2σ²: your kernel is narrower than you think.",
}


def run(sources, **rest):
    """Run All of a notebook with these cells, as a reader's: an error is kept, and the next cell runs."""
    return run_all(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]), **rest)


def run_all(notebook, place=NOTEBOOKS, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ("NBGRADER_EXECUTION", "AMFS_LAB_CHECKS")}
    clean |= {"AMFS_LAB_FAST": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(NOTEBOOKS.parent)}
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    resources = {"metadata": {"path": str(place)}}
    kernel = dict(timeout=guide.CELL_SECONDS, kernel_name="python3", resources=resources, allow_errors=True)
    NotebookClient(notebook, **kernel).execute(env=clean | env)
    return notebook


def errors(notebook):
    return [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if is_error(output)
    ]


def is_error(output):
    return output.output_type == "error"


def points(cell, most=1):
    """As nbgrader counts: nothing for an error or for anything on stderr, all of them otherwise."""
    failed = any(is_error(each) or each.get("name") == "stderr" for each in cell.outputs)
    return 0 if failed else most


@pytest.fixture(scope="module")
def page():
    """One page that asks for every kind of verdict."""
    cells = [IMPORT]
    for answer in (UNTOUCHED, RIGHT, WRONG, BROKEN):
        cells += [answer, "check.rbf(my_rbf)"]
    return run([*cells, "check.two_away(0.3); print('and on')", "print('to the end')"])


def box(cell):
    (output,) = [each for each in cell.outputs if each.output_type == "display_data"]
    return output


def test_no_verdict_stops_run_all(page):
    assert errors(page) == []
    assert page.cells[-1].outputs[0].text == "to the end\n"
    assert [each.output_type for each in page.cells[-2].outputs] == ["display_data", "stream"]


@pytest.mark.parametrize(("number", "answer"), [*enumerate(SAID)])
def test_a_verdict_is_a_box_and_text(page, number, answer):
    cell = page.cells[2 + 2 * number]
    assert guide.printed(cell) == f"{SAID[answer]}\n"
    data, kind = box(cell).data, ("open", "right", "wrong")[number]
    assert box(cell).metadata == {"amfs_lab": {"verdict": kind}}
    assert html.unescape(re.sub("<[^>]+>", "", data["text/html"])) == SAID[answer]
    assert f'class="amfs-verdict amfs-{kind}" role="status"' in data["text/html"]
    assert "color: inherit" in data["text/html"]  # the page's own, whatever its theme


def test_an_error_in_the_reader_s_function_is_a_box_with_the_line_of_its_cell(page):
    said = guide.printed(page.cells[8])
    assert said.startswith("Not yet. Your function stopped with RuntimeError: shape '[5, -1]' is invalid")
    assert said.endswith("Line 3 of your cell: `return a.reshape(size + 1, -1)`.\n")
    assert "<code" in box(page.cells[8]).data["text/html"]
    assert "diagnose" not in said


def test_a_box_is_escaped():
    shown = Box("wrong", "It says <script>alert(1)</script> & `a < b`.")._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in shown
    assert re.search(r"<code [^>]+>a &lt; b</code>\.</div>$", shown)


def verdicts(**env):
    """What a check says to each answer in turn: the cells, and the names of their errors."""
    cells = [IMPORT]
    for answer in (UNTOUCHED, RIGHT, WRONG, BROKEN):
        cells += [answer, "check.rbf(my_rbf)"]
    checks = run(cells, **env).cells[2::2]
    return checks, [[each.ename for each in cell.outputs if is_error(each)] for cell in checks]


def test_nbgrader_counts_as_before():
    for step in ("autograde", "validate"):
        checks, names = verdicts(NBGRADER_EXECUTION=step)
        assert [points(cell) for cell in checks] == [0, 1, 0, 0]
        assert names == [["NotImplementedError"], [], ["Wrong"], ["Wrong"]]
        assert guide.printed(checks[1]) == f"{SAID[RIGHT]}\n"


def test_a_test_of_a_solved_lesson_fails_with_the_check():
    assert verdicts(AMFS_LAB_CHECKS="raise")[1] == [[], [], ["Wrong"], ["Wrong"]]


def test_a_fault_of_the_library_is_shown_as_one():
    page = run([IMPORT, RIGHT, "check.kernels.rbf_kernel = lambda *case: 1 / 0\ncheck.rbf(my_rbf)", "print('on')"])
    (error,) = errors(page)
    assert error.ename == "ZeroDivisionError"
    assert any("kernels.py" in line for line in error.traceback)


def test_what_is_missing_is_a_box_too():
    page = run([IMPORT, "check.setting.NEEDED = ('no-such-package',)\ncheck.environment()"])
    assert errors(page) == []
    assert "Not yet. Not installed: no-such-package. Start with" in guide.printed(page.cells[-1])


@pytest.mark.skipif(sys.platform == "win32", reason="there a kernel is interrupted by an event, not by a signal")
def test_an_endless_function_can_be_interrupted_and_says_where_it_was():
    endless = "import time\ndef my_rbf(a, b, s):\n    while True:\n        time.sleep(0.01)"
    soon = "import os, signal, threading\nthreading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
    page = run([IMPORT, endless, f"{soon}check.rbf(my_rbf)"])
    (error,) = errors(page)
    assert error.ename == "KeyboardInterrupt"
    assert error.traceback == ["Stopped."]
    said = "Stopped. Your function was still running: what is to end its loop? Line 4 of your cell: `time.sleep(0.01)`."
    assert box(page.cells[-1]).data["text/plain"] == said


def test_every_cell_of_a_wrongly_solved_lesson_runs():
    """As a reader leaves it who has got all three wrong."""
    lesson = nbformat.read(solution_of(NOTEBOOKS / "01_rbf_kernels.ipynb"), 4)
    answers = [cell for cell in lesson.cells if cell.metadata.get("tags") == ["exercise"] and cell.cell_type == "code"]
    wrong = ["two_sigma_apart = 0.5", "def my_rbf(x1, x2, bandwidth):\n    return x1 - x2", "widest_sigma = 5.0"]
    for cell, source in zip(answers, wrong, strict=True):
        cell.source = source
    run_all(lesson)
    assert errors(lesson) == []
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    checks = [guide.printed(cell) for cell in lesson.cells if cell.metadata.get("tags") == ["check"]]
    assert len(checks) == 3
    assert all(said.startswith("Not yet. ") for said in checks)


def test_a_wrongly_solved_lesson_gives_no_guide():
    cells = [nbformat.v4.new_code_cell(source) for source in (IMPORT, WRONG, "check.rbf(my_rbf)")]
    with pytest.raises(guide.CellExecutionError, match="You divided by σ²"):
        guide.run(nbformat.v4.new_notebook(cells=cells))


# --- what docs/teaching.md says under "Grading" ---

TAMPERING = [  # what a student's cell does, and what puts it right again for the next case
    ("os.environ.pop('NBGRADER_EXECUTION')", "os.environ['NBGRADER_EXECUTION'] = 'autograde'"),
    ("explore.check.kernels.rbf_kernel = my_rbf", "explore.check.kernels.rbf_kernel = kernels.rbf_kernel"),
    ("kept, explore.check.rbf = explore.check.rbf, print", "explore.check.rbf = kept"),
]
SUSPICIOUS = re.compile(r"\b(import|environ|check|setattr|exec|eval|open)\b|__")
GUIDE = guide.PLACE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tampered(tmp_path_factory):
    """One page of wrong answers, some with a helping hand; beside it lies a file."""
    folder = tmp_path_factory.mktemp("student")
    (folder / "sklearn.py").write_text("print('a file of the student')")
    check, cells = "explore.check.rbf(my_rbf)", ["import os, torch\nfrom amfs_lab import explore, kernels"]
    own_grader = "os.environ.pop('NBGRADER_EXECUTION'); os.environ['AMFS_LAB_CHECKS'] = 'raise'"
    for tamper, after in [("", ""), *TAMPERING, ("", own_grader), ("", ""), ("os.environ.pop('AMFS_LAB_CHECKS')", "")]:
        cells += [f"{WRONG}\n{tamper}", check, after]
    return run([*cells, "import sklearn"], place=folder, NBGRADER_EXECUTION="autograde")


def test_tampering_that_the_guide_tells_of_gets_points(tampered):
    assert [points(cell) for cell in tampered.cells[2:-1:3]] == [0, 1, 1, 1, 0, 0, 1]


def test_a_file_beside_a_notebook_stands_for_an_installed_package(tampered):
    assert guide.printed(tampered.cells[-1]) == "a file of the student\n"


def test_the_words_to_look_for_are_in_all_tampering_and_in_no_answer():
    assert all(SUSPICIOUS.search(tamper) for tamper, _ in TAMPERING)
    for path in sorted((NOTEBOOKS / "solutions").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code" and cell.metadata.get("tags") == ["exercise"]:
                assert not SUSPICIOUS.search(cell.source), cell.source


def test_the_guide_tells_of_that():
    for words in ('os.environ.pop("NBGRADER_EXECUTION")', 'os.environ.pop("AMFS_LAB_CHECKS")', "torch.py"):
        assert f"`{words}`" in GUIDE
    assert "`explore.check.kernels.rbf_kernel = my_rbf`" in GUIDE
    assert "`explore.check.rbf = print`" in GUIDE
    named = re.search(r"No answer needs (.+?) or a name with\s+two", GUIDE, re.DOTALL)[1]
    assert f"({'|'.join(re.findall('`(.+?)`', named))})" in SUSPICIOUS.pattern
    assert guide.GRADING in GUIDE
