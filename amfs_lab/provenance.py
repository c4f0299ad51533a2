"""Provenance of a run or a result, as plain data: the data, the network, the version of the code, and the machine."""

import dataclasses
import functools
import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
from torch import nn

from amfs_lab import __version__
from amfs_lab.errors import ConfigError, printable

GIVE = {"data": "`train=` and `validation=`", "learner": "`learner=`"}  # the arguments in Python


def data_name(source: object) -> str:
    """The name of the data of a source: `glyphs/validation`, or the name of the class of the source."""
    name, split = getattr(source, "name", None), getattr(source, "split", None)
    return "/".join(str(part) for part in (name or type(source).__name__, split) if part)


def of_source(source: Any, own: bool) -> dict[str, Any]:
    """A source as plain data: name, split, seed, number of classes, shape of an episode, and a fingerprint.

    Args:
        own: True for a source that was given to the trainer, False for the source that the configuration names.
    """
    labels, samples, config = (getattr(source, name, None) for name in ("labels", "samples", "config"))
    if samples is None:
        episode = source[0]
        shapes = [[list(half.x.shape), half.ways] for half in (episode.support, episode.query)]
    else:
        counts = getattr(samples, "counts", ())  # of `tasks.ragged.Ragged`
        tensor = samples.flat if counts else samples
        shapes = [list(tensor.shape), str(tensor.dtype), *counts]
    return {
        "own": own,
        "name": data_name(source),
        "seed": getattr(source, "seed", None),
        "classes": getattr(source, "classes", None),
        "episode": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else None,  # type: ignore[arg-type]
        "labels and shapes": _fingerprint([list(labels or ()), shapes]),
    }


def of_learner(learner: nn.Module, own: bool) -> dict[str, Any]:
    """A learner as plain data: the class of its network, and a fingerprint of the names and shapes of its tensors."""
    net = getattr(learner, "net", learner)
    shapes = [[name, list(tensor.shape)] for name, tensor in learner.state_dict().items() if hasattr(tensor, "shape")]
    return {"own": own, "class": type(net).__name__, "names and shapes": _fingerprint(shapes)}


def check_provenance(folder: Path | None, recorded: dict[str, Any], present: dict[str, Any]) -> None:
    """Raises ConfigError unless the run in `folder` may be resumed with the data and the learner in `present`."""
    for split, source in present["data"].items():
        check_same(folder, "data", (recorded.get("data") or {}).get(split), source)
    check_same(folder, "learner", recorded.get("learner"), present["learner"])


def check_same(folder: Path | None, what: str, recorded: dict[str, Any] | None, present: dict[str, Any]) -> None:
    """Raises ConfigError unless the run in `folder` was trained with the data or the learner in `present`.

    Args:
        what: "data" or "learner". recorded: result of `of_source` or `of_learner`; None in older runs, which are
            accepted.
    """
    if recorded is None:
        return
    if recorded.get("own") and not present["own"]:
        raise ConfigError(
            f"The run in {folder} was trained with {what} of your own ({told(recorded)}). "
            f"Give the same {what} again, in Python: {GIVE[what]}."
        )
    if present["own"] and not recorded.get("own"):
        raise ConfigError(
            f"The run in {folder} was trained with the {what} of its settings ({told(recorded)}). "
            f"Got {what} of your own. Leave out {GIVE[what]}."
        )
    differ = [name for name in present if recorded.get(name) != present[name]]
    if differ:
        raise ConfigError(
            f"The run in {folder} was trained with other {what}: {told(recorded)}. Got {told(present)}, which differs "
            f"in {' and '.join(differ)}. Use the {what} that the run was trained with."
        )


def told(recorded: dict[str, Any]) -> str:
    """A short description of recorded data or of a recorded learner.

    The description is, for example, `letters/all, 20 classes`, or the name of the class of a network.
    """
    if "class" in recorded:
        return printable(str(recorded["class"])[:100], line=True)
    classes = recorded.get("classes")
    return printable((str(recorded.get("name")) + (f", {classes} classes" if classes else ""))[:100], line=True)


@functools.cache
def code_version() -> dict[str, Any]:
    """The version of the package.

    In a git checkout, the result also has the commit, and `changed`: True if files differ from the commit.
    """
    code: dict[str, Any] = {"amfs_lab": __version__, "commit": None}
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return code

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace").strip()

    try:
        return code | {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "amfs_lab"))}
    except (OSError, subprocess.CalledProcessError):
        return code


def machine() -> dict[str, Any]:
    """Hardware and software that affect times, without the name of the machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # by other programs
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _fingerprint(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
