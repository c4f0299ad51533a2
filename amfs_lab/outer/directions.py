"""Unit vectors of gradients, and a tolerance. A sum of cosines below the tolerance counts as zero."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def cancellation_tolerance(p: int, dtype: torch.dtype) -> float:
    """A bound on the rounding error of a cosine whose exact value is 0: (8 + sqrt(p)/8) eps.

    p is the dimension of the two vectors. One rounding has an error of up to eps/2, with a random sign. A dot product
    of unit vectors is summed in L >= 4 lanes. Each lane adds p/L products. Its partial sums are at most 1/L, so each of
    the p/L roundings is at most eps/2 / L, and the lane has an error of eps/2 sqrt(p/L) / L. So the sum of the lanes
    has an error of eps/2 sqrt(p) / L <= sqrt(p) eps/8. The 8 eps are for the two norms, the two divisions and the sum
    over the tasks, with one or two roundings each. The error was measured on opposed gradients of 2 to 112,000 numbers
    (tests/outer/test_laws.py).

    Use: treat a sum of n such cosines as 0 if the sum is <= n times the tolerance.
    """
    return (8 + p**0.5 / 8) * torch.finfo(dtype).eps


@dataclass(frozen=True)
class Directions:
    """The unit vectors u_j = g_j / |g_j|, stored as `scale[j] * rows[j]`.

    This form is faster, because a division of all rows would cost more than the products. A gradient that is zero, or
    shorter than the smallest normal floating-point number, has scale 0. NaN or infinity in a gradient makes its scale
    or its cosines NaN, never 0. `cosines` accepts batch axes; `sum` and `dot` do not.
    """

    rows: Float[Tensor, "*b t p"]
    scale: Float[Tensor, "*b t"]

    @classmethod
    def of(cls, grads: Float[Tensor, "*b t p"]) -> "Directions":
        lengths = torch.linalg.vector_norm(grads, dim=-1)
        if grads.device.type == "cpu" and squares_are_sound(lengths, grads.shape[-1]):
            return cls(grads, 1 / lengths)
        # On other devices the check would wait for the device, so there each row is always divided by its largest
        # entry.
        largest = grads.abs().amax(-1)
        rows = grads / torch.where(largest == 0, 1, largest)[..., None]
        lengths = torch.linalg.vector_norm(rows, dim=-1)
        nothing = largest * lengths < torch.finfo(grads.dtype).tiny
        return cls(rows, torch.where(nothing, 0, 1 / lengths))

    def sum(self) -> Float[Tensor, " p"]:
        """The sum S = sum_j u_j."""
        return self.scale @ self.rows

    def dot(self, S: Float[Tensor, " p"]) -> Float[Tensor, " t"]:
        """The products <S, u_j> for all j."""
        return (self.rows @ S) * self.scale

    def cosines(self) -> Float[Tensor, "*b t t"]:
        """The cosines w_ij = <u_i, u_j>."""
        return self.scale[..., :, None] * (self.rows @ self.rows.mT) * self.scale[..., None, :]


def squares_are_sound(lengths: Float[Tensor, "*b t"], p: int) -> bool:
    """True if `lengths` come from sums of p squares without overflow or underflow.

    In float32 the square of 1e25 overflows, and the square of 1e-25 underflows. A square below the smallest normal
    floating-point number `tiny` may be lost. So p such squares must be negligible relative to the squared length. A
    finite length in float16 may have an infinite square.
    """
    limits = torch.finfo(lengths.dtype)
    least = (p * limits.tiny / limits.eps) ** 0.5
    return bool(((lengths > least) & (lengths < limits.max**0.5)).all())
