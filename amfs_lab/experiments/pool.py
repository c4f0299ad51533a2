"""A pool of trained learners: one folder that several tables share, so that no learner is trained twice.

A job is one training run with the evaluations of its learner. Jobs run in several processes. A job can be stopped at
any time. Later, it resumes from the last checkpoint, and keeps its complete evaluations. All tables of a pool must have
the same data and the same prices of meta-steps (see `budgets`). So the pool also stores a fingerprint of the data and
the prices.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from tqdm import tqdm

from amfs_lab import files
from amfs_lab.calibration import BINS, reliability
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.evaluation import Evaluation, evaluate
from amfs_lab.experiments.experiment import correct_answers
from amfs_lab.provenance import of_source
from amfs_lab.runs import load_run, saved
from amfs_lab.runs.folder import holds_checkpoint
from amfs_lab.tasks import EpisodeConfig, ImageSource, open_source
from amfs_lab.training import MetaTrainer

DATA, PRICES = "data.json", "prices.json"  # fingerprints of the data sets; prices of meta-steps
ANSWERS = "answer-*.npz"
_advance: Callable[[int], object]  # in a worker process: counts steps on the bar of the main process


@dataclass(frozen=True)
class Question:
    """The settings of one evaluation of a learner. The result of the evaluation is an `Answer`.

    Args:
        source, split: data set and split of the episodes. shape: shape of the episodes. norm: statistics of BatchNorm.
        episodes: number of episodes. unseen_by: see `tasks.open_source`.
    """

    source: str
    split: str
    shape: EpisodeConfig
    norm: str
    episodes: int = 600
    unseen_by: str = ""

    @property
    def file(self) -> str:
        """The name of the file with the result of this evaluation."""
        return ANSWERS.replace("*", _digest(asdict(self)))


class Answer(NamedTuple):
    """The result of an evaluation: number of correct queries in each episode, and sum of the reliability tables."""

    correct: np.ndarray
    reliability: np.ndarray

    @classmethod
    def wrong(cls, question: Question) -> "Answer":
        """The result for a learner whose training diverged: no correct query."""
        table = np.zeros((BINS, 3), np.float32)
        table[0, 0] = question.episodes * question.shape.answers
        return cls(np.zeros(question.episodes, np.int16), table)


@dataclass(frozen=True)
class Job:
    """One training run, and the evaluations of its learner.

    Args:
        config: settings of the training. questions: the evaluations. Without evaluations, nothing is trained.
        may_diverge: True: if the training diverges, no query counts as correct. False: if it diverges, this is an
            error.
    """

    config: TrainingConfig
    questions: tuple[Question, ...]
    may_diverge: bool = False

    @property
    def name(self) -> str:
        """The name of the job's folder in the pool."""
        return f"{self.config.method}-{slug(self.config.source)}-{self.config.seed}-{_digest(self.config.to_dict())}"


