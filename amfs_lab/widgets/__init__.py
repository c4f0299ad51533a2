"""The framework of the explorers: controls, figures, messages. This package imports nothing about kernels or tasks."""

from amfs_lab.widgets.drive import drive
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.live import LiveExplorer, live
from amfs_lab.widgets.predict import predict

__all__ = ["Explorer", "LiveExplorer", "drive", "live", "predict"]
