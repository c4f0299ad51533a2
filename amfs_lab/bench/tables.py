"""All measurements of the benchmark, as tables, as JSON and as a plot."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from amfs_lab import files, methods
from amfs_lab.bench.memory import peak, peak_of_training
from amfs_lab.bench.methods import (
    BASELINE,
    LAST,
    adaptations,
    against,
    episode_config,
    meta_steps,
    openings,
    rules,
)
from amfs_lab.bench.rounds import Times, measure, ratio_text, synchronize
from amfs_lab.config import TrainingConfig
from amfs_lab.devices import pick_device
from amfs_lab.errors import ConfigError
from amfs_lab.markdown import markdown_table
from amfs_lab.provenance import machine

PARTS = ("meta-steps", "adaptation", "memory", "streamed", "rules", "import", "opening", "against")
TASKS = (4, 8, 16, 32, 64)
STREAMED = (16, 64, 256)  # tasks in a meta-step
AGAINST = {"shots": (1, 5, 10), "ways": (5, 10, 20), "tasks": (1, 4, 16), "image size": (28, 56, 84)}


def report(
    rounds: int = 7,
    shapes: Sequence[str] = ("5w1s",),
    parts: Sequence[str] = ("meta-steps",),
    to_json: Path | None = None,
    to_plot: Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Runs the benchmark, prints a table for each part and shape, and returns the numbers.

    Args:
        rounds: number of rounds. shapes: shapes of the episodes, such as "5w1s". parts: some of `PARTS`.
        to_json: file for all times in seconds.
        to_plot: file for the plot of the part `against`. With this file, this part is always measured.
        device: see `devices.pick_device`.
    Raises:
        ConfigError: rounds < 1, a wrong form of shape, an unknown part or device, or a file that cannot be written.
    """
    if rounds < 1:
        raise ConfigError(f"`rounds` must be >= 1. Got {rounds}.")
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ConfigError(f"`parts` must be one or more of {', '.join(PARTS)}. Got {', '.join(unknown)}.")
    for shape in shapes:
        episode_config(shape)
    there = pick_device(device)
    wanted = [*parts, *(["against"] if to_plot and "against" not in parts else [])]
    for path in filter(None, (to_json, to_plot)):
        _check_writable(path)
    found: dict[str, Any] = {"machine": machine(), "rounds": rounds, "date": time.strftime("%Y-%m-%d")}
    here = found["machine"]
    found["device"] = torch.cuda.get_device_name(there) if there.type == "cuda" else there.type
    print(f"{here['cpu']}, {here['threads']} threads, torch {here['torch']}, on {found['device']}, {found['date']}")
    measured: dict[str, Callable[[], Any]] = {
        "meta-steps": lambda: {shape: _meta_steps(shape, rounds, there) for shape in shapes},
        "adaptation": lambda: {shape: _adaptation(shape, rounds, there) for shape in shapes},
        "memory": lambda: {shape: _memory(shape, there) for shape in shapes},
        "streamed": lambda: {shape: _streamed(shape, there) for shape in shapes},
        "rules": lambda: {tasks: _rules(tasks, rounds, there) for tasks in TASKS},
        "import": lambda: _imports(rounds),
        "opening": lambda: _openings(rounds),
        "against": lambda: {what: _against(what, values, rounds, there) for what, values in AGAINST.items()},
    }
    for part in PARTS:
        if part in wanted:
            found[part] = measured[part]()
    if to_json is not None:
        files.write_json(to_json, found)
    if to_plot is not None:
        plot(found["against"], to_plot)
    return found


def _check_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a", encoding="utf-8"):
            pass
        if new:
            path.unlink()  # after a stop, an empty file would look like a result
    except OSError as error:
        raise ConfigError(f"The file must be writable. Got {path}: {error.strerror}. Name another file.") from error


