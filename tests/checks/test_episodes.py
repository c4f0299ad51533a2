"""Self-checks on episodes, lesson 05: right answers pass, and each classic mistake is named, above all leakage."""

import math

import numpy as np
import pytest
import torch

from amfs_lab import checks
from amfs_lab.explore import BlockExplorer
from tests.checks.answers import no_error_for_a_reader, todo, told_what_it_did, told_why


def mixed(labels, c, generator):
    """The images of class c in random order."""
    images = (labels == c).nonzero()[:, 0]
    return images[torch.randperm(len(images), generator=generator)]


def named(support, query):
    """The return value of the exercise, from rows of indices with one row for each class."""
    targets = torch.arange(len(support))
    return (
        support.flatten(),
        targets.repeat_interleave(support.shape[1]),
        query.flatten(),
        targets.repeat_interleave(query.shape[1]),
    )


def right(labels, ways, shots, queries, generator):
    classes = torch.randperm(int(labels.max()) + 1, generator=generator)[:ways]
    images = torch.stack([mixed(labels, c, generator)[: shots + queries] for c in classes])
    return named(images[:, :shots], images[:, shots:])


def leaky(labels, ways, shots, queries, generator):
    classes = torch.randperm(int(labels.max()) + 1, generator=generator)[:ways]
    halves = [torch.stack([mixed(labels, c, generator)[:n] for c in classes]) for n in (shots, queries)]
    return named(*halves)


def cut_askew(labels, ways, shots, queries, generator):
    classes = torch.randperm(int(labels.max()) + 1, generator=generator)[:ways]
    images = torch.stack([mixed(labels, c, generator)[: shots + queries] for c in classes])
    return named(images[:, :shots], images[:, :queries])


def other_classes(labels, ways, shots, queries, generator):
    order = torch.randperm(int(labels.max()) + 1, generator=generator)
    halves = [
        torch.stack([mixed(labels, c, generator)[:n] for c in classes])
        for n, classes in ((shots, order[:ways]), (queries, order[-ways:]))
    ]
    return named(*halves)


def by_their_own_numbers(labels, *shape_and_generator):
    support, _, query, _ = right(labels, *shape_and_generator)
    return support, labels[support], query, labels[query]


def from_one(*case):
    support, support_y, query, query_y = right(*case)
    return support, support_y + 1, query, query_y + 1


def odd_names(*case):
    support, support_y, query, query_y = right(*case)
    return support, 7 * support_y + 3, query, 7 * query_y + 3


def in_all(labels, ways, shots, queries, generator):
    support, support_y, query, query_y = right(labels, ways, shots, queries, generator)
    return support[:shots], support_y[:shots], query, query_y


def one_query_short(*case):
    support, support_y, query, query_y = right(*case)
    return support, support_y, query[:-1], query_y[:-1]


def a_label_short(*case):
    support, support_y, query, query_y = right(*case)
    return support, support_y, query, query_y[:-1]


def beyond(labels, *rest):
    support, support_y, query, query_y = right(labels, *rest)
    return support + len(labels), support_y, query, query_y


def with_putting_back(labels, ways, shots, queries, generator):
    classes = torch.randint(int(labels.max()) + 1, (ways,), generator=generator)
    images = torch.stack([mixed(labels, c, generator)[: shots + queries] for c in classes])
    return named(images[:, :shots], images[:, shots:])


def tiled(labels, ways, shots, queries, generator):
    """An answer whose targets have another order than its images."""
    support, _, query, _ = right(labels, ways, shots, queries, generator)
    return support, torch.arange(ways).repeat(shots), query, torch.arange(ways).repeat(queries)


def halves_in_other_orders(*case):
    support, support_y, query, query_y = right(*case)
    return support, support_y, query, query_y.flip(0)


def an_image_twice(labels, ways, shots, queries, generator):
    classes = torch.randperm(int(labels.max()) + 1, generator=generator)[:ways]
    images = torch.stack([mixed(labels, c, generator)[: shots + queries] for c in classes])
    images[:, -1] = images[:, -2]
    return named(images[:, :shots], images[:, shots:])


def without_chance(labels, ways, shots, queries, generator):
    return right(labels, ways, shots, queries, torch.Generator().manual_seed(0))


def same_classes(labels, ways, shots, queries, generator):
    images = torch.stack([mixed(labels, c, generator)[: shots + queries] for c in range(ways)])
    return named(images[:, :shots], images[:, shots:])


def first_images(labels, ways, shots, queries, generator):
    classes = torch.randperm(int(labels.max()) + 1, generator=generator)[:ways]
    images = torch.stack([(labels == c).nonzero()[: shots + queries, 0] for c in classes])
    return named(images[:, :shots], images[:, shots:])


def by_global_chance(labels, ways, shots, queries, generator):
    return right(labels, ways, shots, queries, None)


def broken(*case):
    raise ValueError("no such class")


def three(*case):
    return right(*case)[:3]


def square(*case):
    support, *rest = right(*case)
    return support[:, None], *rest


def floating(*case):
    support, *rest = right(*case)
    return support.float(), *rest


