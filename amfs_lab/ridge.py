"""One task in function space: the closed form, what it does to each direction, and what it tells about the labels."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor

from amfs_lab.arguments import check_columns, check_gram, check_positive, in_working_precision, readable
from amfs_lab.errors import ConfigError, NumericalError

Number = Float[Tensor, ""] | float
SOLVE, GRADIENT_NORM = "K + lam*I", "I + mu*K"  # what is factored, as messages call it


def solve(
    K: Float[Tensor, "*b n n"], y: Real[Tensor, "*b n c"], lam: Number, mu: Number = 0.0, *, check: bool = True
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
        ConfigError: a negative `lam` or `mu`. DataError: K is not square, or y has not one row for each of its rows.
        NumericalError: K + N is not positive definite in this precision.
    """
    check_regularisers(lam, mu, check)
    check_gram("K", K)
    check_columns("y", y, "K", K.shape[-1])
    K, y = in_working_precision(K, y)
    factor = _cholesky(K + noise(K, lam, mu, check=check), check, _name(mu), lam=lam, mu=mu)
    return torch.cholesky_solve(y, factor)


def noise(K: Float[Tensor, "*b n n"], lam: Number, mu: Number = 0.0, *, check: bool = True) -> Float[Tensor, "*b n n"]:
    """N = lam (I + mu K)^-1, the noise covariance that the regularisers amount to; lam I for mu = 0."""
    identity = torch.eye(K.shape[-1], dtype=K.dtype, device=K.device)
    if not isinstance(mu, Tensor) and mu == 0:
        return (lam * identity).expand_as(K)
    factor = _cholesky(identity + mu * K, check, GRADIENT_NORM, mu=mu)
    return lam * torch.cholesky_solve(identity.expand_as(K), factor)


def information(K: Float[Tensor, "*b n n"], lam: Number, mu: Number = 0.0) -> Float[Tensor, "*b"]:
    """I(f; D) = 1/2 log det(I + K N^-1), in nats: what n noisy labels tell about the function.

    For mu = 0 it is 1/2 log det(I + K / lam). Differentiable through Cholesky factors, where `Spectrum.information` is
    for display. A failed factorisation gives NaN.
    """
    check_regularisers(lam, mu, values=False)
    check_gram("K", K)
    identity = torch.eye(K.shape[-1], dtype=K.dtype, device=K.device)
    # I + K N^-1 = I + (K + mu K^2) / lam, and log det(K + N) - log det N splits it into two well-conditioned factors.
    log_determinant = _log_det(K / lam + noise(K, 1.0, mu, check=False))
    if isinstance(mu, Tensor) or mu != 0:
        log_determinant = log_determinant + _log_det(identity + mu * K)
    return log_determinant / 2


def variance(
    k_qq: Float[Tensor, "*b q"],
    K_qs: Float[Tensor, "*b q n"],
    K_ss: Float[Tensor, "*b n n"],
    lam: Number,
    mu: Number = 0.0,
) -> Float[Tensor, "*b q"]:
    """v(x) = k(x, x) - k_x^T (K + N)^-1 k_x: how uncertain f still is at x, under the Gaussian-process reading.

    For lam = 0 it is the squared norm of what is left of k(x, .) when its projection on the support set's functions is
    taken away. For mu = 0 add `lam` for the uncertainty of a label instead of the function. A failed factorisation
    gives NaN.

    Args:
        k_qq: k(x, x) of each query. K_qs: queries against support. K_ss: Gram matrix of the support set.
    """
    half = _half(K_qs, K_ss, lam, mu)
    return (k_qq - half.square().sum(-2)).clamp(min=0)  # rounding may leave a little below nothing


def covariance(
    K_qq: Float[Tensor, "*b q q"],
    K_qs: Float[Tensor, "*b q n"],
    K_ss: Float[Tensor, "*b n n"],
    lam: Number,
    mu: Number = 0.0,
) -> Float[Tensor, "*b q q"]:
    """K_qq - K_qs (K + N)^-1 K_sq, whose diagonal is `variance`: how the function's errors at two places go together.

    For lam = 0 it is the Gram matrix of the queries' k(x, .) after projection: <k_x_perp, k_x'_perp>.
    """
    half = _half(K_qs, K_ss, lam, mu)
    return K_qq - half.mT @ half


def leave_one_out(K: Float[Tensor, "*b n n"], y: Real[Tensor, "*b n c"], lam: Number) -> Float[Tensor, "*b n c"]:
    """e_i = alpha_i / [(K + lam I)^-1]_ii: what f, learned without point i, misses there; n fits for the price of one.

    e_i = y_i - f_without_i(x_i), exactly, for ridge regression without mu.

    Raises:
        ConfigError: a negative `lam`. DataError: K is not square, or y has not one row for each of its rows.
        NumericalError: K + lam I is not positive definite in this precision.
    """
    check_regularisers(lam, 0.0)
    check_gram("K", K)
    check_columns("y", y, "K", K.shape[-1])
    K, y = in_working_precision(K, y)
    factor = _cholesky(K + noise(K, lam), lam=lam)
    inverse = torch.cholesky_inverse(factor)
    return inverse @ y / inverse.diagonal(dim1=-2, dim2=-1)[..., None]