class Pool:
    """Trained learners in `folder`, with one subfolder for each job.

    Args:
        root: first directory to search for data. device: see `devices.pick_device`.
        jobs: number of processes. With 1, all work is done in this process. Each process uses an equal share of torch's
            threads.
    Raises:
        ConfigError: `jobs` < 1.
    """

    def __init__(self, folder: Path, root: Path | None = None, device: str = "cpu", jobs: int = 1) -> None:
        if jobs < 1:
            raise ConfigError(f"`jobs` must be an integer >= 1. Got {jobs}.")
        self.folder, self.root, self.device, self.jobs = folder, root, device, jobs

    @property
    def threads(self) -> int:
        """The number of torch's threads in each process."""
        return max(1, torch.get_num_threads() // self.jobs)

    def answers(self, jobs: Sequence[Job], show: bool | None = None) -> list[dict[Question, Answer]]:
        """The results of all evaluations of all jobs. Missing trainings and evaluations are run first.

        One progress bar counts the meta-steps and evaluations of all jobs.

        Args:
            show: False hides the bar; None shows it on a terminal only.
        Raises:
            ConfigError, DataError, NumericalError: an error of a training or an evaluation. The other jobs keep their
                checkpoints and results.
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

    def missing(self, jobs: Sequence[Job]) -> int:
        """The number of jobs with a missing evaluation."""
        return sum(bool(self._open_questions(job)) for job in jobs)

    def _open_questions(self, job: Job) -> list[Question]:
        return [each for each in job.questions if not (self.folder / job.name / each.file).is_file()]

    def source(self, asked: Any) -> ImageSource:
        """The episodes for a `Question`.

        Any object with the attributes `source`, `split`, `shape` and `unseen_by` is accepted.
        """
        return open_source(asked.source, asked.split, asked.shape, self.root, unseen_by=asked.unseen_by)

    def check_data(self, asked: Sequence[Any]) -> None:
        """Opens all data sets and compares them with the data of the pool. So errors come before any training.

        Raises ConfigError if the learners and results in the pool are from other data.
        """
        present = {}
        for each in asked:
            found = of_source(self.source(each), own=False)
            present[" ".join(filter(None, (each.source, each.split, each.unseen_by)))] = found["labels and shapes"]
        with self.stored(DATA) as known:
            for name, fingerprint in present.items():
                if known.setdefault(name, fingerprint) != fingerprint:
                    raise ConfigError(
                        f"The learners in {self.folder} must have the data of this command. Got other classes or "
                        f"images of {name}. Name another folder with `--out`."
                    )

    @contextlib.contextmanager
    def stored(self, name: str) -> Iterator[dict[str, Any]]:
        """A context manager that gives the dictionary stored in the file `name` of the pool.

        In the block, the file is locked. At the end of the block, the dictionary is written to the file. Raises
        DataError for a damaged file.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        with FileLock(path.with_suffix(".lock")):
            yield (found := read_dictionary(path, "Name another folder with `--out`."))
            files.write_json(path, found)

    def record(self, job: Job) -> dict[str, Any]:
        """The record of a complete training run: method, seed, meta-steps, seconds, and the version of the code."""
        found = files.read_json(self.folder / job.name / saved.RECORD)
        code, seconds = found.get("code") or {}, round(found["progress"]["seconds"], 1)
        run = {"method": job.config.method, "seed": job.config.seed, "step": job.config.steps, "seconds": seconds}
        return run | {"commit": code.get("commit"), "folder": job.name}

    def finish(self) -> None:
        """Does nothing: the learners stay, because other tables use them."""

    def _in_processes(self, jobs: Sequence[Job], bar: Any) -> None:
        context = multiprocessing.get_context("spawn")
        done, (alive, ours) = context.SimpleQueue(), context.Pipe(duplex=False)
        with ours, ProcessPoolExecutor(self.jobs, context, _begin, (self.threads, done, alive)) as workers:
            waiting = {workers.submit(_work, self, job) for job in jobs}
            workers.submit(int)  # wakes the executor, which would not notice yet if the last process is killed
            try:
                while waiting:
                    finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    while not done.empty():
                        bar.update(done.get())
                    for each in finished:
                        each.result()
            except BaseException as error:
                ours.close()  # ends the processes at once; their runs can be resumed from the last checkpoint
                if not isinstance(error, BrokenExecutor):
                    raise
                raise ConfigError(
                    "A process of `--jobs` has ended, perhaps for lack of memory. Run the same command again with "
                    "fewer processes: it continues."
                ) from error

    def _work(self, job: Job, advance: Callable[[int], object]) -> None:
        """Runs the training and the evaluations of a job that are not complete yet."""
        folder = self.folder / job.name
        open_questions = self._open_questions(job)
        advance(len(job.questions) - len(open_questions))
        if not open_questions or _is_complete(folder):
            advance(job.config.steps)
        else:
            try:
                self._train(job, folder, advance)
            except NumericalError:
                if not job.may_diverge:
                    raise
                for question in open_questions:
                    _save(folder / question.file, Answer.wrong(question))
                return
        for question in open_questions:
            norm = None if job.config.norm == question.norm else question.norm
            learner = load_run(folder, self.device, norm)[0]
            _save(
                folder / question.file, _answer(evaluate(learner, self.source(question), question.episodes), question)
            )
            advance(1)

    def _train(self, job: Job, folder: Path, advance: Callable[[int], object]) -> None:
        trainer = MetaTrainer(job.config, folder, self.root, self.device, resume=True)
        advance(trainer.done)
        with contextlib.closing(trainer.run()) as run:
            for _ in run:
                advance(1)

    def _read(self, job: Job) -> dict[Question, Answer]:
        return {each: _load(self.folder / job.name / each.file) for each in job.questions}


def read_dictionary(path: Path, advice: str) -> dict[str, Any]:
    """The dictionary in a JSON file of a pool; empty if there is no file.

    For a damaged file, raises DataError with a message that ends with `advice`.
    """
    try:
        found = files.read_json(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"Expected a file of a pool: {path}. Got: {error}. {advice}") from error
    if not isinstance(found, dict):
        raise DataError(f"Expected a file of a pool: {path}. Got a {type(found).__name__}. {advice}")
    return found


def slug(source: str) -> str:
    """The name of a data set in file names: "folder:pictures/birds" becomes "folder-birds"."""
    kind, _, path = source.partition(":")
    return "-".join(re.findall(r"[\w-]+", f"{kind} {Path(path).name}"))


def _is_complete(folder: Path) -> bool:
    """True if the run in the folder is complete.

    If a run has neither a checkpoint nor the file `RECORD`, the file with the tensors of the run is deleted.
    """
    if holds_checkpoint(folder):
        return False
    if not (folder / saved.RECORD).is_file():
        (folder / saved.TENSORS).unlink(missing_ok=True)
        return False
    return True


def _begin(threads: int, done: Any, alive: Any) -> None:
    """Prepares a worker process. The process ends when the main process ends or closes its end of the pipe `alive`."""
    global _advance
    _advance = done.put
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the main process
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _end_with(alive: Any) -> None:
    with contextlib.suppress(EOFError, OSError):
        alive.recv()
    os._exit(1)


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
