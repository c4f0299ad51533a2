"""Few-shot meta-learning in function space: a small library with a course of notebooks.

Read it from the lowest layer up (docs/architecture.md): `kernels` and `ridge` (one task, one solve), `inner` (inner
loops), `outer` (aggregation rules), `learner`, `training`, `evaluation`. The explorers of the course are in `explore`.

Source: J. Park and D. Kang, "Fast Adaptation with Kernel and Gradient Based Meta Learning", arXiv 2411.00404.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> None:
    from amfs_lab.moved import moved  # asked for a name that is not here, which is rare

    moved(__name__)(name)
