"""A house of its own for each test: a folder with spaces in its name, run.py in it, and machines made of paper."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def house(tmp_path) -> Path:
    """A checkout small enough to be looked through: run.py, two lists of packages, two lessons, solved too."""
    folder = tmp_path / "a house with spaces"
    (folder / "notebooks" / "solutions").mkdir(parents=True)
    (folder / "notebooks" / "build.py").touch()
    shutil.copy(ROOT / "run.py", folder)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "constraints.txt").write_text("torch==2.13.0\n")
    for name in ("00_start_here", "01_rbf_kernels"):
        (folder / "notebooks" / f"{name}.ipynb").write_text(notebook(f"lesson {name}"))
        (folder / "notebooks" / "solutions" / f"{name}.ipynb").write_text(notebook(f"solved {name}"))
    return folder


def notebook(words: str) -> str:
    """A notebook of one cell with these words, which Jupyter can open."""
    return json.dumps({"cells": [{"cell_type": "markdown", "source": words, "metadata": {}}], "nbformat": 4})


@pytest.fixture
def handed_out(house) -> Path:
    """The house as students get it."""
    shutil.rmtree(house / "notebooks" / "solutions")
    (house / "notebooks" / "build.py").unlink()
    return house


def load(folder: Path):
    """run.py of that folder as a module."""
    spec = importlib.util.spec_from_file_location("run", folder / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Machine:
    """Stands in for the Pythons, pip and JupyterLab of a computer, and remembers what was asked of them."""

    def __init__(self, run, monkeypatch):
        self.run = run
        self.calls = []  # every command, in order
        self.stamps = []  # the stamp as each command found it
        self.failing = set()  # words that make a command fail
        self.pythons = {"caller": ("3.12", True, True)}
        self.became = None
        monkeypatch.chdir(run.ROOT)  # run.py goes there too; this way the tests come back
        monkeypatch.setattr(run, "caller", lambda: ["caller"])
        monkeypatch.setattr(run, "probe", self.probe)
        monkeypatch.setattr(run, "call", self.call)
        monkeypatch.setattr(run, "become", self.become)

    def python(self) -> Path:
        return Path(self.run.venv_bin("python"))

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
        """What pip was told, without the environment's own path."""
        return [call[call.index("install") :] for call in self.calls if "install" in call]

    def made(self) -> int:
        return sum("venv" in call for call in self.calls)


@pytest.fixture
def machine(house, monkeypatch) -> Machine:
    return Machine(load(house), monkeypatch)
