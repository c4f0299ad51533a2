"""`amfs-lab train`: meta-trains a method, saves it, and evaluates it on unseen classes."""

import argparse
import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amfs_lab.backbones import PRECISIONS
from amfs_lab.cli.options import (
    add_fields,
    add_inner,
    command,
    common,
    given,
    given_inner,
    inner_option,
    rank_timeout,
    set_threads,
    threads,
    validation_suggested,
)
from amfs_lab.cli.progress import Board, Screen, StepLog, all_of, show
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.devices import pick_batched, pick_device, pick_precision
from amfs_lab.distributed import Ranks, joined, restarted
from amfs_lab.errors import ConfigError, printable
from amfs_lab.evaluation import check_episodes, evaluate
from amfs_lab.learner import MetaLearner
from amfs_lab.methods import INNER_LOOPS, METHODS
from amfs_lab.plain import differences
from amfs_lab.provenance import data_name
from amfs_lab.runs import checkpoint
from amfs_lab.runs.folder import holds_checkpoint, holds_run, place
from amfs_lab.runs.saved import check_record, load_run
from amfs_lab.tasks import SPLITS, data_set, open_source
from amfs_lab.training import MetaTrainer

DEFAULTS = TrainingConfig()
OWN = ("method", "inner", "outer", "precision")  # fields whose options are defined in this module
LOG_FIELDS = """fields of a line that --log writes:
  method      name of the method
  step        meta-steps so far, from 1
  seconds     training time so far, without validation
  left        estimated seconds of training that remain
  loss        mean query loss of the tasks of this step
  accuracy    share of correct queries in these tasks, 0 to 1; null for real labels
  validation  null, or after a validation: mean accuracy and half_width of its interval, both 0 to 1 (half_width is null
              below 30 episodes), n (number of episodes), level of the interval, and of ("episodes")
  trajectory  null here; in Python, MetaTrainer(trajectory=...) gives position, cosine and weights of the step"""


def add_to(commands: Any) -> None:
    p = command(commands, "train", train, "meta-train a method, save it, and evaluate it on test episodes")
    p.epilog, p.formatter_class = LOG_FIELDS, argparse.RawDescriptionHelpFormatter
    p.add_argument("--method", choices=METHODS, default=DEFAULTS.method, help="method to train (default %(default)s)")
    batched = "compute all tasks of a meta-step at once (default: only on CUDA)"
    add_fields(p, TrainingConfig, OWN, {"meta_lr": "outer learning rate (default: the method's)", "batched": batched})
    add_inner(p, list(INNER_LOOPS.values()))
    p.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="number format of the backbone (default %(default)s: bfloat16 if the device has instructions for it, but "
        "always float32 for maml, fo-maml and o-amfs)",
    )
    p.add_argument(
        "--split",
        choices=SPLITS[1:],
        default="test",
        help="split of unseen classes for the evaluation after training (default %(default)s)",
    )
    p.add_argument("--out", type=Path, help="folder of the run (default runs/METHOD-NwKs-SEED)")
    p.add_argument("--resume", action="store_true", help="resume from the checkpoint in that folder, if there is one")
    p.add_argument(
        "--save-every",
        type=int,
        default=100,
        metavar="STEPS",
        help="meta-steps between checkpoints (default %(default)s)",
    )
    p.add_argument(
        "--report-every",
        type=int,
        default=50,
        metavar="STEPS",
        help="meta-steps between printed lines, when stdout is not a terminal (default %(default)s)",
    )
    p.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="write one line of JSON for each meta-step to this file; the fields are listed below (default: no file)",
    )
    p.add_argument(
        "--tensorboard",
        type=Path,
        metavar="FOLDER",
        help="write events for TensorBoard to this folder; needs the extra `tensorboard` (default: none)",
    )
    common(p)
    threads(p)
    rank_timeout(p)


def config_of(options: argparse.Namespace) -> TrainingConfig:
    """The configuration that the options describe.

    Raises ConfigError if an option belongs to an inner loop that the method does not use.
    """
    inner: Any = METHODS[options.method].inner
    names = {option for kind in INNER_LOOPS.values() for option in given_inner_options(options, kind)}
    if foreign := sorted(names - given_inner_options(options, type(inner))):
        raise ConfigError(f"{options.method} has no setting {', '.join(foreign)}. Leave this option out.")
    if settings := given_inner(options, type(inner)):
        inner = dataclasses.replace(inner, **settings)
    device, settings = pick_device(options.device), given(options, TrainingConfig, OWN)
    settings["precision"] = pick_precision(options.precision, inner, device)
    settings["batched"] = pick_batched(options.batched, settings.get("streamed", False), device)
    return preset(options.method, inner=inner, **settings)


def given_inner_options(options: argparse.Namespace, kind: type) -> set[str]:
    return {inner_option(name) for name in given_inner(options, kind)}


