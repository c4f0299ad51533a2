"""Kernel ridge regression of one task: the closed form, results from its Cholesky factor, and the spectrum."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Real
from torch import Tensor

from amfs_lab.arguments import check_columns, check_gram, check_positive, check_tensor, in_working_precision, readable
from amfs_lab.errors import ConfigError, NumericalError

Number = Float[Tensor, ""] | float


@dataclass(frozen=True)
class RidgeFactor:
    """The factorisation L L^T = K + N with N = lam (I + mu K)^-1. All results of a ridge regression follow from it.

    N is the noise covariance of a Gaussian process with the same predictions; for mu = 0 it is lam I. Most methods have
    a function with the same name in this module. The function makes the factorisation and calls the method. The
    docstring of the function explains the result in more detail.
    """

    L: Float[Tensor, "*b n n"]  # lower Cholesky factor of K + N
    M: Float[Tensor, "*b n n"] | None  # lower Cholesky factor of I + mu K; None for mu = 0, where it is I
    lam: Number

    @classmethod
    def of(cls, K: Real[Tensor, "*b n n"], lam: Number, mu: Number = 0.0, *, check: bool = True) -> "RidgeFactor":
        """The factors of K + N and I + mu K.

        Args:
            K: Gram matrix of the support set, symmetric and positive semi-definite.
            lam: ridge strength >= 0 (a configuration requires > 0). mu: weight of the gradient norm, >= 0.
            check: read `lam` and `mu` if they are tensors, and raise an error if a factorisation fails. Without the
                check, the results of a failed task are NaN and stay on their device. The trainer reads the results once
                in each meta-step.
        Raises:
            ConfigError: a negative `lam` or `mu`. DataError: K is not square.
            NumericalError: I + mu K or K + N is not positive definite in this precision.
        """
        for name, value in (("lam", lam), ("mu", mu)):
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ConfigError(f"`{name}` must be one number. Got a tensor of shape {tuple(value.shape)}.")
            if check or not isinstance(value, Tensor):  # reading a tensor would wait for the device
                check_positive(name, value, "A ridge of 0.1 is a common start.", zero=True)
        check_gram("K", K)
        (K,) = in_working_precision(K)
        identity = torch.eye(K.shape[-1], dtype=K.dtype, device=K.device).expand_as(K)
        if not isinstance(mu, Tensor) and mu == 0:
            return cls(_cholesky(K + lam * identity, "K + lam*I", check, lam=lam), None, lam)
        M = _cholesky(identity + mu * K, "I + mu*K", check, mu=mu)
        N = lam * torch.cholesky_solve(identity, M)
        return cls(_cholesky(K + N, "K + lam*(I + mu*K)^-1", check, lam=lam, mu=mu), M, lam)

    def solve(self, y: Real[Tensor, "*b n c"]) -> Float[Tensor, "*b n c"]:
        """alpha = (K + N)^-1 y."""
        y, L = self._beside("y", y)
        return torch.cholesky_solve(y, L)

    def predict(self, K_qs: Float[Tensor, "*b q n"], y: Real[Tensor, "*b n c"]) -> Float[Tensor, "*b q c"]:
        """The predictions f(x) = k_x^T (K + N)^-1 y for each query x; k_x is the row of `K_qs` for x."""
        return K_qs @ self.solve(y)

    def variance(self, k_qq: Float[Tensor, "*b q"], K_qs: Float[Tensor, "*b q n"]) -> Float[Tensor, "*b q"]:
        """The posterior variances v(x) = k(x, x) - k_x^T (K + N)^-1 k_x, with k(x, x) in `k_qq`."""
        return (k_qq - self._whitened(K_qs).square().sum(-2)).clamp(min=0)  # rounding may give a value below 0

    def covariance(self, K_qq: Float[Tensor, "*b q q"], K_qs: Float[Tensor, "*b q n"]) -> Float[Tensor, "*b q q"]:
        """The posterior covariance K_qq - K_qs (K + N)^-1 K_sq."""
        half = self._whitened(K_qs)
        return K_qq - half.mT @ half

    def leave_one_out(self, y: Real[Tensor, "*b n c"]) -> Float[Tensor, "*b n c"]:
        """The leave-one-out errors e_i = alpha_i / [(K + lam I)^-1]_ii, for mu = 0.

        Raises ConfigError for mu > 0, where N depends on the point that is left out.
        """
        if self.M is not None:
            raise ConfigError("For leave-one-out residuals `mu` must be 0. Got mu > 0. Fit again without each point.")
        y, L = self._beside("y", y)
        inverse = torch.cholesky_inverse(L)
        return inverse @ y / inverse.diagonal(dim1=-2, dim2=-1)[..., None]

    def log_evidence(self, y: Real[Tensor, "*b n c"]) -> Float[Tensor, "*b"]:
        """log p(y) = -1/2 y^T (K + N)^-1 y - 1/2 log det(K + N) - n/2 log 2 pi, in nats, summed over the c columns."""
        y, L = self._beside("y", y)
        whitened = torch.linalg.solve_triangular(L, y, upper=False)
        n, columns = y.shape[-2:]
        constant = _half_log_det(L) + n / 2 * math.log(2 * math.pi)
        return -whitened.square().sum((-2, -1)) / 2 - columns * constant

    def information(self) -> Float[Tensor, "*b"]:
        """I = 1/2 log det(I + K N^-1), in nats."""
        # I + K N^-1 = (K + N) N^-1 and N^-1 = (I + mu K) / lam. The logarithm is taken of quotients near 1, because
        # log det L and n log lam would cancel.
        information = _half_log_det(self.L / self.lam**0.5)
        return information if self.M is None else information + _half_log_det(self.M)

    def _whitened(self, K_qs: Tensor) -> Float[Tensor, "*b n q"]:
        """The product L^-1 K_sq."""
        K_sq, L = self._beside("K_qs.T", K_qs.mT, "n q")
        return torch.linalg.solve_triangular(L, K_sq, upper=False)

    def _beside(self, name: str, columns: Tensor, axes: str = "n c") -> tuple[Tensor, ...]:
        """`columns` and L in a common precision. Raises DataError unless `columns` has n rows."""
        check_columns(name, columns, "K", self.L.shape[-1], axes)
        return in_working_precision(columns, self.L)


def solve(
    K: Real[Tensor, "*b n n"], y: Real[Tensor, "*b n c"], lam: Number, mu: Number = 0.0, *, check: bool = True
) -> Float[Tensor, "*b n c"]:
    """alpha = (K + N)^-1 y with N = lam (I + mu K)^-1: the dual coefficients of the task's function.

    The function f(x) = sum_i alpha_i k(x, x_i) minimises L(f) + lam/2 |f|^2 + mu/2 |grad_f L|^2 over the RKHS of k. The
    loss is L(f) = 1/2 sum_i (f(x_i) - y_i)^2. The formula (K + mu K^2 + lam I)^-1 (I + mu K) y gives the same alpha,
    but its computation squares the condition number of K. y has one row for each row of K. `RidgeFactor.of` explains
    the other arguments and the errors.
    """
    return RidgeFactor.of(_promoted(K, y), lam, mu, check=check).solve(y)


def information(K: Real[Tensor, "*b n n"], lam: Number, mu: Number = 0.0) -> Float[Tensor, "*b"]:
    """I(f; D) = 1/2 log det(I + K N^-1), in nats: the mutual information of the function and its n noisy labels.

    This function is differentiable; `Spectrum.information` is for display only. A failed factorisation gives NaN.
    """
    return RidgeFactor.of(K, lam, mu, check=False).information()


def variance(
    k_qq: Float[Tensor, "*b q"],
    K_qs: Float[Tensor, "*b q n"],
    K_ss: Float[Tensor, "*b n n"],
    lam: Number,
    mu: Number = 0.0,
) -> Float[Tensor, "*b q"]:
    """v(x) = k(x, x) - k_x^T (K + N)^-1 k_x: the posterior variance of f at x, if f is a Gaussian process.

    `k_qq` has k(x, x) for each x. For lam = 0 the variance is |k_x_perp|^2, where k_x_perp is the part of k(x, .)
    perpendicular to the span of the support set's functions k(x_i, .). For mu = 0, the variance of a noisy label at x
    is v(x) + lam. A failed factorisation gives NaN.
    """
    return RidgeFactor.of(K_ss, lam, mu, check=False).variance(k_qq, K_qs)


def covariance(
    K_qq: Float[Tensor, "*b q q"],
    K_qs: Float[Tensor, "*b q n"],
    K_ss: Float[Tensor, "*b n n"],
    lam: Number,
    mu: Number = 0.0,
) -> Float[Tensor, "*b q q"]:
    """K_qq - K_qs (K + N)^-1 K_sq: the posterior covariance of f. Its diagonal is `variance`.

    For lam = 0 the covariance is the Gram matrix <k_x_perp, k_x'_perp>. The docstring of `variance` explains k_x_perp.
    """
    return RidgeFactor.of(K_ss, lam, mu, check=False).covariance(K_qq, K_qs)


def leave_one_out(K: Real[Tensor, "*b n n"], y: Real[Tensor, "*b n c"], lam: Number) -> Float[Tensor, "*b n c"]:
    """All leave-one-out errors e_i = y_i - f_without_i(x_i) = alpha_i / [(K + lam I)^-1]_ii, from one factorisation.

    Raises the same errors as `solve`.
    """
    return RidgeFactor.of(_promoted(K, y), lam).leave_one_out(y)


def log_evidence(K: Real[Tensor, "*b n n"], y: Real[Tensor, "*b n c"], lam: Number) -> Float[Tensor, "*b"]:
    """log p(y) = -1/2 y^T (K + lam I)^-1 y - 1/2 log det(K + lam I) - n/2 log 2 pi, in nats, summed over the c columns.

    This is the log marginal likelihood if f is a sample of a Gaussian process with covariance k, and each label has
    noise of variance lam. The result is differentiable in K and lam. A failed factorisation gives NaN.
    """
    return RidgeFactor.of(_promoted(K, y), lam, check=False).log_evidence(y)


@dataclass(frozen=True)
class Spectrum:
    """The eigendecomposition K = sum_i s_i u_i u_i^T, and the effect of ridge regression along each eigenvector u_i.

    The class is for display and tests only, because the derivative of an eigendecomposition is NaN where eigenvalues
    repeat. Training differentiates the Cholesky factorisation instead.
    """

    eigenvalues: Float[Tensor, " n"]  # s, descending
    eigenvectors: Float[Tensor, "n n"]  # u_i in columns, in the same order

    @classmethod
    def of(cls, K: Float[Tensor, "n n"]) -> "Spectrum":
        check_gram("K", K)
        eigenvalues, eigenvectors = torch.linalg.eigh(K)
        return cls(eigenvalues.flip(0), eigenvectors.flip(1))

    def signal_to_noise(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, " n"]:
        """s (1 + mu s) / lam: the variance of f divided by the variance of the noise, along each eigenvector.

        A negative eigenvalue s counts as 0.
        """
        s = self.eigenvalues.clamp(min=0)
        return s * (1 + mu * s) / lam

    def filter(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, " n"]:
        """h(s) = s (1 + mu s) / (s (1 + mu s) + lam), lam > 0: the share of u_i^T y that the fit keeps, in [0, 1]."""
        ratio = self.signal_to_noise(lam, mu)
        return ratio / (1 + ratio)

    def descent_filter(self, rate: float, steps: int) -> Float[Tensor, " n"]:
        """1 - (1 - rate s)^steps: the share of u_i^T y that gradient descent from zero learns in `steps` steps.

        Each step is f <- f - rate * grad_f L in function space. The steps converge for rate < 2/s_max.
        """
        return 1 - (1 - rate * self.eigenvalues) ** steps

    def flow_filter(self, time: float) -> Float[Tensor, " n"]:
        """1 - exp(-s time): the limit of `descent_filter` for rate -> 0 with rate * steps = time (gradient flow)."""
        return -torch.expm1(-time * self.eigenvalues)

    def degrees_of_freedom(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, ""]:
        """d = sum_i h(s_i), between 0 and n. For mu = 0, d is the trace of K (K + lam I)^-1."""
        return self.filter(lam, mu).sum()

    def information(self, lam: Number, mu: Number = 0.0) -> Float[Tensor, ""]:
        """I = 1/2 sum_i log(1 + s_i (1 + mu s_i) / lam), in nats."""
        return torch.log1p(self.signal_to_noise(lam, mu)).sum() / 2


def _promoted(K: Tensor, y: Tensor) -> Tensor:
    """K in the common precision of K and y: with a float64 `y` the solve is in float64."""
    check_tensor("K", K, "n n")
    check_tensor("y", y, "n c")
    return in_working_precision(K, y)[0]


def _half_log_det(L: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b"]:
    """1/2 log det(L L^T)."""
    return L.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _cholesky(A: Float[Tensor, "*b n n"], name: str, check: bool, **numbers: Number) -> Float[Tensor, "*b n n"]:
    """The lower Cholesky factor of A; NaN if A is not positive definite.

    With `check`, the function raises NumericalError instead of returning NaN. The message contains `name` and
    `numbers`.
    """
    factor, failed = torch.linalg.cholesky_ex(A)
    broken = readable((failed > 0).any()) if check else None
    if broken is None:  # without `check`, or not readable within a `torch.func` transform
        return torch.where(failed[..., None, None] > 0, A.new_full((), float("nan")), factor)
    if not broken:
        return factor
    if not bool(torch.isfinite(A).all()):
        raise NumericalError(
            f"{name} of shape {tuple(A.shape)} must be finite. Got NaN or infinity. "
            "Look at the features that K was made from."
        )
    values = ", ".join(f"{n}={float(torch.as_tensor(v).detach()):g}" for n, v in numbers.items())
    float64 = "" if A.dtype == torch.float64 else ", or solve in float64"
    advice = f"K must be the Gram matrix of a kernel{float64}."
    if "lam" in numbers:
        advice = f"Increase `lam`{float64}; at lam=0 a repeated support point makes it singular in any precision."
    raise NumericalError(
        f"{name} of shape {tuple(A.shape)} is not positive definite ({values}, dtype={A.dtype}). {advice}"
    )
