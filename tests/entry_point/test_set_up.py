"""`.venv` is made once, from pinned versions, and completely or not at all."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from tests.entry_point.conftest import ROOT, Machine, load

PINNED = ["-c", "constraints.txt"]
EVERYTHING = ".[data,lab,tensorboard,test,torchjd]"


def whole(machine) -> bool:
    return bool((machine.run.read_stamp() or {}).get("pins"))


# --- once, from pinned versions ---


def test_the_first_run_makes_the_environment_and_stamps_it_last(machine):
    assert machine.run.set_up() == str(machine.python())
    assert machine.calls[0] == ["caller", "-I", "-m", "venv", machine.run.VENV]
    assert all(call[:3] == [str(machine.python()), "-P", "-m"] for call in machine.calls[1:])
    assert [call[3:] for call in machine.calls[1:]] == [
        ["pip", "install", "--upgrade", "-c", "constraints.txt", "pip"],
        ["pip", "install", "-c", "constraints.txt", "uv"],
        ["uv", "pip", "install", "--python", str(machine.python()), *PINNED, "--torch-backend=auto", "torch"],
        ["pip", "install", "-c", "constraints.txt", "hatchling"],
        ["pip", "install", "-c", "constraints.txt", "--no-build-isolation", "-e", EVERYTHING],
    ]
    assert machine.stamps == [{}] * 6, "no command may run while the stamp says that the environment is complete"
    assert whole(machine)


def test_the_second_run_calls_nothing(machine):
    machine.run.set_up()
    machine.calls.clear()
    machine.run.set_up()
    assert machine.calls == []


def test_the_extras_are_those_of_pyproject():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert load(ROOT).EXTRAS.split(",") == sorted(extras)


def test_the_supported_pythons_are_those_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = load(ROOT).SUPPORTED
    beyond = "3." + str(int(supported[0].split(".")[1]) + 1)
    assert project["requires-python"] == f">={supported[-1]},<{beyond}"
    listed = [
        c.rsplit(" ", 1)[1] for c in project["classifiers"] if c.startswith("Programming Language :: Python :: 3.")
    ]
    assert listed == sorted(supported, key=lambda v: int(v.split(".")[1]))


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_pin_is_installed_into_the_same_environment(machine, project, name):
    machine.run.set_up()
    machine.calls.clear()
    (project / name).write_text("# changed\n")
    machine.run.set_up()
    assert machine.made() == 0
    assert machine.installs()[-1][-1] == EVERYTHING
    machine.calls.clear()
    machine.run.set_up()
    assert machine.calls == []


def test_line_endings_are_no_change(machine, project):
    machine.run.set_up()
    machine.calls.clear()
    (project / "constraints.txt").write_bytes(b"torch==2.13.0\r\n")
    machine.run.set_up()
    assert machine.calls == []


def test_an_update_that_fails_is_tried_again(machine, project):
    machine.run.set_up()
    before = (project / "constraints.txt").read_text()
    (project / "constraints.txt").write_text("# changed\n")
    machine.failing = {"-e"}
    assert machine.run.main(["test"]) == 2
    machine.failing = set()
    (project / "constraints.txt").write_text(before)  # the old stamp would match again, but the packages may not
    machine.calls.clear()
    machine.run.set_up()
    assert machine.installs()
    assert whole(machine)


# --- which Python, and where ---


def test_a_copied_environment_is_made_anew(machine, project, monkeypatch, tmp_path):
    machine.run.set_up()
    shutil.copytree(project, tmp_path / "a copy")
    other = Machine(load(tmp_path / "a copy"), monkeypatch)
    other.run.set_up()
    assert other.made() == 1
    assert whole(other)


def test_another_supported_python_makes_it_anew(machine, capsys):
    machine.run.set_up()
    machine.pythons["caller"] = ("3.13", True, True)
    machine.run.set_up()
    assert "made with Python 3.12" in capsys.readouterr().out
    assert machine.made() == 2
    assert machine.python().read_text() == "3.13"


@pytest.mark.parametrize("old", [("3.8", True, True), ("3.12", False, True), ("3.12", True, False)])
def test_an_unsuitable_python_uses_the_existing_environment(machine, old):
    machine.run.set_up()
    machine.calls.clear()
    machine.pythons["caller"] = old
    machine.run.set_up()
    assert machine.calls == []


@pytest.mark.parametrize("damage", [lambda python: python.unlink(), lambda python: python.write_text("3.14")])
def test_an_environment_whose_python_is_gone_or_another_is_made_anew(machine, damage):
    machine.run.set_up()
    damage(machine.python())
    machine.run.set_up()
    assert machine.made() == 2


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        (
            {"caller": ("3.8", True, True), "python3.13": ("3.13", True, True), "python3.11": ("3.11", True, True)},
            "python3.13",
        ),
        ({"caller": ("3.12", True, False), "python3.11": ("3.11", True, True)}, "python3.11"),
        ({"caller": ("3.15", True, True), "python3": ("3.12", True, True)}, "python3"),
        ({"caller": ("2.7", True, False), "python": ("3.14", True, True)}, "python"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the names of POSIX systems")
def test_the_search_takes_the_newest_suitable_python(machine, pythons, chosen):
    machine.pythons = pythons
    machine.run.set_up()
    assert machine.calls[0][0] == chosen


def test_on_windows_the_launcher_is_asked(machine, monkeypatch):
    monkeypatch.setattr(machine.run.os, "name", "nt")
    commands = list(machine.run.candidates())
    monkeypatch.undo()
    assert commands[1:5] == [["py", "-3.14"], ["py", "-3.13"], ["py", "-3.12"], ["py", "-3.11"]]


@pytest.mark.parametrize(
    ("pythons", "sentence"),
    [
        ({"caller": ("3.8", True, True)}, "needs a 64-bit Python 3.11 to 3.14. Found 3.8. Install one"),
        ({"caller": ("3.8", True, True), "python3": ("3.10", True, True)}, "Found 3.10 and 3.8. Install one"),
        ({"caller": ("3.12", False, True)}, "needs a 64-bit Python"),
        ({}, "Found none. Install one"),
        ({"caller": ("3.12", True, False)}, "Python 3.12 (caller) has no ensurepip"),
        ({"caller": ("3.12", True, False)}, "sudo apt install python3.12-venv"),
    ],
)
def test_without_a_python_one_sentence_says_what_to_do(machine, pythons, sentence, capsys):
    machine.pythons = pythons
    assert machine.run.main(["test"]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not Path(machine.run.VENV).exists()


def test_it_can_be_read_by_an_old_python():
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


# --- what fails leaves nothing behind ---


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("venv", "could not make .venv"), ("hatchling", "installation failed"), ("-e", "installation failed")],
)
def test_a_step_that_fails_leaves_no_environment(machine, word, sentence, capsys):
    machine.failing = {word}
    assert machine.run.main(["test"]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert "run the same command again" in captured.err
    assert not Path(machine.run.VENV).exists()
    assert machine.became is None
    machine.failing = set()
    machine.run.set_up()
    assert whole(machine)


def test_pip_may_fail_to_update_itself(machine, capsys):
    machine.failing = {"--upgrade"}
    machine.run.set_up()
    assert "pip could not update itself" in capsys.readouterr().out
    assert whole(machine)


def test_an_interrupted_set_up_leaves_no_environment(machine, monkeypatch):
    def interrupted(command):
        if "-e" in command:
            raise KeyboardInterrupt
        return machine.call(command)

    monkeypatch.setattr(machine.run, "call", interrupted)
    assert machine.run.main(["test"]) == 130
    assert not Path(machine.run.VENV).exists()


@pytest.mark.parametrize("stamp", ["{}", '{"pins": "abc', "[]"])
def test_an_incomplete_environment_is_made_anew(machine, stamp):
    machine.run.set_up()
    Path(machine.run.STAMP).write_text(stamp)
    (machine.python().parent / "left over").touch()
    machine.run.set_up()
    assert machine.made() == 2
    assert not (machine.python().parent / "left over").exists()
    assert whole(machine)


def test_an_environment_that_run_py_did_not_make_is_renamed(machine, project, capsys):
    (project / ".venv").mkdir()
    (project / ".venv" / "precious").touch()
    machine.run.set_up()
    (aside,) = project.glob(".venv-*")
    assert (aside / "precious").exists()
    assert aside.name in capsys.readouterr().out
    assert whole(machine)


def test_an_old_environment_that_cannot_be_removed_is_an_error(machine, project, monkeypatch, capsys):
    machine.run.set_up()
    whole_stamp = machine.run.read_stamp()
    machine.pythons["caller"] = ("3.13", True, True)

    def in_use(path, **_):
        raise PermissionError("JupyterLab runs")

    monkeypatch.setattr(machine.run.shutil, "rmtree", in_use)
    assert machine.run.main(["test"]) == 2
    assert "Close the programs that use it" in capsys.readouterr().err
    assert machine.run.read_stamp() == {} != whole_stamp


def test_an_incomplete_folder_is_an_error_of_one_sentence(machine, project, capsys):
    (project / "constraints.txt").unlink()
    assert machine.run.main(["test"]) == 2
    error = capsys.readouterr().err
    assert "constraints.txt" in error
    assert error.count("\n") == 1


# --- the caller's settings, the index, the size ---


def test_pip_keeps_the_settings_of_the_caller(machine, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "my pip.conf")
    environment = machine.run.environment()
    assert environment["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert environment["PIP_CONFIG_FILE"] == "my pip.conf"
    machine.run.set_up()
    told = {option for call in machine.calls if call[3] == "pip" for option in call if option.startswith("-")}
    assert told == {"-P", "-m", "--upgrade", "-c", "--no-build-isolation", "-e"}


def test_the_index_of_torch_is_passed_on_remembered_and_a_new_one_starts_anew(machine, project):
    run, cpu = machine.run, "https://torch.example/cpu"
    run.main(["test", "--torch-index", cpu, "-x"])
    assert machine.installs()[-1][:5] == ["install", "-c", "constraints.txt", "--extra-index-url", cpu]
    assert machine.became[0][-1] == "-x"
    assert cpu not in machine.became[0]
    (project / "constraints.txt").write_text("# changed\n")
    run.main(["test"])
    assert cpu in machine.installs()[-1]
    assert machine.made() == 1
    run.main(["test", "--torch-index=https://torch.example/cu126"])  # torch itself would count as installed already
    assert machine.made() == 2
    assert "https://torch.example/cu126" in machine.installs()[-1]


def test_the_size_of_the_download_is_printed_before_it(machine, monkeypatch, capsys):
    printed = []
    call = machine.call
    monkeypatch.setattr(machine.run, "call", lambda command: printed.append(capsys.readouterr().out) or call(command))
    machine.run.set_up()
    assert "0.4 GB, or up to 3 GB" in printed[0]


# --- the build of PyTorch ---


def torch_by_uv(machine) -> bool:
    return any("--torch-backend=auto" in call for call in machine.calls)


@pytest.mark.parametrize("failing", ["uv", "--torch-backend=auto"])
def test_where_uv_cannot_install_pytorch_pip_does(machine, capsys, failing):
    """If uv itself or PyTorch's index cannot be reached."""
    machine.failing = {failing}
    machine.run.set_up()
    assert machine.installs()[-1][-1] == EVERYTHING
    assert whole(machine)
    said = capsys.readouterr().out
    assert said.count("uv could not install PyTorch from PyTorch's index") == 1
    assert "add `--torch-index URL`" in said


