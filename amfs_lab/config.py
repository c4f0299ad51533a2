"""Configuration of a training run: a frozen dataclass, checked when it is made and saved with every result."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from amfs_lab.arguments import check_choice, check_count, is_number
from amfs_lab.backbones import BACKBONES, FLOAT32, NORMS, PRECISIONS, Standardized, check_constants
from amfs_lab.errors import ConfigError, printable
from amfs_lab.learner import MetaLearner
from amfs_lab.methods import INNER_LOOPS, METHODS, FunctionSpaceConfig, InnerConfig
from amfs_lab.moved import moved
from amfs_lab.outer import AGGREGATORS, Aggregator, Mean, SummedRule
from amfs_lab.plain import shown, wrong_field
from amfs_lab.tasks import EpisodeConfig, data_set
from amfs_lab.tasks.augment import check_augmentations

SCHEDULES = ("constant", "cosine")
KEPT = ("last", "best")
CHOICES = {"backbone": BACKBONES, "norm": NORMS, "schedule": SCHEDULES, "precision": PRECISIONS, "keep": KEPT}
# Bounds of the integer settings. A network of width 2,048 has 113 million weights.
COUNTS = {"tasks": (1, 10_000), "width": (1, 2048), "steps": (1, 10**9)}
COUNTS |= {"validate_every": (0, 10**9), "validation_episodes": (2, 10**6)}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the global random generator inside the block, and restores its state afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # each device has its own generator
        torch.default_generator.manual_seed(seed)
        yield


@dataclass(frozen=True)
class TrainingConfig:
    """All settings of a training run, except the data.

    The `Args` are the help texts of `amfs-lab train`.

    Args:
        method: name in tables and figures.
        inner: inner loop. outer: aggregation rule.
        source: data set of the episodes, a name in `tasks.SOURCES`, or folder:PATH.
        episode: shape of the training and validation episodes.
        tasks: episodes in a meta-step.
        backbone: network, see `backbones.BACKBONES`.
        width: filters of the first block of Conv-4 or ResNet-12, or units of a hidden layer.
        norm: normalisation of Conv-4 or ResNet-12 (see `backbones.EpisodeNorm`).
        mean, std: the network gets (pixels - mean) / std, with one number for each channel, or one for all; None: the
            constants of the data set.
        meta_lr: outer learning rate, of Adam.
        steps: meta-steps.
        seconds: stop after this training time in seconds, not counting validations; None: no limit.
        schedule: schedule of the outer learning rate; cosine: half a cosine, down to 0 at the end of training.
        precision: number format of the backbone; solve and outer loop keep float32.
        batched: compute all tasks of a meta-step at once, which is faster only on a GPU.
        streamed: keep one gradient at a time, so that memory does not grow with the number of tasks; rules with cosines
            compute each gradient twice.
        augment: random changes of the training images (see `tasks.augment`).
        average: decay of a moving average of the meta-parameters, which is evaluated and saved; 0: no average.
        label_smoothing: share of a query's label that is spread over all classes, in training.
        keep: save the last meta-parameters, or those with the best validation accuracy.
        validate_every: meta-steps between validations; 0: none.
        validation_episodes: episodes of a validation.
        seed: seed of the initial weights and the episodes.
    """

    method: str = "i-amfs"
    inner: InnerConfig = field(default_factory=FunctionSpaceConfig)
    outer: Aggregator = field(default_factory=Mean)
    source: str = "glyphs"
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    tasks: int = 4
    backbone: str = "conv4"
    width: int = 64
    norm: str = "transductive"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    meta_lr: float = 1e-3
    steps: int = 1500
    seconds: float | None = None
    schedule: str = "constant"
    precision: str = FLOAT32
    batched: bool = False
    streamed: bool = False
    augment: tuple[str, ...] = ()
    average: float = 0.0
    label_smoothing: float = 0.0
    keep: str = "last"
    validate_every: int = 100
    validation_episodes: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, bounds in COUNTS.items():
            check_count(f"TrainingConfig.{name}", getattr(self, name), *bounds)
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ConfigError(f"TrainingConfig.seed must be an integer from 0 to 2^63 - 1. Got {self.seed!r}.")
        for name in ("meta_lr", "seconds"):
            value = getattr(self, name)
            if (value is not None or name == "meta_lr") and (not is_number(value) or value <= 0):
                raise ConfigError(f"TrainingConfig.{name} must be a finite number > 0. Got {value!r}.")
        for name in ("average", "label_smoothing"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < 1:
                raise ConfigError(f"TrainingConfig.{name} must be in [0, 1). Got {value!r}.")
        if self.keep == "best" and not self.validate_every:
            raise ConfigError('TrainingConfig.keep="best" needs validations. Got validate_every=0. Set it to 100.')
        inner = tuple(INNER_LOOPS.values())
        kinds = {"inner": inner, "outer": Aggregator, "episode": EpisodeConfig, "batched": bool, "method": str}
        kinds["streamed"] = bool
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                one = "an object of a class in methods.INNER_LOOPS" if kind is inner else f"of type {kind.__name__}"
                raise ConfigError(f"TrainingConfig.{name} must be {one}. Got {getattr(self, name)!r}.")
        if self.streamed and (self.batched or not isinstance(self.outer, SummedRule)):
            got = "batched" if self.batched else f"outer={self.outer}"
            raise ConfigError(
                f"TrainingConfig.streamed keeps one gradient at a time. Got {got}, which needs all of them."
            )
        if printable(self.method, line=True) != self.method or len(self.method) > 100:
            raise ConfigError(f"TrainingConfig.method must be a name of at most 100 letters. Got {shown(self.method)}.")
        check_augmentations(self.augment)
        data = data_set(self.source)
        for name, constants in (("mean", data.mean), ("std", data.std)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, constants)
        check_constants(self.mean, self.std)
        for name, options in CHOICES.items():
            check_choice(f"TrainingConfig.{name}", getattr(self, name), options)

    def rate(self, share: float) -> float:
        """The outer learning rate at a moment of training. `share` is the used share of the budget, from 0 to 1."""
        return self.meta_lr * ((1 + math.cos(math.pi * share)) / 2 if self.schedule == "cosine" else 1.0)

    def build(self, shape: tuple[int, ...] = (1, 28, 28)) -> MetaLearner:
        """An untrained learner for inputs of this shape. Its weights depend only on `seed`. No global state changes."""
        for size in shape:
            check_count("The size of an image", size, 1, 10_000)
        with seeded(self.seed):
            try:
                backbone = BACKBONES[self.backbone](shape, self.width, self.norm, self.precision)
                mean, std = self.mean or (0.0,), self.std or (1.0,)
                if mean != (0.0,) or std != (1.0,):
                    backbone = Standardized(backbone, mean, std)
            except (RuntimeError, MemoryError) as error:
                raise ConfigError(
                    f"The backbone must fit into memory. Got {self.backbone} of width {self.width}. Lower `width`."
                ) from error
            learner = MetaLearner(backbone, self.inner.build(), self.episode.ways, self.label_smoothing)
        return learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the faster layout on CPUs

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain data for JSON; `from_dict` reads it."""
        plain = dataclasses.asdict(self)
        plain["inner"] = {"name": _name_of(self.inner, INNER_LOOPS)} | plain["inner"]
        plain["outer"] = {"name": _name_of(self.outer, AGGREGATORS)} | plain["outer"]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "TrainingConfig":
        """The configuration that `to_dict` wrote. Raises ConfigError for an unknown field or name, or a wrong type."""
        if not isinstance(plain, Mapping):
            raise _refused(shown(plain))
        tables = {"inner": INNER_LOOPS, "outer": AGGREGATORS}
        others = {name: value for name, value in plain.items() if name not in tables}
        missing = (f"no field {name!r}" for name in (*tables, "episode") if name not in plain)
        if wrong := wrong_field(cls, others) or next(missing, None):
            raise _refused(wrong)
        parts = {part: _from_plain(plain[part], part, table) for part, table in tables.items()}
        parts |= {"episode": EpisodeConfig(**others["episode"]), "augment": tuple(others.get("augment", ()))}
        parts |= {name: tuple(others[name]) for name in ("mean", "std") if others.get(name) is not None}
        return cls(**others | parts)


