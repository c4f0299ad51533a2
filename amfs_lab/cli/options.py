"""What the commands share: how one is made, the options that several have, and a bar for long work."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import EpisodeConfig


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run)
    return parser


def common(parser: argparse.ArgumentParser, default_device: str = "auto") -> None:
    parser.add_argument("--episodes", type=int, default=600, help="episodes to evaluate on (default %(default)s)")
    data_folder(parser)
    device(parser, default_device)


MOST_THREADS = 64  # that any machine starts
AUGMENT_HELP = "what training does to its images (default: nothing)"


def shape(parser: argparse.ArgumentParser, default: EpisodeConfig | None = None) -> None:
    """The shape of an episode; without a default it is that of the training."""
    for name, letter, meaning in (
        ("ways", "N", "classes in an episode"),
        ("shots", "K", "support images of each class"),
        ("queries", "Q", "query images of each class"),
    ):
        usual = None if default is None else getattr(default, name)
        told = "as in training" if usual is None else usual
        parser.add_argument(f"--{name}", type=int, default=usual, metavar=letter, help=f"{meaning} (default {told})")


def data_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder to look for data in first (default: $AMFS_LAB_DATA, then what comes with the package, then data/)",
    )


def device(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    parser.add_argument("--device", default=default, help="auto, cpu, cuda or mps (default %(default)s)")


def threads(parser: argparse.ArgumentParser, default: int = 0) -> None:
    parser.add_argument(
        "--threads",
        type=int,
        default=default,
        metavar="N",
        help="processor threads that torch computes with; 0: torch's own choice (default %(default)s)",
    )


def set_threads(threads: int) -> None:
    """Raises ConfigError for a negative number, and for so many that the system may refuse them."""
    most = max(MOST_THREADS, os.cpu_count() or 1)
    if threads < 0:
        raise ConfigError(f"`threads` must be >= 1, or 0 for torch's own choice. Got {threads}.")
    if threads > most:
        raise ConfigError(f"`threads` must be at most {most} on this machine. Got {threads}. 0 is torch's own choice.")
    if threads:
        torch.set_num_threads(threads)


def bar_of(unit: str, total: int | None = None, delay: float = 0.0) -> tqdm:
    """A progress bar on a terminal, nothing elsewhere; it shows after `delay` seconds."""
    return tqdm(total=total, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True, delay=delay)


@contextlib.contextmanager
def validation_suggested(source: str, split: str) -> Iterator[None]:
    """Says with an error about missing data what can be done without them."""
    try:
        yield
    except DataError as error:
        if (source, split) != ("omniglot", "test"):
            raise
        raise DataError(f"{error} Or use `--split validation`, which needs the background set alone.") from error
