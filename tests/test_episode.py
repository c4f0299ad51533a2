"""An episode is checked when it is created, so that labels are not confused and no tensor is broadcast."""

import pytest
import torch

from amfs_lab.backbones import MLP
from amfs_lab.episode import Episode, Examples
from amfs_lab.inner import Anil, FunctionSpace, Maml
from amfs_lab.learner import MetaLearner

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
SETUP = """
import torch
from amfs_lab.episode import Episode, Examples
X, classes = torch.randn(5, 3), torch.arange(5)
whole = Examples(X, classes, 5)
"""
REFUSED = {
    "Examples(X, torch.arange(1, 6), 5)": "must be 0..4. Got 1..5.",
    "Examples(X, torch.tensor([-1, 0, 1, 2, 3]), 5)": "must be 0..4. Got -1..3.",
    "Examples(X, classes.int(), 5)": "int64, and real labels floating point. Got torch.int32. Convert: y.long()",
    "Examples(X, torch.ones(5, dtype=torch.bool), 5)": "Got torch.bool",
    "Examples(X, list('abcde'), 5)": "Labels must be a tensor. Got a list. Make one: torch.as_tensor(labels)",
    "Examples(X, None, 5)": "Labels must be a tensor. Got a NoneType",
    "Examples(X, classes.float(), 5)": "one row of 5 numbers for each image, (5, 5). Got (5,) in torch.float32.",
    "Examples(X, classes[:4], 5)": "one entry for each image, (5,). Got (4,)",
    "Examples(X, classes[:, None], 5)": "one entry for each image, (5,). Got (5, 1)",
    "Examples(X, torch.zeros(5, 2), 3)": "one row of 3 numbers",
    "Examples(X, torch.zeros(4), 1)": "one row of 1 numbers for each image, (5, 1). Got (4, 1)",
    "Examples(X.to(torch.uint8), classes, 5)": "must be floating point. Got torch.uint8. Convert them: x.float() / 255",
    "Examples(X.numpy(), classes, 5)": "Images must be a tensor. Got a ndarray",
    "Examples(X[:0], classes[:0], 5)": "at least one image",
    "Examples(X, classes, 0)": "`ways` must be an integer >= 1. Got 0",
    "Episode(whole, Examples(X, classes, 6))": "the same number of ways. Got 5 and 6",
    "Episode(whole, Examples(X, torch.zeros(5, 5), 5))": "the same kind of labels. Got classes and real numbers",
    "Episode(whole, Examples(X[:, :2], classes, 5))": "images of one shape. Got (3,) and (2,)",
    "Episode(Examples(X, torch.tensor([0, 1, 2, 3, 3]), 5), whole)": "Got no example of class 4 (counted from 0)",
    "whole.loss(torch.zeros(5))": "one row for each label and one column for each class, (5, 5). Got (5,)",
    "whole.loss(torch.zeros(5, 1))": "Got (5, 1)",
    "whole.accuracy(torch.zeros(1, 5))": "Got (1, 5)",
    "Examples(X, torch.zeros(5, 5), 5).loss(torch.zeros(5, 1))": "Got (5, 1)",
    "Examples(X, torch.zeros(5), 1).loss(torch.zeros(5))": "(5, 1). Got (5,)",
}


@pytest.fixture(scope="module")
def said(said_of):
    return said_of(SETUP, REFUSED)


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_episode_is_refused_with_an_error_of_the_package(case, said):
    assert REFUSED[case] in said[case]
    assert not said[case].startswith("accepted")


def test_targets_of_one_number_may_come_as_a_vector():
    y = torch.sin(X[:, 0])
    for loop in (FunctionSpace(scale=1.0), Maml(), Anil()):
        torch.manual_seed(0)
        learner = MetaLearner(MLP(3, (), 8), loop, 1)
        row, vector = (learner.loss(Episode(Examples(X, t, 1), Examples(X, t, 1))) for t in (y[:, None], y))
        assert torch.equal(row, vector)


def test_a_loss_of_short_scores_has_more_than_three_digits():
    half = Examples(X, torch.arange(5), 5)
    scores = torch.linspace(-3, 3, 25).view(5, 5)
    assert half.loss(scores.bfloat16()).dtype == torch.float32
    assert float(half.loss(scores.half())) == pytest.approx(float(half.loss(scores)), rel=1e-3)
