"""The correct answers to the predictions about one solve and many steps.

A prediction is a question that a student answers before the result is shown. Each function computes one answer.
"""

import torch

from amfs_lab.experiments import Result, figure2
from amfs_lab.explore.inner_loop.adaptation import START, learn
from amfs_lab.explore.inner_loop.figure2 import result
from amfs_lab.explore.inner_loop.steps import gap, learned
from amfs_lab.stats import accuracy_difference


def answer_lambda_that_mimics_steps(rate: float = 0.01, steps: int = 2000) -> str:
    """The answer to "which λ has the filter closest to the filter of the gradient steps?".

    It is `"t"`, `"1/t"` or `"half of 1/t"`, where t = rate * steps.
    """
    t = rate * steps
    tried = {"t": t, "1/t": 1 / t, "half of 1/t": 1 / (2 * t)}
    return min(tried, key=lambda name: float(gap(tried[name], rate, steps)))


def answer_when_the_rate_is_too_large(rate: float = 2.1, steps: int = 200) -> str:
    """The answer to "the rate is slightly above 2 / s_max: where does the fit along the first eigen-direction end?".

    It is `"it reaches the label"`, `"it oscillates and keeps its size"` or `"it oscillates and grows"`. The first
    eigen-direction is the eigenvector of the Gram matrix with the largest eigenvalue, s_max.
    """
    rest = [abs(1 - float(learned(torch.ones(1, dtype=torch.float64), rate, k))) for k in (steps // 2, steps)]
    if rest[1] < 1e-3:
        return "it reaches the label"
    return "it oscillates and keeps its size" if rest[1] <= rest[0] else "it oscillates and grows"


def answer_which_learner_is_closer(steps: int = START["steps"], tasks: int = 20) -> str:
    """The answer to "is MAML or the one solve closer to k gradient steps on the linearised network?".

    It is `"MAML"` or `"the one solve"`. For each, the root mean square differences from the gradient steps are summed
    over test sinusoids. The smaller sum gives the answer.
    """
    apart = {"MAML": 0.0, "the one solve": 0.0}
    for task in range(1, tasks + 1):
        found = learn(START["start"], task, START["shots"], START["rate"])
        for name, values in (("MAML", found.maml), ("the one solve", found.solve)):
            apart[name] += float((values[steps] - found.tangent[steps]).square().mean().sqrt())
    return min(apart, key=lambda name: apart[name])


def answer_steps_until_maml_catches_up(shown: Result | None = None) -> str:
    """The answer to "after how many inner steps is MAML no longer behind I-AMFS?".

    It is `"within 5"`, `"6 to 10"` or `"not within 10"`. MAML is behind if the interval of the paired difference,
    I-AMFS minus MAML, lies above zero.
    """
    curves = figure2.curves(result() if shown is None else shown)
    solve, steps = curves["i-amfs"].at(0), range(curves["maml"].per_episode.shape[2])
    level = [k for k in steps if accuracy_difference(solve, curves["maml"].at(k)).low <= 0]
    return "not within 10" if not level else "within 5" if level[0] <= 5 else "6 to 10"
