"""Laws of every aggregator, then what each is known for."""

import copy
import dataclasses
import pickle

import pytest
import torch

from amfs_lab.errors import ConfigError, DataError, NumericalError
from amfs_lab.outer import AGGREGATORS, Mean, MeanCosine, PairwiseCosine, PCGrad, TorchJD
from amfs_lab.outer.aggregation import NORMALIZATIONS, Gradients, SummedRule

RULES = [
    *(rule() for rule in AGGREGATORS.values()),
    PairwiseCosine("agreement"),
    PairwiseCosine("unit", "clip"),
    MeanCosine("agreement"),
    MeanCosine("unit", "clip"),
    TorchJD("CAGrad", {"c": 0.4}),
]


@pytest.fixture(params=RULES, ids=repr)
def rule(request):
    return request.param


def test_equal_gradients_pass_through_unchanged(rule, randn):
    gradient = randn(7)
    # CAGrad looks for its step in a ball of radius c|gbar| around the mean: here the far end of it, on the mean's ray.
    longer = 1.4 if rule == TorchJD("CAGrad", {"c": 0.4}) else 1.0
    assert torch.allclose(rule(gradient.expand(4, 7)), longer * gradient)


def test_parallel_gradients_of_other_lengths_combine_on_their_ray(rule, randn):
    gradient = randn(7)
    direction = rule(torch.tensor([1.0, 0.5, 5.0, 30.0]).double()[:, None] * gradient)
    assert torch.isclose(torch.cosine_similarity(direction, gradient, dim=0), torch.ones(()).double())


def test_the_direction_is_the_weights_on_the_gradients(rule, randn):
    grads = randn(5, 9)
    assert rule.weights(grads).shape == (5,)
    assert torch.allclose(rule(grads), (rule.weights(grads)[:, None] * grads).sum(0))


def test_renaming_the_tasks_renames_the_weights(rule, randn):
    if isinstance(rule, PCGrad):
        pytest.skip("PCGrad projects in an order, so the order of the tasks matters to it")
    grads, order = randn(5, 9), torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(rule.weights(grads[order]), rule.weights(grads)[order])


@pytest.mark.parametrize("scale", [1e25, 1e-21, 1e-25])
def test_huge_and_tiny_gradients_in_float32_get_the_weights_of_ordinary_ones(rule, randn, scale):
    grads = randn(4, 6)
    weights = rule.weights((grads * scale).float())
    assert torch.allclose(weights.double(), rule.weights(grads), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fewer_digits_give_the_same_weights_to_their_precision(rule, randn, dtype):
    grads = randn(5, 40).to(dtype)
    weights = rule.weights(grads)
    assert weights.dtype == dtype
    assert torch.allclose(weights.double(), rule.weights(grads.double()), atol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("task", [0, 2, 3])
def test_a_gradient_that_is_not_finite_is_refused_by_its_task(rule, randn, task, bad):
    grads = randn(4, 6)
    grads[task, 3] = bad
    grads[3, 1] = bad  # the first is named
    with pytest.raises(NumericalError, match=rf"Got NaN or infinity in the gradient of task {task} \(counted from 0\)"):
        rule(grads)
    assert not torch.isfinite(rule.combine(grads)).all()


@pytest.mark.parametrize("rows", [1, 4])
def test_the_largest_numbers_combine_or_are_refused_but_never_become_infinite(rule, rows):
    grads = torch.full((rows, 3), 3e38)
    exact = rule.weights(grads).double() @ grads.double()
    if float(exact.max()) < torch.finfo(torch.float32).max:
        assert torch.allclose(rule(grads).double(), exact)
    else:
        with pytest.raises(NumericalError, match=r"Got infinity from gradients up to 3.0e\+38. Scale the"):
            rule(grads)


@pytest.mark.parametrize("grads", [torch.zeros(3, 4), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])], ids=["zero", "opposed"])
def test_gradients_without_agreement_give_a_finite_zero_step(rule, grads):
    assert torch.equal(rule(grads), torch.zeros(grads.shape[1]))


def test_a_rule_is_a_value(rule, randn):
    rule(randn(3, 4))  # used or not
    classes = {kind.__name__: kind for kind in (*AGGREGATORS.values(), TorchJD)}
    assert rule == eval(repr(rule), classes) == copy.deepcopy(rule) == pickle.loads(pickle.dumps(rule))
    assert hash(rule) == hash(copy.copy(rule))
    with pytest.raises(AttributeError):
        rule.seed = 3


