"""What can go wrong, by kind. Every message says what was expected, what we got, and what to do."""

import re

# Control characters, but for the end of a line and the tabulator; halves of characters; and marks that turn the
# direction of writing, behind which a name reads as another one.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

LONGEST = 5000  # characters of a message; one that quotes a file could be as long as the file


def printable(text: str, line: bool = False) -> str:
    """The text as a terminal may show it: what would command the terminal is written out, ESC as \\x1b.

    Args:
        line: it is a name within a line, so that the ends of lines and tabulators are written out, too.
    """
    shown = _UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)
    return shown.replace("\n", "\\n").replace("\t", "\\t") if line else shown


class AmfsError(Exception):
    """Any error that amfs_lab raises on purpose; the command line prints its message and exits with 2.

    A message may quote a file or a name: `str` of the error is `printable` and of bounded length.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return printable(text if len(text) <= LONGEST else text[:LONGEST] + " ...")


class ConfigError(AmfsError, ValueError):
    """A setting that cannot be: a negative bandwidth, more ways than the split has classes."""


class DataError(AmfsError, ValueError):
    """Data that is not what it should be: a truncated file, a wrong hash, NaN among the features."""


class NumericalError(AmfsError, ArithmeticError):
    """A computation that has no answer in this precision: a failed factorisation, a loss that is not finite."""


class MovedError(ConfigError):
    """An old name of a public module or function; the message has the new one."""
