"""A pool of trained learners: one folder for all tables, so that a table trains only what no other table has trained.

A job is one training run with the evaluations of its learner. Jobs run in several processes. Each job can be stopped at
any time and goes on from its last checkpoint; evaluations that are done are kept.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from amfs_lab import files
from amfs_lab.calibration import BINS, reliability
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import DataError
from amfs_lab.evaluation import Evaluation, evaluate
from amfs_lab.experiments.experiment import correct_answers
from amfs_lab.learner import MetaLearner
from amfs_lab.runs import load_run, saved
from amfs_lab.runs.folder import holds_checkpoint, holds_run
from amfs_lab.runs.interrupts import uninterrupted
from amfs_lab.tasks import EpisodeConfig, ImageSource, open_source
from amfs_lab.training import MetaTrainer

END, COMMON = "end", "common"  # when a learner is evaluated: at the end of its training, or after `Job.common` steps
SAVE_EVERY = 100  # meta-steps between checkpoints
_advance: Callable[[int], object]  # of a worker process: counts steps on the bar of the main process


@dataclass(frozen=True)
class Question:
    """One evaluation of a learner.

    Args:
        source, split: where the episodes come from. shape: their shape. norm: statistics of BatchNorm.
        at: `END` or `COMMON`. episodes: how many. unseen_by: see `tasks.open_source`.
    """

    source: str
    split: str
    shape: EpisodeConfig
    norm: str
    at: str = END
    episodes: int = 600
    unseen_by: str = ""

    @property
    def file(self) -> str:
        """The name of the file with its answer."""
        return f"answer-{_digest(asdict(self))}.npz"


class Answer(NamedTuple):
    """The number of correct queries in each episode, and the sum of the episodes' reliability tables."""

    correct: np.ndarray
    reliability: np.ndarray


@dataclass(frozen=True)
class Job:
    """One training run, and the evaluations of its learner.

    Args:
        config: settings of the training. questions: the evaluations.
        common: number of meta-steps after which the learner is also kept, for questions at `COMMON`.
    """

    config: TrainingConfig
    questions: tuple[Question, ...]
    common: int

    @property
    def name(self) -> str:
        """The name of its folder in the pool."""
        return f"{self.config.method}-{self.config.source}-{self.config.seed}-{_digest(self.config.to_dict())}"


class Pool:
    """Trained learners in `folder`, one folder for each job.

    Args:
        root: first directory to search for data. device: see `devices.pick_device`.
        jobs: number of processes; 1 works in this process. Each process uses an equal share of torch's threads.
    """

    def __init__(self, folder: Path, root: Path | None = None, device: str = "cpu", jobs: int = 1) -> None:
        self.folder, self.root, self.device, self.jobs = folder, root, device, jobs

    @property
    def threads(self) -> int:
        """The number of torch's threads in each process."""
        return max(1, torch.get_num_threads() // self.jobs)

    def answers(self, jobs: Sequence[Job], show: bool | None = None) -> list[dict[Question, Answer]]:
        """The answers to all questions of all jobs. Trains and evaluates what is missing.

        One progress bar counts the meta-steps and evaluations of all jobs.

        Args:
            show: False hides the bar; None shows it on a terminal only.
        Raises:
            ConfigError, DataError, NumericalError: what a training or an evaluation raises. The other jobs keep what
                they have done.
        """
        total = sum(job.config.steps + len(job.questions) for job in jobs)
        with tqdm(total=total, unit="step", disable=None if show is None else not show, smoothing=0.01) as bar:
            if self.jobs == 1:
                for job in jobs:
                    bar.set_description(f"{job.config.method}, seed {job.config.seed}", refresh=False)
                    self._work(job, bar.update)
            else:
                self._in_processes(jobs, bar)
        return [self._read(job) for job in jobs]

    def source(self, asked: Any) -> ImageSource:
        """The episodes of a `Question`, or of anything with its source, split, shape and `unseen_by`."""
        return open_source(asked.source, asked.split, asked.shape, self.root, unseen_by=asked.unseen_by)

    def finish(self) -> None:
        """Does nothing: the learners stay, because other tables use them."""

    def _in_processes(self, jobs: Sequence[Job], bar: Any) -> None:
        context = multiprocessing.get_context("spawn")
        done = context.SimpleQueue()
        with ProcessPoolExecutor(self.jobs, context, _begin, (self.threads, done)) as workers:
            waiting = {workers.submit(_work, self, job) for job in jobs}
            try:
                while waiting:
                    finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    while not done.empty():
                        bar.update(done.get())
                    for each in finished:
                        each.result()
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                raise

    def _work(self, job: Job, advance: Callable[[int], object]) -> None:
        """Does everything of a job that is not done yet."""
        folder = self.folder / job.name
        open_questions = [each for each in job.questions if not (folder / each.file).is_file()]
        advance(len(job.questions) - len(open_questions))
        if not holds_run(folder) or holds_checkpoint(folder):
            self._train(job, folder, advance)
        else:
            advance(job.config.steps)
        for question in open_questions:
            learner = self._learner(job, folder, question)
            source = self.source(question)
            _save(folder / question.file, _answer(evaluate(learner, source, question.episodes), question))
            advance(1)

    def _train(self, job: Job, folder: Path, advance: Callable[[int], object]) -> None:
        every = SAVE_EVERY + (job.common % SAVE_EVERY == 0)  # a checkpoint at `common` would let a killed job skip it
        trainer = MetaTrainer(job.config, folder, self.root, self.device, resume=True, save_every=every)
        advance(trainer.done)
        with contextlib.closing(trainer.run()) as run:
            for progress in run:
                if progress.step == job.common and job.common < job.config.steps:
                    with uninterrupted(), trainer.selection.shown():
                        record = saved.record_of(job.config, progress, trainer.folder.provenance)
                        saved.save(folder / COMMON, dict(trainer.learner.state_dict()), record)
                advance(1)

    def _learner(self, job: Job, folder: Path, question: Question) -> MetaLearner:
        early = question.at == COMMON and job.common < job.config.steps
        norm = None if job.config.norm == question.norm else question.norm
        return load_run(folder / COMMON if early else folder, self.device, norm)[0]

    def _read(self, job: Job) -> dict[Question, Answer]:
        return {each: _load(self.folder / job.name / each.file) for each in job.questions}


def _begin(threads: int, done: Any) -> None:
    """Prepares a worker process. It ends together with the main process, also if that one is killed."""
    global _advance
    _advance = done.put
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_main, daemon=True).start()


def _end_with_main() -> None:
    main = multiprocessing.parent_process()
    assert main is not None
    main.join()
    os._exit(1)  # a training run goes on from its last checkpoint


def _work(pool: Pool, job: Job) -> None:
    pool._work(job, _advance)


def _answer(found: Evaluation, question: Question) -> Answer:
    table = torch.zeros(BINS, 3, dtype=torch.float64)
    for scores, labels in zip(found.scores, found.labels, strict=True):
        table += reliability(scores, labels)
    return Answer(correct_answers(found, question.shape), table.numpy().astype(np.float32))


def _save(path: Path, answer: Answer) -> None:
    with files.replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **answer._asdict())


def _load(path: Path) -> Answer:
    try:
        return Answer(**files.arrays(files.content(path, files.ARRAY_BYTES)))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"Expected the answer of an evaluation in {path}. Got: {error}. Delete it; the same command makes it again."
        ) from error


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]
