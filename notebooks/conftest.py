"""Settings for `pytest notebooks`: lessons take their short path, and their kernels see this checkout."""

import os
from pathlib import Path

CHECKOUT = str(Path(__file__).resolve().parents[1])

os.environ.setdefault("AMFS_LAB_FAST", "1")  # loops end after a few steps
os.environ.setdefault("OMP_NUM_THREADS", "1")  # many kernels in a row beside other tests: threads only fight
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (CHECKOUT, os.environ.get("PYTHONPATH"))))
