"""Checks of the arguments of public functions, at run time: shapes and types always, values where they can be read.

They look at shapes and types, which takes microseconds; a value is looked at once, and never on the training path.
"""

import sys
from functools import reduce
from numbers import Real
from typing import TypeGuard, cast

import torch
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError


def in_working_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same numbers in one floating-point type of 32 bits or more, in which sums of squares are sound.

    Integers (which wrap around in a difference) become the default type, 16-bit numbers (whose squares overflow at
    256, or have three digits) float32.
    """
    if all(tensor.dtype is torch.float32 for tensor in tensors):  # the usual case
        return tensors
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    if torch.finfo(dtype).bits < 32:
        dtype = torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)


def check_tensor(name: str, value: object, axes: str) -> None:
    """Raises DataError unless `value` is a tensor of real numbers with these axes at the end: "n d", "t 2 2"."""
    names = axes.split()
    if not isinstance(value, Tensor):
        raise DataError(
            f"`{name}` must be a tensor ({_listed(axes)}). Got a {type(value).__name__}. Make one: torch.as_tensor."
        )
    if value.is_complex():
        raise DataError(f"`{name}` must hold real numbers. Got {value.dtype}.")
    if value.layout != torch.strided:
        raise DataError(f"`{name}` must be a dense tensor. Got {value.layout}: make it one, .to_dense().")
    sizes = value.shape[-len(names) :]
    if value.ndim < len(names) or any(a.isdigit() and int(a) != size for a, size in zip(names, sizes, strict=True)):
        advice = " For one column: x[:, None]." if value.ndim == 1 and len(names) == 2 else ""
        raise DataError(f"`{name}` must have the axes ({_listed(axes)}). Got shape {tuple(value.shape)}.{advice}")


def check_points(x1: object, x2: object) -> None:
    """Raises DataError unless both are rows of features (n d) and (m d) of one length d."""
    check_tensor("x1", x1, "n d")
    check_tensor("x2", x2, "m d")
    assert isinstance(x1, Tensor)
    assert isinstance(x2, Tensor)
    if x1.shape[-1] != x2.shape[-1]:
        raise DataError(
            f"`x1` (n, d) and `x2` (m, d) must have rows of one length d. Got {tuple(x1.shape)} and {tuple(x2.shape)}."
        )
    _check_batches("x1", x1.shape[:-2], "x2", x2.shape[:-2])


def check_gram(name: str, K: object) -> None:
    """Raises DataError unless K is a square matrix (n n), or a batch of them."""
    check_tensor(name, K, "n n")
    assert isinstance(K, Tensor)
    if K.shape[-1] != K.shape[-2]:
        raise DataError(f"`{name}` must be square (n, n). Got shape {tuple(K.shape)}.")


def check_columns(name: str, y: object, of: str, n: int, axes: str = "n c") -> None:
    """Raises DataError unless y has `n` rows, one for each of `of`, and columns."""
    check_tensor(name, y, axes)
    assert isinstance(y, Tensor)
    if y.shape[-2] != n:
        raise DataError(
            f"`{name}` must have one row for each of the {n} rows of `{of}`, ({_listed(axes)}). Got {tuple(y.shape)}."
        )


def check_positive(name: str, value: Tensor | float, advice: str, zero: bool = False) -> None:
    """Raises ConfigError unless a number, or each number of a tensor whose values can be read, is finite and > 0
    (>= 0 with `zero`)."""
    if isinstance(value, Tensor) and not value.is_complex():
        sound = readable(torch.isfinite(value).all() & ((value >= 0) if zero else (value > 0)).all()) is not False
        got: object = value.detach().flatten()[:5].tolist() if not sound else None
    else:
        sound, got = is_number(value) and (value >= 0 if zero else value > 0), value
    if not sound:
        raise ConfigError(f"`{name}` must be a finite number {'>=' if zero else '>'} 0. Got {got!r}. {advice}")


def check_count(name: str, value: object, smallest: int, largest: int) -> None:
    """Raises ConfigError unless `value` is an integer within bounds. A saved run may ask for more than any machine has:
    it is refused before anything is built."""
    if not isinstance(value, int) or value < smallest:
        raise ConfigError(f"{name} must be an integer >= {smallest}. Got {value!r}.")
    if value > largest:
        raise ConfigError(f"{name} must be at most {largest}. Got {value!r}.")


def is_number(value: object) -> TypeGuard[float]:
    """True for a finite real number, of Python or numpy, within the range of floating point."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(abs(cast(float, value)) <= sys.float_info.max)


def readable(condition: Tensor) -> bool | None:
    """The truth of a condition on a tensor's values; None where they cannot be read: on the meta device, and within a
    transform of `torch.func`."""
    try:
        return bool(condition)
    except RuntimeError:
        return None


def _check_batches(a: str, batch_a: torch.Size, b: str, batch_b: torch.Size) -> None:
    try:
        torch.broadcast_shapes(batch_a, batch_b)
    except RuntimeError:
        raise DataError(f"`{a}` and `{b}` must be batches of one size. Got {batch_a} and {batch_b}.") from None


def _listed(axes: str) -> str:
    return ", ".join(axes.split())
