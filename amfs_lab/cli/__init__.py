"""The command line: `amfs-lab train`, `evaluate`, `replay`, `predict`, `reproduce`, `data`, `bench`."""

import argparse
import functools
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import torch

from amfs_lab import __version__
from amfs_lab.cli import bench, data, evaluate, predict, reproduce, train
from amfs_lab.cli.options import as_options
from amfs_lab.cli.streams import lasting
from amfs_lab.distributed import process_rank
from amfs_lab.errors import AmfsError, printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or 2 after an error, or 130 after Ctrl-C.

    An error prints one sentence on stderr. If `torchrun` started several processes, only rank 0 prints normal output.
    Other ranks print only their errors and warnings.
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
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        _remark(
            "The device must have enough memory. Got too little. Use fewer tasks, a smaller network or smaller images."
        )
        return 2
    except KeyboardInterrupt:
        if process_rank() == 0:
            _remark("stopped.")
        return 130
    return 0


def _is_out_of_memory(error: Exception) -> bool:
    """True for the errors of Python and of torch when memory cannot be allocated, on a CPU or a GPU."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error) for words in ("allocate memory", "not enough memory")
    )


def _remark(message: str) -> None:
    """Prints an error or a warning as one sentence, without the file and line of the code."""
    rank = f" rank {process_rank()}:" if process_rank() else ""
    print(f"amfs-lab:{rank} {printable(message)}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser that escapes control characters in its error messages.

    The messages quote the command line, which may contain control characters.
    """

    def error(self, message: str) -> NoReturn:
        super().error(printable(message, line=True))


def parser() -> argparse.ArgumentParser:
    """The argument parser with all commands and their options."""
    whole = _Parser("amfs-lab", description="Few-shot meta-learning in function space.")
    whole.add_argument("--version", action="version", version=f"amfs-lab {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for verb in (train, evaluate, predict, reproduce, data, bench):
        verb.add_to(commands)
    return whole
