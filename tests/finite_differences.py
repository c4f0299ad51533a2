"""The meta-gradient of a task against finite differences of its loss."""

import torch


def finite_difference_error(learner, episode, only=None):
    """The smallest relative error of the slope along the meta-gradient, over several step sizes.

    Several, because the kinks of ReLU and max-pooling disturb large steps, and rounding disturbs small steps. The
    direction has a random part, so that an error across the gradient shows, too.

    Args:
        only: a parameter; the direction then changes no other one.
    """
    params = learner.meta_parameters()
    row = learner.task_gradients([episode]).rows[0]
    generator = torch.Generator().manual_seed(2)
    along = row / row.norm() + torch.randn(len(row), generator=generator, dtype=row.dtype) / len(row) ** 0.5
    along *= torch.cat([torch.full((p.numel(),), float(only is None or p is only)) for p in params])
    pieces = [piece.view_as(p) for p, piece in zip(params, along.split([p.numel() for p in params]), strict=True)]

    def loss_at(h):
        for p, piece in zip(params, pieces, strict=True):
            p.data += h * piece
        loss = float(learner.loss(episode).detach())
        for p, piece in zip(params, pieces, strict=True):
            p.data -= h * piece
        return loss

    slopes = [(loss_at(h) - loss_at(-h)) / (2 * h) for h in (1e-4, 1e-5, 1e-6, 1e-7)]
    return min(abs(slope / float(row @ along) - 1) for slope in slopes)


def perturbed(learner):
    """The learner in float64 with random weights, because second-order terms vanish for a head of zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for p in learner.double().parameters():
            if p.ndim:
                p.data += 0.1 * torch.randn_like(p)
    return learner
