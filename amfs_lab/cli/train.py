"""`amfs-lab train`, `amfs-lab evaluate` and `amfs-lab replay`."""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amfs_lab.backbones import FLOAT32, PRECISIONS
from amfs_lab.cli.options import (
    AUGMENT_HELP,
    command,
    common,
    data_folder,
    device,
    set_threads,
    shape,
    threads,
    validation_suggested,
)
from amfs_lab.cli.progress import Board, Screen, StepLog, all_of, show
from amfs_lab.cli.report import (
    PICTURES,
    ROWS,
    check_ending,
    confusion_table,
    draw_confusion,
    evaluation_record,
    groups_line,
    plotting,
    write_rows,
)
from amfs_lab.config import KERNELS, METHODS, SCHEDULES, FunctionSpaceConfig, MamlConfig, TrainingConfig, preset
from amfs_lab.devices import pick_device, pick_precision
from amfs_lab.errors import ConfigError, printable
from amfs_lab.evaluation import check_episodes, evaluate
from amfs_lab.prediction.confusion import Confusion, query_results
from amfs_lab.provenance import data_name, told
from amfs_lab.runs import checkpoint
from amfs_lab.runs.folder import holds_checkpoint, holds_run, place
from amfs_lab.runs.replay import replay
from amfs_lab.runs.saved import check_record, load_run, run_data
from amfs_lab.tasks import SOURCES, SPLITS, UNSEEN, EpisodeConfig, open_source
from amfs_lab.tasks.augment import AUGMENTATIONS
from amfs_lab.training import MetaTrainer

DEFAULTS = TrainingConfig()
LOG_FIELDS = """fields of a line that --log writes:
  method      name of the method
  step        meta-steps so far, from 1
  seconds     training time so far, without validation
  left        seconds of training to come, at the speed so far
  loss        mean query loss of the tasks of this step
  accuracy    share of their queries that were right, 0 to 1; null for real labels
  validation  null, or after a validation: mean accuracy and half_width of its interval, both 0 to 1 (half_width is null
              below 30 episodes), n episodes, the level of the interval, and what it is over ("episodes")
  trajectory  null; in Python, with MetaTrainer(trajectory=...): position, cosine and weights of the step"""


