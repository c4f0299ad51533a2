"""Output streams whose errors do not end the program: encoding, closed pipe, full disk, lost terminal."""

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

# ASCII replacements for special characters in messages. Every encoding contains ASCII.
PLAIN = str.maketrans({"±": "+/-", "×": "x", "–": "-", "—": "-", "°": " degrees", "→": "->", "≤": "<=", "≥": ">="})
PLAIN |= str.maketrans({"σ": "sigma", "λ": "lambda", "μ": "mu", "γ": "gamma", "θ": "theta", "’": "'", "…": "..."})

MOVES = ("\r", "\x1b[A")  # cursor movements of tqdm
_MOVES = re.compile("(\r|\x1b\\[A)")


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "replace").decode("ascii"), error.end


codecs.register_error("amfs-lab-plain", _plain)


class Output(io.TextIOBase):
    """A stream that drops all output after its first write error.

    All text goes through `printable`, so that file contents and names cannot send control codes to the terminal. With
    `bars`, the cursor movements of a progress bar are kept.
    """

    def __init__(self, stream: Any, bars: bool = False) -> None:
        self._stream, self._bars = stream, bars
        self.lost: str | None = None  # the first write error; None also for a closed pipe or terminal
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="amfs-lab-plain")

    def write(self, text: str) -> int:
        if self._bars:  # keeps the movements to the start of the line and one line up
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
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            if isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EIO):
                self.lost = error.strerror
            with contextlib.suppress(OSError, ValueError):  # discards the buffered output
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            self._stream = None
            return None


@contextlib.contextmanager
def lasting(silent: bool = False) -> Iterator[None]:
    """A context in which output errors and a lost terminal do not stop the command.

    With `silent`, nothing is written to stdout.
    """
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Output(None if silent else out), Output(err, bars=True)
    hangup = getattr(signal, "SIGHUP", None)  # sent when a terminal closes; Windows has no such signal
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
