"""What a run depends on between two steps, beside its settings: taken down, put back, and compared."""

import json
from typing import Any

import torch
from torch import Tensor

from amfs_lab.checkpoint import State
from amfs_lab.errors import DataError
from amfs_lab.learner import MetaLearner


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
                like = tensor.shape == params[n].shape and key != "step"
                remembered.setdefault(n, {})[key] = torch.empty_like(params[n]).copy_(tensor) if like else tensor
        optimizer.load_state_dict({"state": remembered, "param_groups": optimizer.state_dict()["param_groups"]})
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        raise DataError(f"Expected the state of such a learner in {state.path}. Got others. Train it again.") from error


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
