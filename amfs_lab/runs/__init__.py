"""Saved runs: progress, checkpoints, the final learner, resume and replay."""

from amfs_lab.runs.folder import RunFolder
from amfs_lab.runs.progress import Progress
from amfs_lab.runs.saved import load_learner, load_run, save_learner

__all__ = ["Progress", "RunFolder", "load_learner", "load_run", "save_learner"]
