"""Output streams whose errors (encoding, closed pipe, full disk, lost terminal) do not end the program."""

import codecs
import contextlib
import errno
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from amfs_lab.errors import printable

# What our sentences hold beyond ASCII, in letters that every encoding has.
PLAIN = str.maketrans({"±": "+/-", "×": "x", "–": "-", "—": "-", "°": " degrees", "→": "->", "≤": "<=", "≥": ">="})
PLAIN |= str.maketrans({"σ": "sigma", "λ": "lambda", "μ": "mu", "γ": "gamma", "θ": "theta", "’": "'", "…": "..."})

MOVES = ("\r", "\x1b[A")  # of tqdm
_MOVES = re.compile("(\r|\x1b\\[A)")


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "replace").decode("ascii"), error.end


codecs.register_error("amfs-lab-plain", _plain)


class Output(io.TextIOBase):
    """A stream that drops all output after its first write error.

    What a file or a name holds does not command the terminal: all is `printable`, but for the moves of a progress bar.
    """

    def __init__(self, stream: Any, bars: bool = False) -> None:
        self._stream, self._bars = stream, bars
        self.lost: str | None = None  # why, unless it is that nobody reads on
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="amfs-lab-plain")

    def write(self, text: str) -> int:
        if self._bars:  # they go to the start of their line, and a line up
            self._try("write", "".join(part if part in MOVES else printable(part) for part in _MOVES.split(text)))
        else:
            self._try("write", printable(text))
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def isatty(self) -> bool:
        return bool(self._try("isatty"))

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _try(self, what: str, *arguments: Any) -> Any:
        if self._stream is None:
            return None
        try:
            return getattr(self._stream, what)(*arguments)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            if isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EIO):
                self.lost = error.strerror
            with contextlib.suppress(OSError, ValueError):  # what is still buffered goes nowhere, without an error
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            self._stream = None
            return None


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """A context in which output errors and a lost terminal do not change how the command ends."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Output(out), Output(err, bars=True)
    hangup = getattr(signal, "SIGHUP", None)  # what a system sends when a terminal goes; Windows knows none
    before = None
    if hangup is not None and threading.current_thread() is threading.main_thread():
        before = signal.signal(hangup, signal.SIG_IGN)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if hangup is not None and before is not None:
            signal.signal(hangup, before)
        sys.stdout, sys.stderr = out, err
