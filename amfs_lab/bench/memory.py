"""The most memory that a meta-step needs, measured in a process of its own."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from amfs_lab.bench.methods import episode_config, meta_steps
from amfs_lab.errors import ConfigError

STEPS = 3


def peak(method: str, shape: str) -> float:
    """MiB of resident memory above what stood before the first meta-step, at the highest point of three.

    Raises:
        ConfigError: this system does not tell.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_peak, method, shape).result()


def _peak(method: str, shape: str) -> float:
    step = meta_steps(episode_config(shape), [method] if method != "floor" else [])[method]
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far becomes what is there now
        before = _status("VmRSS")
        for _ in range(STEPS):
            step()
        return _status("VmHWM") - before
    except OSError as error:
        raise ConfigError("Memory is measured by Linux alone. Leave `memory` out of the parts.") from error


def _status(name: str) -> float:
    """A line of /proc/self/status, in MiB."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(name)]
    return int(line.split()[1]) / 2**10
