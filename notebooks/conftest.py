"""Settings for `pytest notebooks`: lessons take their short path, and their kernels see this checkout."""

import os
from pathlib import Path

import pytest

CHECKOUT = str(Path(__file__).resolve().parents[1])

os.environ.setdefault("AMFS_LAB_FAST", "1")  # loops end after a few steps
os.environ.setdefault("OMP_NUM_THREADS", "1")  # many kernels in a row beside other tests: threads only fight
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (CHECKOUT, os.environ.get("PYTHONPATH"))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cells of a notebook run one after the other, in one process, also where tests run side by side."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.stem + item.path.parent.name))
