"""Meta-training as an iterator: `for progress in trainer.run(): ...`; to stop is to break, and it can go on later."""

import contextlib
import math
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.config import TrainingConfig, seeded
from amfs_lab.devices import pick_device
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.evaluation import check_measurable, evaluate
from amfs_lab.learner import Buffers, MetaLearner, TaskGradients, explained, repeatable, untouched
from amfs_lab.moved import moved
from amfs_lab.outer import Aggregator
from amfs_lab.outer.aggregation import check_finite
from amfs_lab.provenance import AbsentSource, of_learner, of_source
from amfs_lab.runs import checkpoint
from amfs_lab.runs.progress import Progress
from amfs_lab.runs.resume import differences, restore, tensors_of
from amfs_lab.runs.saved import check_provenance, check_record, progress_of, record_of, save_learner
from amfs_lab.stats import Interval
from amfs_lab.tasks import EpisodeSource, episode_of, open_source
from amfs_lab.trajectory import CountSketch, followed


class NonFiniteTask(NumericalError):
    """A task of a meta-step whose loss or gradient is not finite: `task` is its place among the tasks."""

    def __init__(self, task: int) -> None:
        super().__init__(
            "Losses and gradients must be finite. Got NaN or infinity. "
            "Lower meta_lr (and inner_lr of maml), or give lam, mu and gamma usual values."
        )
        self.task = task


def meta_step(
    learner: MetaLearner,
    aggregator: Aggregator,
    optimizer: torch.optim.Optimizer,
    episodes: Sequence[Episode],
    batched: bool = False,
) -> TaskGradients:
    """theta <- theta - beta * sum_j c_j g_j (through `optimizer`), one g_j a task, the weights c from `aggregator`.

    Raises:
        NonFiniteTask: before anything is applied. NumericalError: so too, when finite gradients combine to infinity.
    """
    tasks, direction = meta_gradient(learner, aggregator, episodes, batched)
    apply(learner, optimizer, direction)
    return tasks


def meta_gradient(
    learner: MetaLearner, aggregator: Aggregator, episodes: Sequence[Episode], batched: bool = False
) -> tuple[TaskGradients, Float[Tensor, " p"]]:
    """The tasks' gradients, and their sum_j c_j g_j. Raises what `meta_step` raises, and changes nothing then."""
    buffers = Buffers(learner)
    try:
        return _meta_gradient(learner, aggregator, episodes, batched)
    except BaseException:  # an interrupt, too: the state that is saved then is that after the last whole step
        buffers.restore()
        raise


def _meta_gradient(
    learner: MetaLearner, aggregator: Aggregator, episodes: Sequence[Episode], batched: bool
) -> tuple[TaskGradients, Float[Tensor, " p"]]:
    tasks = learner.task_gradients(episodes, batched)
    direction = aggregator.combine(tasks.rows)
    if not bool(torch.isfinite(tasks.losses.sum() + direction.sum())):  # the one synchronisation of a step
        sound = torch.isfinite(tasks.losses) & torch.isfinite(tasks.rows).all(1)
        if not bool(sound.all()):
            raise NonFiniteTask(int((~sound).int().argmax()))
        check_finite(tasks.rows, direction)
    return tasks, direction