def preset(method: str, /, **overrides: Any) -> TrainingConfig:
    """The configuration of a method of the table `METHODS`, with changed settings: `preset("amfs", steps=200)`.

    Raises ConfigError for an unknown method or setting.
    """
    check_choice("The method", method, METHODS)
    row = METHODS[method]
    settings: dict[str, Any] = dict(method=method, inner=row.inner, outer=row.outer, meta_lr=row.meta_lr)
    try:
        return TrainingConfig(**settings | overrides)
    except TypeError as error:
        raise ConfigError(f"Expected settings of TrainingConfig. Got: {error}.") from error


def _refused(got: object) -> ConfigError:
    return ConfigError(f"Expected the settings of a run. Got {got}.")


def _from_plain(plain: Any, part: str, table: Mapping[str, type]) -> Any:
    """The inner loop or the aggregation rule of a saved configuration. Raises ConfigError for invalid data."""
    if not isinstance(plain, Mapping) or not isinstance(plain.get("name"), str):
        raise _refused(f"{shown(plain)} for {part}, which has no name")
    name, rest = plain["name"], {key: value for key, value in plain.items() if key != "name"}
    if name not in table and part == "outer":
        raise ConfigError(
            f"The aggregator of this run must be registered. Got {shown(name)}, which is unknown. If it is your own, "
            f"register it first: outer.AGGREGATORS[{shown(name)}] = YourClass."
        )
    if name not in table:
        raise _refused(f"{shown(name)} for {part}.name")
    if dataclasses.is_dataclass(table[name]) and (wrong := wrong_field(table[name], rest, part)):
        raise _refused(wrong)
    try:
        return table[name](**rest)
    except TypeError as error:
        raise _refused(error) from error


def _name_of(value: object, table: Mapping[str, type]) -> str:
    """The name of a value's class in `table`.

    Raises ConfigError for an unregistered class, because a saved run with this class could not be loaded.
    """
    kind = type(value)
    for name, known in table.items():
        if kind is known:
            return name
    raise ConfigError(
        f"A saved class must be registered. Got {kind.__name__}, which is not. Register it first: "
        f"outer.AGGREGATORS[{kind.__name__.lower()!r}] = {kind.__name__}."
    )


__getattr__ = moved(__name__)
