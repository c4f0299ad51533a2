"""What each verb does once the environment stands, and what a wrong one says."""

import json
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


@pytest.fixture(autouse=True)
def nobody_special(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)


def options(machine) -> list[str]:
    command, _ = machine.became
    assert command[:3] == [str(machine.python()), "-m", "jupyterlab"]
    return command[3:]


# --- lab ---


OURS = 3  # how many options `lab` gives to JupyterLab by itself


def test_lab_opens_working_copies(run, machine, house):
    assert run.main(["lab"]) == 0
    assert sorted(p.name for p in (house / "my_lessons").iterdir()) == ["00_start_here.ipynb", "01_rbf_kernels.ipynb"]
    assert options(machine) == [
        f"--ServerApp.root_dir={house / 'my_lessons'}",
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
        "--ServerApp.ip=127.0.0.1",
    ]
    assert len(options(machine)) == OURS


def test_lab_asks_nobody_for_news(run, house):
    """Settings of .venv's own JupyterLab, by their names in its schema; the user's settings win over them."""
    run.main(["lab"])
    run.main(["lab"])  # a second time is no trouble
    (file,) = (house / ".venv" / "share" / "jupyter" / "lab" / "settings" / "overrides.d").iterdir()
    ((plugin, settings),) = json.loads(file.read_text()).items()
    assert settings == {"fetchNews": "false", "checkForUpdates": False}
    package, name = plugin.split(":")
    schema = Path(sys.prefix, "share", "jupyter", "lab", "schemas", package, f"{name}.json")
    if schema.exists():
        properties = json.loads(schema.read_text(encoding="utf-8"))["properties"]
        assert settings.keys() <= properties.keys()
        assert "false" in [choice["const"] for choice in properties["fetchNews"]["oneOf"]]


def test_a_working_copy_is_never_overwritten_and_new_lessons_arrive(run, house):
    run.main(["lab"])
    (house / "my_lessons" / "01_rbf_kernels.ipynb").write_text("my work")
    (house / "notebooks" / "01_rbf_kernels.ipynb").write_text("an update")
    (house / "notebooks" / "02_new.ipynb").write_text("a new lesson")
    run.main(["lab"])
    assert (house / "my_lessons" / "01_rbf_kernels.ipynb").read_text() == "my work"
    assert (house / "my_lessons" / "02_new.ipynb").read_text() == "a new lesson"


@pytest.mark.parametrize("number", ["01", "1"])
def test_fresh_resets_one_lesson_and_keeps_the_old(run, house, number, capsys):
    run.main(["lab"])
    mine = house / "my_lessons" / "01_rbf_kernels.ipynb"
    other = house / "my_lessons" / "00_start_here.ipynb"
    other.write_text("my other work")
    for text in ("my work", "my second try"):  # twice within one second: both are kept
        mine.write_text(text)
        run.main(["lab", "--fresh", number])
        assert mine.read_text() == (house / "notebooks" / mine.name).read_text()
    kept = sorted(p.read_text() for p in (house / "my_lessons" / "backup").rglob("*.ipynb"))
    assert kept == ["my second try", "my work"]
    assert other.read_text() == "my other work"
    assert os.path.join("my_lessons", "backup") in capsys.readouterr().out


def test_fresh_opens_the_lesson_it_resets(run, machine):
    run.main(["lab", "--fresh", "1"])
    assert options(machine)[1] == "--LabApp.default_url=/lab/tree/01_rbf_kernels.ipynb"


def test_a_lesson_that_is_not_there_cannot_be_fresh(run, machine, house, capsys):
    assert run.main(["lab", "--fresh", "42"]) == 2
    assert "There is no lesson 42: `--fresh` takes one of 00, 01." in capsys.readouterr().err
    assert machine.became is None


def test_in_place_opens_the_lessons_themselves(run, machine, house):
    run.main(["lab", "--in-place"])
    assert options(machine)[0] == f"--ServerApp.root_dir={house / 'notebooks'}"
    assert not (house / "my_lessons").exists()


def test_what_follows_the_dashes_goes_to_jupyter(run, machine):
    run.main(["lab", "--fresh", "00", "--", "--no-browser", "--port", "9999", "--fresh"])
    assert options(machine)[OURS:] == ["--no-browser", "--port", "9999", "--fresh"]


