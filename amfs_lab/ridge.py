"""One task in function space: the closed form, what it does to each direction, and what it tells about the labels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.errors import ConfigError, NumericalError

Number = Float[Tensor, ""] | float


def solve(
    K: Float[Tensor, "*b n n"], y: Float[Tensor, "*b n c"], lam: Number, mu: Number = 0.0, *, check: bool = True
) -> Float[Tensor, "*b n c"]:
    """alpha = (K + N)^-1 y with N = lam (I + mu K)^-1: the dual coefficients of the task's function.

    f(x) = sum_i alpha_i k(x, x_i) minimises L(f) + lam/2 |f|^2 + mu/2 |grad_f L|^2 over the RKHS of k, with the loss
    L(f) = 1/2 sum_i (f(x_i) - y_i)^2.
    The same number as (K + mu K^2 + lam I)^-1 (I + mu K) y, without squaring the condition of K.

    Args:
        K: Gram matrix of the support set, symmetric and positive semi-definite.
        lam: ridge strength >= 0 (a configuration demands > 0). mu: weight of the gradient norm, >= 0.
        check: raise when a factorisation fails. Without it the failed task's alpha is NaN and stays on its device,
            so that a training loop looks once a meta-step.
    Raises:
        ConfigError: a negative `lam` or `mu`. NumericalError: K + N is not positive definite in this precision.
    """
    check_regularisers(lam, mu)
    factor = _cholesky(K + noise(K, lam, mu, check=check), lam, check)
    return torch.cholesky_solve(y, factor)


def noise(K: Float[Tensor, "*b n n"], lam: Number, mu: Number = 0.0, *, check: bool = True) -> Float[Tensor, "*b n n"]:
    """N = lam (I + mu K)^-1, the noise covariance that the regularisers amount to; lam I for mu = 0."""
    identity = torch.eye(K.shape[-1], dtype=K.dtype, device=K.device)
    if not isinstance(mu, Tensor) and mu == 0:
        return (lam * identity).expand_as(K)
    return lam * torch.cholesky_solve(identity.expand_as(K), _cholesky(identity + mu * K, lam, check))


def information(K: Float[Tensor, "*b n n"], lam: Number, mu: Number = 0.0) -> Float[Tensor, "*b"]:
    """I(f; D) = 1/2 log det(I + K N^-1), in nats: what n noisy labels tell about the function.

    For mu = 0 it is 1/2 log det(I + K / lam). Differentiable through Cholesky factors, where `Spectrum.information` is
    for display. A failed factorisation gives NaN.
    """
    check_regularisers(lam, mu)
    identity = torch.eye(K.shape[-1], dtype=K.dtype, device=K.device)
    # I + K N^-1 = I + (K + mu K^2) / lam, and log det(K + N) - log det N splits it into two well-conditioned factors.
    log_determinant = _log_det(K / lam + noise(K, 1.0, mu, check=False), lam)
    if isinstance(mu, Tensor) or mu != 0:
        log_determinant = log_determinant + _log_det(identity + mu * K, lam)
    return log_determinant / 2


def check_regularisers(lam: Number, mu: Number) -> None:
    """Raises ConfigError for a number lam < 0 or mu < 0 (a tensor is positive by construction)."""
    for name, value in (("lam", lam), ("mu", mu)):
        if not isinstance(value, Tensor) and not 0 <= value < float("inf"):
            raise ConfigError(f"`{name}` must be a finite number >= 0. Got {value}. A ridge of 0.1 is a fair start.")


@dataclass(frozen=True)
class Spectrum:
    """K = sum_i s_i u_i u_i^T, and what ridge regression does along each direction u_i. For display and tests.

    (Gradients go through Cholesky: the backward of an eigendecomposition is NaN where eigenvalues repeat.)
    """

    eigenvalues: Float[Tensor, " n"]  # s, descending
    eigenvectors: Float[Tensor, "n n"]  # u_i in columns, in the same order

    @classmethod
    def of(cls, K: Float[Tensor, "n n"]) -> "Spectrum":
        eigenvalues, eigenvectors = torch.linalg.eigh(K)
        return cls(eigenvalues.flip(0), eigenvectors.flip(1))

    def signal_to_noise(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, " n"]:
        """s (1 + mu s) / lam: each direction's variance over the noise in it, rounding below zero cut off."""
        s = self.eigenvalues.clamp(min=0)
        return s * (1 + mu * s) / lam

    def filter(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, " n"]:
        """h(s) = s (1 + mu s) / (s (1 + mu s) + lam): the share of u_i^T y that the fit keeps, in [0, 1)."""
        ratio = self.signal_to_noise(lam, mu)
        return ratio / (1 + ratio)

    def degrees_of_freedom(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, ""]:
        """d = sum_i h(s_i), between 0 and n; for mu = 0 tr K (K + lam I)^-1."""
        return self.filter(lam, mu).sum()

    def information(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, ""]:
        """I = 1/2 sum_i log(1 + s_i (1 + mu s_i) / lam), in nats."""
        return torch.log1p(self.signal_to_noise(lam, mu)).sum() / 2


def _cholesky(A: Float[Tensor, "*b n n"], lam: Number, check: bool) -> Float[Tensor, "*b n n"]:
    factor, failed = torch.linalg.cholesky_ex(A)
    if not check:
        return torch.where(failed[..., None, None] > 0, A.new_full((), float("nan")), factor)
    if bool((failed > 0).any()):
        if not bool(torch.isfinite(A).all()):
            raise NumericalError(
                f"K + lam*I of shape {tuple(A.shape)} must be finite. Got NaN or infinity in it. "
                "Look at the features that K was made from."
            )
        raise NumericalError(
            f"K + lam*I of shape {tuple(A.shape)} is not positive definite (lam={float(lam):g}, dtype={A.dtype}). "
            "Increase `lam`, or solve in float64; a repeated support point makes K singular."
        )
    return factor


def _log_det(A: Float[Tensor, "*b n n"], lam: Number) -> Float[Tensor, "*b"]:
    return 2 * _cholesky(A, lam, check=False).diagonal(dim1=-2, dim2=-1).log().sum(-1)
