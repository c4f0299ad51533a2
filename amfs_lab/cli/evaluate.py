"""`amfs-lab evaluate`: evaluates a saved run. `amfs-lab replay`: computes an episode of a failed run again."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from amfs_lab.backbones import PRECISIONS
from amfs_lab.cli.options import LISTED, command, common, data_folder, device, set_threads, shape, threads
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
from amfs_lab.errors import ConfigError
from amfs_lab.evaluation import check_episodes, evaluate
from amfs_lab.prediction.confusion import Confusion, query_results
from amfs_lab.provenance import told
from amfs_lab.runs.replay import replay
from amfs_lab.runs.saved import load_run, run_data
from amfs_lab.tasks import SPLITS, open_source


def add_to(commands: Any) -> None:
    p = command(commands, "evaluate", evaluate_run, "measure the accuracy of a saved run on episodes of a split")
    p.add_argument("run", type=Path, help="folder of a run")
    names = ",".join(LISTED["source"])
    p.add_argument("--source", metavar=f"{{{names}}}", help="data set of the episodes (default: as in training)")
    p.add_argument("--split", choices=SPLITS, default="test", help="split of the data set (default %(default)s)")
    shape(p)
    p.add_argument("--norm", help="transductive or support, for a run with one of the two (default: as in training)")
    p.add_argument("--precision", choices=PRECISIONS, help="number format of Conv-4 (default: as in training)")
    p.add_argument("--json", action="store_true", help="print one JSON object, and nothing else (default: lines)")
    p.add_argument(
        "--confusion",
        nargs="?",
        const="",
        metavar="FILE",
        help="also print the confused classes; with a file that ends in .png, .svg or .pdf, draw the confusion "
        "matrix too (default: neither)",
    )
    p.add_argument(
        "--per-query",
        type=Path,
        metavar="FILE",
        help="write one row for each query to this .csv or .jsonl file: episode, query, true, predicted, correct (0 or "
        "1) and probability of the predicted class, 0 to 1 (default: no file)",
    )
    common(p)
    threads(p)

    p = command(commands, "replay", replay_failed, "compute an episode of a failed or stopped run again")
    p.add_argument("run", type=Path, help="folder of the run that failed or was stopped")
    p.add_argument("--episode", type=int, metavar="INDEX", help="episode to compute (default: the one that failed)")
    data_folder(p)
    device(p)
    threads(p)


def evaluate_run(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    if options.per_query is not None:
        check_ending(options.per_query, ROWS, "--per-query")
    if options.confusion:
        check_ending(Path(options.confusion), PICTURES, "--confusion")
        plotting("--confusion")
    learner, config, progress = load_run(options.run, options.device, options.norm, precision=options.precision)
    shape_given = {name: getattr(options, name) for name in ("ways", "shots", "queries")}
    chosen = {name: value for name, value in shape_given.items() if value is not None}
    episode = dataclasses.replace(config.episode, **chosen)
    check_episodes(options.episodes)
    trained_on = run_data(options.run) or {}
    if trained_on.get("own") and options.source is None:
        raise ConfigError(
            f"`evaluate` needs the data of the run. Got {options.run}, trained on data of your own "
            f"({told(trained_on)}). Evaluate it in Python, evaluation.evaluate(runs.load_learner(run)[0], source), or "
            "on data of the kit: --source glyphs."
        )
    name = options.source or config.source
    source = open_source(name, options.split, episode, options.data)
    settings = f"{config.method}, {config.norm} norm, {config.precision}"
    on = told(trained_on) if trained_on else config.source
    trained = f"{settings}, {progress.step} of {config.steps} meta-steps on {on}"
    result = evaluate(learner, source, options.episodes)
    answers, confusion = [], None
    if options.per_query is not None or options.confusion is not None:
        answers = list(query_results(result.scores, result.labels, source.classes_of, result.first))
    if options.per_query is not None:
        write_rows(options.per_query, answers)
    if options.confusion is not None:
        confusion = Confusion.of(answers)
    if confusion is not None and options.confusion:
        draw_confusion(Path(options.confusion), confusion)
    if options.json:
        run = {
            "run": str(options.run),
            "config": config.to_dict(),
            "steps": progress.step,
            "trained_on": trained_on or {"name": on},
        }
        print(json.dumps(run | evaluation_record(result, confusion), indent=2, allow_nan=False))
        return
    print(f"{trained}: {result}")
    if line := groups_line(result):
        print(line)
    for line in confusion_table(confusion) if confusion is not None else ():
        print(line)


def replay_failed(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    for each in replay(options.run, options.episode, options.data, options.device):
        print(each)
