"""What a check says: a box in a notebook, an exception where a grader or a test runs.

in a notebook                          a box; the next cell runs, whatever the verdict is
under nbgrader (`NBGRADER_EXECUTION`)  a wrong answer raises `Wrong`, one that is not attempted NotImplementedError
with `AMFS_LAB_CHECKS=raise`           a wrong answer raises `Wrong`: notebooks/conftest.py, and tests of your own
in a script or in pytest               likewise, and the rest is printed
"""

import os

from IPython.core.getipython import get_ipython
from IPython.display import display

from amfs_lab.widgets.box import Box

GRADER, STRICT = "NBGRADER_EXECUTION", "AMFS_LAB_CHECKS"
UNTOUCHED = "not attempted yet"


class Wrong(AssertionError):
    """An answer is not right; its message says what the reader did, or what to do. Anything else is a fault of ours."""


class NotAttempted(NotImplementedError):
    """The exercise stands as the reader found it."""


def graded() -> bool:
    return bool(os.environ.get(GRADER))


def raises() -> bool:
    """Whether a wrong answer is an exception here: a grader or a test looks on, or there is no page."""
    return graded() or os.environ.get(STRICT) == "raise" or get_ipython() is None


def tell(verdict: Box) -> None:
    """Shows a verdict under the cell; prints it where there is no page."""
    if get_ipython() is None:
        print(verdict)
    else:
        display(verdict)
