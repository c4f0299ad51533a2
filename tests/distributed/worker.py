"""One process of a group: `python worker.py CASE FOLDER`. The tests start several, with the environment of torchrun.

The answer of a case is written as JSON to FOLDER/RANK.json. A library error ends the process with 2, as in the command.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from amfs_lab.bench import ranks as ranks_bench
from amfs_lab.config import preset
from amfs_lab.distributed import ALONE, Ranks, joined
from amfs_lab.errors import AmfsError
from amfs_lab.evaluation import evaluate
from amfs_lab.inner import Prototypes
from amfs_lab.learner import MetaLearner
from amfs_lab.meta_step import meta_gradient
from amfs_lab.methods import METHODS
from amfs_lab.outer import AGGREGATORS, MeanCosine, PairwiseCosine, SummedRule
from amfs_lab.outer.aggregation import NORMALIZATIONS
from amfs_lab.tasks import EpisodeConfig, open_source
from amfs_lab.training import MetaTrainer
from amfs_lab.trajectory import CountSketch

SHAPE = EpisodeConfig(3, 1, 2)
RULES = [kind() for kind in AGGREGATORS.values()]
RULES += [kind(each, "clip") for kind in (PairwiseCosine, MeanCosine) for each in NORMALIZATIONS]
SMALL = dict(steps=6, tasks=5, width=4, episode=SHAPE, validate_every=3, validation_episodes=7)


def equality(ranks: Ranks, folder: Path) -> dict:
    """The largest error of a direction, relative to the sum of the lengths, for each method and rule."""
    source, found = open_source("glyphs", "train", SHAPE), {}
    tasks = [source[i] for i in range(5)]
    for method in METHODS:
        torch.manual_seed(0)
        learner = preset(method, backbone="mlp", width=4, episode=SHAPE).build()
        learner.start(tasks[0])
        alone = learner.task_gradients(tasks)
        for rule in RULES:
            share = [tasks[i] for i in ranks.share(5)]
            for streamed in (False, True) if isinstance(rule, SummedRule) else (False,):
                shared = meta_gradient(learner, rule, share, streamed=streamed, ranks=ranks, tasks=5)
                error = (shared.direction - rule.combine(alone.rows)).norm() / alone.rows.norm(dim=1).sum()
                found[f"{method}, {rule}, {streamed=}"] = float(error)
                assert torch.allclose(shared.loss, alone.losses.mean())
                assert torch.allclose(shared.accuracy, alone.accuracies.mean())
    return found


def network() -> MetaLearner:
    """A network with running averages and dropout."""
    layers = torch.nn.Conv2d(1, 4, 5, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.2), torch.nn.Flatten()
    return MetaLearner(torch.nn.Sequential(*layers), Prototypes(), 3).double()


def training(ranks: Ranks, folder: Path) -> dict:
    """Runs of a network with buffers and random numbers, in this group and alone."""
    found = {}
    for name, group in {"alone": ALONE, "shared": ranks}.items():
        config = preset("prototypes", **SMALL)
        trainer = MetaTrainer(config, learner=network, trajectory=CountSketch(), device="cpu", ranks=group)
        steps = list(trainer.run())
        norm = next(each for each in trainer.learner.modules() if isinstance(each, torch.nn.BatchNorm2d))
        found[name] = {
            "loss": [step.loss for step in steps],
            "accuracy": [step.accuracy for step in steps],
            "validation": [step.validation.mean for step in steps if step.validation],
            "weights": [step.trajectory.weights for step in steps],
            "cosine": [step.trajectory.cosine for step in steps],
            "running mean": norm.running_mean.tolist(),
            "counter": int(norm.num_batches_tracked),
        }
    return found


def other_weights(ranks: Ranks, folder: Path) -> dict:
    """The learners of the ranks start with other parameters."""
    torch.manual_seed(ranks.rank)
    trainer = MetaTrainer(preset("prototypes", **SMALL), learner=network(), device="cpu", ranks=ranks)
    list(trainer.run())
    return {"parameters": [p.flatten().tolist() for p in trainer.learner.parameters()]}


def evaluation(ranks: Ranks, folder: Path) -> dict:
    """The episodes of an evaluation, one by one."""
    torch.manual_seed(0)
    learner, source = preset("i-amfs", width=4, episode=SHAPE).build(), open_source("glyphs", "test", SHAPE)
    return {
        name: {
            "accuracy": result.per_episode.tolist(),
            "labels": [labels.tolist() for labels in result.labels],
            "classes": result.classes,
            "mean": result.accuracy.mean,
        }
        for name, result in (
            ("alone", evaluate(learner, source, 11)),
            ("shared", evaluate(learner, source, 11, ranks=ranks)),
        )
    }


def run(ranks: Ranks, folder: Path, **changes) -> dict:
    """A run in FOLDER/run, which is resumed if it is there."""
    config = preset("amfs", **SMALL | changes)
    trainer = MetaTrainer(config, folder / "run", device="cpu", resume=True, save_every=2, ranks=ranks)
    done, steps = trainer.done, []
    with_steps = trainer.run()
    for step in with_steps:
        steps.append(step.loss)
        if step.step == 3 and done == 0 and (folder / "stop").exists():
            with_steps.close()
            break
    return {"done": done, "loss": steps}


def measured_and_modelled(ranks: Ranks, folder: Path) -> dict:
    """The report of the benchmark, with a small network in place of ResNet-12."""
    task = open_source("glyphs", "train", SHAPE)[0]
    ranks_bench._resnet12 = lambda device: (preset("amfs", width=4, episode=SHAPE).build(), task)
    ranks_bench.TASKS = 4
    return {"report": ranks_bench.report(ranks_bench.measure_costs(ranks, 1, torch.device("cpu")))}


def other_settings(ranks: Ranks, folder: Path) -> dict:
    return run(ranks, folder, seed=ranks.rank)


def too_few_tasks(ranks: Ranks, folder: Path) -> dict:
    return run(ranks, folder, tasks=1)


def other_folder(ranks: Ranks, folder: Path) -> dict:
    return run(ranks, folder / f"machine-{ranks.rank}") if ranks.rank == 0 else run(ranks, folder / "machine-1")


def no_data(ranks: Ranks, folder: Path) -> dict:
    return run(ranks, folder, source="omniglot")


def other_data(ranks: Ranks, folder: Path) -> dict:
    """Rank 1 reads another set of images."""
    source = open_source("glyphs", "train" if ranks.rank == 0 else "test", SHAPE)
    config = preset("amfs", **SMALL)
    list(MetaTrainer(config, train=source, validation=source, device="cpu", ranks=ranks).run())
    return {}


def not_finite(ranks: Ranks, folder: Path) -> dict:
    """Task 3 of the first step is damaged."""
    source = open_source("glyphs", "train", SHAPE)

    class Damaged:
        config = SHAPE

        def __getitem__(self, i: int):
            episode = source[i]
            if i != 3:
                return episode
            return replace(episode, query=replace(episode.query, x=episode.query.x * torch.nan))

    list(MetaTrainer(preset("amfs", **SMALL), train=Damaged(), validation=source, device="cpu", ranks=ranks).run())
    return {}


def open_connections() -> list[str]:
    """The names of gloo's threads in this process. Linux lists threads; elsewhere the list is empty."""
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").glob("*")]
    return [name for name in names if "gloo" in name]


def main(case: str, folder: Path) -> int:
    torch.set_num_threads(1)
    try:
        with joined(torch.device("cpu"), timeout=40) as ranks:
            answer = globals()[case](ranks, folder)
            (folder / f"{ranks.rank}.json").write_text(json.dumps(answer))
    except AmfsError as error:
        print(f"{type(error).__name__}, {'all' if error.on_all_ranks else 'one'}: {error}", file=sys.stderr)
        return 2
    finally:
        if left := open_connections():
            raise RuntimeError(f"The connections to the other ranks must be closed. These threads still run: {left}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2])))
