"""`amfs-lab data`: fetch, make or check data."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from amfs_lab import pretrained
from amfs_lab.cli.options import bar_of, command, data_folder, set_threads, threads
from amfs_lab.tasks import data_status, download


def add_to(commands: Any) -> None:
    data = commands.add_parser("data", help="fetch, make or check data").add_subparsers(required=True, metavar="WHAT")
    p = command(data, "fetch", fetch, "download a data set, check it, and put it into the data folder")
    p.add_argument("name", choices=download.REMOTES, help="data set to download")
    p.add_argument("--to", type=Path, metavar="DIR", help="data folder to put it in (default: `data/` of the course)")
    p.add_argument(
        "--from",
        dest="mirror",
        metavar="URL",
        help="address of a mirror that has the same files (default: the publisher's)",
    )
    p = command(data, "status", status, "list the installed data, the missing data, and the folders to put it in")
    data_folder(p)
    p = command(
        data,
        "build-pretrained",
        build_pretrained,
        "train the pretrained learner of the lessons; one thread always gives the same result",
    )
    p.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default %(default)s)")
    p.add_argument("--steps", type=int, default=pretrained.CONFIG.steps, help="meta-steps (default %(default)s)")
    p.add_argument("--episodes", type=int, default=600, help="validation episodes (default %(default)s)")
    threads(p, 1)


def fetch(options: argparse.Namespace) -> None:
    download.fetch(download.REMOTES[options.name], options.to, options.mirror, say=print)
    if options.to:
        print(f"Use it with `--data {options.to}`, or set AMFS_LAB_DATA to that folder.")


def status(options: argparse.Namespace) -> None:
    for line in data_status.report(options.data):
        print(line)


def build_pretrained(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    config = dataclasses.replace(pretrained.CONFIG, steps=options.steps)
    with bar_of("step", config.steps) as bar:
        judged = pretrained.build(options.out, config, lambda progress: bar.update(), options.episodes, options.threads)
    print(f"{config.method}, {config.norm} norm, {config.steps} meta-steps -> {options.out / pretrained.FOLDER}")
    print(f"unseen scripts, {judged}")
