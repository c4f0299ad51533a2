"""A project folder with run.py for each test, and a fake machine: no Python, pip, uv or JupyterLab is started."""

import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path) -> Path:
    """run.py and the files that it reads, in a folder with spaces in its name."""
    folder = tmp_path / "a project with spaces"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "build.py").touch()
    shutil.copy(ROOT / "run.py", folder)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "constraints.txt").write_text("torch==2.13.0\n")
    return folder


@pytest.fixture
def handed_out(project) -> Path:
    """The project as a hand-out for students."""
    (project / "notebooks" / "build.py").unlink()
    return project


def load(folder: Path):
    """The file run.py of `folder`, imported as a module."""
    spec = importlib.util.spec_from_file_location("run", folder / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Machine:
    """A replacement for the programs that run.py starts. It records their commands."""

    def __init__(self, run, monkeypatch):
        self.run = run
        self.calls = []  # every command, in order
        self.stamps = []  # the stamp at the time of each command
        self.failing = set()  # words that make a command fail
        self.pythons = {"caller": ("3.12", True, True)}
        self.pip_settings = ""  # the answer of `pip config list`
        self.became = None
        monkeypatch.chdir(run.ROOT)  # run.py changes the folder; monkeypatch restores it after the test
        monkeypatch.setattr(run, "caller", lambda: ["caller"])
        monkeypatch.setattr(run, "probe", self.probe)
        monkeypatch.setattr(run, "call", self.call)
        monkeypatch.setattr(run, "output_of", lambda command: self.pip_settings)
        monkeypatch.setattr(run.sys, "platform", "linux")
        monkeypatch.setattr(run, "become", self.become)

    def python(self) -> Path:
        return Path(self.run.PYTHON)

    def probe(self, command):
        if command == [str(self.python())]:
            return (self.python().read_text(), True, True) if self.python().exists() else None
        return self.pythons.get(" ".join(command))

    def call(self, command):
        self.calls.append(command)
        self.stamps.append(self.run.read_stamp())
        if self.failing & set(command):
            return 1
        if "venv" in command:
            self.python().parent.mkdir(parents=True)
            self.python().write_text(self.probe(command[:-4])[0])
        return 0

    def become(self, command, **variables):
        self.became = (command, variables)
        return 0

    def installs(self) -> list[list[str]]:
        """The arguments of each call of pip, without the path of the environment."""
        return [call[call.index("install") :] for call in self.calls if "install" in call]

    def made(self) -> int:
        return sum("venv" in call for call in self.calls)


@pytest.fixture
def machine(project, monkeypatch) -> Machine:
    return Machine(load(project), monkeypatch)