def literal_weights(rule, grads):
    """The formulas, number by number in float64."""
    grads = grads.double()
    t, mean = len(grads), sum(grads) / len(grads)

    def cosine(a, b):
        lengths = float(a.norm() * b.norm())
        return float(a @ b) / lengths if lengths else 0.0

    if isinstance(rule, PairwiseCosine):
        c = [sum(cosine(grads[i], grads[j]) for i in range(t)) for j in range(t)]
    else:
        c = [cosine(grads[j], mean) for j in range(t)]
    if rule.negative == "clip":
        c = [max(c_j, 0.0) for c_j in c]
    total = sum(abs(c_j) for c_j in c)
    step = sum((c_j * g_j for c_j, g_j in zip(c, grads, strict=True)), torch.zeros_like(mean))
    Z = {
        "length": float(mean.norm() / step.norm()) if total and step.norm() else 0.0,
        "unit": 1 / total if total else 0.0,
        "agreement": 1 / t**2 if isinstance(rule, PairwiseCosine) else 1 / t,
        "none": 1.0,
    }[rule.normalization]
    return torch.tensor(c, dtype=torch.float64) * Z


COSINE_RULES = [
    kind(normalization, negative)
    for kind in (PairwiseCosine, MeanCosine)
    for normalization in NORMALIZATIONS
    for negative in ("keep", "clip")
]


@pytest.mark.parametrize("shape", [(1, 5), (2, 5), (6, 11), (32, 2000)], ids=str)
@pytest.mark.parametrize("rule", COSINE_RULES, ids=repr)
def test_cosine_rules_are_the_literal_double_sum(rule, shape, randn):
    grads = randn(*shape) * (2 * randn(shape[0], 1)).exp()
    if shape[0] == 6:
        grads[4] = 0
    literal = literal_weights(rule, grads) @ grads
    # 1e-12 of |d| itself would ask too much of "unit": where the weights nearly cancel, their sum is its denominator.
    assert (rule(grads) - literal).norm() <= 1e-12 * grads.norm(dim=1).sum()
    single = grads.float()
    literal = literal_weights(rule, single) @ single.double()
    assert (rule(single) - literal).norm() <= 1e-6 * single.norm(dim=1).sum()


def integers():
    """Gradients with lengths 3, 3, 3, 2, so that all cosines are ratios of small integers.

    9 w = | 9  8  0 -3 |   sums: 14    S for the mean: g1 + g2 + g3 + g4 = (1, 5, 3), of length sqrt(35);
          | 8  9  4 -6 |         15    <g_j, S> = 15, 17, 9, -6, over the lengths: 15/3, 17/3, 9/3, -9/3.
          | 0  4  9 -6 |          7
          |-3 -6 -6  9 |         -6
    """
    return torch.tensor([[2.0, 2.0, 1.0], [1.0, 2.0, 2.0], [-2.0, 1.0, 2.0], [0.0, 0.0, -2.0]])


GOLDEN = [
    (Mean(), [1, 1, 1, 1], 4),
    (PairwiseCosine("none"), [14, 15, 7, -6], 9),
    (PairwiseCosine("none", "clip"), [14, 15, 7, 0], 9),
    (PairwiseCosine("agreement"), [14, 15, 7, -6], 9 * 16),
    (PairwiseCosine("agreement", "clip"), [14, 15, 7, 0], 9 * 16),
    # sum_j c_j g_j without Z is (29, 65, 70) / 9 for O-AMFS, sqrt(9966) / 9 long; the mean is sqrt(35) / 4 long.
    (PairwiseCosine("length"), [14, 15, 7, -6], 4 * (9966 / 35) ** 0.5),
    (PairwiseCosine("unit"), [14, 15, 7, -6], 42),
    (PairwiseCosine("unit", "clip"), [14, 15, 7, 0], 36),
    (MeanCosine("none"), [15, 17, 9, -9], 3 * 35**0.5),
    (MeanCosine("none", "clip"), [15, 17, 9, 0], 3 * 35**0.5),
    (MeanCosine("agreement"), [15, 17, 9, -9], 12 * 35**0.5),
    (MeanCosine("agreement", "clip"), [15, 17, 9, 0], 12 * 35**0.5),
    (MeanCosine("unit"), [15, 17, 9, -9], 50),
    (MeanCosine("unit", "clip"), [15, 17, 9, 0], 41),
]


@pytest.mark.parametrize(("rule", "numerators", "denominator"), GOLDEN, ids=lambda value: repr(value))
def test_golden_weights(rule, numerators, denominator):
    expected = torch.tensor(numerators) / denominator
    assert torch.allclose(rule.weights(integers()), expected)
    assert torch.allclose(rule(integers()), expected @ integers())


