"""`amfs-lab reproduce`: figures and tables, measured anew."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from amfs_lab.backbones import PRECISIONS
from amfs_lab.cli.options import AUGMENT_HELP, command, common, set_threads, shape, threads, validation_suggested
from amfs_lab.config import METHODS
from amfs_lab.experiments import accuracy, conflict, figure2, intervals, precision
from amfs_lab.tasks import SOURCES, SPLITS, EpisodeConfig
from amfs_lab.tasks.augment import AUGMENTATIONS

FIGURE2, ACCURACY, CONFLICT = figure2.Figure2Config(), accuracy.AccuracyConfig(), conflict.ConflictConfig()
PRECISION = precision.PrecisionConfig()
SOURCE_HELP = "data set of the episodes"
SPLIT_HELP = "split of unseen classes that is measured on"
STEPS_HELP = "(default: as many as the seconds allow); with `--seconds`, whichever ends first"


def add_to(commands: Any) -> None:
    reproduce = commands.add_parser("reproduce", help="measure a figure or a table anew")
    results = reproduce.add_subparsers(required=True, metavar="WHAT")
    p = command(
        results,
        "figure2",
        reproduce_figure2,
        "accuracy against the number of inner steps: MAML's 0 to 10 beside the one solve of I-AMFS",
    )
    p.add_argument("--source", choices=SOURCES, default=FIGURE2.source, help=f"{SOURCE_HELP} (default %(default)s)")
    shape(p, FIGURE2.episode)
    p.add_argument(
        "--seconds",
        type=float,
        help=f"seconds of training for each method and seed (default {FIGURE2.seconds:g}, or no limit with `--steps`)",
    )
    p.add_argument("--steps", type=int, help=f"meta-steps of each method and seed {STEPS_HELP}")
    p.add_argument("--seeds", type=int, default=FIGURE2.seeds, help="trainings of each method (default %(default)s)")
    p.add_argument("--width", type=int, default=FIGURE2.width, help="filters of Conv-4 (default %(default)s)")
    p.add_argument(
        "--norm", default=FIGURE2.norm, help="normalisation: transductive, support or group (default %(default)s)"
    )
    p.add_argument("--augment", nargs="*", default=(), choices=AUGMENTATIONS, help=AUGMENT_HELP)
    threads(p, 1)
    p.add_argument("--split", choices=SPLITS[1:], default=FIGURE2.split, help=f"{SPLIT_HELP} (default %(default)s)")
    p.add_argument("--inner-lr", type=float, default=FIGURE2.maml.lr, help="inner rate of MAML (default %(default)s)")
    p.add_argument(
        "--lam", type=float, default=FIGURE2.i_amfs.lam, help="ridge strength of I-AMFS (default %(default)s)"
    )
    p.add_argument("--out", type=Path, help="folder of the result (default runs/figure2-SOURCE-NwKs)")
    common(p, "cpu")

    p = command(results, "accuracy", reproduce_accuracy, "accuracy of several methods after the same training time")
    p.add_argument("--source", choices=SOURCES, default=ACCURACY.source, help=f"{SOURCE_HELP} (default %(default)s)")
    p.add_argument("--split", choices=SPLITS[1:], default=ACCURACY.split, help=f"{SPLIT_HELP} (default %(default)s)")
    p.add_argument(
        "--methods",
        nargs="+",
        choices=accuracy.RECIPES,
        default=list(accuracy.RECIPES),
        help="which of them train, in turns (default all)",
    )
    p.add_argument(
        "--seconds",
        type=float,
        help=f"seconds of training for each method (default {ACCURACY.seconds:g}, or no limit with `--steps`)",
    )
    p.add_argument("--steps", type=int, help=f"meta-steps of each method {STEPS_HELP}")
    p.add_argument("--width", type=int, default=ACCURACY.width, help="filters of Conv-4 (default %(default)s)")
    p.add_argument(
        "--augment",
        nargs="*",
        choices=AUGMENTATIONS,
        help=f"what training does to its images; no word: nothing (default {' '.join(ACCURACY.augment)}, but nothing "
        "to glyphs)",
    )
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=ACCURACY.precision,
        help="number format of Conv-4 in all methods but MAML (default %(default)s)",
    )
    p.add_argument("--seed", type=int, default=ACCURACY.seed, help="of each training (default %(default)s)")
    threads(p)
    p.add_argument("--out", type=Path, help="folder of the result (default runs/accuracy-SOURCE)")
    common(p, "cpu")

    p = command(results, "conflict", reproduce_conflict, "where O-AMFS ends when tasks in the plane disagree")
    p.add_argument("--draws", type=int, default=CONFLICT.draws, help="draws of each setting (default %(default)s)")
    p.add_argument("--steps", type=int, default=CONFLICT.steps, help="steps of each walk (default %(default)s)")
    p.add_argument("--rate", type=float, default=CONFLICT.rate, help="length of the first step (default %(default)s)")
    p.add_argument("--seed", type=int, default=CONFLICT.seed, help="seed of the draws (default %(default)s)")
    threads(p)
    p.add_argument("--out", type=Path, help="folder of the result (default runs/conflict-planes)")

    p = command(results, "precision", reproduce_precision, "accuracy of methods trained in bfloat16, beside float32")
    p.add_argument("--source", choices=SOURCES, default=PRECISION.source, help=f"{SOURCE_HELP} (default %(default)s)")
    p.add_argument("--split", choices=SPLITS[1:], default=PRECISION.split, help=f"{SPLIT_HELP} (default %(default)s)")
    p.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=PRECISION.methods,
        help=f"methods to train (default {' '.join(PRECISION.methods)})",
    )
    p.add_argument(
        "--steps", type=int, default=PRECISION.meta_steps, help="meta-steps of each training (default %(default)s)"
    )
    p.add_argument(
        "--seeds",
        type=int,
        default=PRECISION.seeds,
        help="trainings of each method and precision (default %(default)s)",
    )
    p.add_argument("--width", type=int, default=PRECISION.width, help="filters of Conv-4 (default %(default)s)")
    threads(p)
    p.add_argument("--out", type=Path, help="folder of the result (default runs/precision-SOURCE)")
    common(p, "cpu")

    p = command(
        results,
        "intervals",
        reproduce_intervals,
        "coverage, false alarms and power of the rules of docs/statistics.md, in seconds",
    )
    threads(p)


def reproduce_figure2(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    config = figure2.Figure2Config(
        source=options.source,
        episode=EpisodeConfig(options.ways, options.shots, options.queries),
        **_budget(options, FIGURE2),
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


def reproduce_accuracy(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    usual = () if options.source == "glyphs" else ACCURACY.augment  # printed glyphs are not turned
    config = accuracy.AccuracyConfig(
        source=options.source,
        split=options.split,
        **_budget(options, ACCURACY),
        episodes=options.episodes,
        width=options.width,
        augment=usual if options.augment is None else tuple(options.augment),
        precision=options.precision,
        seed=options.seed,
        methods={method: accuracy.RECIPES[method] for method in options.methods},
    )
    folder = options.out or Path("runs") / f"accuracy-{config.source}"
    print(f"Accuracy of {', '.join(config.methods)} on {config.source}, {config.split} -> {folder}", flush=True)
    with validation_suggested(config.source, config.split):
        result = accuracy.run(config, options.data, options.device, lambda words: print(words, flush=True), folder)
    print(accuracy.table(result))


def reproduce_intervals(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    print(intervals.tables())


def reproduce_conflict(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    given = {name: getattr(options, name) for name in ("draws", "steps", "rate", "seed")}
    config, folder = conflict.ConflictConfig(**given), options.out or Path("runs") / "conflict-planes"
    print(f"Conflict in the plane, {config.draws} draws of each setting -> {folder}", flush=True)
    result = conflict.run(config, lambda words: print(words, flush=True), folder)
    print(conflict.table(result))


def reproduce_precision(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    config = precision.PrecisionConfig(
        source=options.source,
        split=options.split,
        methods=tuple(options.methods),
        seeds=options.seeds,
        meta_steps=options.steps,
        episodes=options.episodes,
        width=options.width,
    )
    folder = options.out or Path("runs") / f"precision-{config.source}"
    print(f"Precisions of {', '.join(config.methods)} on {config.source}, {config.split} -> {folder}", flush=True)
    with validation_suggested(config.source, config.split):
        result = precision.run(config, options.data, options.device, lambda words: print(words, flush=True), folder)
    print(precision.table(result))


def _budget(options: argparse.Namespace, default: Any) -> dict[str, Any]:
    """Seconds, meta-steps or both; what a reader gives replaces what is usual."""
    given = options.seconds is not None or options.steps is not None
    return {
        "seconds": options.seconds if given else default.seconds,
        "meta_steps": options.steps if options.steps is not None else default.meta_steps,
    }
