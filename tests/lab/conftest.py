"""A project folder for each test, with two lessons and their solved versions."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path) -> Path:
    """A project in a folder with a space in its name."""
    folder = tmp_path / "a project"
    (folder / "notebooks" / "solutions").mkdir(parents=True)
    (folder / "notebooks" / "build.py").touch()
    for name in ("00_start_here", "01_rbf_kernels"):
        (folder / "notebooks" / f"{name}.ipynb").write_text(notebook(f"lesson {name}"))
        (folder / "notebooks" / "solutions" / f"{name}.ipynb").write_text(notebook(f"solved {name}"))
    return folder


def notebook(words: str) -> str:
    """A notebook of one cell with these words, which Jupyter can open."""
    return json.dumps({"cells": [{"cell_type": "markdown", "source": words, "metadata": {}}], "nbformat": 4})