def add_to(commands: Any) -> None:
    p = command(commands, "train", train, "meta-train a method, save it, and evaluate it on test episodes")
    p.epilog, p.formatter_class = LOG_FIELDS, argparse.RawDescriptionHelpFormatter
    p.add_argument("--method", choices=METHODS, default=DEFAULTS.method, help="what to train (default %(default)s)")
    p.add_argument(
        "--source", choices=SOURCES, default=DEFAULTS.source, help="data set of the episodes (default %(default)s)"
    )
    shape(p, DEFAULTS.episode)
    p.add_argument("--steps", type=int, default=DEFAULTS.steps, help="meta-steps (default %(default)s)")
    p.add_argument("--seconds", type=float, help="stop after so many seconds of training (default: no limit)")
    p.add_argument("--tasks", type=int, default=DEFAULTS.tasks, help="episodes in a meta-step (default %(default)s)")
    p.add_argument("--batched", action="store_true", help="all tasks of a meta-step at once: faster only on a GPU")
    p.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        default="auto",
        help="number format of Conv-4 (default %(default)s: bfloat16 where the device has instructions for it, but "
        "float32 for maml, fo-maml and o-amfs)",
    )
    p.add_argument("--width", type=int, default=DEFAULTS.width, help="filters of Conv-4 (default %(default)s)")
    p.add_argument(
        "--norm", default=DEFAULTS.norm, help="normalisation: transductive, support or group (default %(default)s)"
    )
    p.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default=DEFAULTS.schedule,
        help="of the outer learning rate (default %(default)s)",
    )
    p.add_argument("--augment", nargs="*", default=(), choices=AUGMENTATIONS, help=AUGMENT_HELP)
    p.add_argument("--meta-lr", type=float, help="outer learning rate (default: the method's)")
    p.add_argument(
        "--validate-every",
        type=int,
        default=DEFAULTS.validate_every,
        metavar="STEPS",
        help="meta-steps between validations; 0: none (default %(default)s)",
    )
    p.add_argument(
        "--seed", type=int, default=DEFAULTS.seed, help="of the first weights and the episodes (default %(default)s)"
    )
    p.add_argument(
        "--split",
        choices=SPLITS[1:],
        default="test",
        help="split of unseen classes that the result is measured on (default %(default)s)",
    )
    p.add_argument("--out", type=Path, help="folder of the run (default runs/METHOD-NwKs-SEED)")
    p.add_argument("--resume", action="store_true", help="go on with what was left in that folder, if anything was")
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
        help="meta-steps between lines, where there is no terminal for a bar (default %(default)s)",
    )
    p.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="write one line of JSON a meta-step to this file; its fields are explained below (default: no file)",
    )
    p.add_argument(
        "--tensorboard",
        type=Path,
        metavar="FOLDER",
        help="write events for TensorBoard to this folder; needs the extra `tensorboard` (default: none)",
    )
    function_space, maml = FunctionSpaceConfig(), MamlConfig()
    p.add_argument("--kernel", choices=KERNELS, help=f"of i-amfs and amfs (default {function_space.kernel})")
    p.add_argument("--lam", type=float, help=f"ridge strength of i-amfs and amfs (default {function_space.lam})")
    p.add_argument("--mu", type=float, help=f"weight of the gradient-norm term (default {function_space.mu})")
    p.add_argument("--gamma", type=float, help=f"weight of the information term (default {function_space.gamma})")
    p.add_argument(
        "--bandwidth",
        type=float,
        help="where the bandwidth starts, in units of feature distance (default: the median distance)",
    )
    p.add_argument("--inner-lr", type=float, help=f"inner learning rate of maml (default {maml.lr})")
    p.add_argument("--inner-steps", type=int, help=f"inner steps of maml (default {maml.steps})")
    common(p)
    threads(p)

    p = command(commands, "evaluate", evaluate_run, "accuracy of a saved run on episodes of a split")
    p.add_argument("run", type=Path, help="folder of a run")
    p.add_argument("--source", choices=SOURCES, help="data set of the episodes (default: as in training)")
    p.add_argument("--split", choices=SPLITS, default="test", help="split of the data set (default %(default)s)")
    shape(p)
    p.add_argument("--norm", help="transductive or support, of a run with one of them (default: as in training)")
    p.add_argument("--precision", choices=PRECISIONS, help="number format of Conv-4 (default: as in training)")
    p.add_argument("--json", action="store_true", help="print one JSON object, and nothing else (default: lines)")
    p.add_argument(
        "--confusion",
        nargs="?",
        const="",
        metavar="FILE",
        help="also print which class is taken for which; with a file that ends in .png, .svg or .pdf, draw it too "
        "(default: neither)",
    )
    p.add_argument(
        "--per-query",
        type=Path,
        metavar="FILE",
        help="write one row a query to this .csv or .jsonl file: episode, query, true, predicted, correct (0 or 1) and "
        "probability of the predicted class, 0 to 1 (default: no file)",
    )
    common(p)
    threads(p)

    p = command(
        commands, "replay", replay_failed, "go once more through an episode of a run that failed or was stopped"
    )
    p.add_argument("run", type=Path, help="folder of a run that did not end")
    p.add_argument("--episode", type=int, metavar="INDEX", help="episode to go through (default: the one that failed)")
    data_folder(p)
    device(p)
    threads(p)