def test_where_uv_can_no_message_names_pip(machine, capsys):
    machine.run.set_up()
    assert torch_by_uv(machine)
    assert "uv could not" not in capsys.readouterr().out


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_on_other_systems_pypi_has_the_small_build(machine, monkeypatch, platform):
    monkeypatch.setattr(machine.run.sys, "platform", platform)
    machine.run.set_up()
    assert not any("uv" in call for call in machine.calls)
    assert whole(machine)


def test_a_given_index_is_used_by_pip_alone(machine):
    machine.run.set_up("https://torch.example/cpu")
    assert not any("uv" in call for call in machine.calls)


@pytest.mark.parametrize(
    ("settings", "by_uv"),
    [
        ("", True),
        ("global.extra-index-url='https://more.example'\n:env:.default-timeout='180'", True),
        ("global.index-url='https://mirror.example'", False),
        (":env:.index-url='https://mirror.example'", False),
        ("install.no-index='true'", False),
    ],
)
def test_with_an_index_in_pips_settings_uv_is_not_used(machine, settings, by_uv):
    machine.pip_settings = settings
    machine.run.set_up()
    assert torch_by_uv(machine) == by_uv
    assert whole(machine)


def test_an_update_uses_uv_too(machine, project):
    machine.run.set_up()
    machine.calls.clear()
    (project / "constraints.txt").write_text("torch==2.14.0\n")
    machine.run.set_up()
    assert torch_by_uv(machine)


