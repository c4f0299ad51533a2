"""Run-time checks of the arguments of public functions.

Shapes and types are always checked, which takes microseconds. Values are checked only outside training, and only if
`readable` can read them.
"""

import sys
from collections.abc import Collection
from functools import reduce
from numbers import Real
from typing import TypeGuard, cast

import torch
from torch import Tensor

from amfs_lab.errors import ConfigError, DataError


def in_working_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, converted to one common floating-point type of 32 bits or more.

    Integers become torch's default floating-point type, because differences of integers can overflow. 16-bit numbers
    become float32, because 256 squared overflows in float16, and bfloat16 has only about three digits.
    """
    if all(tensor.dtype is torch.float32 for tensor in tensors):  # the usual case
        return tensors
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    if torch.finfo(dtype).bits < 32:
        dtype = torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)


def check_tensor(name: str, value: Tensor, axes: str) -> None:
    """Raises DataError unless `value` is a dense tensor of real numbers whose last axes match `axes`.

    In `axes`, for example "t 2 2", a letter stands for any size. A number stands for exactly this size.
    """
    names = axes.split()
    listed = ", ".join(names)
    if not isinstance(value, Tensor):
        raise DataError(
            f"`{name}` must be a tensor ({listed}). Got a {type(value).__name__}. Make one: torch.as_tensor."
        )
    if value.is_complex():
        raise DataError(f"`{name}` must hold real numbers. Got {value.dtype}.")
    if value.layout != torch.strided:
        raise DataError(f"`{name}` must be a dense tensor. Got {value.layout}. Make it dense: .to_dense().")
    sizes = value.shape[-len(names) :]
    if value.ndim < len(names) or any(a.isdigit() and int(a) != size for a, size in zip(names, sizes, strict=True)):
        advice = " For one column: x[:, None]." if value.ndim == 1 and len(names) == 2 else ""
        raise DataError(f"`{name}` must have the axes ({listed}). Got shape {tuple(value.shape)}.{advice}")


def checked_points(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """`x1` (n d) and `x2` (m d), converted to one working precision.

    Raises DataError unless both are matrices with d columns, or batches of such matrices with matching batch axes.
    """
    check_tensor("x1", x1, "n d")
    check_tensor("x2", x2, "m d")
    shapes = f"Got {tuple(x1.shape)} and {tuple(x2.shape)}."
    if x1.shape[-1] != x2.shape[-1]:
        raise DataError(f"`x1` (n, d) and `x2` (m, d) must have rows of one length d. {shapes}")
    try:
        torch.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    except RuntimeError:
        raise DataError(f"`x1` and `x2` must have batch axes that fit each other. {shapes}") from None
    x1, x2 = in_working_precision(x1, x2)
    return x1, x2


def check_gram(name: str, K: Tensor) -> None:
    """Raises DataError unless K is a square matrix (n n), or a batch of square matrices."""
    check_tensor(name, K, "n n")
    if K.shape[-1] != K.shape[-2]:
        raise DataError(f"`{name}` must be square (n, n). Got shape {tuple(K.shape)}.")


def check_columns(name: str, y: Tensor, of: str, n: int, axes: str = "n c") -> None:
    """Raises DataError unless y has `n` rows, and its last axes match `axes`.

    Args:
        of: name of the argument that also has `n` rows, for the error message.
    """
    check_tensor(name, y, axes)
    if y.shape[-2] != n:
        raise DataError(
            f"`{name}` must have one row for each of the {n} rows of `{of}`, ({axes.replace(' ', ', ')}). "
            f"Got {tuple(y.shape)}."
        )


def check_positive(name: str, value: Tensor | float, advice: str, zero: bool = False) -> None:
    """Raises ConfigError unless `value` is finite and > 0. If `zero` is True, 0 is also allowed.

    For a tensor, each number must satisfy this condition. A tensor whose numbers cannot be read is accepted.
    """
    if isinstance(value, Tensor) and not value.is_complex():
        sound = readable(torch.isfinite(value).all() & ((value >= 0) if zero else (value > 0)).all()) is not False
        got: object = value.detach().flatten()[:5].tolist() if not sound else None
    else:
        sound, got = is_number(value) and (value >= 0 if zero else value > 0), value
    if not sound:
        raise ConfigError(f"`{name}` must be a finite number {'>=' if zero else '>'} 0. Got {got!r}. {advice}")


def check_count(name: str, value: object, smallest: int, largest: int) -> None:
    """Raises ConfigError unless `value` is an integer in [smallest, largest].

    Without an upper bound, a damaged file of a saved run could request too much memory.
    """
    if not isinstance(value, int) or value < smallest:
        raise ConfigError(f"{name} must be an integer >= {smallest}. Got {value!r}.")
    if value > largest:
        raise ConfigError(f"{name} must be at most {largest}. Got {value!r}.")


def check_choice(name: str, value: object, options: Collection[str]) -> None:
    """Raises ConfigError unless `value` is in `options`."""
    if value not in tuple(options):
        raise ConfigError(f"{name} must be one of {', '.join(options)}. Got {value!r}.")


def is_number(value: object) -> TypeGuard[float]:
    """True for a finite real number of Python or numpy in the range of float64. False for a bool."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(abs(cast(float, value)) <= sys.float_info.max)


def readable(condition: Tensor) -> bool | None:
    """`bool(condition)`, or None if torch cannot read the value of `condition`.

    Torch cannot read values on the meta device or in a `torch.func` transform.
    """
    try:
        return bool(condition)
    except RuntimeError:
        return None
