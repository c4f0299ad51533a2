"""The workflow for GitHub Actions is valid, and runs the commands that the project documents."""

import os
import tomllib

import pytest
import yaml

from tests.entry_point.conftest import ROOT, load

FILE = ROOT / ".github" / "workflows" / "test.yml"
if not FILE.exists():  # a copy of the project without workflows
    pytest.skip("no workflow here", allow_module_level=True)
TEXT = FILE.read_text(encoding="utf-8")
JOBS = yaml.safe_load(TEXT)["jobs"]


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_linux_runs_everything():
    assert commands("linux") == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "run.py test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_macos_and_windows_run_the_readme_s_test_command():
    systems = JOBS["desktop"]["strategy"]["matrix"]["os"]
    assert [name.partition("-")[0] for name in systems] == ["macos", "windows"]
    (command,) = commands("desktop")
    assert command == "python run.py test"
    assert "test" in load(ROOT).VERBS
    assert command.replace("python", "python3") in (ROOT / "README.md").read_text(encoding="utf-8")


def test_each_job_has_the_sources_a_supported_python_and_an_end():
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    (python,) = [step["with"]["python-version"] for step in JOBS["desktop"]["steps"] if "with" in step]
    for version in (python, JOBS["linux"]["container"].removeprefix("python:").partition("-")[0]):
        assert f"Programming Language :: Python :: {version}" in supported
    for job in JOBS.values():
        assert job["steps"][0]["uses"].startswith("actions/checkout@")
        assert 0 < job["timeout-minutes"] <= 90


def test_its_comment_says_that_it_was_never_run():
    assert "was not run" in TEXT.partition("name:")[0]
