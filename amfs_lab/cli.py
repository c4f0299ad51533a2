"""The command line: `amfs-lab train`, `evaluate`, `reproduce`, `data`, `bench`."""

import argparse
import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from amfs_lab import __version__, checkpoint, reader
from amfs_lab.config import KERNELS, METHODS, SCHEDULES, FunctionSpaceConfig, MamlConfig, TrainingConfig, preset
from amfs_lab.errors import AmfsError, ConfigError, DataError
from amfs_lab.evaluation import check_episodes, evaluate
from amfs_lab.experiments import figure2
from amfs_lab.tasks import SOURCES, SPLITS, EpisodeConfig, EpisodeSource, download, glyphs, inventory, open_source
from amfs_lab.tasks.augment import AUGMENTATIONS
from amfs_lab.training import MetaTrainer, load_run

DEFAULTS, FIGURE2 = TrainingConfig(), figure2.Figure2Config()
UNSEEN = {  # what no training episode has
    "glyphs": "unseen scripts",
    "omniglot": "unseen alphabets",
    "omniglot-random-classes": "unseen characters, also of seen alphabets",
}
FONTS = Path("/usr/share/fonts/truetype/noto")  # where Debian puts fonts-noto-core and fonts-noto-extra


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 when it did what it was asked, 2 with one sentence on stderr when it could not."""
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _remark
            options.command(options)
    except AmfsError as error:
        print(f"amfs-lab: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        print(f"amfs-lab: The system refused{place}: {error.strerror}. Mend that, and run it again.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("amfs-lab: stopped.", file=sys.stderr)
        return 130
    return 0


def _remark(message: Warning | str, *_) -> None:
    """A warning as a sentence of ours, without the place in the code that a reader of the library is shown."""
    print(f"amfs-lab: {message}", file=sys.stderr)


def train(options: argparse.Namespace) -> None:
    config = _config(options)
    check_episodes(options.episodes)
    shape = config.episode
    folder = options.out or Path("runs") / f"{config.method}-{shape.ways}w{shape.shots}s-{config.seed}"
    tested_on = _tested_on(config, options)  # fails now rather than after training
    trainer = MetaTrainer(config, folder, options.data, options.device)
    what = f"{config.method}, {shape}, {config.norm} norm, {trainer.train.classes} training classes"
    print(f"{what} -> {folder}", flush=True)
    try:
        _watch(trainer, config)
        tested = evaluate(trainer.learner, tested_on, options.episodes)
    except KeyboardInterrupt:
        kept = (
            f"what was learned so far is in {folder}"
            if checkpoint.holds_run(folder)
            else "before the first step: nothing to keep"
        )
        print(f"amfs-lab: stopped, {kept}.", file=sys.stderr)
        raise SystemExit(130) from None
    print(f"{options.split}, {UNSEEN[config.source]}, {tested}")


def _tested_on(config: TrainingConfig, options: argparse.Namespace) -> EpisodeSource:
    try:
        return open_source(config.source, options.split, config.episode, options.data)
    except DataError as error:
        if (config.source, options.split) != ("omniglot", "test"):
            raise
        raise DataError(f"{error} Or train with `--split validation`, which needs the background set alone.") from error


def _watch(trainer: MetaTrainer, config: TrainingConfig) -> None:
    """Trains to the end, with a bar on a terminal and a line for every validation."""
    with _bar("step", config.steps) as bar, contextlib.closing(trainer.run()) as run:
        for progress in run:
            bar.update()
            bar.set_postfix_str(f"loss {progress.loss:.3f}, accuracy {progress.accuracy:.1%}")
            if progress.validation is not None:
                line = f"step {progress.step:5d}  {progress.seconds:6.1f} s  loss {progress.loss:.3f}"
                tqdm.write(f"{line}  validation {progress.validation.percent()}", file=sys.stdout)
                sys.stdout.flush()


def evaluate_run(options: argparse.Namespace) -> None:
    learner, config, progress = load_run(options.run, options.device)
    asked = {name: getattr(options, name) for name in ("ways", "shots", "queries")}
    chosen = {name: value for name, value in asked.items() if value is not None}
    episode = dataclasses.replace(config.episode, **chosen)
    source = open_source(config.source, options.split, episode, options.data)
    check_episodes(options.episodes)
    trained = f"{config.method}, {config.norm} norm, {progress.step} of {config.steps} meta-steps"
    print(f"{trained}, {options.split}, {evaluate(learner, source, options.episodes)}")


def fetch(options: argparse.Namespace) -> None:
    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def progress(name: str, done: int, total: int | None) -> None:
            bar.set_description(name, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        def say(line: str) -> None:
            bar.write(line, file=sys.stdout)
            sys.stdout.flush()

        try:
            download.fetch(download.REMOTES[options.name], options.to, options.mirror, progress, say)
        except KeyboardInterrupt:
            bar.close()
            print(f"amfs-lab: stopped. {download.KEPT}", file=sys.stderr)
            raise SystemExit(130) from None
    if options.to:
        print(f"Use it with `--data {options.to}`, or set AMFS_LAB_DATA to that folder.")


def status(options: argparse.Namespace) -> None:
    for line in inventory.report(options.data):
        print(line)


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
    )
    folder = options.out or Path("runs") / f"figure2-{config.source}-{config.episode.ways}w{config.episode.shots}s"
    print(f"Figure 2 on {config.source}, {config.episode}, {config.norm} norm -> {folder}", flush=True)
    result = figure2.run(config, options.data, options.device, lambda words: print(words, flush=True), folder)
    by_method = figure2.curves(result)
    for k in range(config.most + 1):
        maml = by_method["maml"]
        print(f"MAML, {k:2d} inner steps: {maml.interval(k).percent()}, {maml.milliseconds(k):.1f} ms a task")
    solve = by_method["i-amfs"]
    print(f"I-AMFS, one solve:    {solve.interval(0).percent()}, {solve.milliseconds(0):.1f} ms a task")


def build_glyphs(options: argparse.Namespace) -> None:
    try:
        from amfs_lab.tasks import glyph_builder
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Drawing needs the extra `data`. Got no {error.name}: pip install 'amfs-lab[data]'."
        ) from error
    with _bar("letter") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total or None
            bar.set_description(what)
            bar.update(done - bar.n)

        data = glyph_builder.build(options.out, options.fonts, progress)
    print(f"{len(data.images)} letters of {len(set(data.scripts))} scripts in {options.out}")
    if glyphs.images_sha256(data.images.numpy()) != glyphs.IMAGES_SHA256:
        print("These fonts or libraries draw other images than amfs_lab was tested with, so it refuses the file.")
        print("`GLYPHS.md` beside it names the versions that drew it; the shipped card names the tested ones.")


def build_reader(options: argparse.Namespace) -> None:
    config = dataclasses.replace(reader.CONFIG, steps=options.steps)
    with _bar("step", config.steps) as bar:
        judged = reader.build(options.out, config, lambda progress: bar.update(), options.episodes)
    print(f"{config.method}, {config.norm} norm, {config.steps} meta-steps -> {options.out / reader.FOLDER}")
    print(f"validation, unseen scripts, {judged}")


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


def _bar(unit: str, total: int | None = None) -> tqdm:
    """A progress bar on a terminal, nothing elsewhere."""
    return tqdm(total=total, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True)


def _config(options: argparse.Namespace) -> TrainingConfig:
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
    fields = ("steps", "seconds", "tasks", "width", "norm", "meta_lr", "validate_every", "seed", "source", "schedule")
    chosen = {name: value for name in fields if (value := getattr(options, name)) is not None}
    return preset(
        options.method,
        inner=dataclasses.replace(inner, **settings),
        episode=EpisodeConfig(options.ways, options.shots, options.queries),
        augment=tuple(options.augment),
        **chosen,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("amfs-lab", description="Few-shot meta-learning in function space.")
    parser.add_argument("--version", action="version", version=f"amfs-lab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shape = DEFAULTS.episode

    p = _command(commands, "train", train, "meta-train a method, save it, and evaluate it on test episodes")
    p.add_argument("--method", choices=METHODS, default=DEFAULTS.method)
    p.add_argument("--source", choices=SOURCES, default=DEFAULTS.source, help="where episodes come from (%(default)s)")
    p.add_argument("--ways", type=int, default=shape.ways, metavar="N")
    p.add_argument("--shots", type=int, default=shape.shots, metavar="K")
    p.add_argument("--queries", type=int, default=shape.queries, metavar="Q")
    p.add_argument("--steps", type=int, default=DEFAULTS.steps, help="meta-steps (default %(default)s)")
    p.add_argument("--seconds", type=float, help="stop after this much training time")
    p.add_argument("--tasks", type=int, default=DEFAULTS.tasks, help="episodes in a meta-step (default %(default)s)")
    p.add_argument("--width", type=int, default=DEFAULTS.width, help="filters of Conv-4 (default %(default)s)")
    p.add_argument("--norm", default=DEFAULTS.norm, help="transductive, support or group (default %(default)s)")
    p.add_argument("--schedule", choices=SCHEDULES, default=DEFAULTS.schedule, help="of the outer rate (%(default)s)")
    p.add_argument("--augment", nargs="*", default=(), choices=AUGMENTATIONS, help="what training does to its images")
    p.add_argument("--meta-lr", type=float, help="outer rate (default: the method's)")
    p.add_argument("--validate-every", type=int, default=DEFAULTS.validate_every, metavar="STEPS")
    p.add_argument("--seed", type=int, default=DEFAULTS.seed)
    p.add_argument("--split", choices=SPLITS[1:], default="test", help="what the result is measured on (%(default)s)")
    p.add_argument("--out", type=Path, help="folder of the run (default runs/METHOD-NwKs-SEED)")
    function_space, maml = FunctionSpaceConfig(), MamlConfig()
    p.add_argument("--kernel", choices=KERNELS, help=f"of i-amfs and amfs (default {function_space.kernel})")
    p.add_argument("--lam", type=float, help=f"ridge strength of i-amfs and amfs (default {function_space.lam})")
    p.add_argument("--mu", type=float, help=f"weight of the gradient-norm term (default {function_space.mu})")
    p.add_argument("--gamma", type=float, help=f"weight of the information term (default {function_space.gamma})")
    p.add_argument("--bandwidth", type=float, help="where the bandwidth starts (default: median distance)")
    p.add_argument("--inner-lr", type=float, help=f"inner rate of maml (default {maml.lr})")
    p.add_argument("--inner-steps", type=int, help=f"inner steps of maml (default {maml.steps})")
    _common(p)

    p = _command(commands, "evaluate", evaluate_run, "accuracy of a saved run on episodes of a split")
    p.add_argument("run", type=Path, help="folder of a run")
    p.add_argument("--split", choices=SPLITS, default="test")
    for name in ("ways", "shots", "queries"):
        p.add_argument(f"--{name}", type=int, help="default: as in training")
    _common(p)

    reproduce = commands.add_parser("reproduce", help="measure a figure of the paper anew")
    p = _command(
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
    p.add_argument("--out", type=Path, help="folder of the result (default runs/figure2-SOURCE-NwKs)")
    _common(p, device="cpu")

    data = commands.add_parser("data", help="fetch, make or check data").add_subparsers(required=True, metavar="WHAT")
    p = _command(data, "fetch", fetch, "download a data set: resumed where it broke off, checked, moved in whole")
    p.add_argument("name", choices=download.REMOTES)
    p.add_argument("--to", type=Path, metavar="DIR", help="data folder to put it in (default: `data/` of the course)")
    p.add_argument("--from", dest="mirror", metavar="URL", help="address of a mirror that has the same files")
    p = _command(data, "status", status, "say what is there, what is missing, and where it belongs")
    p.add_argument("--data", type=Path, help="folder to look for data in first")
    p = _command(data, "build-glyphs", build_glyphs, "render the glyphs from the fonts of this machine")
    p.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default %(default)s)")
    p.add_argument("--fonts", type=Path, default=FONTS, help="folder of the Noto fonts (default %(default)s)")

    p = _command(data, "build-reader", build_reader, "train the small reader that lessons draw for, on one thread")
    p.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default %(default)s)")
    p.add_argument("--steps", type=int, default=reader.CONFIG.steps, help="meta-steps (default %(default)s)")
    p.add_argument("--episodes", type=int, default=600, help="validation episodes (default %(default)s)")

    p = _command(commands, "bench", bench, "time a meta-step of each method against plain supervised training")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--explorers", action="store_true", help="time the explorers' controls instead")
    p.add_argument("--shapes", nargs="+", default=["5w1s", "5w5s", "20w1s"], metavar="NwKs")
    return parser


def _command(commands, name: str, run, help: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run)
    return parser


def _common(parser: argparse.ArgumentParser, device: str = "auto") -> None:
    parser.add_argument("--episodes", type=int, default=600, help="episodes to evaluate on (default %(default)s)")
    parser.add_argument("--data", type=Path, help="folder to look for data in first")
    parser.add_argument("--device", default=device, help="auto, cpu, cuda or mps (default %(default)s)")
