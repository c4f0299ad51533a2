"""What each verb does once the environment stands, and what a wrong one says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.entry_point.conftest import notebook


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
    assert command[:4] == [str(machine.python()), "-P", "-m", "amfs_lab.lab_server"]
    return [option for option in command[4:] if option not in machine.run.protection([])]


# --- lab ---


OURS = 2  # how many options `lab` gives to JupyterLab by itself, besides its protection


def test_lab_opens_working_copies(run, machine, house):
    assert run.main(["lab"]) == 0
    assert sorted(p.name for p in (house / "my_lessons").iterdir()) == ["00_start_here.ipynb", "01_rbf_kernels.ipynb"]
    assert options(machine) == [
        f"--ServerApp.root_dir={house / 'my_lessons'}",
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
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
    work, new = notebook("my work"), notebook("a new lesson")
    (house / "my_lessons" / "01_rbf_kernels.ipynb").write_text(work)
    (house / "notebooks" / "01_rbf_kernels.ipynb").write_text(notebook("an update"))
    (house / "notebooks" / "02_new.ipynb").write_text(new)
    run.main(["lab"])
    assert (house / "my_lessons" / "01_rbf_kernels.ipynb").read_text() == work
    assert (house / "my_lessons" / "02_new.ipynb").read_text() == new


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_lesson_that_was_copied_in_part_is_copied_anew(run, house, capsys, kept):
    """The whole lesson less its end: nobody has worked in it, so nothing of it is kept."""
    run.main(["lab"])
    mine, lesson = (house / place / "01_rbf_kernels.ipynb" for place in ("my_lessons", "notebooks"))
    mine.write_bytes(lesson.read_bytes()[:kept])
    capsys.readouterr()
    run.main(["lab"])
    assert mine.read_bytes() == lesson.read_bytes()
    said = os.path.join("my_lessons", "01_rbf_kernels.ipynb") + " was copied only in part, and is copied anew."
    assert said in capsys.readouterr().out
    assert not (house / "my_lessons" / "backup").exists()
    run.main(["lab"])
    assert "copied anew" not in capsys.readouterr().out


@pytest.mark.parametrize("broken", [b"my work", notebook("my work").encode()[:-2], b'{"cells": 3}', b"[]", b"\xff\xfe"])
def test_a_broken_copy_that_may_hold_work_is_set_aside(run, house, capsys, broken):
    run.main(["lab"])
    mine, lesson = (house / place / "01_rbf_kernels.ipynb" for place in ("my_lessons", "notebooks"))
    mine.write_bytes(broken)
    run.main(["lab"])
    assert mine.read_bytes() == lesson.read_bytes()
    assert [kept.read_bytes() for kept in (house / "my_lessons" / "backup").rglob("*.ipynb")] == [broken]
    said = capsys.readouterr().out
    assert "is broken: JupyterLab cannot open it. You get a new copy." in said
    assert os.path.join("my_lessons", "backup") in said


def test_no_copy_makes_way_for_a_lesson_that_is_itself_broken(run, house):
    run.main(["lab"])
    for place in ("my_lessons", "notebooks"):
        (house / place / "01_rbf_kernels.ipynb").write_text(f"<<<<<<< {place}")
    run.main(["lab"])
    assert (house / "my_lessons" / "01_rbf_kernels.ipynb").read_text() == "<<<<<<< my_lessons"


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX systems")
def test_what_is_no_plain_file_in_a_lesson_s_place_stays(run, house):
    run.main(["lab"])
    folder = house / "my_lessons"
    for name in ("00_start_here.ipynb", "01_rbf_kernels.ipynb"):
        (folder / name).unlink()
    (house / "elsewhere").write_text("broken, and not ours")
    (folder / "00_start_here.ipynb").symlink_to(house / "elsewhere")
    os.mkfifo(folder / "01_rbf_kernels.ipynb")
    run.main(["lab"])
    assert (house / "elsewhere").read_text() == "broken, and not ours"
    assert (folder / "00_start_here.ipynb").is_symlink()


# --- files that are whole or not there ---


def test_a_copy_that_fails_leaves_nothing(run, house, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.os, "fsync", full)
    assert run.main(["lab"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list((house / "my_lessons").iterdir()) == []


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def test_a_file_that_appears_meanwhile_stays(run, folder):
    (folder / "a").write_text("theirs")
    run.put(str(folder / "a"), b"ours", over=False)
    assert (folder / "a").read_text() == "theirs"
    run.put(str(folder / "a"), b"ours")
    assert (folder / "a").read_text() == "ours"
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_where_there_are_no_links_a_copy_arrives_all_the_same(run, folder, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(run.os, "link", no_links)
    for content in (b"first", b"second"):
        run.put(str(folder / "a"), content, over=False)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"first"]


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX systems")
def test_a_file_beside_its_place_follows_no_link_and_has_the_usual_mode(run, folder, monkeypatch):
    """Somebody has put a link where the file beside its place would come, in the one case that the name is known."""
    monkeypatch.setattr(run.os, "urandom", bytes)
    victim = folder / "victim"
    victim.write_text("precious")
    (folder / f"a.{bytes(8).hex()}.new").symlink_to(victim)
    with pytest.raises(FileExistsError):
        run.put(str(folder / "a"), b"ours")
    assert victim.read_text() == "precious"
    (folder / f"a.{bytes(8).hex()}.new").unlink()
    run.put(str(folder / "a"), b"ours")
    assert (folder / "a").stat().st_mode == victim.stat().st_mode


@pytest.mark.parametrize("number", ["01", "1"])
def test_fresh_resets_one_lesson_and_keeps_the_old(run, house, number, capsys):
    run.main(["lab"])
    mine = house / "my_lessons" / "01_rbf_kernels.ipynb"
    other = house / "my_lessons" / "00_start_here.ipynb"
    other.write_text(notebook("my other work"))
    works = [notebook(words) for words in ("my second try", "my work")]
    for text in reversed(works):  # twice within one second: both are kept
        mine.write_text(text)
        run.main(["lab", "--fresh", number])
        assert mine.read_text() == (house / "notebooks" / mine.name).read_text()
    kept = sorted(p.read_text() for p in (house / "my_lessons" / "backup").rglob("*.ipynb"))
    assert kept == works
    assert other.read_text() == notebook("my other work")
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
    assert [o for o in machine.became[0][: -len(option)] if o.startswith(ours)] == []


def test_lab_insists_on_loopback_a_login_and_its_own_pages(run, machine):
    run.main(["lab"])
    assert {
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.identity_provider_class=amfs_lab.lab_server.TokenOrPassword",
        "--ServerApp.allow_origin=",
        "--ServerApp.allow_origin_pat=",
        "--ServerApp.allow_remote_access=False",
        "--ServerApp.disable_check_xsrf=False",
        "--ServerApp.tornado_settings={}",
    } <= set(machine.became[0])


@pytest.mark.parametrize(
    ("given", "named", "gone"),
    [
        (["--IdentityProvider.token="], "token", {"identity_provider_class"}),
        (["--ServerApp.token", ""], "token", {"identity_provider_class"}),
        (["--ip=0.0.0.0"], "ip", {"ip", "allow_remote_access", "local_hostnames"}),
        (["--NotebookApp.allow_origin=*", "--ServerApp.disable_check_xsrf=1"], "allow_origin and disable_check_xsrf",
         {"allow_origin", "disable_check_xsrf"}),
    ],
)  # fmt: skip
def test_who_lowers_the_protection_is_told(run, machine, capsys, given, named, gone):
    run.main(["lab", "--", *given])
    assert f"You set {named} yourself: `lab` does not protect that." in capsys.readouterr().out
    kept = {option.split("=")[0].rsplit(".")[-1] for option in run.protection([])} - gone
    there = {option.split("=")[0].rsplit(".")[-1] for option in machine.became[0][: -len(given)]}
    assert kept <= there
    assert not gone & there


def test_an_option_that_lowers_nothing_is_no_warning(run, machine, capsys):
    run.main(["lab", "--", "--no-browser", "--port", "9999"])
    assert "does not protect" not in capsys.readouterr().out
    assert set(run.protection([])) <= set(machine.became[0])


def test_the_token_is_left_to_jupyter_and_its_address_is_announced(run, machine, capsys):
    run.main(["lab"])
    names = [option.split("=")[0].lower() for option in machine.became[0][1:]]
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
        (["\x1b[2Jlab"], r"There is no verb `\x1b[2Jlab`: give one of"),  # which would clear the terminal
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
    notes, work, update = notebook("my notes"), notebook("my work"), notebook("an update")
    mine.write_text(notes)
    lesson.write_text(work)
    (house / "notebooks" / "solutions" / "01_rbf_kernels.ipynb").write_text(update)
    run.main(["lab", "--solutions"])
    assert (mine.read_text(), lesson.read_text()) == (notes, work)
    run.main(["lab", "--solutions", "--fresh", "1"])
    assert (mine.read_text(), lesson.read_text()) == (update, work)
    assert [kept.read_text() for kept in (house / "my_lessons" / "backup").rglob("*.ipynb")] == [notes]


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
    assert machine.became[0][2:4] == ["-m", "pytest"]
    assert "no tests of the library; each lesson is run" in capsys.readouterr().out


def test_the_whole_project_says_nothing_of_missing_tests(run, capsys):
    run.main(["test"])
    assert "no tests" not in capsys.readouterr().out


# --- the other verbs ---


def test_test_passes_its_arguments_on_and_runs_the_short_lessons(run, machine):
    run.main(["test", "-x", "tests/front door", "-k", "a and b"])
    command, variables = machine.became
    assert command[1:] == ["-P", "-m", "pytest", "-x", "tests/front door", "-k", "a and b"]
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
def test_who_names_tests_or_looks_into_them_gets_one_process(run, machine, given):
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
        "run.VERBS['say'] = lambda *_: run.become([sys.executable, '-c', said], AMFS_LAB_FAST='1')\n"
        "sys.exit(run.main(['say']))"
    )
    environment = dict(os.environ, PYTHONPATH=str(house))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=house.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == f"{house} 1"
