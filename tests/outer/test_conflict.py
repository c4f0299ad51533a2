"""Conflict among tasks: the mean cosine and the share of pairs that pull apart."""

import pytest
import torch

from amfs_lab.errors import DataError
from amfs_lab.outer import measure


def test_the_mean_cosine_follows_from_the_sum_of_directions(randn):
    units = torch.nn.functional.normalize(randn(6, 9), dim=1)
    S = units.sum(0)
    lengths = randn(6, 1).exp()
    assert torch.isclose(measure(lengths * units).mean_cosine, (S @ S - 6) / (6 * 5))


def test_both_are_the_literal_loop_over_pairs(randn):
    grads = randn(7, 3)
    cosines = [torch.cosine_similarity(grads[i], grads[j], dim=0) for i in range(7) for j in range(i)]
    conflict = measure(grads)
    assert torch.isclose(conflict.mean_cosine, sum(cosines) / 21)
    assert torch.isclose(conflict.negative, torch.tensor(sum(float(c) < 0 for c in cosines) / 21).double())


def test_golden():
    conflict = measure(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]]))  # cosines 0, -1, 0
    assert torch.allclose(conflict.mean_cosine, torch.tensor(-1 / 3))
    assert torch.allclose(conflict.negative, torch.tensor(1 / 3))


def test_agreement_and_opposition_are_the_ends():
    g = torch.tensor([1.0, -2.0, 3.0])
    agreed, opposed = measure(torch.stack([g, 2 * g, g])), measure(torch.stack([g, -5 * g]))
    assert torch.allclose(agreed.mean_cosine, torch.ones(()))
    assert agreed.negative == 0
    assert torch.allclose(opposed.mean_cosine, -torch.ones(()))
    assert opposed.negative == 1


def test_pairs_with_a_zero_gradient_count_as_neither(randn):
    grads = randn(3, 5)
    alone, beside = measure(grads), measure(torch.cat([grads, grads.new_zeros(1, 5)]))
    assert torch.isclose(beside.mean_cosine, alone.mean_cosine * 3 / 6)
    assert torch.isclose(beside.negative, alone.negative * 3 / 6)


@pytest.mark.parametrize("scale", [1e25, 1e-25])
def test_length_is_no_matter(randn, scale):
    grads = randn(4, 6).float()
    assert torch.allclose(measure(grads * scale).mean_cosine, measure(grads).mean_cosine, atol=1e-6)


def test_a_batch_is_measured_as_one_by_one(randn):
    grads = randn(2, 3, 4, 6)
    batch = measure(grads)
    assert batch.mean_cosine.shape == batch.negative.shape == (2, 3)
    assert torch.isclose(batch.mean_cosine[1, 2], measure(grads[1, 2]).mean_cosine)
    assert torch.isclose(batch.negative[1, 2], measure(grads[1, 2]).negative)


def test_one_task_is_in_conflict_with_nobody():
    with pytest.raises(DataError, match=r"at least 2 tasks. Got 1. Use more tasks"):
        measure(torch.ones(1, 3))
