"""`amfs-lab reproduce`: measures figures and tables again."""

import argparse
import contextlib
import dataclasses
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amfs_lab.cli.options import (
    add_fields,
    command,
    data_folder,
    device,
    documented,
    given,
    set_threads,
    threads,
    validation_suggested,
)
from amfs_lab.cli.report import PICTURES, check_ending, plotting, save_figure, save_text
from amfs_lab.devices import pick_device
from amfs_lab.distributed import Ranks, joined, process_rank
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import EXPERIMENTS, Experiment, intervals
from amfs_lab.experiments.benchmark import Benchmark, BenchmarkConfig
from amfs_lab.experiments.budgets import BUDGETS
from amfs_lab.experiments.claims import LEVEL, claims_table
from amfs_lab.experiments.merge import merge
from amfs_lab.experiments.result import RECORD
from amfs_lab.markdown import latex_table
from amfs_lab.provenance import code_version

LONGEST_JOB = 7 * 86400.0  # seconds that a process waits for the jobs of the others
TABLES = [name for name, experiment in EXPERIMENTS.items() if isinstance(experiment, Benchmark)]


def add_to(commands: Any) -> None:
    reproduce = commands.add_parser("reproduce", help="measure a figure or a table again")
    results = reproduce.add_subparsers(required=True, metavar="WHAT")
    for experiment in EXPERIMENTS.values():
        p = command(results, experiment.name, reproduce_experiment, experiment.help)
        p.set_defaults(experiment=experiment)
        place = experiment.folder(experiment.config())
        add_fields(p, experiment.config, experiment.hidden, _budget_help(experiment) | {**experiment.option_help})
        p.add_argument("--out", type=Path, help=f"folder of the result (default for these settings: runs/{place})")
        p.add_argument(
            "--figure", type=Path, metavar="FILE", help="save a figure to this .svg, .pdf or .png file (default: none)"
        )
        p.add_argument("--latex", type=Path, metavar="FILE", help="save the table to this .tex file (default: none)")
        threads(p, 1 if experiment.name == "figure2" else 0)  # figure2 measures times on one thread
        if isinstance(experiment, Benchmark):
            p.add_argument(
                "--reliability",
                type=Path,
                metavar="FILE",
                help="save reliability diagrams to this .svg, .pdf or .png file (default: none)",
            )
            budget(p)
            p.add_argument(
                "--cell",
                metavar="K/N",
                help="do only share K of N of the trainings and evaluations, for example on one of N machines; then "
                "join the pools with `reproduce merge` (default: everything)",
            )
        if "source" in _names(experiment):
            data_folder(p)
            device(p, "cpu")
            p.add_argument(
                "--resume", action="store_true", help="continue an interrupted command, or show its complete result"
            )
    every = command(results, "all", reproduce_all, f"measure {', '.join(TABLES)}, with learners that all of them use")
    add_fields(every, BenchmarkConfig, (*Benchmark.hidden, "rows"))
    every.add_argument("--out", type=Path, default=Path("runs"), help="folder of the results (default %(default)s)")
    threads(every)
    budget(every)
    data_folder(every)
    device(every, "cpu")
    p = command(results, "merge", merge_pools, "join the pools of learners (folders `trained`) of several machines")
    p.add_argument("pools", type=Path, nargs="+", help="pools to copy from")
    p.add_argument("--out", type=Path, default=Path("runs/trained"), help="pool to copy to (default %(default)s)")
    p = command(
        results,
        "intervals",
        reproduce_intervals,
        "measure coverage, false alarms and power of the rules in docs/statistics.md; takes seconds",
    )
    threads(p)


