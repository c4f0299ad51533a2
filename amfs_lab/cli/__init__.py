"""The command line: `amfs-lab train`, `evaluate`, `replay`, `predict`, `reproduce`, `data`, `bench`."""

import argparse
import functools
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from amfs_lab import __version__
from amfs_lab.cli import bench, data, evaluate, predict, reproduce, train
from amfs_lab.cli.options import as_options
from amfs_lab.cli.streams import lasting
from amfs_lab.distributed import process_rank
from amfs_lab.errors import AmfsError, printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns 0, or 2 after an error (with one sentence on stderr), or 130 after Ctrl-C.

    Of several processes that `torchrun` started, only rank 0 prints, except for errors and warnings of other ranks.
    """
    with lasting(silent=process_rank() > 0):
        code = _main(arguments)
        sys.stdout.flush()
        lost = getattr(sys.stdout, "lost", None)
        if lost:
            print(f"amfs-lab: The output could not be written: {lost}.", file=sys.stderr)
        verb = (sys.argv[1:] if arguments is None else list(arguments))[:1]
        return code or (2 if lost and verb != ["train"] else 0)  # the result of `train` is in the folder of the run


def _main(arguments: Sequence[str] | None) -> int:
    options = parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            say_once = functools.cache(_remark)
            warnings.showwarning = lambda message, *_: say_once(str(message))
            options.command(options)
    except AmfsError as error:
        if process_rank() == 0 or not error.on_all_ranks:
            _remark(as_options(str(error), options))
        return 2
    except OSError as error:
        place = f" ({printable(str(error.filename))})" if error.filename else ""
        _remark(f"OSError: {error.strerror}{place}.")
        return 2
    except KeyboardInterrupt:
        if process_rank() == 0:
            _remark("stopped.")
        return 130
    return 0


def _remark(message: str) -> None:
    """Prints an error or a warning as one sentence, without the file and line of the code."""
    rank = f" rank {process_rank()}:" if process_rank() else ""
    print(f"amfs-lab:{rank} {printable(message)}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have no control characters.

    Errors quote the command line, which may contain control characters.
    """

    def error(self, message: str) -> NoReturn:
        super().error(printable(message, line=True))


def parser() -> argparse.ArgumentParser:
    """The parser of every command and option."""
    whole = _Parser("amfs-lab", description="Few-shot meta-learning in function space.")
    whole.add_argument("--version", action="version", version=f"amfs-lab {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for verb in (train, evaluate, predict, reproduce, data, bench):
        verb.add_to(commands)
    return whole
