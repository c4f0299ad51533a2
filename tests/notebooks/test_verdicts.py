"""Verdicts of checks in a kernel: boxes for a student, errors for a grader and for tests of solved lessons."""

import html
import os
import re
import sys

import guide
import nbformat
import pytest
from lessons import NOTEBOOKS, solution_of
from nbclient import NotebookClient

from amfs_lab.widgets.box import Box

IMPORT = "from amfs_lab import checks\nimport torch"
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
    RIGHT: "✓ Your kernel and the library's kernel agree on three sets of points.",
    WRONG: "Not yet. You divided by σ² where the exponent has 2σ²: your kernel is narrower than you think.",
}


def run(sources, **rest):
    """The cells of a notebook with these sources after Run All. After an error, the next cell still runs."""
    return run_all(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]), **rest
    ).cells


def run_all(notebook, place=NOTEBOOKS, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ("NBGRADER_EXECUTION", "AMFS_LAB_CHECKS")}
    clean |= {"AMFS_LAB_FAST": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(NOTEBOOKS.parent)}
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    resources = {"metadata": {"path": str(place)}}
    kernel = dict(timeout=guide.CELL_SECONDS, kernel_name="python3", resources=resources, allow_errors=True)
    NotebookClient(notebook, **kernel).execute(env=clean | env)
    return notebook


def errors(cells):
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs if is_error(output)]


def is_error(output):
    return output.output_type == "error"


def points(cell, most=1):
    """The points as nbgrader counts them: 0 after an error or output on stderr, else `most`."""
    failed = any(is_error(each) or each.get("name") == "stderr" for each in cell.outputs)
    return 0 if failed else most


ASKED = [cell for answer in (UNTOUCHED, RIGHT, WRONG, BROKEN) for cell in (answer, "checks.rbf(my_rbf)")]
PAGE = [IMPORT, *ASKED, "checks.two_away(0.3); print('and on')", "print('to the end')"]
MODES = ({"NBGRADER_EXECUTION": "autograde"}, {"NBGRADER_EXECUTION": "validate"}, {"AMFS_LAB_CHECKS": "raise"})
CLEAR = "for name in ('NBGRADER_EXECUTION', 'AMFS_LAB_CHECKS'): os.environ.pop(name, None)"
ENDLESS = "import time\ndef my_rbf(a, b, s):\n    while True:\n        time.sleep(0.01)"
SOON = "import os, signal, threading\nthreading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()"
INTERRUPTED = [] if sys.platform == "win32" else [ENDLESS, f"{SOON}\nchecks.rbf(my_rbf)"]
FAULTS = [
    *("checks.setting.NEEDED = ('no-such-package',)\nchecks.environment()", RIGHT),
    *("checks.kernels.rbf_kernel = lambda *case: 1 / 0\nchecks.rbf(my_rbf)", "print('on')"),
]


@pytest.fixture(scope="module")
def parts():
    """A notebook with every kind of verdict, in each mode, and then with errors, run in one kernel."""
    modes = [[f"import os\n{CLEAR}\nos.environ.update({mode})", *ASKED] for mode in MODES]
    pages = [PAGE, *modes, [CLEAR, *INTERRUPTED], FAULTS]
    cells = iter(run(source for page in pages for source in page))
    return [[next(cells) for _ in page] for page in pages]


@pytest.fixture
def page(parts):
    return parts[0]


def box(cell):
    (output,) = [each for each in cell.outputs if each.output_type == "display_data"]
    return output


def test_no_verdict_stops_run_all(page):
    assert errors(page) == []
    assert page[-1].outputs[0].text == "to the end\n"
    assert [each.output_type for each in page[-2].outputs] == ["display_data", "stream"]


@pytest.mark.parametrize(("number", "answer"), [*enumerate(SAID)])
def test_a_verdict_is_a_box_and_text(page, number, answer):
    cell = page[2 + 2 * number]
    assert guide.printed(cell) == f"{SAID[answer]}\n"
    data, kind = box(cell).data, ("open", "right", "wrong")[number]
    assert box(cell).metadata == {"amfs_lab": {"verdict": kind}}
    assert html.unescape(re.sub("<[^>]+>", "", data["text/html"])) == SAID[answer]
    assert f'class="amfs-verdict amfs-{kind}" role="status"' in data["text/html"]
    assert "color: inherit" in data["text/html"]  # the text colour of the page, in every theme


def test_an_error_in_a_students_function_is_a_box_with_the_line_of_its_cell(page):
    said = guide.printed(page[8])
    assert said.startswith("Not yet. Your function stopped with RuntimeError: shape '[5, -1]' is invalid")
    assert said.endswith("Line 3 of your cell: `return a.reshape(size + 1, -1)`.\n")
    assert "<code" in box(page[8]).data["text/html"]
    assert "diagnose" not in said


def test_a_box_is_escaped():
    shown = Box("wrong", "It says <script>alert(1)</script> & `a < b`.")._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in shown
    assert re.search(r"<code [^>]+>a &lt; b</code>\.</div>$", shown)


def names(checks):
    """The names of the errors of each check."""
    return [[error.ename for error in errors([cell])] for cell in checks]


@pytest.mark.parametrize("mode", [1, 2])
def test_nbgrader_counts_as_before(parts, mode):
    checks = parts[mode][2::2]
    assert [points(cell) for cell in checks] == [0, 1, 0, 0]
    assert names(checks) == [["NotImplementedError"], [], ["Wrong"], ["Wrong"]]
    assert guide.printed(checks[1]) == f"{SAID[RIGHT]}\n"


