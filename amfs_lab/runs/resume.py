"""What a run depends on between two steps, beside its settings: taken down, put back, and compared."""

import json
from typing import Any

import torch
from torch import Tensor

from amfs_lab.errors import DataError
from amfs_lab.learner import MetaLearner
from amfs_lab.runs.checkpoint import State

REMEMBERED = {"step", "exp_avg", "exp_avg_sq"}  # by Adam, of each parameter that had a gradient


def tensors_of(learner: MetaLearner, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that the next step depends on, beside the configuration and the number of steps: the learner's tensors, and
    what the optimizer remembers of each meta-parameter."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    tensors = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    for n, param in enumerate(params):
        tensors |= {f"optimizer.{n}.{name}": value for name, value in optimizer.state[param].items()}
    return tensors


def restore(learner: MetaLearner, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Puts both back into a state.

    Raises:
        DataError: tensors that are not those of such a learner.
    """
    params = [p for group in optimizer.param_groups for p in group["params"]]
    remembered: dict[int, dict[str, Tensor]] = {}
    try:
        kept = {name.removeprefix("learner."): t for name, t in state.tensors.items() if name.startswith("learner.")}
        learner.load_state_dict(kept)
        for name, tensor in state.tensors.items():
            if name.startswith("optimizer."):
                n, key = int(name.split(".")[1]), name.split(".")[2]
                _check_remembered(name, tensor, params[n])
                remembered.setdefault(n, {})[key] = (
                    tensor if key == "step" else torch.empty_like(params[n]).copy_(tensor)
                )
        if lacks := [n for n, each in remembered.items() if each.keys() != REMEMBERED]:
            raise ValueError(f"not all that is remembered of parameter {lacks[0]}")
        optimizer.load_state_dict({"state": remembered, "param_groups": optimizer.state_dict()["param_groups"]})
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        raise DataError(f"Expected the state of such a learner in {state.path}. Got others. Train it again.") from error


def _check_remembered(name: str, tensor: Tensor, param: Tensor) -> None:
    """Raises ValueError unless Adam can go on with this tensor: `step` is one number >= 0, others are like `param`."""
    _, number, key = name.split(".")
    shape = torch.Size() if key == "step" else param.shape
    if key not in REMEMBERED or not number.isdecimal() or tensor.shape != shape or not tensor.is_floating_point():
        raise ValueError(f"{name} of shape {tuple(tensor.shape)} and type {tensor.dtype}")
    if key == "step" and not 0 <= float(tensor) < float("inf"):
        raise ValueError(f"{name} is {float(tensor)}")


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The settings in which two configurations differ: `inner.lam (0.1 there, 0.2 here)`."""
    there, here = flat(theirs), flat(json.loads(json.dumps(ours)))  # as they come back from a file: tuples are lists
    return [
        f"{name} ({there.get(name)!r} there, {here.get(name)!r} here)"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"inner": {"lam": 0.1}}` as `{"inner.lam": 0.1}`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