def log_evidence(K: Float[Tensor, "*b n n"], y: Real[Tensor, "*b n c"], lam: Number) -> Float[Tensor, "*b"]:
    """log p(y) = -1/2 y^T (K + lam I)^-1 y - 1/2 log det(K + lam I) - n/2 log 2 pi, in nats, summed over the c columns.

    How probable the labels were before they were seen, if f is drawn from a Gaussian process with covariance k and each
    label has noise of variance lam. Differentiable in K and lam. A failed factorisation gives NaN.
    """
    check_regularisers(lam, 0.0, values=False)
    check_gram("K", K)
    check_columns("y", y, "K", K.shape[-1])
    K, y = in_working_precision(K, y)
    factor = _cholesky(K + noise(K, lam), check=False)
    whitened = torch.linalg.solve_triangular(factor, y, upper=False)
    half_log_determinant = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    n, columns = y.shape[-2:]
    constant = half_log_determinant + n / 2 * math.log(2 * math.pi)
    return -whitened.square().sum((-2, -1)) / 2 - columns * constant


def check_regularisers(lam: Number, mu: Number, values: bool = True) -> None:
    """Raises ConfigError for a lam < 0 or mu < 0.

    Args:
        values: look into tensors as well; on the training path they are positive by construction, and a look would
            wait for the device.
    """
    for name, value in (("lam", lam), ("mu", mu)):
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ConfigError(f"`{name}` must be one number. Got a tensor of shape {tuple(value.shape)}.")
        if values or not isinstance(value, Tensor):
            check_positive(name, value, "A ridge of 0.1 is a fair start.", zero=True)


@dataclass(frozen=True)
class Spectrum:
    """K = sum_i s_i u_i u_i^T, and what ridge regression does along each direction u_i. For display and tests.

    (Gradients go through Cholesky: the backward of an eigendecomposition is NaN where eigenvalues repeat.)
    """

    eigenvalues: Float[Tensor, " n"]  # s, descending
    eigenvectors: Float[Tensor, "n n"]  # u_i in columns, in the same order

    @classmethod
    def of(cls, K: Float[Tensor, "n n"]) -> "Spectrum":
        check_gram("K", K)
        eigenvalues, eigenvectors = torch.linalg.eigh(K)
        return cls(eigenvalues.flip(0), eigenvectors.flip(1))

    def signal_to_noise(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, " n"]:
        """s (1 + mu s) / lam: each direction's variance over the noise in it, rounding below zero cut off."""
        s = self.eigenvalues.clamp(min=0)
        return s * (1 + mu * s) / lam

    def filter(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, " n"]:
        """h(s) = s (1 + mu s) / (s (1 + mu s) + lam): the share of u_i^T y that the fit keeps, in [0, 1]; lam > 0."""
        ratio = self.signal_to_noise(lam, mu)
        return ratio / (1 + ratio)

    def descent_filter(self, rate: float, steps: int) -> Float[Tensor, " n"]:
        """1 - (1 - rate s)^steps: the share of u_i^T y that gradient descent from zero has learned by then.

        f <- f - rate * grad_f L in function space, rate < 2/s_max or it diverges (Section 4.2).
        """
        return 1 - (1 - rate * self.eigenvalues) ** steps

    def flow_filter(self, time: float) -> Float[Tensor, " n"]:
        """1 - exp(-s time): `descent_filter` with ever shorter steps, rate * steps = time (gradient flow)."""
        return -torch.expm1(-time * self.eigenvalues)

    def degrees_of_freedom(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, ""]:
        """d = sum_i h(s_i), between 0 and n; for mu = 0 tr K (K + lam I)^-1."""
        return self.filter(lam, mu).sum()

    def information(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, ""]:
        """I = 1/2 sum_i log(1 + s_i (1 + mu s_i) / lam), in nats."""
        return torch.log1p(self.signal_to_noise(lam, mu)).sum() / 2


def _half(
    K_qs: Float[Tensor, "*b q n"], K_ss: Float[Tensor, "*b n n"], lam: Number, mu: Number
) -> Float[Tensor, "*b n q"]:
    """L^-1 K_sq with L L^T = K + N."""
    check_regularisers(lam, mu, values=False)
    check_gram("K_ss", K_ss)
    check_columns("K_qs.T", K_qs.mT, "K_ss", K_ss.shape[-1], "n q")
    factor = _cholesky(K_ss + noise(K_ss, lam, mu, check=False), check=False)
    return torch.linalg.solve_triangular(factor, K_qs.mT, upper=False)


def _name(mu: Number) -> str:
    """The matrix of the solve, as messages call it."""
    return SOLVE if not isinstance(mu, Tensor) and mu == 0 else "K + lam*(I + mu*K)^-1"


def _cholesky(
    A: Float[Tensor, "*b n n"], check: bool = True, name: str = SOLVE, **numbers: Number
) -> Float[Tensor, "*b n n"]:
    """The lower factor of A; where there is none NaN, or with `check` an error that tells its name and numbers."""
    factor, failed = torch.linalg.cholesky_ex(A)
    broken = readable((failed > 0).any()) if check else None
    if broken is None:  # nor can it be looked at within a transform of `torch.func`
        return torch.where(failed[..., None, None] > 0, A.new_full((), float("nan")), factor)
    if broken:
        if not bool(torch.isfinite(A).all()):
            raise NumericalError(
                f"{name} of shape {tuple(A.shape)} must be finite. Got NaN or infinity in it. "
                "Look at the features that K was made from."
            )
        told = ", ".join(
            f"{n}={float(torch.as_tensor(v).detach()):g}" for n, v in numbers.items() if n == "lam" or v != 0
        )
        more = "" if A.dtype == torch.float64 else ", or solve in float64"
        cause = "at lam=0 a repeated support point makes it singular in any precision"
        raise NumericalError(
            f"{name} of shape {tuple(A.shape)} is not positive definite ({told}, dtype={A.dtype}). "
            + (
                f"Increase `lam`{more}; {cause}."
                if "lam" in numbers
                else f"K must be the Gram matrix of a kernel{more}."
            )
        )
    return factor


def _log_det(A: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b"]:
    return 2 * _cholesky(A, check=False).diagonal(dim1=-2, dim2=-1).log().sum(-1)
