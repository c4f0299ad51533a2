"""Live explorers: move a control, and figure and sentence follow. Needs the extra `lab` (ipywidgets and plotly)."""

from amfs_lab.explore import characters, check, compare, rbf
from amfs_lab.explore.base import Explorer
from amfs_lab.explore.characters import CharacterExplorer
from amfs_lab.explore.compare import CompareExplorer
from amfs_lab.explore.conflict import ConflictExplorer
from amfs_lab.explore.drive import drive
from amfs_lab.explore.live import LiveExplorer, live
from amfs_lab.explore.meta_training import MetaTrainingExplorer
from amfs_lab.explore.predict import predict
from amfs_lab.explore.rbf import RbfExplorer
from amfs_lab.explore.ridge import RidgeExplorer

__all__ = [
    "CharacterExplorer",
    "CompareExplorer",
    "ConflictExplorer",
    "Explorer",
    "LiveExplorer",
    "MetaTrainingExplorer",
    "RbfExplorer",
    "RidgeExplorer",
    "characters",
    "check",
    "compare",
    "drive",
    "live",
    "predict",
    "rbf",
]
