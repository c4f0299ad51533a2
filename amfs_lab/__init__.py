"""Few-shot meta-learning in function space: a small library under a course of notebooks.

Read it by floor, from the ground up: `kernels` and `ridge` (one task, one solve), `inner` (what adapts to a task),
`outer` (what combines tasks), `learner`, `training`, `evaluation`. The explorers of the course live in `explore`.

Source: J. Park and D. Kang, "Fast Adaptation with Kernel and Gradient Based Meta Learning", arXiv 2411.00404.
"""

__version__ = "0.1.0"
