"""What the tests of the lessons share."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for lessons.py: under importlib mode no test folder is on the path

from lessons import lesson_paths


@pytest.fixture(params=lesson_paths(), ids=lambda path: path.stem)
def lesson(request) -> Path:
    """Each lesson's student notebook in turn; `solution_of(lesson)` is the solved one."""
    return request.param
