"""Explorers: interactive figures with controls and a sentence about the figure. Explorers need the extra `lab`."""

from amfs_lab.explore import (
    conflict,
    episodes,
    inner_loop,
    kernels,
    outer_loop,
    regularisers,
    representer,
    ridge,
    training,
)
from amfs_lab.explore.conflict.conflict import ConflictExplorer
from amfs_lab.explore.conflict.endpoints import EndpointExplorer
from amfs_lab.explore.conflict.trajectories import TrajectoryExplorer
from amfs_lab.explore.episodes.blocks import BlockExplorer
from amfs_lab.explore.episodes.draw_your_own import DrawExplorer
from amfs_lab.explore.episodes.episodes import EpisodeExplorer
from amfs_lab.explore.inner_loop.adaptation import AdaptationExplorer
from amfs_lab.explore.inner_loop.figure2 import Figure2Explorer
from amfs_lab.explore.inner_loop.steps import StepsExplorer
from amfs_lab.explore.kernels.characters import CharacterExplorer
from amfs_lab.explore.kernels.rbf import RbfExplorer
from amfs_lab.explore.outer_loop.outer_loop import OuterLoopExplorer
from amfs_lab.explore.outer_loop.pull import PullExplorer
from amfs_lab.explore.regularisers.limits import LimitExplorer
from amfs_lab.explore.regularisers.regularisers import RegulariserExplorer
from amfs_lab.explore.regularisers.teachers import TeacherExplorer
from amfs_lab.explore.representer.perpendicular import PerpendicularExplorer
from amfs_lab.explore.representer.projection import ProjectionExplorer
from amfs_lab.explore.ridge.filter import FilterExplorer
from amfs_lab.explore.ridge.ridge import RidgeExplorer
from amfs_lab.explore.ridge.vote import VoteExplorer
from amfs_lab.explore.training.compare import CompareExplorer
from amfs_lab.explore.training.meta_training import MetaTrainingExplorer
from amfs_lab.explore.training.trajectory import TrainingTrajectoryExplorer
from amfs_lab.moved import moved

__all__ = [
    "AdaptationExplorer",
    "BlockExplorer",
    "CharacterExplorer",
    "CompareExplorer",
    "ConflictExplorer",
    "DrawExplorer",
    "EndpointExplorer",
    "EpisodeExplorer",
    "Figure2Explorer",
    "FilterExplorer",
    "LimitExplorer",
    "MetaTrainingExplorer",
    "OuterLoopExplorer",
    "PerpendicularExplorer",
    "ProjectionExplorer",
    "PullExplorer",
    "RbfExplorer",
    "RegulariserExplorer",
    "RidgeExplorer",
    "StepsExplorer",
    "TeacherExplorer",
    "TrainingTrajectoryExplorer",
    "TrajectoryExplorer",
    "VoteExplorer",
    "conflict",
    "episodes",
    "inner_loop",
    "kernels",
    "outer_loop",
    "regularisers",
    "representer",
    "ridge",
    "training",
]

__getattr__ = moved(__name__)
