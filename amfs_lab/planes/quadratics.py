"""Quadratic tasks in the plane: the meta-gradient of each inner loop and the end of the outer loop, in closed form.

Task t has the loss L_t(theta) = 1/2 (theta - o_t)^T H_t (theta - o_t) with optimum o_t and curvature H_t. For every
inner loop here the meta-gradient is W_t (theta - o_t), called the pull of task t. The outer loop ends where the sum of
the pulls is zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from amfs_lab.arguments import check_tensor
from amfs_lab.errors import ConfigError, DataError, NumericalError

LEAST = 1e-12  # smallest distance, so that a division by it is finite


@dataclass(frozen=True)
class Quadratics:
    """t quadratic tasks, or many samples of t tasks.

    Args:
        optima: o_t, in the unit of theta. hessians: H_t, symmetric.
    Raises:
        DataError: shapes that do not fit. ConfigError: an entry that is not finite, or a Hessian that is not symmetric.
    """

    optima: Float[Tensor, "*b t 2"]
    hessians: Float[Tensor, "*b t 2 2"]

    def __post_init__(self) -> None:
        _check_tasks("hessians", self.hessians, self.optima)
        if not bool(torch.isfinite(self.optima).all() and torch.isfinite(self.hessians).all()):
            raise ConfigError("Optima and Hessians must be finite. Got NaN or infinity.")
        if not torch.allclose(self.hessians, self.hessians.mT):
            raise ConfigError("Hessians must be symmetric. Got one that is not. Use (H + H.T) / 2.")

    def losses(self, theta: Float[Tensor, "*s 2"]) -> Float[Tensor, "*s t"]:
        """The losses 1/2 (theta - o_t)^T H_t (theta - o_t) of the tasks, for one sample of tasks."""
        return (self.gradients(theta) * (theta[..., None, :] - self.optima)).sum(-1) / 2

    def mean_loss(self, theta: Float[Tensor, "*s 2"]) -> Float[Tensor, "*s"]:
        """The mean loss of one sample of tasks, for contours.

        It is computed from the mean Hessian, which is faster than t Hessians.
        """
        H, best = self.hessians.mean(-3), self.best()
        away = theta - best
        return ((away @ H) * away).sum(-1) / 2 + self.losses(best).mean()

    def gradients(self, theta: Float[Tensor, "*s 2"]) -> Float[Tensor, "*s t 2"]:
        """The gradients H_t (theta - o_t) of the losses."""
        return (self.hessians @ (theta[..., None, :] - self.optima)[..., None])[..., 0]

    def best(self) -> Float[Tensor, "*b 2"]:
        """theta*, the point with the smallest mean loss."""
        return end(self.hessians, self.optima)


Pull = Callable[[Float[Tensor, "*b 2 2"], float, int, float], Float[Tensor, "*b 2 2"]]


def _left(H: Float[Tensor, "*b 2 2"], a: float, k: int) -> Float[Tensor, "*b 2 2"]:
    """The matrix (I - aH)^k. k inner steps multiply theta - o_t by this matrix."""
    return torch.linalg.matrix_power(torch.eye(2, dtype=H.dtype) - a * H, k)


def _between(left: Float[Tensor, "*b 2 2"], H: Float[Tensor, "*b 2 2"]) -> Float[Tensor, "*b 2 2"]:
    return left @ H @ left


# Each function takes (H, inner rate a, inner steps k, lam). Its result is a function of H, so it commutes
# with H.
PULLS: dict[str, Pull] = {
    "joint": lambda H, a, k, lam: H,
    "FO-MAML": lambda H, a, k, lam: H @ _left(H, a, k),
    "MAML": lambda H, a, k, lam: _between(_left(H, a, k), H),
    "Reptile": lambda H, a, k, lam: torch.eye(2, dtype=H.dtype) - _left(H, a, k),
    "proximal": lambda H, a, k, lam: _between(lam * torch.linalg.inv(H + lam * torch.eye(2, dtype=H.dtype)), H),
}


def pulls(
    method: str, hessians: Float[Tensor, "*b 2 2"], inner_lr: float = 0.1, inner_steps: int = 1, lam: float = 1.0
) -> Float[Tensor, "*b 2 2"]:
    """The matrices W_t of the meta-gradients W_t (theta - o_t), which pull the outer loop towards the optima o_t.

    | method   | inner loop                             | W                              |
    |----------|----------------------------------------|--------------------------------|
    | joint    | none: one theta for all tasks          | H                              |
    | FO-MAML  | k steps of rate a, first order only    | H (I - aH)^k                   |
    | MAML     | k steps of rate a                      | (I - aH)^k H (I - aH)^k        |
    | Reptile  | k steps of rate a                      | I - (I - aH)^k                 |
    | proximal | argmin L_t(phi) + lam/2 |phi - theta|^2| lam^2 (H + lam)^-1 H (H + lam)^-1 |

    The outer step of Reptile goes towards the result of the inner steps. The proximal method is I-AMFS in the plane:
    one solve with ridge strength lam instead of steps.

    Sources: Finn, Abbeel and Levine 2017 (MAML, FO-MAML); Nichol, Achiam and Schulman 2018 (Reptile); Rajeswaran et al.
    2019 (the proximal inner problem). Raises ConfigError for another method, inner_lr < 0, inner_steps < 0 or lam <= 0.
    """
    if method not in PULLS:
        raise ConfigError(f"The method must be one of {', '.join(PULLS)}. Got {method!r}.")
    if not (inner_lr >= 0 and inner_steps >= 0 and lam > 0):
        raise ConfigError(
            f"An inner loop needs inner_lr >= 0, inner_steps >= 0 and lam > 0. Got {inner_lr}, {inner_steps} and {lam}."
        )
    check_tensor("hessians", hessians, "2 2")
    return PULLS[method](hessians, inner_lr, inner_steps, lam)


def end(W: Float[Tensor, "*b t 2 2"], optima: Float[Tensor, "*b t 2"]) -> Float[Tensor, "*b 2"]:
    """The end of the outer loop, (sum_t W_t)^-1 sum_t W_t o_t, where the sum of the pulls is zero.

    Raises NumericalError if sum_t W_t is singular, because then the end is not unique.
    """
    _check_tasks("W", W, optima)
    total = W.sum(-3)
    lengths = torch.linalg.eigvalsh(total).abs()
    if bool((lengths.amin(-1) <= 1e-12 * lengths.amax(-1)).any()):
        raise NumericalError(
            "The sum of the pulls must be invertible. Got a singular sum. "
            "Change a curvature h, or the inner rate a: a task with a * h = 1 has no pull."
        )
    return torch.linalg.solve(total, (W @ optima[..., None])[..., 0].sum(-2))


def stable_below(W: Float[Tensor, "*b t 2 2"]) -> Float[Tensor, "*b"]:
    """The limit 2t / s_max of the outer learning rate, below which the steps converge to `end`.

    A step is theta <- theta - rate/t sum_t W_t (theta - o_t), and s_max is the largest eigenvalue of sum_t W_t.

    The result is 0 if an eigenvalue is negative or if all eigenvalues are zero, because then no rate makes the steps
    converge. If one eigenvalue is exactly 0, the steps converge only if every W_t is 0 in that direction.
    """
    check_tensor("W", W, "t 2 2")
    eigenvalues = torch.linalg.eigvalsh(W.sum(-3))
    reached = (eigenvalues[..., 0] >= 0) & (eigenvalues[..., -1] > 0)
    return torch.where(reached, 2 * W.shape[-3] / eigenvalues[..., -1], eigenvalues.new_zeros(()))


def descend(
    W: Float[Tensor, "*#b t 2 2"],
    optima: Float[Tensor, "*#b t 2"],
    start: Float[Tensor, "*#b 2"],
    rate: float,
    steps: int,
) -> Float[Tensor, "k *b 2"]:
    """The trajectory of theta <- theta - rate/t sum_t W_t (theta - o_t): k = steps + 1 points, the start first.

    One step is an affine map of theta. Point j is the j-th power of this map, applied to the start. The powers come
    from repeated doubling. After an overflow the points are not finite.
    """
    _check_tasks("W", W, optima)
    check_tensor("start", start, "2")
    t = W.shape[-3]
    eye = torch.eye(2, dtype=W.dtype)
    shift = (W @ optima[..., None]).sum(-3) * (rate / t)
    matrix = torch.cat([eye - W.sum(-3) * (rate / t), shift], -1)
    last_row = torch.tensor([[0.0, 0.0, 1.0]], dtype=W.dtype).expand(*matrix.shape[:-2], 1, 3)
    power = torch.cat([matrix, last_row], -2)  # of the affine map, applied to the vector (theta, 1)
    powers = torch.eye(3, dtype=W.dtype).expand(1, *power.shape)
    while len(powers) <= steps:
        powers = torch.cat([powers, powers @ power])
        power = power @ power
    walked = powers[: steps + 1] @ torch.cat([start, torch.ones_like(start[..., :1])], -1)[..., None]
    return walked[..., :2, 0]


def geometric_median(points: Float[Tensor, "*b t 2"]) -> Float[Tensor, "*b 2"]:
    """argmin_m sum_t |m - p_t|: the point with the smallest sum of distances to the points.

    Let n_k be the number of points equal to p_k, and v_k the sum of the unit vectors from p_k to the other points. The
    point p_k is the median exactly if |v_k| <= n_k (Kuhn 1973). If no point is the median, Newton steps alternate with
    Weiszfeld's iteration, m <- (sum_t p_t / |m - p_t|) / (sum_t 1 / |m - p_t|). If there are several
    `geometric_medians`, the result is one of them.
    """
    check_tensor("points", points, "t 2")
    m = points.mean(-2)
    m = m + 1e-9 * (points[..., 0, :] - m)  # away from a point that equals the mean, where the iteration would stay
    for _ in range(12):
        weight, before = 1 / _apart(points, m)[1], m
        m = _newton(points, (weight[..., None] * points).sum(-2) / weight.sum(-1, keepdim=True))
        if torch.allclose(m, before, rtol=1e-14, atol=LEAST):
            break
    towards, distance = _apart(points[..., None, :, :], points)  # from each point to each
    same = (distance <= LEAST).sum(-1)
    held = torch.linalg.vector_norm((towards / distance[..., None]).sum(-2), dim=-1) <= same + 1e-9
    place = points.take_along_dim(held.int().argmax(-1)[..., None, None], -2)[..., 0, :]
    return torch.where(held.any(-1, keepdim=True), place, m)


def geometric_medians(points: Float[Tensor, "*b t 2"]) -> Float[Tensor, "*b 2 2"]:
    """All geometric medians of the points, as the two ends of a segment.

    For an even number of points on one line, the ends are the middle two points. In every other case, both ends are the
    same point.
    """
    only = geometric_median(points)
    away = points - points.mean(-2, keepdim=True)
    spread, axes = torch.linalg.eigh(away.mT @ away)
    order = (away @ axes[..., 1:])[..., 0].argsort(-1)
    t = points.shape[-2]
    middle = points.take_along_dim(order[..., [(t - 1) // 2, t // 2], None], -2)
    on_a_line = spread[..., 0] <= 1e-12 * spread[..., 1]  # a ratio of squares: a millionth of the length
    return torch.where(on_a_line[..., None, None] & (t % 2 == 0), middle, only[..., None, :])


def from_segment(theta: Float[Tensor, "*b 2"], ends: Float[Tensor, "*#b 2 2"]) -> Float[Tensor, "*b"]:
    """The distance of theta from the segment between the two points `ends`."""
    check_tensor("theta", theta, "2")
    check_tensor("ends", ends, "2 2")
    a, along = ends[..., 0, :], ends[..., 1, :] - ends[..., 0, :]
    share = ((theta - a) * along).sum(-1) / along.square().sum(-1).clamp(min=LEAST)
    return torch.linalg.vector_norm(theta - a - share.clamp(0, 1)[..., None] * along, dim=-1)


def _check_tasks(name: str, matrices: Tensor, optima: Tensor) -> None:
    """Raises DataError unless there is one matrix (2 2) for each of t optima (2)."""
    check_tensor(name, matrices, "t 2 2")
    check_tensor("optima", optima, "t 2")
    if matrices.shape[-3] != optima.shape[-2]:
        raise DataError(
            f"`{name}` must have one matrix for each optimum. Got {matrices.shape[-3]} matrices and "
            f"{optima.shape[-2]} optima."
        )


def _apart(points: Float[Tensor, "*#b t 2"], m: Float[Tensor, "*#b 2"]) -> tuple[Tensor, Tensor]:
    """Vectors (*b t 2) from m to the points, and their lengths (*b t)."""
    towards = points - m[..., None, :]
    return towards, torch.linalg.vector_norm(towards, dim=-1).clamp(min=LEAST)


def _newton(points: Float[Tensor, "*b t 2"], m: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
    """The point after a Newton step on the sum of distances, from m.

    Of five step sizes, the function chooses the one that gives the smallest sum of distances.
    """
    towards, distance = _apart(points, m)
    u = towards / distance[..., None]
    eye = torch.eye(2, dtype=points.dtype)
    curvature = ((eye - u[..., :, None] * u[..., None, :]) / distance[..., None, None]).sum(-3)
    ridge = LEAST * curvature.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] + LEAST
    step = torch.linalg.solve(curvature + ridge * eye, u.sum(-2)[..., None])[..., 0]
    sizes = torch.tensor([0.0, 1.0, 0.3, 0.1, 0.03], dtype=points.dtype)
    tried = m[..., None, :] + sizes[:, None] * step[..., None, :]
    sums = _apart(points[..., None, :, :], tried)[1].sum(-1)
    return tried.take_along_dim(sums.argmin(-1)[..., None, None], -2)[..., 0, :]
