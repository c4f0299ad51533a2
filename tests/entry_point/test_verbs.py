"""The verbs of run.py in a finished environment, and the errors of wrong verbs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def run(machine):
    machine.run.set_up()
    machine.calls.clear()
    return machine.run


# --- lab ---


def test_lab_is_started_in_the_environment_with_all_its_arguments(run, machine):
    run.main(["lab", "--fresh", "01", "--", "--no-browser", "--", "x"])
    command, variables = machine.became
    assert command == [
        str(machine.python()),
        "-P",
        "-m",
        "amfs_lab.lab",
        "--fresh",
        "01",
        "--",
        "--no-browser",
        "--",
        "x",
    ]
    assert variables == {}


def test_the_kernel_of_the_environment_comes_first(run):
    environment = run.environment()
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(run.PYTHON).parent)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lab", "--torch-index"], "`--torch-index` must have a value. Got none"),
        (["lab", "--torch-index="], "`--torch-index` must have a value. Got none"),
        (["test", "--torch-index", "-x"], "`--torch-index` must have a value. Got none"),
        (["labb"], "There is no verb 'labb'. Give one of lab, test, notebooks, bench, lint"),
        (["\x1b[2Jlab"], r"There is no verb '\x1b[2Jlab'. Give one of"),  # ESC would clear the terminal
    ],
)
def test_a_wrong_argument_is_an_error_before_anything_is_made(machine, arguments, sentence, capsys):
    assert machine.run.main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert machine.calls == []


# --- a copy that was handed out ---


def test_a_hand_out_has_no_sources_to_build_from(machine, handed_out, capsys):
    assert machine.run.main(["notebooks"]) == 2
    error = capsys.readouterr().err
    assert "has no sources of the lessons. Its lessons in notebooks/ are ready." in error
    assert error.count("\n") == 1
    assert machine.calls == []


def test_a_hand_out_tests_its_lessons(run, machine, handed_out, capsys):
    assert run.main(["lab"]) == 0
    assert "no tests" not in capsys.readouterr().out
    assert run.main(["test"]) == 0
    assert machine.became[0][2:4] == ["-m", "pytest"]
    assert "no tests of the library. The test runs each lesson" in capsys.readouterr().out


def test_the_whole_project_prints_nothing_about_missing_tests(run, capsys):
    run.main(["test"])
    assert "no tests" not in capsys.readouterr().out


# --- the other verbs ---


def test_test_passes_its_arguments_on_and_runs_the_short_lessons(run, machine):
    run.main(["test", "-x", "tests/entry point", "-k", "a and b"])
    command, variables = machine.became
    assert command[1:] == ["-P", "-m", "pytest", "-x", "tests/entry point", "-k", "a and b"]
    assert variables == {"AMFS_LAB_FAST": "1"}


@pytest.mark.parametrize(("cores", "workers"), [(1, "1"), (2, "2"), (64, "4"), (None, "1")])
@pytest.mark.parametrize("given", [[], ["-q"], ["-x", "-vv"], ["--", "--maxfail=2"], ["-n0"]])
def test_a_run_of_everything_keeps_each_lesson_in_one_process(run, machine, monkeypatch, cores, workers, given):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    run.main(["test", *given])
    ours = ["-n", workers, "--dist=loadfile", "--no-loadscope-reorder"]
    assert machine.became[0][1:] == ["-P", "-m", "pytest", *ours, *[word for word in given if word != "--"]]


@pytest.mark.parametrize(
    "given",
    [
        ["tests/test_kernels.py"],
        ["-q", "tests"],
        ["tests/test_kernels.py::test_a_law", "-x"],
        ["-k", "median"],
        ["-kmedian"],
        ["-m", "slow"],
        ["-p", "no:xdist"],
        ["-pno:xdist"],
        ["--pdb"],
        ["--trace"],
        ["-s"],
    ],
)
def test_naming_or_debugging_tests_uses_one_process(run, machine, given):
    run.main(["test", *given])
    assert machine.became[0][1:] == ["-P", "-m", "pytest", *given]


def test_notebooks_and_bench_pass_their_arguments_on(run, machine):
    run.main(["notebooks", "--check"])
    assert machine.became[0][1:] == [os.path.join("notebooks", "build.py"), "--check"]
    run.main(["bench", "--runs", "7"])
    assert machine.became[0][1:] == ["-P", "-m", "amfs_lab", "bench", "--runs", "7"]


@pytest.mark.parametrize(("failing", "status"), [(set(), 0), ({"pyright"}, 1), ({"ruff"}, 1)])
def test_lint_runs_every_tool_and_fails_if_one_does(run, machine, failing, status):
    machine.failing = failing
    assert run.main(["lint"]) == status
    assert [call[1:] for call in machine.calls] == [
        ["-P", "-m", "ruff", "check"],
        ["-P", "-m", "ruff", "format", "--check"],
        ["-P", "-m", "pyright"],
    ]


def test_no_verb_shows_the_help(machine, capsys):
    assert machine.run.main([]) == 2
    captured = capsys.readouterr()
    assert all(f"\n    {verb} " in captured.out for verb in machine.run.VERBS)
    assert "A verb is missing" in captured.err
    assert machine.calls == []


def test_help_is_no_error(machine, capsys):
    assert machine.run.main(["--help"]) == 0
    assert "lab" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("before", [[], ["--solutions"], ["--torch-index"]])
@pytest.mark.parametrize("verb", ["lab", "test", "notebooks", "bench", "lint"])
def test_help_after_any_verb_prints_the_page_and_makes_nothing(machine, handed_out, capsys, verb, before, option):
    assert machine.run.main([verb, *before, option]) == 0
    captured = capsys.readouterr()
    assert captured.out == machine.run.__doc__ + "\n"
    assert captured.err == ""
    assert machine.calls == []
    assert not os.path.lexists(machine.run.VENV)


def test_help_after_the_dashes_goes_to_the_program(run, machine):
    run.main(["bench", "--", "--help"])
    assert machine.became[0][1:] == ["-P", "-m", "amfs_lab", "bench", "--help"]


def test_run_py_ends_with_the_status_of_the_command(project):
    """A real process: run.py becomes the command, in the folder of run.py, with the environment's variables."""
    code = (
        "import run, sys\n"
        "said = 'import os, sys; print(os.getcwd(), os.environ[\"AMFS_LAB_FAST\"]); sys.exit(7)'\n"
        "run.set_up = lambda _: None\n"
        "run.start = lambda *_: run.become([sys.executable, '-c', said], AMFS_LAB_FAST='1')\n"
        "sys.exit(run.main(['test']))"
    )
    environment = dict(os.environ, PYTHONPATH=str(project))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == f"{project} 1"
