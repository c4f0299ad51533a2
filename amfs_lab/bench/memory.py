"""The most memory that a meta-step needs, measured in a process of its own: the process's own, or a GPU's."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from amfs_lab.bench.methods import BASELINE, episode_config, episodes_of, floor_step, learner_step
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.errors import ConfigError

STEPS = 3


def peak(method: str, shape: str, device: torch.device) -> float:
    """MiB above what was in use before the first meta-step, at the highest point of three.

    Raises:
        ConfigError: this system does not tell.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_peak, method, shape, device).result()


def _peak(method: str, shape: str, device: torch.device) -> float:
    config = episode_config(shape)
    episodes = episodes_of(config, TrainingConfig().tasks, device)
    if method == BASELINE:
        step = floor_step(episodes, torch.contiguous_format)
    else:
        step = learner_step(preset(method, episode=config), episodes)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        for _ in range(STEPS):
            step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far becomes what is there now
        before = _status("VmRSS")
        for _ in range(STEPS):
            step()
        return _status("VmHWM") - before
    except OSError as error:
        raise ConfigError("Memory is measured on Linux and on CUDA alone. Leave `memory` out of the parts.") from error


def _status(name: str) -> float:
    """A line of /proc/self/status, in MiB."""
    (line,) = [
        each
        for each in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        if each.startswith(name)
    ]
    return int(line.split()[1]) / 2**10
