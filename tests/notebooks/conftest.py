"""Shared fixtures of the tests of the lessons."""

import sys
from pathlib import Path

import pytest

# pytest's importlib mode does not add these folders to the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))  # guide.py, handout.py
sys.path.insert(0, str(Path(__file__).resolve().parent))  # lessons.py

from lessons import lesson_paths


@pytest.fixture(params=lesson_paths(), ids=lambda path: path.stem)
def lesson(request) -> Path:
    """The student notebook of each lesson, one after another. `solution_of(lesson)` is its solved notebook."""
    return request.param
