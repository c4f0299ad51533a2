"""Live explorers: move a control, and figure and sentence follow. Needs the extra `lab` (ipywidgets and plotly)."""

from amfs_lab.explore import (
    adaptation,
    blocks,
    channels,
    characters,
    check,
    clock,
    clouds,
    compare,
    conflict,
    draw,
    draws,
    episodes,
    figure2,
    ground,
    landscape,
    limits,
    outer_loop,
    perpendicular,
    projection,
    pull,
    rbf,
    regularisers,
    ridge,
    steps,
    teachers,
    trajectories,
    vote,
    waves,
)
from amfs_lab.explore.adaptation import AdaptationExplorer
from amfs_lab.explore.base import Explorer
from amfs_lab.explore.blocks import BlockExplorer
from amfs_lab.explore.characters import CharacterExplorer
from amfs_lab.explore.compare import CompareExplorer
from amfs_lab.explore.conflict import ConflictExplorer
from amfs_lab.explore.draw import DrawExplorer
from amfs_lab.explore.draws import DrawsExplorer
from amfs_lab.explore.drive import drive
from amfs_lab.explore.episodes import EpisodeExplorer
from amfs_lab.explore.figure2 import Figure2Explorer
from amfs_lab.explore.filter import FilterExplorer
from amfs_lab.explore.limits import LimitExplorer
from amfs_lab.explore.live import LiveExplorer, live
from amfs_lab.explore.meta_training import MetaTrainingExplorer
from amfs_lab.explore.outer_loop import OuterLoopExplorer
from amfs_lab.explore.paths import PathExplorer
from amfs_lab.explore.perpendicular import PerpendicularExplorer
from amfs_lab.explore.predict import predict
from amfs_lab.explore.projection import ProjectionExplorer
from amfs_lab.explore.pull import PullExplorer
from amfs_lab.explore.rbf import RbfExplorer
from amfs_lab.explore.regularisers import RegulariserExplorer
from amfs_lab.explore.ridge import RidgeExplorer
from amfs_lab.explore.steps import StepsExplorer
from amfs_lab.explore.teachers import TeacherExplorer
from amfs_lab.explore.trajectories import TrajectoryExplorer
from amfs_lab.explore.vote import VoteExplorer

__all__ = [
    "AdaptationExplorer",
    "BlockExplorer",
    "CharacterExplorer",
    "CompareExplorer",
    "ConflictExplorer",
    "DrawExplorer",
    "DrawsExplorer",
    "EpisodeExplorer",
    "Explorer",
    "Figure2Explorer",
    "FilterExplorer",
    "LimitExplorer",
    "LiveExplorer",
    "MetaTrainingExplorer",
    "OuterLoopExplorer",
    "PathExplorer",
    "PerpendicularExplorer",
    "ProjectionExplorer",
    "PullExplorer",
    "RbfExplorer",
    "RegulariserExplorer",
    "RidgeExplorer",
    "StepsExplorer",
    "TeacherExplorer",
    "TrajectoryExplorer",
    "VoteExplorer",
    "adaptation",
    "blocks",
    "channels",
    "characters",
    "check",
    "clock",
    "clouds",
    "compare",
    "conflict",
    "draw",
    "draws",
    "drive",
    "episodes",
    "figure2",
    "ground",
    "landscape",
    "limits",
    "live",
    "outer_loop",
    "perpendicular",
    "predict",
    "projection",
    "pull",
    "rbf",
    "regularisers",
    "ridge",
    "steps",
    "teachers",
    "trajectories",
    "vote",
    "waves",
]
