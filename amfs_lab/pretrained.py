"""The pretrained learner of the package: a small I-AMFS learner, meta-trained on the glyphs.

The normalisation of its network is "group", so that the prediction for an image does not depend on the other images.
Its weights and the record of its training are in `data/pretrained/`; `amfs-lab data build-pretrained` rebuilds them.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.config import TrainingConfig, preset
from amfs_lab.errors import DataError
from amfs_lab.evaluation import Evaluation, evaluate
from amfs_lab.inner import FunctionSpace
from amfs_lab.inner.function_space import KernelPredictor
from amfs_lab.learner import MetaLearner
from amfs_lab.runs import saved
from amfs_lab.runs.folder import holds_run
from amfs_lab.runs.progress import Progress
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EpisodeConfig, data_dirs, open_source
from amfs_lab.training import MetaTrainer

FOLDER = "pretrained"
REBUILD_HINT = "Restore it from the package or repository, or make it again with `amfs-lab data build-pretrained`."
# These settings were chosen on validation scripts, and checked on Omniglot's background drawings. Training ends after a
# number of steps, not of seconds, so that the same machine makes the same weights every time.
CONFIG = preset(
    "i-amfs",
    episode=EpisodeConfig(ways=20, shots=1, queries=3),
    norm="group",
    width=32,
    meta_lr=3e-3,
    steps=1400,
    schedule="cosine",
    augment=("affine",),
    validate_every=0,
)
EVAL_SHAPE = EpisodeConfig(ways=5, shots=1, queries=15)  # of the evaluation and of the variance threshold
COVERAGE = 0.95  # share of the queries of known classes that the variance threshold accepts


@dataclass(frozen=True)
class PretrainedLearner:
    """A trained learner with a threshold on the posterior variance.

    `variance_threshold`: for 95 % of the validation queries of known classes, the variance is not above this number.
    """

    learner: MetaLearner
    config: TrainingConfig
    variance_threshold: float

    @torch.no_grad()
    def features(self, images: Float[Tensor, "n 28 28"]) -> Float[Tensor, "n d"]:
        """Features of images. The features of an image do not depend on the other images."""
        return self.learner.net(images[:, None])

    @torch.no_grad()
    def learn(self, features: Float[Tensor, "n d"]) -> KernelPredictor:
        """Learns a task by one solve, from one example per class, in the order of the classes."""
        return _space(self.learner).fit(features, torch.eye(len(features)))


@lru_cache(maxsize=4)
def load(root: Path | None = None) -> PretrainedLearner:
    """The pretrained learner, from the first place that has it.

    The places are `root`, $AMFS_LAB_DATA, the installed package and the checkout, in this order. The learner is read
    only once. Raises DataError for a missing or damaged learner.
    """
    folder = find(root)
    try:
        learner, config = load_learner(folder, "cpu")
        threshold = float(saved.load(folder)[1]["variance_threshold"])
    except (DataError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"Expected a complete pretrained learner in {folder}. Got a damaged one: {error} {REBUILD_HINT}"
        ) from error
    return PretrainedLearner(learner.requires_grad_(False), config, threshold)


def find(root: Path | None = None) -> Path:
    """The folder of the pretrained learner. Raises DataError if there is none."""
    folders = [folder / FOLDER for folder in data_dirs.folders(root, f"the folder {FOLDER}")]
    if found := next(filter(holds_run, folders), None):
        return found
    raise DataError(f"Expected a pretrained learner in one of {', '.join(map(str, folders))}. Got none. {REBUILD_HINT}")


def build(
    folder: Path,
    config: TrainingConfig = CONFIG,
    watch: Callable[[Progress], Any] = lambda _: None,
    episodes: int = 600,
    threads: int = 1,
) -> Evaluation:
    """Trains the pretrained learner, and writes the learner and the record of its training into `folder`/pretrained.

    An old learner in this folder is replaced.

    Args:
        threads: number of torch threads. With one thread, all sums have the same order every time, and so the weights
            are the same. 0 keeps the present number of threads.
    Returns:
        the accuracy of the learner on validation scripts, for episodes of the shape `EVAL_SHAPE`.
    Raises:
        DataError: no glyphs to train on. NumericalError: training diverged; nothing is written.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        trainer = MetaTrainer(config, device="cpu")
        for progress in trainer.run():
            watch(progress)
        judged = evaluate(trainer.learner, open_source(config.source, "validation", EVAL_SHAPE), episodes)
        record = {
            "config": config.to_dict(),
            "progress": asdict(replace(progress, validation=judged.accuracy, seconds=round(progress.seconds, 1))),
            "variance_threshold": usual_variance(trainer.learner, config, episodes // 6),
            "made_with": {"torch": torch.__version__.split("+")[0], "threads": threads or before},
        }
    finally:
        torch.set_num_threads(before)
    saved.save(Path(folder) / FOLDER, dict(trainer.learner.state_dict()), record)
    return judged


@torch.no_grad()
def usual_variance(learner: MetaLearner, config: TrainingConfig, episodes: int) -> float:
    """The 95 % quantile of the queries' posterior variance on validation episodes, relative to the prior variance."""
    source, shares = open_source(config.source, "validation", EVAL_SHAPE), []
    for index in range(max(episodes, 1)):
        episode = source[index]
        features = learner.net(torch.cat([episode.support.x, episode.query.x]))
        predictor = _space(learner).fit(features[: EVAL_SHAPE.ways], episode.support.targets)
        shares.append(predictor.variance(features[EVAL_SHAPE.ways :]))
    return round(float(torch.cat(shares).quantile(COVERAGE)), 4)


def _space(learner: MetaLearner) -> FunctionSpace:
    assert isinstance(learner.inner, FunctionSpace)
    return learner.inner
