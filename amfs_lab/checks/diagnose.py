"""Helper functions of the self-checks, which name the mistake in a wrong answer.

A classic mistake is a pair: a wrong function (or number), and a sentence that explains the mistake. Each wrong answer
is compared with the classic mistakes of its exercise.
"""

import functools
import linecache
import math
import numbers
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amfs_lab.checks.verdict import UNTOUCHED, NotAttempted, Wrong, graded, raises, tell
from amfs_lab.widgets.box import Box
from amfs_lab.widgets.controls import Slider
from amfs_lab.widgets.jupyter import stopped

# Folders of code that is not the student's: this library, Python and the installed packages.
INSTALLED = (
    str(Path(__file__).parents[1]),
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
)

Case = tuple[Any, ...]


def exercise(check: Callable[..., str]) -> Callable[..., None]:
    """Decorator: makes a self-check from a function that returns praise or raises `Wrong` with a diagnosis.

    The verdict is "not attempted yet" in two cases: the answer is still `...`, or the student's function still raises
    NotImplementedError without a message. Under nbgrader (NBGRADER_EXECUTION), such an answer raises
    NotImplementedError instead, because the student would otherwise get full marks. Any other exception is an error in
    the check, and is not caught.
    """

    @functools.wraps(check)
    def run(*answers: Any, **settings: Any) -> None:
        try:
            if any(answer is ... for answer in answers):
                raise NotAttempted
            verdict = Box("right", check(*answers, **settings))
        except NotAttempted as untouched:
            if graded():
                raise NotImplementedError("this exercise has not been attempted") from untouched
            verdict = Box("open", UNTOUCHED)
        except Wrong as diagnosis:
            if raises():
                raise
            verdict = Box("wrong", str(diagnosis))
        tell(verdict)

    return run


def function(
    mine: Any,
    truth: Callable[..., Tensor],
    cases: Sequence[Case],
    mistakes: Sequence[tuple[Callable[..., Tensor], str]],
) -> None:
    """Compares the student's function `mine` with `truth` on all cases. Returns if both agree.

    Raises:
        Wrong: the functions differ. If a classic mistake agrees with `mine` on all cases, the message explains this
            mistake. Otherwise, the message describes the first difference.
    """
    if not callable(mine):
        raise Wrong(f"Expected your function, without brackets after its name. Got {short(mine)}.")
    mine_values = [call(mine, case) for case in cases]
    expected = [truth(*case) for case in cases]
    if all(map(same, mine_values, expected)):
        return
    for wrong, sentence in mistakes:
        if all(same(got, wrong(*case)) for got, case in zip(mine_values, cases, strict=True)):
            raise Wrong(sentence)
    for got, right in zip(mine_values, expected, strict=True):
        if not same(got, right):
            raise Wrong(difference(got, right))


def number(mine: Any, expected: float, mistakes: Sequence[tuple[float, str]], tolerance: float = 0.05) -> None:
    """Compares the student's number `mine` with `expected`. Returns if both agree within `tolerance`.

    Args:
        tolerance: relative tolerance. 0 is for an exact number, such as a count.
    Raises:
        Wrong: the numbers differ. If a classic mistake gives the number `mine`, the message explains this mistake.
            Otherwise, the message states whether `mine` is too small or too large.
    """
    mine = real(mine)
    if not math.isfinite(mine):
        raise Wrong(f"Expected a number. Got {mine:g}: look for a division by zero, or 0 times infinity.")
    if near(mine, expected, tolerance):
        return
    for wrong, sentence in mistakes:
        if near(mine, wrong, max(tolerance, 0.01)):
            raise Wrong(sentence)
    if tolerance and near(mine, 100 * expected, tolerance):
        raise Wrong(f"{mine:g} is the percentage. Write it as a fraction of one: {mine / 100:g}.")
    side = "more" if expected > mine else "less"
    raise Wrong(f"{mine:g} is wrong: the number is {side} than that. Write down the formula, then put in the numbers.")


