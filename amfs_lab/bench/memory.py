"""Peak memory of meta-steps, measured in a new process.

On a GPU, the memory of the GPU is measured. Otherwise, the memory of the process is measured. All values are in MiB.
The memory in use before the first step is subtracted.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from amfs_lab.bench.methods import BASELINE, baseline_step, episode_config, episodes_of, learner_step
from amfs_lab.config import TrainingConfig, preset
from amfs_lab.errors import ConfigError
from amfs_lab.training import MetaTrainer

STEPS = 3


def peak(method: str, shape: str, device: torch.device) -> float:
    """Peak memory of three meta-steps of a method, or of three steps of the baseline.

    Raises:
        ConfigError: the system does not report peak memory.
    """
    return _in_new_process(_peak_of_steps, method, shape, device)


def peak_of_training(tasks: int, streamed: bool, shape: str, device: torch.device) -> float:
    """Peak memory of the first meta-step of a training run of AMFS on the glyphs.

    Args:
        tasks: number of tasks in the meta-step. streamed: see `TrainingConfig`.
    Raises:
        ConfigError: the system does not report peak memory.
    """
    return _in_new_process(_peak_of_training, tasks, streamed, shape, device)


def _in_new_process(measure: Callable[..., float], *arguments: object) -> float:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(measure, *arguments).result()


def _peak_of_steps(method: str, shape: str, device: torch.device) -> float:
    config = episode_config(shape)
    episodes = episodes_of(config, TrainingConfig().tasks, device)
    if method == BASELINE:
        step = baseline_step(episodes, torch.contiguous_format)
    else:
        step = learner_step(preset(method, episode=config), episodes)
    return _peak(step, STEPS, device)


def _peak_of_training(tasks: int, streamed: bool, shape: str, device: torch.device) -> float:
    config = preset(
        "amfs", tasks=tasks, streamed=streamed, episode=episode_config(shape), steps=1, validate_every=0, seconds=None
    )
    trainer = MetaTrainer(config, device=str(device))
    return _peak(lambda: list(trainer.run()), 1, device)


def _peak(step: Callable[[], object], steps: int, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        for _ in range(steps):
            step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = _status("VmRSS")
        for _ in range(steps):
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