def reproduce_experiment(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    how = " The same command with --resume continues." if "resume" in options else ""
    with joined(pick_device(vars(options).get("device", "cpu")), LONGEST_JOB) as ranks, resumable(how):
        with ranks.together():
            config, folder = _prepared(options)
        ranks.agree(lambda: _facts(config, folder))
        _reproduce(options, config, folder, ranks)


def _prepared(options: argparse.Namespace) -> tuple[Any, Path]:
    """The settings and the folder of the result. Raises ConfigError for wrong options."""
    experiment: Experiment = options.experiment
    for option, path in _pictures(options).items():
        plotting(option)
        check_ending(path, PICTURES, option)
    if options.latex is not None:
        check_ending(options.latex, (".tex",), "--latex")
    settings = given(options, experiment.config, experiment.hidden)
    if isinstance(experiment, Benchmark):
        settings["budget"] = options.budget
    if vars(options).get("steps") is not None and "seconds" in _names(experiment):
        settings = {"seconds": None} | settings
    config = experiment.configure(settings)
    folder = options.out or Path("runs") / experiment.folder(config)
    if not vars(options).get("resume", True) and os.path.isfile(folder / RECORD):
        raise ConfigError(
            f"A result needs a new folder. Got {folder}, which has a complete result. Name another folder, or show "
            "this result with `--resume`."
        )
    return config, folder


def _pictures(options: argparse.Namespace) -> dict[str, Path]:
    return {f"--{name}": path for name in ("figure", "reliability") if (path := vars(options).get(name))}


def _facts(config: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """The facts that must be equal in all processes that share a table: settings, folder, version of the code."""
    return {"settings": dataclasses.asdict(config), "folder": {"--out": str(folder)}, "code": code_version()}


def _reproduce(options: argparse.Namespace, config: Any, folder: Path, ranks: Ranks) -> None:
    """Measures an experiment, prints the result and saves it.

    If there are several ranks (processes), each rank measures some rows of the table. Rank 0 then makes the table.
    """
    experiment: Experiment = options.experiment
    print(f"{experiment.title(config)} -> {folder}", flush=True)
    with validation_suggested(getattr(config, "source", ""), getattr(config, "split", "")):
        if ranks.size > 1:
            with ranks.together():
                _share(options, config, folder, ranks)
            if ranks.rank > 0:
                return
        elif vars(options).get("cell") is not None:
            _cell(options, config, folder)
            return
        result = experiment.run(
            config,
            vars(options).get("data"),
            vars(options).get("device", "cpu"),
            _say,
            folder,
            vars(options).get("resume", False),
            vars(options).get("jobs", 1),
        )
    print(experiment.table(result), *experiment.remarks(result), sep="\n\n")
    if options.latex is not None:
        save_text(options.latex, latex_table(experiment.table(result)), "--latex")
    for option, path in _pictures(options).items():
        draw = getattr(experiment, option.removeprefix("--"))  # the method with the name of the option
        save_figure(path, draw(result), option)


def _share(options: argparse.Namespace, config: Any, folder: Path, ranks: Ranks) -> None:
    """Measures this rank's share of the rows of a table."""
    experiment: Experiment = options.experiment
    if not isinstance(experiment, Benchmark):
        raise ConfigError(f"Only {', '.join(TABLES)} can be shared by several processes. Got {experiment.name}.")
    if options.cell is not None:
        raise ConfigError("`--cell` is for single processes. Got several processes. Leave one of them out.")
    if ranks.size > (rows := len(experiment.chosen(config))):
        raise ConfigError(f"Each process needs a row of the table. Got {ranks.size} processes and {rows} rows.")
    print(f"{ranks.size} processes share the rows", flush=True)
    pool = experiment.trainings(options.data, options.device, folder, True, options.jobs)
    experiment.work(config, pool, lambda words: None, ranks.rank + 1, ranks.size)


def _cell(options: argparse.Namespace, config: Any, folder: Path) -> None:
    """Measures the share K/N of the rows of a table. K/N is the value of the option `--cell`."""
    assert isinstance(options.experiment, Benchmark)  # only tables have the option
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", options.cell)
    if not found:
        raise ConfigError(f"`--cell` must be K/N, for example 2/4. Got {options.cell!r}.")
    pool = options.experiment.trainings(options.data, options.device, folder, True, options.jobs)
    options.experiment.work(config, pool, _say, int(found[1]), int(found[2]))
    where = folder.parent / "trained"
    print(f"This cell is complete. Join the pools of all cells: amfs-lab reproduce merge {where} ...")


@contextlib.contextmanager
def resumable(how: str) -> Iterator[None]:
    """A context in which Ctrl-C prints how to continue, and ends the program with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        if process_rank() == 0:
            print(f"amfs-lab: stopped.{how}", file=sys.stderr)
        raise SystemExit(130) from None


def merge_pools(options: argparse.Namespace) -> None:
    if process_rank() > 0:
        return
    count = merge(options.pools, options.out)
    print(f"{count} runs copied to {options.out}. The command of the table, without `--cell`, now uses them.")


def budget(p: argparse.ArgumentParser) -> None:
    """Adds the options of the tables: the size of the budget, and the number of processes."""
    sizes = "; ".join(
        f"{name}: {size['baseline_steps']:,} baseline steps, {size['seeds']} seeds, {size['episodes']} episodes, "
        f"width {size['width']}"
        for name, size in BUDGETS.items()
    )
    p.add_argument(
        "--budget", choices=BUDGETS, default="quick", help=f"values of other options: {sizes} (default %(default)s)"
    )
    p.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="processes that train at once; they share the threads (default 1)",
    )


def reproduce_all(options: argparse.Namespace) -> None:
    """Measures all tables of one data set. An interrupted measurement is resumed.

    A complete result is shown, and not measured again. A table that cannot be measured is left out, and the reason is
    printed. If no table can be measured, the last error is raised.
    """
    set_threads(options.threads)
    settings = given(options, BenchmarkConfig, (*Benchmark.hidden, "rows")) | {"budget": options.budget}
    results, last = [], None
    for experiment in map(EXPERIMENTS.__getitem__, TABLES):
        config = experiment.configure(dict(settings))
        folder = options.out / experiment.folder(config)
        print(f"{experiment.title(config)} -> {folder}", flush=True)
        try:
            with resumable(" The same command continues."):
                result = experiment.run(config, options.data, options.device, _say, folder, True, options.jobs)
        except (ConfigError, DataError) as error:  # for example, of a data set that only this table needs
            last = error
            print(f"{experiment.name} is left out: {error}\n", flush=True)
            continue
        print(experiment.table(result), *experiment.remarks(result), "", sep="\n\n", flush=True)
        results.append(result)
    if last is not None and not results:
        raise last
    print("The claims of the paper, by these tables:", claims_table(results), LEVEL, sep="\n\n", flush=True)


def _say(words: str) -> None:
    print(words, flush=True)


def reproduce_intervals(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    print(intervals.tables())


def _names(experiment: Experiment) -> dict[str, Any]:
    """The fields of the experiment's configuration, with their defaults."""
    return {field.name: field.default for field in dataclasses.fields(experiment.config)}


def _budget_help(experiment: Experiment) -> dict[str, str]:
    """Help texts of `--seconds` and `--steps`, or an empty dictionary if the experiment has no limit in seconds."""
    if "seconds" not in _names(experiment):
        return {}
    docs, seconds = documented(experiment.config), _names(experiment)["seconds"]
    return {
        "seconds": f"{docs['seconds']} (default {seconds:g}, or no limit with `--steps`)",
        "steps": f"{docs['meta_steps']}; training ends after them or after the seconds (default: no limit)",
    }
