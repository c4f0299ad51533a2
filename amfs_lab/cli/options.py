"""What the commands share: how one is made, the options that several have, and a bar for long work."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from amfs_lab.errors import DataError


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run)
    return parser


def common(parser: argparse.ArgumentParser, device: str = "auto") -> None:
    parser.add_argument("--episodes", type=int, default=600, help="episodes to evaluate on (default %(default)s)")
    parser.add_argument("--data", type=Path, help="folder to look for data in first")
    parser.add_argument("--device", default=device, help="auto, cpu, cuda or mps (default %(default)s)")


def bar_of(unit: str, total: int | None = None) -> tqdm:
    """A progress bar on a terminal, nothing elsewhere."""
    return tqdm(total=total, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True)


@contextlib.contextmanager
def validation_suggested(source: str, split: str) -> Iterator[None]:
    """Says with an error about missing data what can be done without them."""
    try:
        yield
    except DataError as error:
        if (source, split) != ("omniglot", "test"):
            raise
        raise DataError(f"{error} Or use `--split validation`, which needs the background set alone.") from error
