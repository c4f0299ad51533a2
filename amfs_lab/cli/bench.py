"""`amfs-lab bench`: what things cost."""

import argparse
from pathlib import Path
from typing import Any

from amfs_lab.cli.options import command
from amfs_lab.errors import ConfigError

SHAPES = ("5w1s", "5w5s", "20w1s")


def add_to(commands: Any) -> None:
    p = command(commands, "bench", bench, "time a meta-step of each method against plain supervised training")
    p.add_argument("--rounds", type=int, default=7, help="in turns, of everything (default %(default)s)")
    p.add_argument("--explorers", action="store_true", help="time the explorers' controls instead")
    p.add_argument("--shapes", nargs="+", default=SHAPES, metavar="NwKs", help=f"(default {' '.join(SHAPES)})")
    p.add_argument(
        "--parts",
        nargs="+",
        default=["meta-steps"],
        metavar="PART",
        help="what to measure: all, or meta-steps (the default), adaptation, memory, rules, import, opening, against",
    )
    p.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default %(default)s)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write every second that was measured")
    p.add_argument("--plot", type=Path, metavar="FILE", help="draw cost against shots, ways, tasks and image size")


def bench(options: argparse.Namespace) -> None:
    if options.explorers:
        try:
            from amfs_lab import explore
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"Explorers need the extra `lab`. Got no {error.name}: pip install 'amfs-lab[lab]'."
            ) from error
        explore.clock.report(explore.clock.ready_kinds(explore), options.rounds)
        return
    from amfs_lab.bench import PARTS, report

    parts = PARTS if options.parts == ["all"] else options.parts
    report(options.rounds, options.shapes, parts, options.json, options.plot, options.device)
