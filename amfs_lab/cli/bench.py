"""`amfs-lab bench`: measures costs in time and memory."""

import argparse
from pathlib import Path
from typing import Any

from amfs_lab import files
from amfs_lab.cli.options import command, device, set_threads, threads
from amfs_lab.cli.report import PICTURES, check_ending, check_new
from amfs_lab.devices import pick_device
from amfs_lab.distributed import joined
from amfs_lab.errors import ConfigError

SHAPES = ("5w1s", "5w5s", "20w1s")


def add_to(commands: Any) -> None:
    p = command(commands, "bench", bench, "time a meta-step of each method against plain supervised training")
    p.add_argument(
        "--rounds",
        type=int,
        default=7,
        help="number of rounds; each round times every step once (default %(default)s)",
    )
    p.add_argument(
        "--explorers", action="store_true", help="time the controls of the explorers instead, in milliseconds"
    )
    p.add_argument(
        "--ranks",
        action="store_true",
        help="under torchrun: time a meta-step in several processes instead, and compute it for more processes",
    )
    p.add_argument(
        "--shapes",
        nargs="+",
        default=SHAPES,
        metavar="NwKs",
        help=f"shapes of the episodes, N-way K-shot (default {' '.join(SHAPES)})",
    )
    p.add_argument(
        "--parts",
        nargs="+",
        default=["meta-steps"],
        metavar="PART",
        help="what to measure: all, or meta-steps (default), adaptation, memory, streamed, rules, import, opening, "
        "against",
    )
    device(p)
    threads(p)
    p.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write all times in seconds to this file (default: no file)",
    )
    p.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw cost against shots, ways, tasks and image size to this .png or .svg (default: no file)",
    )


def bench(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    if options.explorers:
        try:
            from amfs_lab import explore
            from amfs_lab.widgets import timing
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"Explorers need the extra `lab`. Got no module {error.name}. Install it: pip install 'amfs-lab[lab]'."
            ) from error
        timing.report(timing.ready_kinds(explore), options.rounds)
        return
    if options.plot is not None:
        check_ending(options.plot, PICTURES, "--plot")
    if options.json is not None:
        check_new(options.json, "--json")
    if options.ranks:
        from amfs_lab.bench import ranks

        there = pick_device(options.device)
        with joined(there) as group:
            found = ranks.measure_costs(group, options.rounds, there)
            print(ranks.report(found))
        if options.json is not None and group.rank == 0:
            files.write_json(options.json, found)
        return
    from amfs_lab.bench import PARTS, report

    parts = PARTS if options.parts == ["all"] else options.parts
    report(options.rounds, options.shapes, parts, options.json, options.plot, options.device)
