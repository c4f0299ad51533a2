"""What the tests of the lessons share."""

import os
import sys
from pathlib import Path

import pytest

# For lessons.py and answers.py: under importlib mode no test folder is on the path.
sys.path.insert(0, str(Path(__file__).parent))

os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel, not one of that name in the home folder

from lessons import lesson_paths

pytest.register_assert_rewrite("answers")  # its asserts say what they saw, as a test module's do


@pytest.fixture(params=lesson_paths(), ids=lambda path: path.stem)
def lesson(request) -> Path:
    """Each lesson's student notebook in turn; `solution_of(lesson)` is the solved one."""
    return request.param