def train(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    config = config_of(options)
    check_episodes(options.episodes)
    if options.report_every < 1:
        raise ConfigError(f"`--report-every` must be >= 1. Got {options.report_every}.")
    shape = config.episode
    folder = place(options.out or f"runs/{config.method}-{shape.ways}w{shape.shots}s-{config.seed}")
    if options.resume and options.precision == "auto" and holds_checkpoint(folder):  # perhaps of another machine
        found = checkpoint.load(folder)
        left = check_record(found.path, found.record)["config"]
        config = dataclasses.replace(config, precision=left.get("precision", FLOAT32))
    with validation_suggested(config.source, options.split):  # fails now rather than after training
        tested_on = open_source(config.source, options.split, config.episode, options.data)
    trainer = MetaTrainer(
        config, folder, options.data, options.device, resume=options.resume, save_every=options.save_every
    )
    settings = f"{config.method}, {shape}, {config.norm} norm, {config.precision}"
    classes = trainer.folder.provenance["data"]["train"]["classes"]
    what = f"{settings}, {classes} training classes of {data_name(trainer.train)}"
    print(f"{what} -> {folder}", flush=True)
    resumed = trainer.folder.checkpoint
    for damage in resumed.damaged if resumed else ():
        print(f"amfs-lab: {printable(damage)}; the checkpoint before it is used.", file=sys.stderr)
    if trainer.done:
        print(f"going on after step {trainer.done}", flush=True)
    elif options.resume and resumed is None:
        print(f"no run in {folder} to go on with: a new one begins", flush=True)
    try:
        with terminated():
            _watch(trainer, config, options)
            tested = evaluate(trainer.learner, tested_on, options.episodes)
    except KeyboardInterrupt as stop:
        kept = "before the first step: nothing to keep"
        if holds_run(folder):
            kept = f"what was learned so far is in {folder}"
        if holds_checkpoint(folder):
            kept += "; the same command with --resume goes on from there"
        elif holds_run(folder):
            kept = f"training had ended: amfs-lab evaluate {folder} --split {options.split}"
        print(f"amfs-lab: stopped, {kept}.", file=sys.stderr)
        raise SystemExit(143 if isinstance(stop, Terminated) else 130) from None
    print(f"{UNSEEN[config.source]}, {tested}" if config.source in UNSEEN else tested)
    if trainer.saved_in != folder:
        raise ConfigError(f"The learner is not in {folder}, which could not be written. See the warning above.")


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a system sends before it takes the machine away."""


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """Makes SIGTERM stop the block as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(trainer: MetaTrainer, config: TrainingConfig, options: argparse.Namespace) -> None:
    """Trains to the end, and shows each step to all who were asked for."""
    with contextlib.closing(trainer.run()) as run:  # holds the folder before any file is opened
        screen = Screen(config.steps, options.report_every, trainer.done, data_name(trainer.validation))
        log = StepLog(options.log, trainer.done) if options.log else None
        board = Board(options.tensorboard, trainer.done) if options.tensorboard else None
        with all_of(screen, log, board) as watchers:
            for progress in run:
                show(watchers, progress)


def replay_failed(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    for each in replay(options.run, options.episode, options.data, options.device):
        print(each)


def evaluate_run(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    if options.per_query is not None:
        check_ending(options.per_query, ROWS, "--per-query")
    if options.confusion:
        check_ending(Path(options.confusion), PICTURES, "--confusion")
        plotting("--confusion")
    learner, config, progress = load_run(options.run, options.device, options.norm, precision=options.precision)
    asked = {name: getattr(options, name) for name in ("ways", "shots", "queries")}
    chosen = {name: value for name, value in asked.items() if value is not None}
    episode = dataclasses.replace(config.episode, **chosen)
    check_episodes(options.episodes)
    trained_on = run_data(options.run) or {}
    if trained_on.get("own") and options.source is None:
        raise ConfigError(
            f"The run in {options.run} was trained on data of your own ({told(trained_on)}), which this command does "
            "not have. Evaluate it in Python, evaluation.evaluate(runs.load_learner(run)[0], source), or on data "
            "of the kit: --source glyphs."
        )
    name = options.source or config.source
    source = open_source(name, options.split, episode, options.data)
    settings = f"{config.method}, {config.norm} norm, {config.precision}"
    on = told(trained_on) if trained_on else config.source
    trained = f"{settings}, {progress.step} of {config.steps} meta-steps on {on}"
    result = evaluate(learner, source, options.episodes)
    answers, told_apart = [], None
    if options.per_query is not None or options.confusion is not None:
        answers = list(query_results(result.scores, result.labels, source.classes_of, result.first))
    if options.per_query is not None:
        write_rows(options.per_query, answers)
    if options.confusion is not None:
        told_apart = Confusion.of(answers)
    if told_apart is not None and options.confusion:
        draw_confusion(Path(options.confusion), told_apart)
    if options.json:
        run = {
            "run": str(options.run),
            "config": config.to_dict(),
            "steps": progress.step,
            "trained_on": trained_on or {"name": on},
        }
        print(json.dumps(run | evaluation_record(result, told_apart), indent=2, allow_nan=False))
        return
    print(f"{trained}: {result}")
    if line := groups_line(result):
        print(line)
    for line in confusion_table(told_apart) if told_apart is not None else ():
        print(line)


def config_of(options: argparse.Namespace) -> TrainingConfig:
    inner = METHODS[options.method]["inner"]
    own = {f.name for f in dataclasses.fields(inner)}
    given = {
        name: value
        for name in ("kernel", "lam", "mu", "gamma", "bandwidth", "inner_lr", "inner_steps")
        if (value := getattr(options, name)) is not None
    }
    settings = {name.removeprefix("inner_"): value for name, value in given.items()}
    if foreign := sorted(name for name in given if name.removeprefix("inner_") not in own):
        raise ConfigError(f"{options.method} has no setting {', '.join(foreign)}. Leave out what you gave for it.")
    fields = (
        *("steps", "seconds", "tasks", "width", "norm"),
        *("meta_lr", "validate_every", "seed", "source", "schedule"),
    )
    chosen = {name: value for name in fields if (value := getattr(options, name)) is not None}
    return preset(
        options.method,
        inner=dataclasses.replace(inner, **settings),
        episode=EpisodeConfig(options.ways, options.shots, options.queries),
        augment=tuple(options.augment),
        precision=pick_precision(options.precision, inner, pick_device(options.device)),
        batched=options.batched,
        **chosen,
    )
