"""Laws of every aggregator, then what each is known for."""

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.outer import AGGREGATORS, Mean, MeanCosine, PairwiseCosine, PCGrad

RULES = [
    *(rule() for rule in AGGREGATORS.values()),
    PairwiseCosine("agreement"),
    PairwiseCosine("unit", "clip"),
    MeanCosine("agreement"),
    MeanCosine("unit", "clip"),
]


@pytest.fixture(params=RULES, ids=repr)
def rule(request):
    return request.param


def test_equal_gradients_pass_through_unchanged(rule, randn):
    gradient = randn(7)
    assert torch.allclose(rule(gradient.expand(4, 7)), gradient)


def test_the_direction_is_the_weights_on_the_gradients(rule, randn):
    grads = randn(5, 9)
    assert rule.weights(grads).shape == (5,)
    assert torch.allclose(rule(grads), (rule.weights(grads)[:, None] * grads).sum(0))


def test_renaming_the_tasks_renames_the_weights(rule, randn):
    if isinstance(rule, PCGrad):
        pytest.skip("PCGrad projects in an order, so the order of the tasks matters to it")
    grads, order = randn(5, 9), torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(rule.weights(grads[order]), rule.weights(grads)[order])


@pytest.mark.parametrize("scale", [1e25, 1e-25])
def test_huge_and_tiny_gradients_in_float32_get_the_weights_of_ordinary_ones(rule, randn, scale):
    grads = randn(4, 6)
    weights = rule.weights((grads * scale).float())
    assert torch.allclose(weights.double(), rule.weights(grads), atol=1e-5)


@pytest.mark.parametrize("grads", [torch.zeros(3, 4), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])], ids=["zero", "opposed"])
def test_gradients_without_agreement_give_a_finite_zero_step(rule, grads):
    assert torch.equal(rule(grads), torch.zeros(grads.shape[1]))


def test_a_rule_is_a_value(rule):
    assert rule == eval(repr(rule))
    with pytest.raises(AttributeError):
        rule.seed = 3


def test_o_amfs_is_the_literal_double_sum(randn):
    grads = randn(6, 11)
    literal = torch.zeros(11, dtype=torch.float64)
    for i in range(6):
        for j in range(6):
            literal += torch.cosine_similarity(grads[i], grads[j], dim=0) * grads[j]
    assert (PairwiseCosine("none")(grads) - literal).norm() < 1e-12 * grads.norm(dim=1).sum()
    assert torch.allclose(PairwiseCosine("agreement")(grads), literal / 36)


def test_o_amfs_is_a_positive_map_of_the_sum_of_directions(randn):
    grads = randn(5, 3)
    lengths = grads.norm(dim=1)
    units = grads / lengths[:, None]
    M, S = (grads / lengths[:, None]).T @ grads, units.sum(0)
    assert torch.allclose(PairwiseCosine("none")(grads), M @ S)
    assert PairwiseCosine("none")(grads) @ S >= 0


def test_two_tasks_only_change_the_length_of_the_step(randn):
    grads = randn(2, 5) * torch.tensor([[1.0], [30.0]])
    weights = PairwiseCosine("none").weights(grads)
    cosine = torch.cosine_similarity(grads[0], grads[1], dim=0)
    assert torch.allclose(weights, (1 + cosine).expand(2))
    assert torch.allclose(PairwiseCosine()(grads), Mean()(grads))


def test_a_zero_gradient_has_no_say_and_still_counts(randn):
    grads = torch.cat([randn(3, 4), torch.zeros(1, 4, dtype=torch.float64)])
    assert PairwiseCosine().weights(grads)[3] == 0
    agreeing = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert torch.allclose(PairwiseCosine("agreement").weights(agreeing), torch.tensor([2 / 9, 2 / 9, 0.0]))


def test_a_task_against_the_majority_is_pushed_up_unless_clipped():
    grads = torch.tensor([[1.0, 0.1], [1.0, -0.1], [1.0, 0.0], [-1.0, 0.0]])
    assert PairwiseCosine().weights(grads)[3] < 0
    assert PairwiseCosine(negative="clip").weights(grads)[3] == 0


def test_cosine_to_the_mean_never_ascends_on_the_mean_loss(randn):
    for _ in range(200):
        grads = randn(5, 2) * randn(5, 1).exp()
        assert MeanCosine()(grads) @ grads.mean(0) >= -1e-12


def test_o_amfs_sometimes_ascends_on_the_mean_loss(randn):
    draws = [randn(5, 2) for _ in range(2000)]
    share = sum(bool(PairwiseCosine()(g) @ g.mean(0) < 0) for g in draws) / len(draws)
    assert 0.03 < share < 0.12


def test_pcgrad_by_projection_of_the_vectors_themselves(randn):
    grads = randn(2, 5)
    grads[1] -= 2 * grads[0]  # in conflict
    a, b = grads
    overlap = a @ b
    assert overlap < 0
    expected = (a - overlap / (b @ b) * b) + (b - overlap / (a @ a) * a)
    assert torch.allclose(PCGrad(reduction="sum")(grads), expected)
    assert torch.allclose(PCGrad()(grads), expected / 2)


def test_pcgrad_follows_its_order_whatever_the_number_of_tasks(randn):
    grads = randn(5, 3)
    generator = torch.Generator().manual_seed(3)
    projected = []
    for i in range(5):
        v = grads[i].clone()
        for j in torch.randperm(5, generator=generator).tolist():
            if j != i and v @ grads[j] < 0:
                v -= (v @ grads[j]) / (grads[j] @ grads[j]) * grads[j]
        projected.append(v)
    assert torch.allclose(PCGrad(seed=3)(grads), torch.stack(projected).mean(0))


def test_unknown_options_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"`normalization` must be one of unit, agreement, none. Got 'l2'"):
        PairwiseCosine("l2")
    with pytest.raises(ConfigError, match=r"`negative` must be one of keep, clip. Got 'drop'"):
        MeanCosine(negative="drop")
    with pytest.raises(ConfigError, match=r"`reduction` must be one of mean, sum. Got 'max'"):
        PCGrad(reduction="max")
