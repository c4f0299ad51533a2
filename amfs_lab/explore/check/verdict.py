"""What a check says: a box in a notebook, an exception where a grader or a test runs.

in a notebook                          a box; the next cell runs, whatever the verdict is
under nbgrader (`NBGRADER_EXECUTION`)  a wrong answer raises `Wrong`, one that is not attempted NotImplementedError
with `AMFS_LAB_CHECKS=raise`           a wrong answer raises `Wrong`: notebooks/conftest.py, and tests of your own
in a script or in pytest               likewise, and the rest is printed
"""

import html
import os
import re
from typing import Any, NamedTuple

from IPython.core.getipython import get_ipython
from IPython.display import display

GRADER, STRICT = "NBGRADER_EXECUTION", "AMFS_LAB_CHECKS"
UNTOUCHED = "not attempted yet"

# The frame's colour and how it begins. Text keeps the page's own colour, on a tint: it can be read in every theme.
LOOKS = {
    "right": ("#009E73", "rgba(0, 158, 115, 0.10)", "✓"),
    "wrong": ("#E69F00", "rgba(230, 159, 0, 0.12)", "Not yet."),
    "open": ("#6E7781", "rgba(110, 119, 129, 0.10)", "○"),
}
BOX = (
    "border-left: 4px solid {0}; background: {1}; color: inherit; padding: 8px 12px; margin: 4px 0; "
    "max-width: 860px; box-sizing: border-box; font-size: 14px; line-height: 1.45; overflow-wrap: anywhere"
)
CODE = "background: transparent; color: inherit; padding: 0; white-space: pre-wrap"


class Wrong(AssertionError):
    """An answer is not right; its message says what the reader did, or what to do. Anything else is a fault of ours."""


class NotAttempted(NotImplementedError):
    """The exercise stands as the reader found it."""


class Verdict(NamedTuple):
    """What is said of an answer: `"right"`, `"wrong"` or `"open"`, and one or two sentences."""

    kind: str
    words: str

    def __repr__(self) -> str:
        return f"{LOOKS[self.kind][2]} {self.words}"

    def _repr_html_(self) -> str:
        color, tint, mark = LOOKS[self.kind]
        words = re.sub(r"`([^`]+)`", rf'<code style="{CODE}">\1</code>', html.escape(self.words))
        box = f'<div class="amfs-verdict amfs-{self.kind}" role="status" style="{BOX.format(color, tint)}">'
        return f"{box}<b>{mark}</b> {words}</div>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}, {"amfs_lab": {"verdict": self.kind}}


def graded() -> bool:
    return bool(os.environ.get(GRADER))


def raises() -> bool:
    """Whether a wrong answer is an exception here: a grader or a test looks on, or there is no page."""
    return graded() or os.environ.get(STRICT) == "raise" or get_ipython() is None


def tell(verdict: Verdict) -> None:
    """Shows a verdict under the cell; prints it where there is no page."""
    if get_ipython() is None:
        print(verdict)
    else:
        display(verdict)
