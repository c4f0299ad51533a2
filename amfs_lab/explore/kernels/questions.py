"""The correct answers to the predictions about RBF kernels.

A prediction is a question that a student answers before the result is shown. Each function computes one answer.
"""

from amfs_lab.explore.kernels.characters import nearest, pixels, source
from amfs_lab.explore.kernels.rbf import POINTS, RbfExplorer, alive
from amfs_lab.kernels import rbf_kernel


def answer_rank_when_sigma_doubles(points: str = "six points", bandwidth: float = 0.6) -> str:
    """The answer to "you double σ: how many directions stay alive?": `"more"`, `"fewer"` or `"the same number"`.

    A direction is an eigenvector of the Gram matrix. It is alive if its eigenvalue is above 1 % of the largest
    eigenvalue.
    """
    before, after = alive(POINTS[points], bandwidth), alive(POINTS[points], 2 * bandwidth)
    return "more" if after > before else "fewer" if after < before else "the same number"


def answer_diagonal_when_sigma_changes(points: str = "six points") -> str:
    """The answer to "you move σ: what happens to the diagonal of the Gram matrix?".

    It is `"it stays the same"`, `"it gets darker"` (larger similarities) or `"it gets lighter"` (smaller similarities).
    """
    ends = (RbfExplorer.bandwidth.low, RbfExplorer.bandwidth.high)
    narrow, wide = (rbf_kernel(POINTS[points], POINTS[points], sigma).diagonal().mean() for sigma in ends)
    return "it gets darker" if wide > narrow else "it gets lighter" if wide < narrow else "it stays the same"


def answer_how_many_are_read(task: int) -> str:
    """The answer to "how many of the 75 queries are classified correctly?".

    It is `"fewer than 25"`, `"25 to 50"` or `"more than 50"`. `task` is the number of the task, from 1.
    """
    guesses, truths = nearest(task)
    right = int((guesses == truths).sum())
    return "fewer than 25" if right < 25 else "25 to 50" if right <= 50 else "more than 50"


def answer_accuracy_when_sigma_grows(task: int = 0, before: float = 5.0, after: float = 10.0) -> str:
    """The answer to "you increase σ: for how many queries does the nearest example change?".

    It is `"none"`, `"a few"` (at most half of the queries) or `"most"`. `task` is the index of the task, from 0.
    """
    support, query = pixels(source(1)[task])
    nearest = [rbf_kernel(query, support, sigma).argmax(1) for sigma in (before, after)]
    changed = int((nearest[0] != nearest[1]).sum())
    return "none" if changed == 0 else "a few" if changed <= len(query) / 2 else "most"
