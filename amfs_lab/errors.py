"""Exceptions of the library. Every message states what was expected, what was given, and what to do."""

import re

# Control characters except newline and tab; surrogates; and marks that change the direction of writing. Such marks can
# make one name look like another.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

LONGEST = 5000  # characters of a message; a message that quotes a file could be as long as the file


def printable(text: str, line: bool = False) -> str:
    """The text with its control characters escaped, so that a terminal does not execute them. ESC becomes \\x1b.

    Args:
        line: the text is part of one line, so newlines and tabs are escaped, too.
    """
    shown = _UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)
    return shown.replace("\n", "\\n").replace("\t", "\\t") if line else shown


class AmfsError(Exception):
    """The base class of errors that amfs_lab raises on purpose.

    The command line prints the message and exits with code 2. A message may quote a file or a name. So `str` of the
    error escapes control characters (see `printable`), and shortens long messages.
    """

    on_all_ranks = False  # True if all processes of a run raise the error, so only one of them prints it

    def __str__(self) -> str:
        text = super().__str__()
        return printable(text if len(text) <= LONGEST else text[:LONGEST] + " ...")


class ConfigError(AmfsError, ValueError):
    """An invalid setting, such as a negative bandwidth, or more ways than the split has classes."""


class DataError(AmfsError, ValueError):
    """Invalid data, such as a truncated file, a wrong hash, or NaN among the features."""


class NumericalError(AmfsError, ArithmeticError):
    """A computation that failed in this precision, such as a failed factorisation, or a loss that is not finite."""


class MovedError(ConfigError):
    """The use of an old name of a public module or function. The message gives the new name."""


class NonFiniteTask(NumericalError):
    """A task whose loss or gradient is not finite; `task` is its index in the meta-step."""

    def __init__(self, task: int) -> None:
        super().__init__(
            "Losses and gradients must be finite. Got NaN or infinity. "
            "Lower meta_lr (and inner_lr of maml), or give lam, mu and gamma usual values."
        )
        self.task = task
