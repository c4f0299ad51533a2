"""What exercises' self-checks are made of: a wrong answer is told what it did, not that it is wrong.

A classic mistake is itself a function (or a number) with a sentence, and an answer that fails is compared with each.
"""

import functools
import math
import numbers
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from amfs_lab.explore.controls import Slider

Case = tuple[Any, ...]


def exercise(check: Callable[..., str]) -> Callable[..., None]:
    """Makes a self-check of a function that returns praise or raises AssertionError with a diagnosis.

    An answer that is still `...`, or a function that still raises the exercise's bare NotImplementedError, is
    "not attempted yet": no error for a reader, but one under nbgrader (NBGRADER_EXECUTION): full marks for nothing.
    """

    @functools.wraps(check)
    def run(*answers: Any, **settings: Any) -> None:
        try:
            if any(answer is ... for answer in answers):
                raise NotImplementedError
            praise = check(*answers, **settings)
        except NotImplementedError as untouched:
            if os.environ.get("NBGRADER_EXECUTION"):
                raise NotImplementedError("this exercise has not been attempted") from untouched
            print("○ not attempted yet")
        else:
            print(f"✓ {praise}")

    return run


def function(
    mine: Any,
    truth: Callable[..., Tensor],
    cases: Sequence[Case],
    mistakes: Sequence[tuple[Callable[..., Tensor], str]],
) -> None:
    """Accepts a function that agrees with `truth` on every case; otherwise says which mistake it makes on all."""
    if not callable(mine):
        raise AssertionError(f"Expected your function, without brackets behind its name. Got {short(mine)}.")
    mine_values = [call(mine, case) for case in cases]
    expected = [truth(*case) for case in cases]
    if all(map(same, mine_values, expected)):
        return
    for wrong, sentence in mistakes:
        if all(same(got, wrong(*case)) for got, case in zip(mine_values, cases, strict=True)):
            raise AssertionError(sentence)
    for got, right in zip(mine_values, expected, strict=True):
        if not same(got, right):
            raise AssertionError(difference(got, right))


def number(mine: Any, expected: float, mistakes: Sequence[tuple[float, str]], tolerance: float = 0.05) -> None:
    """Accepts a number within `tolerance` of `expected`; otherwise says which mistake gives it.

    Args:
        tolerance: relative; 0 for a whole number, which is counted and not measured.
    """
    mine = real(mine)
    if not math.isfinite(mine):
        raise AssertionError(f"Expected a number. {mine:g} is none: look for a division by zero, or 0 times infinity.")
    if near(mine, expected, tolerance):
        return
    for wrong, sentence in mistakes:
        if near(mine, wrong, max(tolerance, 0.01)):
            raise AssertionError(sentence)
    if tolerance and near(mine, 100 * expected, tolerance):
        raise AssertionError(f"{mine:g} is the percentage. Write it as a fraction of one: {mine / 100:g}.")
    side = "more" if expected > mine else "less"
    raise AssertionError(
        f"{mine:g} is not it: the number is {side} than that. Write it down and put in one number at a time."
    )


def call(mine: Callable[..., Any], case: Case) -> Tensor:
    """The answer's value as a tensor. Its errors become a diagnosis; the exercise's bare NotImplementedError passes."""
    copies = [argument.clone() if isinstance(argument, Tensor) else argument for argument in case]
    shapes = ", ".join(short(argument) for argument in case)
    try:
        value = mine(*copies)
    except Exception as error:
        if type(error) is NotImplementedError and not error.args:
            raise
        raise AssertionError(
            f"Your function stopped with {type(error).__name__}: {error}. It was called with {shapes}."
        ) from error
    if value is None:
        raise AssertionError("Your function returns nothing. End it with `return` and the value.")
    if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(case, copies, strict=True)):
        raise AssertionError(
            "Your function changed a tensor that it was given. Make a new one: `a = a - b` instead of `a -= b`."
        )
    try:
        return torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise AssertionError(f"Expected a tensor. Got {short(value)}.") from error


def same(got: Tensor, right: Tensor) -> bool:
    return got.shape == right.shape and torch.allclose(got.double(), right.double(), rtol=1e-4, atol=1e-7)


def near(mine: float, value: float, tolerance: float) -> bool:
    return abs(mine - value) <= max(tolerance, 1e-6) * abs(value)


def difference(got: Tensor, right: Tensor) -> str:
    """Where an answer that makes no classic mistake first differs."""
    if got.shape != right.shape:
        return f"The shape is off: expected {tuple(right.shape)}. Got {tuple(got.shape)}."
    if not torch.isfinite(got).all():
        return (
            "Your function returns NaN or infinity. Look for a division by zero or an exponential of something large."
        )
    worst = (got.double() - right.double()).abs().argmax()
    at = tuple(int(i) for i in torch.unravel_index(worst, got.shape))
    return f"At entry {list(at)} the value is {float(right[at]):.4g}. You got {float(got[at]):.4g}."


def short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return repr(value) if isinstance(value, (int, float, str)) else f"a {type(value).__name__}"


def real(answer: Any) -> float:
    """The reader's number, from whichever library; raises AssertionError unless it is one."""
    if isinstance(answer, str):
        raise AssertionError(f"Expected a number. Got {answer!r}, a text: leave the quotes away.")
    one = isinstance(answer, Tensor) and answer.numel() == 1 and not answer.is_complex()
    if isinstance(answer, bool) or not (one or isinstance(answer, numbers.Real)):
        raise AssertionError(f"Expected one real number. Got {short(answer)}.")
    return float(answer)


def positive(answer: Any, name: str) -> float:
    """The reader's number; raises AssertionError unless it is one and > 0."""
    if not 0 < (value := real(answer)) < math.inf:
        raise AssertionError(f"Expected a number > 0 for {name}. Got {value:g}.")
    return value


def on_dial(answer: Any, dial: Slider) -> float:
    """The reader's number; raises AssertionError unless the dial reaches it."""
    value = real(answer)
    if not dial.low <= value <= dial.high:
        raise AssertionError(
            f"Expected {dial.label} on the dial, from {dial.low:g} to {dial.high:g}. Got {short(value)}."
        )
    return value


def points(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