@pytest.mark.parametrize("rule", [rule for rule in COSINE_RULES if rule.normalization == "length"], ids=repr)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_length_keeps_the_length_of_the_means_step_and_the_direction_of_the_formula(rule, scale, randn):
    for t, p in ((2, 3), (3, 2), (5, 40)):
        grads = (randn(t, p) * randn(t, 1).exp()).float() * scale
        step, mean = rule(grads), Mean()(grads)
        printed = dataclasses.replace(rule, normalization="none")(grads)
        assert float((step / scale).norm()) == pytest.approx(float((mean / scale).norm()), rel=1e-5)
        assert torch.cosine_similarity(step / scale, printed / scale, dim=0) > 1 - 1e-5


def test_unit_does_not_keep_the_length_of_the_means_step():
    """Three equal tasks against one: twice the mean's step, and five times where the one is twice as long."""
    along = torch.tensor([1.0, 0.0])
    for rule, ratio, longer in ((PairwiseCosine("unit"), 1, 2.0), (PairwiseCosine("unit"), 2, 5.0)):
        grads = torch.stack([along, along, along, -ratio * along])
        assert torch.allclose(rule(grads), longer * Mean()(grads))
        assert torch.allclose(PairwiseCosine("length")(grads), Mean()(grads))


def test_agreement_is_bounded_by_the_gradients_lengths_and_not_by_the_means_step(randn):
    along = torch.tensor([1.0, 0.0])
    grads = torch.stack([along, along, along, -2 * along])
    assert torch.allclose(PairwiseCosine("agreement")(grads), 2.5 * Mean()(grads))
    for rule in (PairwiseCosine("agreement"), MeanCosine("agreement")):
        for _ in range(50):
            grads = randn(5, 2) * randn(5, 1).exp()
            assert rule(grads).norm() <= grads.norm(dim=1).mean() + 1e-12


