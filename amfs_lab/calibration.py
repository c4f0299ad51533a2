"""Calibration: the agreement of predicted probabilities with the shares of correct answers."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from amfs_lab.errors import DataError

BINS = 15  # of equal width, as in most papers


def reliability(scores: Float[Tensor, "q ways"], labels: Int64[Tensor, " q"], bins: int = BINS) -> Float[Tensor, "b 3"]:
    """A reliability table: number of answers, sum of confidences, and number of correct answers, in each bin.

    An answer is the class with the largest score, and its confidence is the largest softmax probability. Bin i holds
    the confidences in (i / bins, (i + 1) / bins]. The table of several episodes is the sum of their tables.

    Raises DataError unless there is one row of finite scores for each label.
    """
    if scores.shape[:1] != labels.shape or scores.ndim != 2 or not bool(torch.isfinite(scores).all()):
        raise DataError(
            f"A reliability table needs one row of finite scores for each label. Got scores of shape "
            f"{tuple(scores.shape)} for {tuple(labels.shape)} labels."
        )
    confidence, answer = scores.double().softmax(1).max(1).values, scores.argmax(1)  # the answer as in the accuracy
    columns = torch.stack([torch.ones_like(confidence), confidence, (answer == labels).double()], 1)
    where = (confidence * bins).ceil().long().clamp(1, bins) - 1
    return columns.new_zeros(bins, 3).index_add_(0, where, columns)


def calibration_error(table: Float[Tensor, "b 3"]) -> float:
    """The expected calibration error, sum_b n_b / n |accuracy_b - confidence_b|, in [0, 1].

    Bin b has n_b of the n answers.

    Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning"; Guo, Pleiss,
    Sun and Weinberger (2017), Equation 3. Raises DataError for a table without answers.
    """
    counts, confidences, correct = table.double().unbind(1)
    if not bool(counts.sum() > 0):
        raise DataError("A calibration error needs at least one answer. Got an empty table.")
    return float((correct - confidences).abs().sum() / counts.sum())
