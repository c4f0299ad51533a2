"""Correct answers to the predictions about one solve against many steps. Each answer is computed on request."""

import torch

from amfs_lab.experiments import Result, figure2
from amfs_lab.explore.inner_loop.adaptation import START, learn
from amfs_lab.explore.inner_loop.figure2 import result
from amfs_lab.explore.inner_loop.steps import gap, learned
from amfs_lab.stats import accuracy_difference


def answer_lambda_that_mimics_steps(rate: float = 0.01, steps: int = 2000) -> str:
    """The answer to "which λ comes closest to steps that reach t?": `"t"`, `"1/t"` or `"half of 1/t"`."""
    t = rate * steps
    tried = {"t": t, "1/t": 1 / t, "half of 1/t": 1 / (2 * t)}
    return min(tried, key=lambda name: float(gap(tried[name], rate, steps)))


def answer_when_the_rate_is_too_large(rate: float = 2.1, steps: int = 200) -> str:
    """The answer to "steps a little longer than 2/s_max: where does the strongest channel end?"."""
    rest = [abs(1 - float(learned(torch.ones(1, dtype=torch.float64), rate, k))) for k in (steps // 2, steps)]
    return "at its label" if rest[1] < 1e-3 else "it swings for ever" if rest[1] <= rest[0] else "ever further away"


def answer_which_learner_is_closer(steps: int = START["steps"], tasks: int = 20) -> str:
    """The answer to "what is closer to k steps on the tangent?": `"MAML"` or `"the one solve"`, over test sinusoids."""
    apart = {"MAML": 0.0, "the one solve": 0.0}
    for task in range(1, tasks + 1):
        found = learn(START["start"], task, START["shots"], START["rate"])
        for name, values in (("MAML", found.maml), ("the one solve", found.solve)):
            apart[name] += float((values[steps] - found.tangent[steps]).square().mean().sqrt())
    return min(apart, key=lambda name: apart[name])


def answer_steps_until_maml_catches_up(shown: Result | None = None) -> str:
    """The answer to "after how many steps is MAML no longer behind?".

    It is `"within 5"`, `"6 to 10"` or `"not within 10"`. MAML is behind if the paired interval of I-AMFS minus MAML
    lies above zero.
    """
    curves = figure2.curves(result() if shown is None else shown)
    solve, steps = curves["i-amfs"].at(0), range(curves["maml"].per_episode.shape[2])
    level = [k for k in steps if accuracy_difference(solve, curves["maml"].at(k)).low <= 0]
    return "not within 10" if not level else "within 5" if level[0] <= 5 else "6 to 10"