@pytest.mark.parametrize("kind", [PairwiseCosine, MeanCosine])
@pytest.mark.parametrize("negative", ["keep", "clip"])
def test_without_any_agreement_unit_is_a_zero_step(kind, negative):
    triangle = torch.tensor([[2.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])  # mean 0
    opposed = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    for grads in (opposed, torch.zeros(3, 2), *([triangle] if kind is MeanCosine else [])):
        assert torch.equal(kind("unit", negative).weights(grads), torch.zeros(len(grads)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("parameters", [2, 1000, 112_000])
def test_what_cancels_but_for_rounding_has_no_direction(parameters, dtype, randn):
    for ratio in (0.1, 1 / 3, 1.0, 3.0, 7.7):
        for direction in randn(20, parameters, dtype=dtype):
            opposed = torch.stack([direction, -ratio * direction])
            assert torch.equal(PairwiseCosine("unit").weights(opposed), torch.zeros(2, dtype=dtype))
            balanced = torch.stack([direction, ratio * direction, -(1 + ratio) * direction])
            assert torch.equal(MeanCosine("unit").weights(balanced), torch.zeros(3, dtype=dtype))


@pytest.mark.parametrize("kind", [PairwiseCosine, MeanCosine])
@pytest.mark.parametrize("t", [2, 16, 64])
def test_what_is_more_than_rounding_has_one(kind, t):
    """In numbers of three digits, too, and where the tasks hardly agree."""
    alike, across = torch.ones(t, 8), torch.eye(t)
    for grads in (alike, across):
        assert kind("unit").weights(grads.bfloat16()).float().sum() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("rule", COSINE_RULES, ids=repr)
def test_a_gradient_below_the_smallest_normal_number_is_a_zero_gradient(rule):
    grads = torch.tensor([[1.0, 0.5], [1.0, 0.0], [1e-40, 0.0]])
    zeroed = grads * torch.tensor([[1.0], [1.0], [0.0]])
    assert rule.weights(grads)[2] == 0
    assert torch.allclose(rule.weights(grads), rule.weights(zeroed))


@pytest.mark.parametrize("rule", COSINE_RULES, ids=repr)
def test_huge_tiny_and_ordinary_gradients_side_by_side(rule, randn):
    grads = (randn(4, 6) * torch.tensor([[1e25], [1.0], [1e-25], [1e-13]])).float()
    assert torch.allclose(rule.weights(grads).double(), literal_weights(rule, grads), atol=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("rule", COSINE_RULES, ids=repr)
def test_no_weight_hides_what_is_not_finite(rule, bad, randn):
    grads = randn(4, 6)
    grads[2, 3] = bad
    assert not torch.isfinite(rule.weights(grads)).all()


@pytest.mark.parametrize("rule", [Mean(), *COSINE_RULES], ids=repr)
def test_a_device_that_must_not_be_asked_can_combine(rule):
    assert rule.combine(torch.empty(4, 6, device="meta")).shape == (6,)


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


@pytest.mark.parametrize("rule", COSINE_RULES, ids=repr)
def test_a_zero_gradient_has_no_say_and_still_counts(rule, randn):
    grads = torch.cat([randn(3, 4), torch.zeros(1, 4, dtype=torch.float64)])
    share = {"length": 3 / 4, "unit": 1, "none": 1, "agreement": 9 / 16 if isinstance(rule, PairwiseCosine) else 3 / 4}
    assert rule.weights(grads)[3] == 0
    assert torch.allclose(rule.weights(grads)[:3], rule.weights(grads[:3]) * share[rule.normalization])
    agreeing = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert torch.allclose(PairwiseCosine("agreement").weights(agreeing), torch.tensor([2 / 9, 2 / 9, 0.0]))


def test_a_task_against_the_majority_is_pushed_up_unless_clipped():
    grads = torch.tensor([[1.0, 0.1], [1.0, -0.1], [1.0, 0.0], [-1.0, 0.0]])
    assert PairwiseCosine().weights(grads)[3] < 0
    assert PairwiseCosine(negative="clip").weights(grads)[3] == 0


def test_cosine_to_the_mean_never_ascends_on_the_mean_loss(randn):
    for _ in range(200):
        grads = randn(5, 2) * randn(5, 1).exp()
        for negative in ("keep", "clip"):
            assert MeanCosine(negative=negative)(grads) @ grads.mean(0) >= -1e-12


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


def test_pcgrad_sums_as_published_where_it_is_named_and_else_takes_the_mean(randn):
    agreeing = randn(7).expand(3, 7)
    assert torch.allclose(PCGrad()(agreeing), agreeing[0])
    assert torch.allclose(PCGrad(reduction="sum")(agreeing), 3 * agreeing[0])


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


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pcgrad_gives_gradients_and_their_gram_matrix_the_same_weights(randn, dtype, reduction):
    rule = PCGrad(seed=3, reduction=reduction)
    for t, p in ((1, 4), (2, 3), (6, 2), (8, 40)):
        grads = (randn(t, p) * randn(t, 1).exp()).to(dtype)
        grads[t // 2] *= t % 3  # a zero gradient among six
        for scale in (1e-6, 1.0, 1e6):
            weights = rule.weights_from_gram((scale * grads) @ (scale * grads).T)
            assert weights.dtype == dtype
            assert torch.allclose(weights, rule.weights(grads), rtol=1e-4)
    assert rule.weights_from_gram(torch.tensor([[1.0, torch.nan], [torch.nan, 1.0]])).isnan().all()


def test_each_rule_has_one_key_and_one_label():
    labels = [rule.label for rule in AGGREGATORS.values()]
    assert [key for key, rule in AGGREGATORS.items() if not rule.label or labels.count(rule.label) > 1] == []


def test_unknown_options_are_refused_by_name():
    with pytest.raises(ConfigError, match=r"`normalization` must be one of length, unit, agreement, none. Got 'l2'"):
        PairwiseCosine("l2")
    with pytest.raises(ConfigError, match=r"`negative` must be one of keep, clip. Got 'drop'"):
        MeanCosine(negative="drop")
    with pytest.raises(ConfigError, match=r"`reduction` must be one of mean, sum. Got 'max'"):
        PCGrad(reduction="max")


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_half_precision_squares_do_not_overflow(normalization, randn):
    """A length of 6e4 is finite in float16, its square is not."""
    rule = PairwiseCosine(normalization)
    grads = (2e4 * randn(4, 10).clamp(-1.5, 1.5) / 1.5).half()
    assert torch.linalg.vector_norm(grads, dim=1).max() > 256
    assert torch.allclose(rule.weights(grads).double(), rule.weights(grads.double()), atol=5e-3, rtol=5e-3)


def test_gradients_of_no_parameters_are_refused(rule):
    with pytest.raises(DataError, match=r"with t and p >= 1. Got shape \(3, 0\)"):
        rule.weights(torch.zeros(3, 0))


SUMMED = [rule for rule in RULES if isinstance(rule, SummedRule)] + COSINE_RULES


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", SUMMED, ids=repr)
def test_the_sums_of_parts_of_the_tasks_are_the_sums_of_all_tasks(rule, dtype, randn):
    """The parts are one task and five tasks."""
    grads = (randn(6, 50) * randn(6, 1).exp()).to(dtype)
    parts = [Gradients(grads[:1]), Gradients(grads[1:])]
    first = sum(rule.first(part, 6) for part in parts)
    second = sum(rule.second(part, first, 6) for part in parts)
    far = (rule.step(first, second, 6) - rule(grads)).norm()
    assert far <= 8 * torch.finfo(dtype).eps * grads.norm(dim=1).sum()


def test_a_rule_with_new_weights_and_old_sums_is_refused():
    with pytest.raises(ConfigError, match=r"must be a subclass of Aggregator, or also define `first` and `step`"):

        class Halved(Mean):
            def weights(self, grads):
                return super().weights(grads) / 2