def called(mine: Callable[..., Any], *arguments: Any, given: str) -> Any:
    """The return value of the student's function `mine`.

    If the function fails, the diagnosis names the line in the student's notebook cell.

    Raises:
        NotAttempted: the function raised NotImplementedError without a message. Wrong: the function raised another
            error.
    """
    try:
        return mine(*arguments)
    except (Exception, SystemExit) as error:
        if type(error) is NotImplementedError and not error.args:
            raise NotAttempted from error
        said = textwrap.shorten(told(error), 300, placeholder=" …").rstrip(".")
        what = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise Wrong(f"Your function stopped with {what}. It was called with {given}.{line_of(error)}") from error
    except KeyboardInterrupt as stop:
        stopped(stop, f"Your function was still running. Check the condition that ends its loop.{line_of(stop)}")
        raise


def told(error: BaseException) -> str:
    """The message of an exception, or "" if the exception's `__str__` fails."""
    try:
        return str(error)
    except Exception:
        return ""


def line_of(error: BaseException) -> str:
    """A sentence with the last line of the student's code in the traceback, or "" if there is no such line."""
    frames = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith((*INSTALLED, "<frozen", "<string", "<__"))
    ]
    if not frames:
        return ""
    code, number = frames[-1]
    words = linecache.getline(code.co_filename, number).strip()
    return f" Line {number} of your cell: `{words}`." if words else f" It was in line {number} of your cell."


def call(mine: Callable[..., Any], case: Case) -> Tensor:
    """The return value of the student's function for one case, as a tensor.

    Raises NotAttempted if the exercise is unchanged. Raises Wrong if the function fails or changes its arguments.
    """
    copies = [argument.clone() if isinstance(argument, Tensor) else argument for argument in case]
    value = called(mine, *copies, given=", ".join(short(argument) for argument in case))
    if value is None:
        raise Wrong("Your function returns nothing. End it with `return` and the value.")
    if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(case, copies, strict=True)):
        raise Wrong(
            "Your function changed a tensor that it was given. Make a new one: `a = a - b` instead of `a -= b`."
        )
    return plain(value)


def plain(value: Any, expected: str = "a tensor") -> Tensor:
    """The student's return value as a tensor of real numbers. Raises Wrong if it cannot be converted."""
    try:
        tensor = torch.as_tensor(value).detach()
        tensor = (tensor if tensor.layout is torch.strided else tensor.to_dense()).cpu()
    except Exception as error:  # the value may be of any type
        raise Wrong(f"Expected {expected}. Got {short(value)}.") from error
    if tensor.is_complex() or tensor.is_quantized:
        raise Wrong(f"Expected real numbers. Got {tensor.dtype}.")
    return tensor


def same(got: Tensor, right: Tensor) -> bool:
    return got.shape == right.shape and torch.allclose(got.double(), right.double(), rtol=1e-4, atol=1e-7)


def near(mine: float, value: float, tolerance: float) -> bool:
    return abs(mine - value) <= max(tolerance, 1e-6) * abs(value)


def difference(got: Tensor, right: Tensor) -> str:
    """A sentence about a wrong answer: its shape, a NaN, or the entry with the largest error.

    The sentence is used if the answer fits no classic mistake.
    """
    if got.shape != right.shape:
        return f"The shape is wrong: expected {tuple(right.shape)}. Got {tuple(got.shape)}."
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
    """The student's answer as a float. Raises Wrong unless the answer is one real number, from any library."""
    if isinstance(answer, str):
        raise Wrong(f"Expected a number. Got {answer!r}, which is text: remove the quotes.")
    one = isinstance(answer, Tensor) and answer.numel() == 1 and not answer.is_complex()
    if isinstance(answer, bool) or not (one or isinstance(answer, numbers.Real)):
        raise Wrong(f"Expected one real number. Got {short(answer)}.")
    try:
        return float(answer)
    except Exception as error:  # a number larger than any float, or a tensor without values
        raise Wrong(f"Expected one real number. Got {type(answer).__name__}, which has no value as a float.") from error


def positive(answer: Any, name: str) -> float:
    """The student's answer as a float. Raises Wrong unless the answer is > 0 and finite."""
    if not 0 < (value := real(answer)) < math.inf:
        raise Wrong(f"Expected a number > 0 for {name}. Got {value:g}.")
    return value


def on_slider(answer: Any, slider: Slider) -> float:
    """The student's answer as a float. Raises Wrong unless the answer is in the range of the slider."""
    value = real(answer)
    if not slider.low <= value <= slider.high:
        raise Wrong(
            f"Expected {slider.label} on the slider, from {slider.low:g} to {slider.high:g}. Got {short(value)}."
        )
    return value


def points(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