def _table(head: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [22, *(max(26, len(column) + 2) for column in columns[1:])]
    print(f"\n{head}")
    for row in (columns, *rows):
        print(
            "".join(
                f"{cell:<{w}}" if n == 0 else f"{cell:>{w}}"
                for n, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    sys.stdout.flush()


def _compared(head: str, what: str, times: Times, baselines: Mapping[str, str], digits: int = 1) -> dict[str, Any]:
    """Prints one row for each step: milliseconds, and ratios to the baselines. Returns the numbers as plain data.

    Args:
        baselines: maps the name of each baseline to the title of its column.
    """
    rows = [
        (name, f"{times.ms(name):.{digits}f}", *(ratio_text(times.ratio(name, baseline)) for baseline in baselines))
        for name in times.seconds
    ]
    _table(head, (what, "ms", *(f"x {words}" for words in baselines.values())), rows)
    return times.to_dict(*baselines)


def _meta_steps(shape: str, rounds: int, device: torch.device) -> dict[str, Any]:
    config, tasks = episode_config(shape), TrainingConfig().tasks
    images = config.ways * (config.shots + config.queries)
    head = f"{config}, {tasks} tasks of {images} images, median of {rounds} interleaved rounds (min to max)"
    baselines = {BASELINE: "plain baseline", LAST: "channels-last baseline"}
    return _compared(
        head, "meta-step", measure(meta_steps(config, methods.METHODS, device), rounds, synchronize(device)), baselines
    )


def _adaptation(shape: str, rounds: int, device: torch.device) -> dict[str, Any]:
    head = f"{episode_config(shape)}, adaptation to one task and scores of its queries"
    times = measure(adaptations(episode_config(shape), device), rounds, synchronize(device))
    return _compared(head, "adaptation", times, {"i-amfs": "i-amfs"})


def _memory(shape: str, device: torch.device) -> dict[str, float]:
    found = {name: peak(name, shape, device) for name in (BASELINE, *methods.METHODS)}
    _table(
        f"{episode_config(shape)}, peak memory of a meta-step minus the memory before it",
        ("memory", "MiB", "x baseline"),
        [(name, f"{mib:.0f}", f"{mib / found[BASELINE]:.2f}") for name, mib in found.items()],
    )
    return found


def _streamed(shape: str, device: torch.device) -> dict[str, dict[str, float]]:
    found = {
        str(tasks): {
            name: peak_of_training(tasks, streamed, shape, device)
            for name, streamed in (("all gradients", False), ("streamed", True))
        }
        for tasks in STREAMED
    }
    print(f"\n{episode_config(shape)}, AMFS, peak memory of a meta-step minus the memory before it\n")
    print(streamed_table(found), flush=True)
    return found


def streamed_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table of peak memory with all gradients at once, and with streamed gradients.

    Args:
        found: `report(...)["streamed"]`, for one shape.
    """
    rows = [[tasks, *(f"{mib:.0f}" for mib in each.values())] for tasks, each in found.items()]
    return markdown_table(["tasks", *(f"{name}, MiB" for name in next(iter(found.values())))], rows)


def _rules(tasks: int, rounds: int, device: torch.device) -> dict[str, Any]:
    head = f"{tasks} gradients, {3 * rounds} rounds"
    return _compared(
        head,
        "rule",
        measure(rules(tasks, device=device), 3 * rounds, synchronize(device)),
        {"mean(0)": "mean(0)"},
        digits=2,
    )


def _imports(rounds: int) -> dict[str, Any]:
    def importing(package: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", f"import {package}"], check=True)

    times = measure({name: importing(name) for name in ("torch", "amfs_lab", "amfs_lab.explore")}, rounds)
    return _compared("a process that only imports the package", "import", times, {"torch": "torch"}, digits=0)


def _openings(rounds: int) -> dict[str, Any]:
    times = measure(openings(), rounds)
    return _compared("opening a data set from its cached copy", "data", times, {"glyphs": "glyphs"}, digits=0)


def _against(what: str, values: Sequence[int], rounds: int, device: torch.device) -> dict[str, Any]:
    found = {value: measure(against(what, value, device), rounds, synchronize(device)) for value in values}
    _table(
        f"cost against {what}, other settings as in 5-way 1-shot",
        (what, *(f"{name}, ms (x baseline)" for name in found[values[0]].seconds)),
        [(str(value), *(_cost(times, name) for name in times.seconds)) for value, times in found.items()],
    )
    return {str(value): times.to_dict(BASELINE) for value, times in found.items()}


def _cost(times: Times, name: str) -> str:
    return f"{times.ms(name):.1f} ({times.ratio(name, BASELINE)[0]:.2f})"


def markdown(found: Mapping[str, Mapping[str, Any]], what: str, baseline: str) -> str:
    """A Markdown table of one part of a report. Each row is a step, each column is a shape.

    The entries are ratios of times: time of the step divided by time of the baseline.

    Args:
        found: `report(...)["meta-steps"]` or `["adaptation"]`. what: the title of the first column.
    """
    rows = [
        [name, *(ratio_text(tuple(shape[name][f"x {baseline}"])) for shape in found.values())]
        for name in next(iter(found.values()))
    ]
    return markdown_table([what, *(str(episode_config(shape)) for shape in found)], rows)


def plot(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Writes a plot of the time of a meta-step in milliseconds against shots, ways, tasks and image size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3), layout="constrained")
    solve, maml = methods.METHODS["i-amfs"].color, methods.METHODS["maml"].color
    looks = {BASELINE: ("#444444", "-", "o"), "i-amfs": (solve, "--", "s"), "maml": (maml, ":", "^")}
    for axes, (what, values) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        for name, (color, dash, marker) in looks.items():
            ms = [1000 * statistics.median(times[name]["seconds"]) for times in values.values()]
            axes.plot([int(v) for v in values], ms, color=color, linestyle=dash, marker=marker, label=name)
        axes.set(xlabel=what, yscale="log", xticks=[int(v) for v in values])
    figure.axes[0].set_ylabel("meta-step (ms)")
    figure.axes[0].legend()
    with files.replacing(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix(".").lower())