@pytest.mark.parametrize(
    ("option", "ours"),
    [
        (["--ip=0.0.0.0"], "--ServerApp.ip="),
        (["--ServerApp.ip=::1"], "--ServerApp.ip="),
        (["--ip", "::1"], "--ServerApp.ip="),
        (["--notebook-dir=x"], "--ServerApp.root_dir="),
        (["--LabApp.default_url=/lab"], "--LabApp.default_url="),
    ],
)
def test_an_option_of_the_user_replaces_ours(run, machine, option, ours):
    run.main(["lab", "--", *option])
    assert [o for o in options(machine)[: -len(option)] if o.startswith(ours)] == []


def test_the_token_is_left_to_jupyter_and_its_address_is_announced(run, machine, capsys):
    run.main(["lab"])
    names = [option.split("=")[0].lower() for option in options(machine)]
    assert not any("token" in name or "password" in name for name in names)
    assert "JupyterLab prints its address below" in capsys.readouterr().out


@pytest.mark.parametrize(("given", "expected"), [([], ["--allow-root"]), (["--allow-root"], ["--allow-root"])])
def test_in_a_container_jupyter_may_run_as_root(run, machine, monkeypatch, given, expected):
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    run.main(["lab", "--", *given])
    assert options(machine)[OURS:] == expected


def test_the_kernel_of_the_environment_comes_first(run):
    environment = run.environment()
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(run.venv_bin("python")).parent)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lab", "--no-browser"], "options for JupyterLab go after `--`, as in `run.py lab -- --no-browser`"),
        (["lab", "--fresh"], "`--fresh` needs a value after it"),
        (["lab", "--fresh="], "`--fresh` needs a value after it"),
        (["lab", "--fresh", ""], "`--fresh` needs a value after it"),
        (["lab", "--fresh", "01", "--in-place"], "give one of the two"),
        (["lab", "--solutions", "--in-place"], "give one of the two"),
        (["lab", "--torch-index"], "`--torch-index` needs a value after it"),
        (["labb"], "There is no verb `labb`: give one of lab, test, notebooks, bench, lint"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_made(machine, arguments, sentence, capsys):
    assert machine.run.main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert machine.calls == []


def test_without_lessons_lab_says_how_to_build_them(machine, house, capsys):
    for lesson in (house / "notebooks").glob("*.ipynb"):
        lesson.unlink()
    assert machine.run.main(["lab"]) == 2
    assert "run.py notebooks" in capsys.readouterr().err


# --- lab --solutions ---


def test_solutions_opens_copies_of_the_solved_lessons_beside_the_others(run, machine, house):
    assert run.main(["lab", "--solutions"]) == 0
    assert options(machine)[:2] == [
        f"--ServerApp.root_dir={house / 'my_lessons'}",
        "--LabApp.default_url=/lab/tree/solutions/00_start_here.ipynb",
    ]
    for name in ("00_start_here.ipynb", "01_rbf_kernels.ipynb"):
        for place in (Path(name), Path("solutions", name)):
            assert (house / "my_lessons" / place).read_text() == (house / "notebooks" / place).read_text()


def test_a_copy_of_a_solution_is_never_overwritten_either(run, house):
    run.main(["lab", "--solutions"])
    mine, lesson = (
        house / "my_lessons" / "solutions" / "01_rbf_kernels.ipynb",
        house / "my_lessons/01_rbf_kernels.ipynb",
    )
    mine.write_text("my notes")
    lesson.write_text("my work")
    (house / "notebooks" / "solutions" / "01_rbf_kernels.ipynb").write_text("an update")
    run.main(["lab", "--solutions"])
    assert (mine.read_text(), lesson.read_text()) == ("my notes", "my work")
    run.main(["lab", "--solutions", "--fresh", "1"])
    assert (mine.read_text(), lesson.read_text()) == ("an update", "my work")
    assert [kept.read_text() for kept in (house / "my_lessons" / "backup").rglob("*.ipynb")] == ["my notes"]


def test_without_asking_nobody_meets_a_solution(run, house):
    run.main(["lab"])
    assert not (house / "my_lessons" / "solutions").exists()


def test_without_built_solutions_the_project_says_how_to_build_them(machine, house, capsys):
    for solved in (house / "notebooks" / "solutions").iterdir():
        solved.unlink()
    assert machine.run.main(["lab", "--solutions"]) == 2
    assert "run `run.py notebooks` to build them" in capsys.readouterr().err


# --- a copy that was handed out ---


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lab", "--solutions"], "was handed out without {}: ask those who gave it to you"),
        (["notebooks"], "has no sources to build from: its lessons in notebooks/ are ready"),
    ],
)
def test_a_hand_out_says_what_it_does_not_hold(machine, handed_out, arguments, sentence, capsys):
    assert machine.run.main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence.format(os.path.join("notebooks", "solutions")) in error
    assert error.count("\n") == 1
    assert machine.calls == []
    assert not (handed_out / "my_lessons").exists()