def test_a_test_of_a_solved_lesson_fails_with_the_check(parts):
    assert names(parts[3][2::2]) == [[], [], ["Wrong"], ["Wrong"]]


def test_a_fault_of_the_library_is_shown_as_one(parts):
    *_, broken, after = parts[-1]
    (error,) = errors([broken])
    assert error.ename == "ZeroDivisionError"
    assert any("kernels.py" in line for line in error.traceback)
    assert guide.printed(after) == "on\n"  # a busy kernel may send the output in two pieces


def test_a_missing_name_is_a_box_too(parts):
    missing = parts[-1][0]
    assert errors([missing]) == []
    assert "Not yet. Not installed: no-such-package. Start with" in guide.printed(missing)


@pytest.mark.skipif(sys.platform == "win32", reason="there a kernel is interrupted by an event, not by a signal")
def test_an_endless_function_can_be_interrupted_and_says_where_it_was(parts):
    stopped = parts[-2][-1]
    (error,) = errors([stopped])
    assert error.ename == "KeyboardInterrupt"
    assert error.traceback == ["Stopped."]
    said = "Stopped. Your function was still running. Check the condition that ends its loop. "
    said += "Line 4 of your cell: `time.sleep(0.01)`."
    assert box(stopped).data["text/plain"] == said


def test_every_cell_of_a_wrongly_solved_lesson_runs():
    """The notebook of a student with three wrong answers."""
    lesson = nbformat.read(solution_of(NOTEBOOKS / "01_rbf_kernels.ipynb"), 4)
    answers = [cell for cell in lesson.cells if cell.metadata.get("tags") == ["exercise"] and cell.cell_type == "code"]
    wrong = ["two_sigma_apart = 0.5", "def my_rbf(x1, x2, bandwidth):\n    return x1 - x2", "widest_sigma = 5.0"]
    for cell, source in zip(answers, wrong, strict=True):
        cell.source = source
    run_all(lesson)
    assert errors(lesson.cells) == []
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    checks = [guide.printed(cell) for cell in lesson.cells if cell.metadata.get("tags") == ["check"]]
    assert len(checks) == 3
    assert all(said.startswith("Not yet. ") for said in checks)


def test_a_wrongly_solved_lesson_gives_no_guide():
    cells = [nbformat.v4.new_code_cell(source) for source in (IMPORT, WRONG, "checks.rbf(my_rbf)")]
    with pytest.raises(guide.CellExecutionError, match="You divided by σ²"):
        guide.run(nbformat.v4.new_notebook(cells=cells))


# --- the claims of docs/teaching.md under "Grading" ---

TAMPERING = [  # a cell of a student, and a cell that undoes it for the next case
    ("os.environ.pop('NBGRADER_EXECUTION')", "os.environ['NBGRADER_EXECUTION'] = 'autograde'"),
    ("checks.kernels.rbf_kernel = my_rbf", "checks.kernels.rbf_kernel = kernels.rbf_kernel"),
    ("kept, checks.rbf = checks.rbf, print", "checks.rbf = kept"),
]
SUSPICIOUS = re.compile(r"\b(import|environ|checks|setattr|exec|eval|open)\b|__")
GUIDE = guide.PLACE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tampered(tmp_path_factory):
    """A notebook of wrong answers, some with tampering, and a file beside it."""
    folder = tmp_path_factory.mktemp("student")
    (folder / "sklearn.py").write_text("print('a file of the student')")
    check, cells = "checks.rbf(my_rbf)", ["import os, torch\nfrom amfs_lab import checks, explore, kernels"]
    own_grader = "os.environ.pop('NBGRADER_EXECUTION'); os.environ['AMFS_LAB_CHECKS'] = 'raise'"
    for tamper, after in [("", ""), *TAMPERING, ("", own_grader), ("", ""), ("os.environ.pop('AMFS_LAB_CHECKS')", "")]:
        cells += [f"{WRONG}\n{tamper}", check, after]
    return run([*cells, "import sklearn"], place=folder, NBGRADER_EXECUTION="autograde")


def test_tampering_described_in_the_guide_gets_points(tampered):
    assert [points(cell) for cell in tampered[2:-1:3]] == [0, 1, 1, 1, 0, 0, 1]


def test_a_file_beside_a_notebook_replaces_an_installed_package(tampered):
    assert guide.printed(tampered[-1]) == "a file of the student\n"


def test_the_suspicious_words_are_in_all_tampering_and_in_no_answer():
    assert all(SUSPICIOUS.search(tamper) for tamper, _ in TAMPERING)
    for path in sorted((NOTEBOOKS / "solutions").glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code" and cell.metadata.get("tags") == ["exercise"]:
                assert not SUSPICIOUS.search(cell.source), cell.source


def test_the_guide_describes_the_tampering():
    for words in ('os.environ.pop("NBGRADER_EXECUTION")', 'os.environ.pop("AMFS_LAB_CHECKS")', "torch.py"):
        assert f"`{words}`" in GUIDE
    assert "`checks.kernels.rbf_kernel = my_rbf`" in GUIDE
    assert "`checks.rbf = print`" in GUIDE
    named = re.search(r"No answer needs (.+?) or a name\s+with two", GUIDE, re.DOTALL)[1]
    assert f"({'|'.join(re.findall('`(.+?)`', named))})" in SUSPICIOUS.pattern
    assert guide.GRADING in GUIDE
