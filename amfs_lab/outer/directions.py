"""Where gradients point, whatever their length."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Directions:
    """u_j = g_j / |g_j| as `scale[j] * rows[j]`: to write the units down takes longer than all that is asked of them.

    `cosines` serves any number of batches, `sum` and `dot` one.

    A zero gradient has no direction and gets scale 0; so does one shorter than the smallest normal number. NaN and
    infinity in a gradient make its scale NaN or its cosines NaN, never 0.
    """

    rows: Float[Tensor, "*b t p"]
    scale: Float[Tensor, "*b t"]

    @classmethod
    def of(cls, grads: Float[Tensor, "*b t p"]) -> "Directions":
        lengths = torch.linalg.vector_norm(grads, dim=-1)
        if grads.device.type == "cpu" and squares_are_sound(lengths, grads.shape[-1]):
            return cls(grads, 1 / lengths)
        # Elsewhere to ask would be to wait for the device, so rows are always brought to a largest entry of 1 there.
        largest = grads.abs().amax(-1)
        rows = grads / torch.where(largest == 0, 1, largest)[..., None]
        lengths = torch.linalg.vector_norm(rows, dim=-1)
        nothing = largest * lengths < torch.finfo(grads.dtype).tiny
        return cls(rows, torch.where(nothing, 0, 1 / lengths))

    def sum(self) -> Float[Tensor, " p"]:
        """S = sum_j u_j."""
        return self.scale @ self.rows

    def dot(self, S: Float[Tensor, " p"]) -> Float[Tensor, " t"]:
        """<S, u_j> for each j."""
        return (self.rows @ S) * self.scale

    def cosines(self) -> Float[Tensor, "*b t t"]:
        """w_ij = <u_i, u_j>."""
        return self.scale[..., :, None] * (self.rows @ self.rows.mT) * self.scale[..., None, :]


def squares_are_sound(lengths: Float[Tensor, "*b t"], p: int) -> bool:
    """Whether sums of p squares gave these lengths: in float32 the squares of 1e25 overflow, those of 1e-25 vanish.

    A square below the smallest normal number `tiny` may be lost; p of them must not count beside the sum. In float16
    a length may be finite where its square, an entry of `rows @ rows.mT`, is not.
    """
    limits = torch.finfo(lengths.dtype)
    least = (p * limits.tiny / limits.eps) ** 0.5
    return bool(((lengths > least) & (lengths < limits.max**0.5)).all())
