"""Choice of the device and of the precision by their names."""

from typing import Any

import torch

from amfs_lab.backbones import BFLOAT16, FLOAT32
from amfs_lab.errors import ConfigError
from amfs_lab.inner import Maml


def pick_device(name: str = "auto") -> torch.device:
    """The device with this name. `"auto"` means CUDA if available, else Apple's MPS if available, else the CPU.

    Raises ConfigError for a name that torch does not accept, or for a device that the machine does not have.
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
    """The precision with this name. `"auto"` means bfloat16 if the device has instructions for it, else float32.

    For MAML `"auto"` is always float32. Bfloat16 saves less time for MAML than for I-AMFS, as `amfs-lab bench` shows.
    In addition, the inner steps of MAML go through the whole network and accumulate rounding errors. The accuracy cost
    of bfloat16 is measured by `amfs-lab reproduce precision`.

    Args:
        inner: the inner loop or its settings.
    """
    if name != "auto":
        return name
    return FLOAT32 if isinstance(inner, Maml) or not multiplies_bfloat16(device) else BFLOAT16


def pick_batched(chosen: bool | None, streamed: bool, device: torch.device) -> bool:
    """The setting `batched`: the user's choice. Without a choice, True on CUDA unless the run is `streamed`.

    On a CPU, a meta-step with all tasks at once takes longer (`amfs-lab bench`). A GPU spends much of the time on the
    start of many small operations. With `batched`, several small operations become one large operation. The time on a
    GPU was not measured.
    """
    return device.type == "cuda" and not streamed if chosen is None else chosen


def multiplies_bfloat16(device: torch.device) -> bool:
    """True if torch reports bfloat16 instructions of the device: CUDA of capability >= 8, x86 with AVX512-BF16."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    told = getattr(torch.cpu, "get_capabilities", dict)()  # the oldest supported torch has no such function
    return bool(told.get("avx512_bf16"))
