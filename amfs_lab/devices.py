"""Device and precision by name."""

from typing import Any

import torch

from amfs_lab.backbones import BFLOAT16, FLOAT32
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Maml


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name. `"auto"` is CUDA if the machine has it, then Apple's MPS, else the CPU.

    Raises ConfigError for a device that torch does not know or that the machine does not have.
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
        raise ConfigError("The device must hold values. Got meta. Name cpu, cuda or mps, or auto.")
    return device


def pick_precision(name: str, inner: Any, device: torch.device) -> str:
    """The precision of that name. `"auto"` is bfloat16 if the device has instructions for it, else float32.

    For MAML `"auto"` is always float32. MAML gains less time from bfloat16 (`amfs-lab bench`), and its steps through
    the whole network accumulate rounding errors. `amfs-lab reproduce precision` measures the cost in accuracy.

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
    told = getattr(torch.cpu, "get_capabilities", dict)()  # the oldest supported torch has no such function
    return bool(told.get("avx512_bf16"))
