"""Checks of a lesson's environment: installed packages, and no use of the network."""

import importlib.metadata
import platform
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from amfs_lab.checks.verdict import Wrong, raises, tell
from amfs_lab.widgets.box import Box

NEEDED = ("torch", "numpy", "plotly", "ipywidgets", "anywidget", "jupyterlab")


def environment() -> None:
    """Prints the versions of the packages that the course needs. A verdict names the missing packages, if any."""
    missing = []
    print(f"Python {platform.python_version()} on {platform.system()}, torch threads: {torch.get_num_threads()}")
    for name in NEEDED:
        try:
            print(f"✓ {name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        words = f"Not installed: {', '.join(missing)}. Start with `python3 run.py lab`, which installs them."
        if raises():
            raise Wrong(words)
        tell(Box("wrong", words))


@contextmanager
def no_network() -> Iterator[None]:
    """A context in which any attempt to open a network connection raises AssertionError."""

    def refuse(sock: socket.socket, address: Any) -> None:
        raise AssertionError(f"A lesson needs no network. Got a connection to {address}: remove the call.")

    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    socket.socket.connect = socket.socket.connect_ex = refuse  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]