def test_every_command_is_started_by_a_helper_that_isolates(machine):
    """`module` isolates the Python of .venv, and ISOLATED isolates any other. notebooks/build.py is in the project."""
    for verb in machine.run.VERBS:
        machine.run.main([verb])
        assert machine.became is None or "-P" in machine.became[0] or "build.py" in machine.became[0][1]
    assert all({"-I", "-P"} & set(call) for call in machine.calls)
    assert os.getcwd() == machine.run.ROOT


# --- two at once ---

HOLD = "import run\nwith run.only_one():\n    print('mine', flush=True)\n    input()\nprint('done', flush=True)"


def start(project: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


@pytest.mark.parametrize("end", ["finishes", "is killed"])
def test_the_second_waits_and_says_so_until_the_first_ends(project, end):
    with start(project) as first, start(project) as second:
        watchdog = threading.Timer(30, lambda: [process.kill() for process in (first, second)])  # fail, never hang
        watchdog.start()
        # The first process holds the lock, and the second one prints that it waits.
        lines = {process: process.stdout.readline() for process in (first, second)}
        holder, waiting = sorted((first, second), key=lambda process: lines[process] != "mine\n")
        try:
            assert lines[holder] == "mine\n"
            assert "Waiting" in lines[waiting]
            if end == "finishes":
                holder.stdin.write("\n")
                assert holder.stdout.readline() == "done\n"
            else:
                holder.kill()
            assert waiting.stdout.readline() == "mine\n"
            waiting.stdin.write("\n")
            assert waiting.stdout.readline() == "done\n"
        finally:
            watchdog.cancel()
            for process in (first, second):
                process.kill()


def test_a_lock_that_a_dead_process_left_does_not_block(project, machine):
    (project / ".venv.lock").write_text("4711")
    machine.run.set_up()
    assert whole(machine)


# --- with real programs, in a path with spaces ---


@pytest.fixture
def shadowing(tmp_path) -> Path:
    """A folder whose modules have the names of modules of Python and pip. Each records that it was imported."""
    folder = tmp_path / "shadowing"
    folder.mkdir()
    for name in ("ensurepip", "venv", "pip", "runpy", "hatchling", "sitecustomize"):
        (folder / f"{name}.py").write_text("open(__file__ + '.ran', 'w').close(); raise ImportError(__file__)")
    return folder


def real(project: Path, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "COV_"))}
    return subprocess.run(
        [sys.executable, str(project / "run.py"), *arguments],
        env={**keep, **variables}, cwd=cwd, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_a_real_python_may_lack_a_package(project, monkeypatch, capsys, missing):
    monkeypatch.setitem(sys.modules, missing, None)  # Debian has them in packages of their own
    exec(load(project).PROBE)
    assert capsys.readouterr().out.split()[1:] == ["True", "False"]


def test_no_module_of_the_current_folder_is_imported(project, shadowing, monkeypatch):
    """Modules of the current folder or of PYTHONPATH never replace the modules of the Python that is started."""
    run = load(project)
    monkeypatch.chdir(shadowing)
    monkeypatch.setenv("PYTHONPATH", str(shadowing))
    monkeypatch.setenv("PYTHONHOME", str(shadowing))
    monkeypatch.setattr(run, "PYTHON", sys.executable)
    assert run.probe([sys.executable])[1:] == (True, True)
    assert run.call([sys.executable, run.ISOLATED, "-m", "ensurepip", "--version"]) == 0
    assert run.call([*run.module("pip"), "--version"]) == 0
    assert not list(shadowing.glob("*.ran"))
    assert not {"PYTHONPATH", "PYTHONHOME"} & set(run.environment())


def test_a_real_pip_that_finds_nothing(project, shadowing):
    """The user's settings forbid every index. pip obeys them and fails, and no files are left."""
    (project / "constraints.txt").write_text("pip==999\n")
    done = real(project, "lab", cwd=shadowing, PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert not list(shadowing.glob("*.ran"))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "pip could not update itself" in done.stdout
    assert "No matching distribution found for hatchling" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("run.py: The installation failed")
    assert not (project / ".venv").exists()


def test_a_complete_stamp_has_everything_it_was_made_from(machine):
    machine.run.set_up("https://torch.example/cpu")
    stamp = json.loads(Path(machine.run.STAMP).read_text())
    assert sorted(stamp) == ["pins", "place", "python", "torch_index"]
    assert stamp["place"] == machine.run.VENV
