"""Which data and which network a run was made with: recorded with it, and compared before it goes on."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from torch import nn

from amfs_lab.errors import ConfigError, printable

GIVE = {"data": "`train=` and `validation=`", "learner": "`learner=`"}  # how each is handed on, in Python


def data_name(source: object) -> str:
    """What to call a source's data: `glyphs/validation`, or the name of its class."""
    name, split = getattr(source, "name", None), getattr(source, "split", None)
    return "/".join(str(part) for part in (name or type(source).__name__, split) if part)


class AbsentSource:
    """Data of your own that a run was trained on and that were not given: any episode of it is an error."""

    def __init__(self, folder: Path | str, recorded: dict[str, Any]) -> None:
        self.folder, self.recorded = folder, recorded
        self.name, self.split, self.classes = recorded.get("name"), None, recorded.get("classes")

    def __getitem__(self, index: int) -> Any:
        check_same(self.folder, "data", self.recorded, {"own": False})

    def __repr__(self) -> str:
        return f"AbsentSource({told(self.recorded)})"


def of_source(source: Any, own: bool) -> dict[str, Any]:
    """A source as plain data: name, split, seed, number of classes, shape of an episode, and a fingerprint of the
    labels of its classes and the shapes of its images.

    Args:
        own: it was handed to the trainer, and is not the one that the configuration names.
    """
    if isinstance(source, AbsentSource):
        return source.recorded
    labels, images, config = (getattr(source, name, None) for name in ("labels", "images", "config"))
    if images is None:
        episode = source[0]
        shapes = [[list(half.x.shape), half.ways] for half in (episode.support, episode.query)]
    else:
        shapes = [list(images.shape), str(images.dtype)]
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


def check_same(folder: Path | str, what: str, recorded: dict[str, Any] | None, present: dict[str, Any]) -> None:
    """Raises ConfigError unless a run may go on with what is present.

    Args:
        what: "data" or "learner". recorded: with the run, by `of_source` or `of_learner`; None in older runs.
    """
    if recorded is None:
        return
    if recorded.get("own") and not present["own"]:
        raise ConfigError(
            f"The run in {folder} was trained with {what} of your own ({told(recorded)}). "
            f"Give the same again, in Python: {GIVE[what]}."
        )
    if present["own"] and not recorded.get("own"):
        raise ConfigError(
            f"The run in {folder} was trained with the {what} of its settings ({told(recorded)}). "
            f"Got {what} of your own: leave out {GIVE[what]}."
        )
    differ = [name for name in present if recorded.get(name) != present[name]]
    if differ:
        raise ConfigError(
            f"The run in {folder} was trained with other {what}: {told(recorded)} there, {told(present)} here; "
            f"{', '.join(differ)} differ. Use the {what} it was trained with."
        )


def told(recorded: dict[str, Any]) -> str:
    """`letters/all, 20 classes`, or the class of a network."""
    if "class" in recorded:
        return printable(str(recorded["class"])[:100], line=True)
    classes = recorded.get("classes")
    return printable((str(recorded.get("name")) + (f", {classes} classes" if classes else ""))[:100], line=True)


def _fingerprint(plain: object) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]