MISTAKES = [
    (checks.class_eigenvalue, 0.8, "you forgot K"),
    (checks.class_eigenvalue, 2.8, "multiplied by N, the number of classes"),
    (checks.class_eigenvalue, 0.3, "the eigenvalue within a class"),
    (checks.class_eigenvalue, 6.3, "That is the common eigenvalue, with NKb"),
    (checks.class_eigenvalue, 3, "You began with 1"),
    (checks.class_eigenvalue, 3.1, "the eigenvalue of one block alone"),
    (checks.class_eigenvalue, 1.8, "counted K − 1 shots"),
    (checks.class_eigenvalue, 2.7, "began with a"),
    (checks.class_eigenvalue, 10.3, "multiplied by NK, all images"),
    (checks.class_eigenvalue, 3.9, "You added b"),
    (checks.class_eigenvalue, 1.1, "took b alone"),
    (checks.class_eigenvalue, 5, "the number is less than that"),
    (checks.class_eigenvalue, "2.3", "remove the quotes"),
    (checks.class_eigenvalue, math.nan, "Expected a number"),
    (checks.episode, leaky, "LEAK: image"),
    (checks.episode, cut_askew, "LEAK: image"),
    (checks.episode, other_classes, "The classes of your support set are .* the classes of your query set are"),
    (checks.episode, by_their_own_numbers, "the numbers of the classes in the data set"),
    (checks.episode, from_one, "count the classes from 1"),
    (checks.episode, odd_names, "must be 0 to 2. Got"),
    (checks.episode, in_all, "Your support set holds 2 images in all"),
    (checks.episode, one_query_short, "Your query set holds 11 images. Expected 3 classes times 4"),
    (checks.episode, a_label_short, "`query` has 12 images and `query_y` has 11 labels"),
    (checks.episode, beyond, "an index without an image"),
    (checks.episode, with_putting_back, "are the same: sample without replacement"),
    (checks.episode, tiled, "The label 0 stands for class"),
    (checks.episode, halves_in_other_orders, "The label 2 stands for class"),
    (checks.episode, an_image_twice, "holds an image twice"),
    (checks.episode, without_chance, "the same images every time"),
    (checks.episode, same_classes, r"All episodes have the same classes, \[0, 1, 2\]"),
    (checks.episode, first_images, "has the same examples in every episode"),
    (checks.episode, by_global_chance, "The same seed gave two different episodes"),
    (checks.episode, broken, "stopped with ValueError: no such class. It was called with 79 labels"),
    (checks.episode, three, "Expected four things.* Got 3"),
    (checks.episode, lambda *case: 1, "Expected four things.* Got 1"),
    (checks.episode, lambda *case: None, "returns nothing"),
    (checks.episode, lambda *case: (None, 1, 2, 3), "Expected four tensors of whole numbers"),
    (checks.episode, square, r"Expected `support` as one row of numbers. Got shape \(6, 1\)"),
    (checks.episode, floating, "Expected whole numbers in `support`"),
    (checks.episode, 3, "Expected your function"),
    (checks.wide_gap, 0.4, r"a = 0\.146, b = 0\.062 and a − b = 0\.084\. Try a wider"),
    (checks.wide_gap, 0.2, "Try a wider"),
    (checks.wide_gap, 2.0, r" \(a alone is not enough, because b grows as well\)\. Try a narrower"),
    (checks.wide_gap, 0.01, "Expected σ on the slider"),
    (checks.wide_gap, "0.6", "remove the quotes"),
]


def as_lists(*case):
    return [part.tolist() for part in right(*case)]


def in_another_order(labels, ways, shots, queries, generator):
    support, support_y, query, query_y = right(labels, ways, shots, queries, generator)
    order = torch.randperm(len(query), generator=generator)
    return support, support_y, query[order], query_y[order]


test_a_wrong_answer_is_told_what_it_did = told_what_it_did(MISTAKES)
test_a_right_answer_is_told_why = told_why(
    [
        (checks.class_eigenvalue, 2.3, "each shot adds a − b"),
        (checks.class_eigenvalue, torch.tensor(2.3), "each shot adds a − b"),
        (checks.class_eigenvalue, np.float32(2.3), "each shot adds a − b"),
        (checks.episode, right, "In 36 episodes"),
        (checks.episode, as_lists, "with no image in both"),
        (checks.episode, in_another_order, "with no image in both"),
        (checks.wide_gap, 0.5, "In between, a − b is largest"),
        (checks.wide_gap, 0.65, "In between, a − b is largest"),
    ]
)
test_an_unsolved_exercise_is_no_error_for_a_reader = no_error_for_a_reader(
    [(checks.class_eigenvalue, ...), (checks.episode, todo), (checks.wide_gap, ...)]
)


def test_the_expected_eigenvalue_is_that_of_numpy(capsys):
    label = np.arange(5).repeat(4)
    K = np.where(label[:, None] == label[None], 0.7, 0.2) + 0.3 * np.eye(20)
    distinct, often = np.unique(np.linalg.eigvalsh(K).round(9), return_counts=True)
    checks.class_eigenvalue(distinct[often == 4].item())
    assert capsys.readouterr().out.startswith("✓ ")


@pytest.mark.parametrize("sigma", [0.4, 0.5, 0.6, 0.8])
def test_the_gap_in_the_message_is_that_of_the_explorer(sigma):
    a, b = BlockExplorer(bandwidth=sigma).arrays.of_letters
    if a - b >= 0.1:
        checks.wide_gap(sigma)
    else:
        with pytest.raises(AssertionError, match=f"a = {a:.3f}, b = {b:.3f}"):
            checks.wide_gap(sigma)


def test_the_check_leaves_the_global_random_state_unchanged():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    checks.episode(right)
    assert torch.equal(torch.rand(3), expected)
