"""`amfs-lab reproduce`: a figure of the paper, measured anew."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import torch

from amfs_lab.cli.options import command, common, validation_suggested
from amfs_lab.errors import ConfigError
from amfs_lab.experiments import figure2
from amfs_lab.tasks import SOURCES, SPLITS, EpisodeConfig
from amfs_lab.tasks.augment import AUGMENTATIONS

FIGURE2 = figure2.Figure2Config()


def add_to(commands: Any) -> None:
    reproduce = commands.add_parser("reproduce", help="measure a figure of the paper anew")
    p = command(
        reproduce.add_subparsers(required=True, metavar="WHAT"),
        "figure2",
        reproduce_figure2,
        "accuracy against the number of inner steps: MAML's 0 to 10 beside the one solve of I-AMFS",
    )
    p.add_argument("--source", choices=SOURCES, default=FIGURE2.source, help="where episodes come from (%(default)s)")
    p.add_argument("--ways", type=int, default=FIGURE2.episode.ways, metavar="N")
    p.add_argument("--shots", type=int, default=FIGURE2.episode.shots, metavar="K")
    p.add_argument("--queries", type=int, default=FIGURE2.episode.queries, metavar="Q")
    p.add_argument("--seconds", type=float, help=f"training of each method and seed (default {FIGURE2.seconds:g})")
    p.add_argument("--steps", type=int, help="meta-steps of each method and seed, instead or as well")
    p.add_argument("--seeds", type=int, default=FIGURE2.seeds, help="trainings of each method (default %(default)s)")
    p.add_argument("--width", type=int, default=FIGURE2.width, help="filters of Conv-4 (default %(default)s)")
    p.add_argument("--norm", default=FIGURE2.norm, help="transductive, support or group (default %(default)s)")
    p.add_argument("--augment", nargs="*", default=(), choices=AUGMENTATIONS, help="what training does to its images")
    p.add_argument("--threads", type=int, default=1, help="of torch, 0 for its own choice (default %(default)s)")
    p.add_argument("--split", choices=SPLITS[1:], default=FIGURE2.split, help="of unseen classes (%(default)s)")
    p.add_argument("--inner-lr", type=float, default=FIGURE2.maml.lr, help="inner rate of MAML (%(default)s)")
    p.add_argument("--lam", type=float, default=FIGURE2.i_amfs.lam, help="ridge strength of I-AMFS (%(default)s)")
    p.add_argument("--out", type=Path, help="folder of the result (default runs/figure2-SOURCE-NwKs)")
    common(p, device="cpu")


def reproduce_figure2(options: argparse.Namespace) -> None:
    if options.threads < 0:
        raise ConfigError(f"`threads` must be >= 1, or 0 for torch's own choice. Got {options.threads}.")
    if options.threads:
        torch.set_num_threads(options.threads)
    config = figure2.Figure2Config(
        source=options.source,
        episode=EpisodeConfig(options.ways, options.shots, options.queries),
        seconds=options.seconds if options.seconds is not None or options.steps is not None else FIGURE2.seconds,
        meta_steps=options.steps if options.steps is not None else FIGURE2.meta_steps,
        episodes=options.episodes,
        seeds=options.seeds,
        width=options.width,
        norm=options.norm,
        augment=tuple(options.augment),
        split=options.split,
        maml=dataclasses.replace(FIGURE2.maml, lr=options.inner_lr),
        i_amfs=dataclasses.replace(FIGURE2.i_amfs, lam=options.lam),
    )
    folder = options.out or Path("runs") / f"figure2-{config.source}-{config.episode.ways}w{config.episode.shots}s"
    print(f"Figure 2 on {config.source}, {config.split}, {config.episode}, {config.norm} norm -> {folder}", flush=True)
    with validation_suggested(config.source, config.split):
        result = figure2.run(config, options.data, options.device, lambda words: print(words, flush=True), folder)
    by_method = figure2.curves(result)
    for k in range(config.most + 1):
        maml = by_method["maml"]
        print(f"MAML, {k:2d} inner steps: {maml.interval(k).percent()}, {maml.milliseconds(k):.1f} ms a task")
    solve = by_method["i-amfs"]
    print(f"I-AMFS, one solve:    {solve.interval(0).percent()}, {solve.milliseconds(0):.1f} ms a task")
