"""`amfs-lab bench`: what things cost."""

import argparse
from typing import Any

from amfs_lab.cli.options import command
from amfs_lab.errors import ConfigError


def add_to(commands: Any) -> None:
    p = command(commands, "bench", bench, "time a meta-step of each method against plain supervised training")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--explorers", action="store_true", help="time the explorers' controls instead")
    p.add_argument("--shapes", nargs="+", default=["5w1s", "5w5s", "20w1s"], metavar="NwKs")


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
    from amfs_lab.bench import report

    report(rounds=options.rounds, shapes=options.shapes)
