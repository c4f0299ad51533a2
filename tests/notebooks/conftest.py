"""What the tests of the lessons share."""

import sys
from pathlib import Path

import pytest

# Under importlib mode no folder of tests is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))  # guide.py, handout.py
sys.path.insert(0, str(Path(__file__).resolve().parent))  # lessons.py

from lessons import lesson_paths


@pytest.fixture(params=lesson_paths(), ids=lambda path: path.stem)
def lesson(request) -> Path:
    """Each lesson's student notebook in turn; `solution_of(lesson)` is the solved one."""
    return request.param