def train(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    with joined(pick_device(options.device), options.rank_timeout) as ranks:
        _train(options, ranks)


def _train(options: argparse.Namespace, ranks: Ranks) -> None:
    with ranks.together():
        config = config_of(options)
        check_episodes(options.episodes)
        if options.report_every < 1:
            raise ConfigError(f"`--report-every` must be >= 1. Got {options.report_every}.")
        shape, resume = config.episode, options.resume or restarted()
        folder = place(options.out or f"runs/{config.method}-{shape.ways}w{shape.shots}s-{config.seed}")
        learner: MetaLearner | None = None
        if resume and holds_run(folder):
            learner, earlier = _earlier(folder, options.device)
            if options.precision == "auto":  # the run may come from another machine
                config = dataclasses.replace(config, precision=earlier.precision)
            if options.batched is None:
                config = dataclasses.replace(config, batched=earlier.batched and not config.streamed)
            if learner is not None and (differ := differences(earlier.to_dict(), config.to_dict())):
                raise ConfigError(f"The run in {folder} has other settings: {', '.join(differ)}. Use its settings.")
        with validation_suggested(config.source, options.split):  # raises before training, not after it
            tested_on = open_source(config.source, options.split, config.episode, options.data)
    saved_in: Path | None = folder
    try:
        with terminated():
            if learner is None:
                learner, saved_in = _trained(options, config, folder, resume, ranks)
            else:
                print(f"the run in {folder} is complete: evaluating its learner", flush=True)
            tested = evaluate(learner, tested_on, options.episodes, ranks=ranks)
    except KeyboardInterrupt as stop:
        kept = "before the first step, so there is nothing to save"
        if holds_run(folder):
            kept = f"the learner so far is in {folder}"
        if holds_checkpoint(folder):
            kept += "; the same command with --resume continues from there"
        elif holds_run(folder):
            kept = f"training had already ended. Evaluate it: amfs-lab evaluate {folder} --split {options.split}"
        if ranks.rank == 0:
            print(f"amfs-lab: stopped, {kept}.", file=sys.stderr)
        raise SystemExit(143 if isinstance(stop, Terminated) else 130) from None
    print(f"{data_set(config.source).unseen}, {tested}")
    if saved_in != folder:
        raise ConfigError(f"The learner could not be written to {folder}. See the warning above.")


def _earlier(folder: Path, device: str) -> tuple[MetaLearner | None, TrainingConfig]:
    """The learner and the settings of the run in `folder`. The learner is None unless the run is complete."""
    if not holds_checkpoint(folder):
        return load_run(folder, device)[:2]
    found = checkpoint.load(folder)
    return None, TrainingConfig.from_dict(check_record(found.path, found.record)["config"])


def _trained(
    options: argparse.Namespace, config: TrainingConfig, folder: Path, resume: bool, ranks: Ranks
) -> tuple[MetaLearner, Path | None]:
    """Completes the training run. Returns the learner and the folder of the saved learner.

    The folder is None if the learner was not saved.
    """
    trainer = MetaTrainer(
        config, folder, options.data, options.device, resume=resume, save_every=options.save_every, ranks=ranks
    )
    settings = f"{config.method}, {config.episode}, {config.norm} norm, {config.precision}"
    classes = trainer.folder.provenance["data"]["train"]["classes"]
    processes = f", {ranks.size} processes" if ranks.size > 1 else ""
    what = f"{settings}, {classes} training classes of {data_name(trainer.train)}{processes}"
    print(f"{what} -> {folder}", flush=True)
    resumed = trainer.folder.checkpoint
    for damage in resumed.damaged if resumed and ranks.rank == 0 else ():
        print(f"amfs-lab: {printable(damage)}; the previous checkpoint is used.", file=sys.stderr)
    if trainer.done:
        print(f"continuing after step {trainer.done}", flush=True)
    elif resume and resumed is None:
        print(f"no checkpoint in {folder}: starting a new run", flush=True)
    _watch(trainer, config, options)
    return trainer.learner, trainer.saved_in


class Terminated(KeyboardInterrupt):
    """The signal SIGTERM. A system sends it before a shutdown, and a scheduler sends it before the end of a job."""


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """A context in which SIGTERM stops the block in the same way as Ctrl-C."""

    def stop(number: int, frame: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(trainer: MetaTrainer, config: TrainingConfig, options: argparse.Namespace) -> None:
    """Completes the training run. Each step is reported to the screen, the log file and TensorBoard."""
    with contextlib.closing(trainer.run()) as run:  # locks the folder before any file is opened
        if trainer.ranks.rank > 0:  # rank 0 reports
            for _ in run:
                pass
            return
        screen = Screen(config.steps, options.report_every, trainer.done, data_name(trainer.validation))
        log = StepLog(options.log, trainer.done) if options.log else None
        board = Board(options.tensorboard, trainer.done) if options.tensorboard else None
        with all_of(screen, log, board) as watchers:
            for progress in run:
                show(watchers, progress)