def apply(learner: MetaLearner, optimizer: torch.optim.Optimizer, direction: Float[Tensor, " p"]) -> None:
    """One step of the optimizer, whose gradient is the direction."""
    params = learner.meta_parameters()
    for param, piece in zip(params, direction.split([p.numel() for p in params]), strict=True):
        param.grad = piece.view_as(param).to(param.dtype)
    optimizer.step()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait until the block has ended: no half of an update is ever saved."""
    if threading.current_thread() is not threading.main_thread():  # where no signal arrives
        yield
        return
    held: list[int] = []
    before = {number: signal.signal(number, lambda n, _: held.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in held[:1]:
            signal.raise_signal(number)


class MetaTrainer:
    """Meta-trains the learner that `config` describes.

    With a folder, the state of the run is written there every `save_every` steps and when it is interrupted; with
    `resume` a trainer goes on from the newest one, and on the same device and number of threads it ends, bit by bit,
    where an uninterrupted run would have ended. (But not where the budget is `seconds`: those pass as they please.)
    The random numbers of a network (of dropout, say) depend on `config.seed` and the step alone.

    Args:
        folder: where the trained learner is saved when the run ends or is stopped; None keeps it in memory only.
        root: where to look for the data first. device: see `pick_device`.
        follow: what each `Progress` shall keep of the meta-parameters' position; None keeps and costs nothing.
        learner: one of your own, in the place of the Conv-4 that `config` describes. It is trained in place. Or a
            function that makes one: it is called under `config.seed`, so that its initial weights depend on that alone.
        train, validation: episodes of your own, in the place of `config.source`: `train[index]` is an episode.
        resume: go on with what was left in `folder`; from the start where there is nothing.
        save_every: meta-steps between states.
    Raises:
        ConfigError, DataError: before anything is trained, when the data cannot serve the configuration, the folder
            already holds a run, or the one to go on with has other settings, data or network, has ended or is damaged.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path | str | None = None,
        root: Path | None = None,
        device: str = "auto",
        follow: CountSketch | None = None,
        resume: bool = False,
        save_every: int = 100,
        learner: MetaLearner | Callable[[], MetaLearner] | None = None,
        train: EpisodeSource | None = None,
        validation: EpisodeSource | None = None,
    ) -> None:
        if not isinstance(save_every, int) or save_every < 1:
            raise ConfigError(f"`save_every` must be an integer >= 1. Got {save_every!r}.")
        self.follow, self.save_every = follow, save_every
        self.config, self.folder = config, None if folder is None else checkpoint.place(folder)
        if self.folder is not None:
            checkpoint.end_abandoned(self.folder)
        self.state = self._left_behind() if resume else None
        told = self.state is not None and self.state.record.get("progress") is not None
        self.reached = progress_of(self.state.path, self.state.record) if self.state and told else None
        if self.folder is not None and self.state is None:
            checkpoint.check_free(self.folder)
        self.device = pick_device(device)
        if (train is None) != (validation is None):
            raise ConfigError("Episodes of your own are needed twice: give both `train` and `validation`.")
        recorded = (self.state.record.get("data") or {}) if self.state else {}
        if train is None and (recorded.get("train") or {}).get("own"):  # `run` refuses; what is known can be seen
            absent = [AbsentSource(str(self.folder), recorded.get(half) or {}) for half in ("train", "validation")]
            self.train, self.validation = cast(list[EpisodeSource], absent)
        elif train is None or validation is None:
            train_source = open_source(config.source, "train", config.episode, root, config.seed, config.augment)
            self.train, self.validation = train_source, open_source(config.source, "validation", config.episode, root)
        else:
            self.train, self.validation = train, validation
            for own in (train, validation):
                episode_of(own)
        if learner is not None and not isinstance(learner, MetaLearner):
            with seeded(config.seed):
                learner = learner()
            if not isinstance(learner, MetaLearner):
                raise ConfigError(
                    f"`learner` must make a MetaLearner. Got {type(learner).__name__}: wrap the network, "
                    "MetaLearner(network, inner, ways)."
                )
        self.learner: MetaLearner = (config.build() if learner is None else learner).to(self.device)
        check_parameters(self.learner)
        self.provenance = {
            "data": {
                "train": of_source(self.train, train is not None),
                "validation": of_source(self.validation, validation is not None),
            },
            "learner": of_learner(self.learner, learner is not None),
        }
        if self.state is not None:
            check_provenance(self.folder, self.state.record, self.provenance)
        self.saved_in: Path | None = None
        self._used = False

    @property
    def done(self) -> int:
        """The step after which `run` goes on; 0 for a run that begins."""
        return self.reached.step if self.reached else 0

    def run(self) -> Generator[Progress, None, None]:
        """Yields after every meta-step, and saves at the end, also when the caller breaks off. A trainer runs once.

        The folder is locked from this call to the end of the run. A state or learner that cannot be written is a
        warning, never the end of a training: the learner is then saved in a folder for temporary files (`saved_in`).

        Raises:
            ConfigError: a second run; a folder that another run holds, or that changed since this trainer was made; a
                learner that cannot be saved, or whose network cannot work with the episodes. All before the first step.
            NumericalError: a loss or gradient that is not finite. Nothing of that step is applied; the state before it
                is kept for `replay`, and no learner is saved.
        """
        if self._used:
            raise ConfigError("A trainer runs once. Got a second `run()`: make a new MetaTrainer for a fresh start.")
        hold = contextlib.ExitStack()
        if self.folder is not None:
            hold.enter_context(checkpoint.held(self.folder))
        try:
            self._check_unchanged()
            episode_of(self.train)
        except BaseException:
            hold.close()
            raise
        self._used = True
        return self._steps(hold)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def _steps(self, hold: contextlib.ExitStack) -> Generator[Progress, None, None]:
        with hold:
            yield from self._train()

    def _train(self) -> Generator[Progress, None, None]:
        config, learner = self.config, self.learner
        optimizer = torch.optim.Adam(learner.meta_parameters(), lr=config.meta_lr)
        outer = copy(config.outer)  # a rule that remembers, as some of TorchJD's do, begins each run afresh
        with repeatable(self.device, "start", config.seed):
            self._begin(optimizer)
        progress, seconds = self.reached, self.reached.seconds if self.reached else 0.0
        step, last, saved = self.done, False, self.done
        try:
            for step in range(self.done + 1, config.steps + 1):
                began = time.perf_counter()
                optimizer.param_groups[0]["lr"] = config.rate(self._spent(step - 1, seconds))
                position = self._position()
                with repeatable(self.device, "step", config.seed, step):
                    tasks, direction = meta_gradient(learner, outer, self._tasks(step), config.batched)
                with uninterrupted():
                    apply(learner, optimizer, direction)
                    loss, accuracy = float(tasks.losses.mean()), float(tasks.accuracies.mean())
                    told = None
                    if position is not None:  # the rows outlive the update, which does not touch them
                        told = followed(position, tasks.rows.shape[1], outer, tasks.rows)
                    seconds += time.perf_counter() - began
                    spent = self._spent(step, seconds)
                    last = spent >= 1
                    left = seconds * max(1 / spent - 1, 0)
                    progress = Progress(config.method, step, seconds, loss, accuracy, None, told, left)
                if self._validation_due(step, last):  # may be broken off
                    progress = replace(progress, validation=self._validate())
                if step % self.save_every == 0 and not last:
                    with uninterrupted():
                        self._save_state(optimizer, progress)
                        saved = step
                yield progress
                if last:
                    break
        except NumericalError as error:
            located = self._located(error, step)
            self._save_state(optimizer, progress, failed=self._failed(error, step))
            progress = None  # a run that went wrong leaves no result behind
            raise located from error
        finally:
            with uninterrupted():  # a second Ctrl-C waits for what the first one saves
                if self.folder is not None and progress is not None:
                    if not last and saved != progress.step:
                        self._save_state(optimizer, progress)
                    self.saved_in = self._save_learner(progress)
                    if last and self.saved_in == self.folder:
                        checkpoint.clear_states(self.folder)

    def _begin(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes the start or the state, and finds out before the first step what would fail after it."""
        if self.folder is not None:
            checkpoint.check_savable(dict(self.learner.state_dict()), self._record(self.reached))
        first = episode_of(self.train).to(self.device)
        with explained(first, self.config.batched):
            with untouched(self.learner):
                self.learner.task_gradients([first], self.config.batched)
            if self.state is None:
                self.learner.start(first)
        if self.config.validate_every:
            check_measurable(self.learner, self.validation)
        if self.state is not None:
            restore(self.learner, optimizer, self.state)

    def _check_unchanged(self) -> None:
        """Raises ConfigError unless the folder is as it was when this trainer was made."""
        if self.folder is None:
            return
        if self.state is None:
            checkpoint.check_free(self.folder)
        elif checkpoint.newest_state(self.folder) != self.newest:
            raise ConfigError(
                f"The run in {self.folder} has gone on since this trainer was made. Make a new one, with resume=True."
            )

    def _left_behind(self) -> checkpoint.State | None:
        """The state to go on from; None where no run was begun."""
        if self.folder is None:
            raise ConfigError("To go on with a run needs the folder that it was left in. Got none: give `folder`.")
        if not checkpoint.holds_run(self.folder):
            return None
        if self.config.outer.stateful:
            raise ConfigError(f"{self.config.outer} remembers earlier steps, which no state keeps: start another run.")
        if not checkpoint.holds_state(self.folder):
            raise ConfigError(
                f"The run in {self.folder} is complete: nothing is left to train. Evaluate it, or start another run."
            )
        self.newest = checkpoint.newest_state(self.folder)
        state = checkpoint.load_state(self.folder)
        check_record(state.path, state.record)
        differ = differences(state.record["config"], self.config.to_dict())
        if differ:
            raise ConfigError(f"The run in {self.folder} has other settings: {', '.join(differ)}. Use those it has.")
        if state.record.get("progress") is not None:
            reached = progress_of(state.path, state.record)
            if not 1 <= reached.step < self.config.steps or reached.seconds < 0:
                raise DataError(
                    f"Expected a state within {self.config.steps} steps in {state.path}. Got step {reached.step} after "
                    f"{reached.seconds:g} seconds. Train it again."
                )
        return state

    def _record(self, progress: Progress | None) -> dict[str, Any]:
        """What is saved beside the tensors."""
        return record_of(self.config, progress, self.provenance)

    def _save_state(
        self, optimizer: torch.optim.Optimizer, progress: Progress | None, failed: dict[str, int] | None = None
    ) -> None:
        """The state after the last whole step. Where it cannot be written, the training goes on all the same."""
        if self.folder is None:
            return
        step = 0 if progress is None else progress.step
        try:
            record = self._record(progress) | {"failed": failed}
            checkpoint.save_state(self.folder, step, tensors_of(self.learner, optimizer), record)
        except Exception as error:
            warnings.warn(f"{error} Training goes on, without a state of step {step}.", stacklevel=2)

    def _save_learner(self, progress: Progress) -> Path | None:
        """The folder that it is saved in: the run's, else a new one for temporary files; None if neither takes it."""
        assert self.folder is not None
        try:
            save_learner(self.folder, self.learner, self.config, progress, self.provenance)
            return self.folder
        except Exception as error:
            why = f"The learner could not be saved in {self.folder}: {error}."
        try:
            other = Path(tempfile.mkdtemp(prefix="amfs-lab-run-"))
            save_learner(other, self.learner, self.config, progress, self.provenance)
        except Exception as error:
            warnings.warn(f"{why} Nor elsewhere: {error}. It is in memory alone, as `trainer.learner`.", stacklevel=2)
            return None
        warnings.warn(f"{why} It is in {other} instead: move it to where it shall stay.", stacklevel=2)
        return other

    def _spent(self, steps: int, seconds: float) -> float:
        """The share of the budget that is used up, whichever of steps and seconds is further."""
        return max(steps / self.config.steps, seconds / (self.config.seconds or math.inf))

    def _position(self) -> Tensor | None:
        """Where the meta-parameters are, if anybody asked."""
        return None if self.follow is None else self.follow.of(self.learner.meta_parameters())

    def _tasks(self, step: int) -> list[Episode]:
        first = (step - 1) * self.config.tasks
        return [episode_of(self.train, first + t).to(self.device) for t in range(self.config.tasks)]

    def _located(self, error: NumericalError, step: int) -> NumericalError:
        failed = self._failed(error, step)
        which = f", episode {failed['episode']} of {self.train!r}" if "episode" in failed else ""
        look = f" Look into it: {self._way_to_replay()}" if self.folder is not None and which else ""
        return NumericalError(f"{error} It is meta-step {step}{which}.{look}")

    def _way_to_replay(self) -> str:
        """The command, or where it lacks what it needs the call."""
        data, learner = self.provenance["data"]["train"]["own"], self.provenance["learner"]["own"]
        if not data and not learner:
            return f"amfs-lab replay {self.folder}"
        given = ", ".join(name for name, own in (("train=...", data), ("learner=...", learner)) if own)
        return f"replay.replay({str(self.folder)!r}, {given}), with what this trainer was given"

    def _failed(self, error: NumericalError, step: int) -> dict[str, int]:
        """The step, and where one task is to blame, its episode."""
        if not isinstance(error, NonFiniteTask):
            return {"step": step}
        return {"step": step, "episode": (step - 1) * self.config.tasks + error.task}

    def _validation_due(self, step: int, last: bool) -> bool:
        every = self.config.validate_every
        return every > 0 and (last or step % every == 0)

    def _validate(self) -> Interval:
        return evaluate(self.learner, self.validation, self.config.validation_episodes).accuracy


def check_parameters(learner: MetaLearner) -> None:
    """Raises ConfigError for no meta-parameters, for some that were made within `torch.inference_mode` and get no
    gradient, and for some that are complex or of 16 bits, in whose rounding an outer step is lost."""
    learner.check_trainable()
    if any(tensor.is_inference() for tensor in (*learner.parameters(), *learner.buffers())):
        raise ConfigError("A learner must be made outside of torch.inference_mode, or it cannot be trained.")
    short = {p.dtype for p in learner.meta_parameters()} - {torch.float32, torch.float64}
    if short:
        raise ConfigError(
            f"Meta-parameters must be float32 or float64. Got {', '.join(map(str, short))}. Convert them: "
            "learner.float(). For speed run its forward pass under torch.autocast, or freeze the short ones."
        )


__getattr__ = moved(__name__)
