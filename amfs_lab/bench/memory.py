"""Peak memory of a meta-step, measured in a new process: memory of the process, or of the GPU."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from amfs_lab.bench.methods import BASELINE, baseline_step, episode_config, episodes_of, learner_step
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.errors import ConfigError

STEPS = 3


def peak(method: str, shape: str, device: torch.device) -> float:
    """Peak memory of three meta-steps in MiB, minus the memory in use before the first step.

    Raises:
        ConfigError: the system does not report peak memory.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_peak, method, shape, device).result()


def _peak(method: str, shape: str, device: torch.device) -> float:
    config = episode_config(shape)
    episodes = episodes_of(config, TrainingConfig().tasks, device)
    if method == BASELINE:
        step = baseline_step(episodes, torch.contiguous_format)
    else:
        step = learner_step(preset(method, episode=config), episodes)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        for _ in range(STEPS):
            step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _status("VmRSS")
        for _ in range(STEPS):
            step()
        return _status("VmHWM") - before
    except OSError as error:
        raise ConfigError("`memory` needs Linux or CUDA. Got neither. Leave `memory` out of the parts.") from error


def _status(name: str) -> float:
    """A value from /proc/self/status, in MiB."""
    (line,) = [
        each
        for each in Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        if each.startswith(name)
    ]
    return int(line.split()[1]) / 2**10
