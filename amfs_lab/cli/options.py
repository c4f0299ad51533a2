"""Command-line options: generated from the fields of a configuration, or shared by several commands.

The help text of an option comes from the docstring of the configuration class: the text of the field under `Args:`.
"""

import argparse
import contextlib
import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from tqdm import tqdm

from amfs_lab.config import CHOICES
from amfs_lab.distributed import TIMEOUT
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.inner.function_space import OBJECTIVES
from amfs_lab.methods import INNER_LOOPS, KERNELS, METHODS
from amfs_lab.tasks import SOURCES, SPLITS, EpisodeConfig
from amfs_lab.tasks.augment import AUGMENTATIONS

# Values for help texts only. The configuration checks the values that the user gives.
LISTED = CHOICES | {"kernel": KERNELS, "objective": OBJECTIVES, "split": SPLITS[1:]}
LISTED |= {"augment": AUGMENTATIONS, "methods": METHODS, "source": (*SOURCES, "folder:PATH")}
METAVARS = {"validate_every": "STEPS"}
OPTION_NAMES = {"meta_steps": "steps", "lr": "inner_lr"}  # field: name of its option, where they differ


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run)
    return parser


def add_fields(
    parser: argparse.ArgumentParser, kind: type, hidden: Sequence[str] = (), help: Mapping[str, str] | None = None
) -> None:
    """Adds an option for each field of a configuration class.

    If a field is an inner loop, each setting of the inner loop becomes an option.

    Args:
        hidden: options to leave out. help: help texts that replace the generated texts.
    """
    docs, hints = documented(kind), get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name, hint = option_name(field.name), hints[field.name]
        if hint is EpisodeConfig and name not in hidden:
            shape(parser, EpisodeConfig())
        elif hint in INNER_LOOPS.values():
            add_inner(parser, [hint], hidden)
        elif name not in hidden:
            default = field.default_factory() if callable(field.default_factory) else field.default
            told = (help or {}).get(name) or with_default(docs.get(field.name, ""), default)
            _add(parser, name, hint, told)


def add_inner(parser: argparse.ArgumentParser, kinds: Sequence[type], hidden: Sequence[str] = ()) -> None:
    """Adds an option for each setting of these inner loops. Settings with the same name share one option."""
    settings = {field.name: field for kind in kinds for field in dataclasses.fields(kind)}
    for field in settings.values():
        having = [kind for kind in kinds if field.name in {each.name for each in dataclasses.fields(kind)}]
        methods = [name for name, row in METHODS.items() if type(row.inner) in having]
        name, text = inner_option(field.name), documented(having[0]).get(field.name, "")
        if name not in hidden:
            text = with_default(text, field.default).replace(" (default", f", of {', '.join(methods)} (default")
            _add(parser, name, get_type_hints(having[0])[field.name], text)


def inner_option(field: str) -> str:
    """The option name of an inner loop's setting.

    `lr` and `steps` get a prefix, because the outer loop has settings with the same names.
    """
    return f"inner_{field}" if field in ("lr", "steps") else field


def option_name(field: str) -> str:
    return OPTION_NAMES.get(field, field)


