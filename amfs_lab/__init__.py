"""Few-shot meta-learning in function space: a small library with a course of notebooks.

A good order to read the modules, from the lowest layer up: `kernels` and `ridge` (the solve of one task), `inner`
(inner loops), `outer` (aggregation rules), `learner`, `training`, `evaluation`. See docs/architecture.md. The
interactive figures of the course are in `explore`.

Source: J. Park and D. Kang, "Fast Adaptation with Kernel and Gradient Based Meta Learning", arXiv 2411.00404.
"""

import sys

from amfs_lab.moved import OldModules, moved

__version__ = "0.1.0"
__getattr__ = moved(__name__)

sys.meta_path.insert(0, OldModules)  # first, because an old folder with compiled files is a namespace package
