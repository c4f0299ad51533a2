"""The verdict of a check: a box in a notebook, an exception under a grader or in a test.

in a notebook                          a box; the next cell always runs
under nbgrader (`NBGRADER_EXECUTION`)  a wrong answer raises `Wrong`; a missing answer raises NotImplementedError
with `AMFS_LAB_CHECKS=raise`           a wrong answer raises `Wrong` (for notebooks/conftest.py and your own tests)
in a script or in pytest               a wrong answer raises `Wrong`; other verdicts are printed
"""

import os

from IPython.core.getipython import get_ipython
from IPython.display import display

from amfs_lab.widgets.box import Box

GRADER, STRICT = "NBGRADER_EXECUTION", "AMFS_LAB_CHECKS"
UNTOUCHED = "not attempted yet"


class Wrong(AssertionError):
    """A wrong answer. The message states what the student did wrong, or what to do next.

    Any other exception is an error in the check.
    """


class NotAttempted(NotImplementedError):
    """The student has not changed the code of the exercise."""


def graded() -> bool:
    return bool(os.environ.get(GRADER))


def raises() -> bool:
    """True if a wrong answer raises an exception: under a grader, in a test, or outside a notebook."""
    return graded() or os.environ.get(STRICT) == "raise" or get_ipython() is None


def tell(verdict: Box) -> None:
    """Shows a verdict under the cell, or prints it outside a notebook."""
    if get_ipython() is None:
        print(verdict)
    else:
        display(verdict)