def given(options: argparse.Namespace, kind: type, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a configuration that are set on the command line, with their values."""
    found, hints = {}, get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name, hint = option_name(field.name), hints[field.name]
        if name in hidden:
            continue
        if hint is EpisodeConfig:
            found[field.name] = EpisodeConfig(options.ways, options.shots, options.queries)
        elif hint in INNER_LOOPS.values():
            found[field.name] = hint(**given_inner(options, hint, hidden))
        elif (value := getattr(options, name, None)) is not None:
            found[field.name] = tuple(value) if isinstance(value, list) else value
    return found


def given_inner(options: argparse.Namespace, kind: type, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """The settings of an inner loop that are set on the command line, with their values."""
    names = {field.name: inner_option(field.name) for field in dataclasses.fields(kind)}
    values = {name: getattr(options, option, None) for name, option in names.items() if option not in hidden}
    return {name: value for name, value in values.items() if value is not None}


def as_options(message: str, options: argparse.Namespace) -> str:
    """An error message with names of options instead of fields: `--seeds` instead of BenchmarkConfig.seeds."""

    def named(found: re.Match[str]) -> str:
        name = option_name(found[1])
        return f"`--{name.replace('_', '-')}`" if name in vars(options) else found[0]

    return re.sub(r"\b[A-Z]\w*Config\.(\w+)", named, message)


def documented(kind: type) -> dict[str, str]:
    """The text of each field under `Args:` in the docstrings of a dataclass and its base classes.

    Remarks of the form "(see ...)" are removed.
    """
    found: dict[str, str] = {}
    names = "|".join(field.name for field in dataclasses.fields(kind))
    for each in reversed(kind.__mro__):
        section = (inspect.cleandoc(each.__doc__ or "") + "\n").partition("Args:\n")[2]
        text = " ".join(re.split(r"\n(?=\S)", section)[0].split()) if names else ""
        parts = re.split(rf"(?:^|(?<=\. ))((?:{names})(?:, (?:{names}))*): ", text)[1:]
        for labels, words in zip(parts[::2], parts[1::2], strict=True):
            words = re.sub(r" \(see [^)]*\)", "", words).strip().removesuffix(".")
            found |= dict.fromkeys(labels.split(", "), words)
    return found


def with_default(text: str, default: Any) -> str:
    """A help text with the default value of the option.

    The text may end with "; None: " and a description of the value None, such as "no limit". If the default is None,
    this description is used.
    """
    text, _, none = text.partition("; None: ")
    if default is None:
        return f"{text} (default: {none or 'none'})"
    words = " ".join(map(str, default)) or "nothing" if isinstance(default, tuple | Mapping) else f"{default}"
    return f"{text} (default {words})"


def _add(parser: argparse.ArgumentParser, name: str, hint: Any, help: str) -> None:
    if type(None) in get_args(hint):
        hint = next(each for each in get_args(hint) if each is not type(None))
    reading: dict[str, Any] = {"type": hint}
    if hint is bool:
        reading = {"action": argparse.BooleanOptionalAction}
    elif get_origin(hint) is not None:  # a tuple of names or numbers
        reading = {"nargs": "*", "type": get_args(hint)[0]}
    if name in LISTED:
        reading["metavar"] = "{" + ",".join(LISTED[name]) + "}"
    elif name in METAVARS:
        reading["metavar"] = METAVARS[name]
    parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help=help.replace("%", "%%"), **reading)


def common(parser: argparse.ArgumentParser, default_device: str = "auto") -> None:
    parser.add_argument("--episodes", type=int, default=600, help="episodes to evaluate on (default %(default)s)")
    data_folder(parser)
    device(parser, default_device)


MOST_THREADS = 64  # any machine can start so many


def shape(parser: argparse.ArgumentParser, default: EpisodeConfig | None = None) -> None:
    """Adds the options for the shape of an episode. If `default` is None, the shape in training is used."""
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
        help="first folder to search for data (default: $AMFS_LAB_DATA, then the data of the package, then data/)",
    )


def device(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    parser.add_argument("--device", default=default, help="auto, cpu, cuda or mps (default %(default)s)")


def threads(parser: argparse.ArgumentParser, default: int = 0) -> None:
    parser.add_argument(
        "--threads",
        type=int,
        default=default,
        metavar="N",
        help="processor threads for torch; 0: torch's own choice (default %(default)s)",
    )


def rank_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rank-timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help="with torchrun: longest wait of a process for the others (default %(default)s)",
    )


def set_threads(threads: int) -> None:
    """Sets torch's number of threads. Raises ConfigError for a negative number, or one too large for the system."""
    most = max(MOST_THREADS, os.cpu_count() or 1)
    if threads < 0:
        raise ConfigError(f"`threads` must be >= 1, or 0 for torch's own choice. Got {threads}.")
    if threads > most:
        raise ConfigError(f"`threads` must be at most {most} on this machine. Got {threads}. 0 is torch's own choice.")
    if threads:
        torch.set_num_threads(threads)


def bar_of(unit: str, total: int | None = None, delay: float = 0.0) -> tqdm:
    """A progress bar that appears after `delay` seconds, and only on a terminal."""
    return tqdm(total=total, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True, delay=delay)


@contextlib.contextmanager
def validation_suggested(source: str, split: str) -> Iterator[None]:
    """A context that adds advice to an error about missing test data.

    The advice is to evaluate on the validation split, which needs less data or other data.
    """
    try:
        yield
    except DataError as error:
        needs = {"omniglot": "needs only the background set", "fc100": "has other classes"}
        if split != "test" or (source := source.partition(":")[0]) not in needs:
            raise
        raise DataError(f"{error} Or use `--split validation`, which {needs[source]}.") from error
