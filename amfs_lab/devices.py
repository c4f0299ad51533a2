"""Device and precision by name."""

from typing import Any

import torch

from amfs_lab.backbones import BFLOAT16, FLOAT32
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Maml


def pick_device(name: str = "auto") -> torch.device:
    """`"auto"`: CUDA where there is one, then Apple's MPS, else the CPU; or the device of that name.

    Raises ConfigError for a device that torch does not know or that is not there.
    """
    if name == "auto":
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else mps)
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ConfigError(
            f"The device must be auto, cpu, cuda or mps, and this machine must have it. Got {name!r}."
        ) from error
    if device.type == "meta":
        raise ConfigError("The device must hold values. Got meta: name cpu, cuda or mps, or auto.")
    return device


def pick_precision(name: str, inner: Any, device: torch.device) -> str:
    """`"auto"`: bfloat16 where the device has instructions for it, but float32 for MAML, which gains less time by it
    (`amfs-lab bench`) and whose steps through the whole network add up its rounding; or the precision of that name.
    What it costs in accuracy: `amfs-lab reproduce precision`.

    Args:
        inner: the inner loop or its settings.
    """
    if name != "auto":
        return name
    return FLOAT32 if isinstance(inner, Maml) or not multiplies_bfloat16(device) else BFLOAT16


def multiplies_bfloat16(device: torch.device) -> bool:
    """True if torch reports bfloat16 instructions: CUDA of capability 8 and up, x86 with AVX512-BF16."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    told = getattr(torch.cpu, "get_capabilities", dict)()  # younger than the oldest torch that we run on
    return bool(told.get("avx512_bf16"))
