"""One meta-step: the gradient of each task, their weighted sum, and the update of the meta-parameters."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.distributed import ALONE, Ranks, shared
from amfs_lab.episode import Episode
from amfs_lab.errors import ConfigError, NonFiniteTask, NumericalError
from amfs_lab.learner import Buffers, MetaLearner, TaskGradients
from amfs_lab.outer import Aggregator, SummedRule
from amfs_lab.outer.aggregation import Gradients, check_finite


class MetaGradient(NamedTuple):
    """The gradient of a meta-step.

    Args:
        direction: sum_j c_j g_j over all tasks. loss, accuracy: means over all tasks.
        tasks: the losses, accuracies and gradients of the tasks of this process; None if the gradients were not kept.
    """

    direction: Float[Tensor, " p"]
    loss: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    tasks: TaskGradients | None


def meta_step(
    learner: MetaLearner,
    aggregator: Aggregator,
    optimizer: torch.optim.Optimizer,
    episodes: Sequence[Episode],
    batched: bool = False,
) -> TaskGradients:
    """One meta-step: theta <- theta - beta * sum_j c_j g_j with one gradient g_j per task.

    The weights c_j come from `aggregator`, and `optimizer` applies the step.

    Raises:
        NonFiniteTask: a loss or gradient of a task is not finite. NumericalError: the weighted sum of finite gradients
            is infinite. In both cases the meta-parameters do not change.
    """
    found = meta_gradient(learner, aggregator, episodes, batched)
    apply(learner, optimizer, found.direction)
    assert found.tasks is not None
    return found.tasks


def meta_gradient(
    learner: MetaLearner,
    aggregator: Aggregator,
    episodes: Sequence[Episode],
    batched: bool = False,
    streamed: bool = False,
    ranks: Ranks = ALONE,
    tasks: int | None = None,
) -> MetaGradient:
    """The weighted sum of the tasks' gradients.

    Raises the same errors as `meta_step`. After an error the learner is unchanged.

    Args:
        episodes: the tasks. With several processes (ranks), these are only the tasks of this process.
        batched: see `MetaLearner.task_gradients`.
        streamed: keep only one gradient at a time, so that the memory does not depend on the number of tasks. Each
            gradient is computed twice; for `Mean`, once. The aggregator must be a `SummedRule`. If the network uses
            random numbers, reading an episode must seed the random generators, as in `MetaTrainer`.
        tasks: number of all tasks; None: the number of `episodes`.
    """
    buffers, tasks = Buffers(learner), tasks or len(episodes)
    try:
        if streamed:
            found, largest = _streamed(learner, aggregator, episodes, ranks, tasks)
        else:
            own = learner.task_gradients(episodes, batched)
            sums = torch.stack([own.losses.sum(), own.accuracies.sum()])
            direction, sums = ranks.combine(aggregator, own.rows, tasks, sums)
            found, largest = MetaGradient(direction, sums[0] / tasks, sums[1] / tasks, own), own
        if not bool(torch.isfinite(found.loss + found.direction.sum())):  # the only synchronisation in a step
            _check(largest, found.direction, ranks, tasks)
        ranks.average_buffers(learner, tasks)
        return found
    except BaseException:  # also for Ctrl-C, so that the checkpoint holds the state after the last complete step
        buffers.restore()
        raise


def apply(learner: MetaLearner, optimizer: torch.optim.Optimizer, direction: Float[Tensor, " p"]) -> None:
    """One step of the optimizer with `direction` as the gradient."""
    params = learner.meta_parameters()
    for param, piece in zip(params, direction.split([p.numel() for p in params]), strict=True):
        param.grad = piece.view_as(param).to(param.dtype)
    optimizer.step()


def _streamed(
    learner: MetaLearner, rule: Aggregator, episodes: Sequence[Episode], ranks: Ranks, tasks: int
) -> tuple[MetaGradient, TaskGradients]:
    """The gradient of a meta-step, with only one task gradient in memory.

    The second result has the losses and accuracies of the tasks. Instead of each gradient, it has one number: the
    largest absolute entry of the gradient.
    """
    if not isinstance(rule, SummedRule):
        raise ConfigError(f"`streamed` needs a rule with sums, a SummedRule. Got {rule}. Leave `streamed` out.")
    # These tensors are made before the gradients: small ones between large ones would leave holes in the memory.
    losses, accuracies, largest = (learner.meta_parameters()[0].new_empty(len(episodes)) for _ in range(3))
    noted, first = Buffers(learner), None
    for t, own in enumerate(_one_by_one(learner, episodes)):
        losses[t], accuracies[t], largest[t] = own.losses[0], own.accuracies[0], own.rows.abs().max()
        part = rule.first(Gradients(own.rows), tasks)
        first = part if first is None else first.add_(part)
        noted.note()
    sums = torch.stack([losses.sum(), accuracies.sum()])
    assert first is not None
    both = ranks.total(torch.cat([first, sums]))
    first, sums = both[: len(first)], both[len(first) :]
    second = first.new_empty(0)
    if rule.needs_second:
        second = None
        for own in _one_by_one(learner, episodes):
            part = rule.second(Gradients(own.rows), first, tasks)
            second = part if second is None else second.add_(part)
            noted.restore()
        assert second is not None
        second = ranks.total(second)
    noted.put_mean()
    found = MetaGradient(rule.step(first, second, tasks), sums[0] / tasks, sums[1] / tasks, None)
    return found, TaskGradients(losses, accuracies, largest[:, None])


def _one_by_one(learner: MetaLearner, episodes: Sequence[Episode]) -> Iterator[TaskGradients]:
    for episode in episodes:
        yield learner.task_gradients([episode])


def _check(own: TaskGradients, direction: Float[Tensor, " p"], ranks: Ranks, tasks: int) -> None:
    """Raises an error unless all losses, all gradients and the direction are finite.

    All processes (ranks) raise the same error.
    """
    sound = (torch.isfinite(own.losses) & torch.isfinite(own.rows).all(1)).tolist()
    wrong = [task for task, each in zip(ranks.share(tasks), sound, strict=True) if not each]
    if wrong := [task for each in ranks.gathered(wrong) for task in each]:
        raise shared(NonFiniteTask(wrong[0]))
    try:
        check_finite(own.rows, direction)
    except NumericalError as error:
        raise shared(error) from None
