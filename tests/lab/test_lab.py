"""The verb `lab`: its options, and the options that JupyterLab gets."""

import json
import os
import sys
from pathlib import Path

import pytest

from amfs_lab.lab import server
from amfs_lab.lab.__main__ import main
from tests.lab.conftest import notebook


@pytest.fixture
def lab(project, monkeypatch, tmp_path):
    """`lab(*arguments)` gives the exit status. `lab.launched`: JupyterLab's options, or None if it was not started."""

    def run(*arguments: str) -> int:
        run.launched = None
        return main(list(arguments), project)

    monkeypatch.setattr(server, "launch", lambda options: setattr(run, "launched", options))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    return run


def own(launched: list[str]) -> list[str]:
    """The options of JupyterLab without the protecting options."""
    return [option for option in launched if option not in server.protection([])]


def test_lab_opens_working_copies(lab, project):
    assert lab() == 0
    assert own(lab.launched) == [
        f"--ServerApp.root_dir={project / 'my_lessons'}",
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
    ]


def test_fresh_and_solutions_choose_the_first_page(lab):
    lab("--fresh", "1")
    assert lab.launched is not None
    assert own(lab.launched)[1] == "--LabApp.default_url=/lab/tree/01_rbf_kernels.ipynb"
    lab("--solutions", "--fresh=01")
    assert own(lab.launched)[1] == "--LabApp.default_url=/lab/tree/solutions/01_rbf_kernels.ipynb"


def test_in_place_opens_the_lessons_themselves(lab, project):
    lab("--in-place")
    assert own(lab.launched)[0] == f"--ServerApp.root_dir={project / 'notebooks'}"
    assert not (project / "my_lessons").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--no-browser"], "`lab` has no option `--no-browser`. JupyterLab's options follow `--`: `run.py lab -- --no"),
        (["--fres", "01"], "`lab` has no option `--fres 01`."),
        (["--fresh"], "Argument --fresh: expected one argument. `run.py lab --help` lists the options."),
        (["--fresh", "--solutions"], "Argument --fresh: expected one argument."),
        (["--fresh="], "`--fresh` must be the number of a lesson, one of 00, 01. Got none."),
        (["--fresh", "\x1b[2J"], r"Got \x1b[2J."),  # ESC would clear the terminal
        (["--fresh", "01", "--in-place"], "`--in-place` makes no copies."),
        (["--solutions", "--in-place"], "`--in-place` makes no copies."),
    ],
)
def test_a_wrong_option_is_one_sentence(lab, arguments, sentence, capsys):
    assert lab(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("run.py: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert lab.launched is None


def test_a_folder_that_cannot_be_written_to_is_one_sentence(lab, project, capsys):
    (project / "my_lessons").write_text("a file")
    assert lab() == 2
    assert capsys.readouterr().err.endswith("Check that this folder is complete and that you can write to it.\n")


def test_the_options_after_the_dashes_go_to_jupyter(lab):
    lab("--fresh", "00", "--", "--no-browser", "--port", "9999", "--fresh")
    assert own(lab.launched)[2:] == ["--no-browser", "--port", "9999", "--fresh"]


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
def test_an_option_of_the_user_replaces_ours(lab, option, ours):
    lab("--", *option)
    assert [given for given in lab.launched[: -len(option)] if given.startswith(ours)] == []


def test_lab_insists_on_loopback_a_login_and_its_own_pages(lab):
    lab()
    assert {
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.identity_provider_class=amfs_lab.lab.server.TokenOrPassword",
        "--ServerApp.allow_origin=",
        "--ServerApp.allow_origin_pat=",
        "--ServerApp.allow_remote_access=False",
        "--ServerApp.disable_check_xsrf=False",
        "--ServerApp.tornado_settings={}",
    } <= set(lab.launched)


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
def test_an_option_that_lowers_the_protection_prints_a_warning(lab, capsys, given, named, gone):
    lab("--", *given)
    assert f"You set {named}, so `lab` does not protect this setting." in capsys.readouterr().out
    there = {option.split("=")[0].rsplit(".")[-1] for option in lab.launched[: -len(given)]}
    assert server.PROTECTED.keys() - gone <= there
    assert not gone & there


def test_an_option_that_lowers_nothing_is_no_warning(lab, capsys):
    lab("--", "--no-browser", "--port", "9999")
    assert "does not protect" not in capsys.readouterr().out
    assert set(server.protection([])) <= set(lab.launched)


def test_jupyter_makes_the_token_and_lab_announces_the_address(lab, capsys):
    lab()
    names = [option.split("=")[0].lower() for option in lab.launched]
    assert not any("token" in name or "password" in name for name in names)
    assert "JupyterLab prints its address below" in capsys.readouterr().out


@pytest.mark.parametrize("given", [[], ["--allow-root"]])
def test_in_a_container_jupyter_may_run_as_root(lab, monkeypatch, given):
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    lab("--", *given)
    assert own(lab.launched)[2:] == ["--allow-root"]


def test_lab_turns_off_news_and_update_checks(lab, tmp_path):
    """By the names in the schema of the environment's JupyterLab. The user's settings have priority."""
    lab()
    lab()  # a second time changes nothing
    (file,) = (tmp_path / "environment" / "share" / "jupyter" / "lab" / "settings" / "overrides.d").iterdir()
    ((plugin, settings),) = json.loads(file.read_text()).items()
    assert settings == {"fetchNews": "false", "checkForUpdates": False}
    package, name = plugin.split(":")
    schema = Path(sys.exec_prefix, "share", "jupyter", "lab", "schemas", package, f"{name}.json")
    properties = json.loads(schema.read_text(encoding="utf-8"))["properties"]
    assert settings.keys() <= properties.keys()
    assert "false" in [choice["const"] for choice in properties["fetchNews"]["oneOf"]]


def test_the_working_copies_of_a_hand_out_open(lab, project):
    (project / "notebooks" / "build.py").unlink()
    assert lab() == 0
    assert (project / "my_lessons" / "00_start_here.ipynb").read_text() == notebook("lesson 00_start_here")