def test_a_hand_out_opens_its_lessons_and_tests_them(run, machine, handed_out, capsys):
    assert run.main(["lab"]) == 0
    assert options(machine)[0] == f"--ServerApp.root_dir={handed_out / 'my_lessons'}"
    assert "no tests" not in capsys.readouterr().out
    assert run.main(["test"]) == 0
    assert machine.became[0][1:3] == ["-m", "pytest"]
    assert "no tests of the library; each lesson is run" in capsys.readouterr().out


def test_the_whole_project_says_nothing_of_missing_tests(run, capsys):
    run.main(["test"])
    assert "no tests" not in capsys.readouterr().out


# --- the other verbs ---


def test_test_passes_its_arguments_on_and_runs_the_short_lessons(run, machine):
    run.main(["test", "-x", "tests/front door", "-k", "a and b"])
    command, variables = machine.became
    assert command[1:] == ["-m", "pytest", "-x", "tests/front door", "-k", "a and b"]
    assert variables == {"AMFS_LAB_FAST": "1"}


@pytest.mark.parametrize(("cores", "workers"), [(1, "1"), (2, "2"), (64, "4"), (None, "1")])
@pytest.mark.parametrize("given", [[], ["-q"], ["-x", "-vv"], ["--", "--maxfail=2"], ["-n0"]])
def test_a_run_of_everything_keeps_each_lesson_in_one_process(run, machine, monkeypatch, cores, workers, given):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    run.main(["test", *given])
    ours = ["-n", workers, "--dist=loadfile", "--no-loadscope-reorder"]
    assert machine.became[0][1:] == ["-m", "pytest", *ours, *[word for word in given if word != "--"]]


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
def test_who_names_tests_or_looks_into_them_gets_one_process(run, machine, given):
    run.main(["test", *given])
    assert machine.became[0][1:] == ["-m", "pytest", *given]


def test_notebooks_and_bench_pass_their_arguments_on(run, machine):
    run.main(["notebooks", "--check"])
    assert machine.became[0][1:] == [os.path.join("notebooks", "build.py"), "--check"]
    run.main(["bench", "--runs", "7"])
    assert machine.became[0][1:] == ["-m", "amfs_lab", "bench", "--runs", "7"]


@pytest.mark.parametrize(("failing", "status"), [(set(), 0), ({"pyright"}, 1), ({"ruff"}, 1)])
def test_lint_runs_every_tool_and_fails_if_one_does(run, machine, failing, status):
    machine.failing = failing
    assert run.main(["lint"]) == status
    assert [call[1:] for call in machine.calls] == [
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-m", "pyright"],
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


@pytest.mark.parametrize("words", [["lab", "--help"], ["lab", "--solutions", "-h"], ["lint", "--help"]])
def test_a_verb_is_explained_and_nothing_is_done(machine, capsys, words):
    assert machine.run.main(words) == 0
    assert "--fresh NN" in capsys.readouterr().out
    assert machine.calls == []


def test_the_status_of_the_command_is_ours(house):
    """For real: run.py becomes the command, in its own folder, with the environment's variables."""
    code = (
        "import run, sys\n"
        "said = 'import os, sys; print(os.getcwd(), os.environ[\"AMFS_LAB_FAST\"]); sys.exit(7)'\n"
        "sys.exit(run.become([sys.executable, '-c', said], AMFS_LAB_FAST='1'))"
    )
    environment = dict(os.environ, PYTHONPATH=str(house))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=house.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == f"{house} 1"
