"""A run's settings as frozen values: validated at birth, saved with every result, rebuilt from what was saved."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from amfs_lab.arguments import check_count, is_number
from amfs_lab.backbones import BACKBONES, FLOAT32, NORMS, PRECISIONS
from amfs_lab.errors import ConfigError, printable
from amfs_lab.inner import Anil, FunctionSpace, Maml, Prototypes
from amfs_lab.inner.function_space import check_settings
from amfs_lab.kernels import RBF, Cosine, Kernel, Linear, check_learned_bandwidth
from amfs_lab.learner import MetaLearner
from amfs_lab.outer import AGGREGATORS, Aggregator, Mean, PairwiseCosine
from amfs_lab.plain import shown, wrong_field
from amfs_lab.tasks import SOURCES, EpisodeConfig
from amfs_lab.tasks.augment import check_augmentations

KERNELS = ("rbf", "linear", "cosine")
SCHEDULES = ("constant", "cosine")
# Between what bounds; a width of 2,048 has 113 million weights.
COUNTS = {"tasks": (1, 10_000), "width": (1, 2048), "steps": (1, 10**9)}
COUNTS |= {"validate_every": (0, 10**9), "validation_episodes": (2, 10**6)}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's global random generator for the block, and restores it."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # each device has a generator of its own
        torch.default_generator.manual_seed(seed)
        yield


@dataclass(frozen=True)
class FunctionSpaceConfig:
    """Settings of `FunctionSpace`; `bandwidth=None` starts at the median feature distance of the first task.

    `bandwidth` and `learn_bandwidth` are the RBF kernel's, and mean nothing to another `kernel`.
    """

    lam: float = 0.1
    mu: float = 0.0
    gamma: float = 0.0
    scale: float = 5.0
    bandwidth: float | None = None
    learn_bandwidth: bool = True
    first_order: bool = False
    kernel: str = "rbf"
    learn_lam: bool = False

    def __post_init__(self) -> None:
        check_settings(self.lam, self.mu, self.gamma, self.scale, self.learn_lam)
        if self.kernel not in KERNELS:
            raise ConfigError(f"`kernel` must be one of {', '.join(KERNELS)}. Got {self.kernel!r}.")
        if self.bandwidth is not None:
            if self.kernel != "rbf":
                raise ConfigError(f"The {self.kernel} kernel has no bandwidth. Got {self.bandwidth}: leave it out.")
            check_learned_bandwidth(self.bandwidth)

    def build(self) -> FunctionSpace:
        return FunctionSpace(
            self._kernel(), self.lam, self.mu, self.gamma, self.scale, self.first_order, self.learn_lam
        )

    def _kernel(self) -> Kernel:
        if self.kernel == "rbf":
            return RBF(self.bandwidth, learn=self.learn_bandwidth)
        return Linear() if self.kernel == "linear" else Cosine()


@dataclass(frozen=True)
class AnilConfig(Anil):
    """Settings of `Anil`, which is a value itself."""

    def build(self) -> Anil:
        return Anil(self.lr, self.steps)


@dataclass(frozen=True)
class MamlConfig(Maml):
    """Settings of `Maml`, which is a value itself."""

    def build(self) -> Maml:
        return Maml(self.lr, self.steps, self.first_order)


@dataclass(frozen=True)
class PrototypesConfig:
    """Prototypes have no settings."""

    def build(self) -> Prototypes:
        return Prototypes()


INNER_LOOPS = {
    "anil": AnilConfig,
    "function-space": FunctionSpaceConfig,
    "maml": MamlConfig,
    "prototypes": PrototypesConfig,
}
InnerConfig = AnilConfig | FunctionSpaceConfig | MamlConfig | PrototypesConfig


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a meta-training run.

    Args:
        method: its name in tables and plots. inner: the inner loop. outer: the aggregator of the tasks' gradients.
        episode: shape of the training and validation episodes. tasks: episodes in one meta-step (t).
        backbone: the network, by its name in `backbones.BACKBONES`. width, norm: of its layers; see
            `backbones.EpisodeNorm` for the norms, which `"mlp"` does not have.
        meta_lr: Adam's rate (beta). steps: meta-steps. seconds: stop after this much training time, not counting
            validation.
        precision: of the backbone, `"float32"` or `"bfloat16"` (see `Conv4`); solve and outer loop keep float32.
        batched: run the tasks of a meta-step all at once, for GPUs (see `MetaLearner.task_gradients`).
        schedule: `"constant"`, or `"cosine"`: the rate falls along half a cosine to nothing at the end of the budget.
        augment: augmentations of the training images, see `amfs_lab.tasks.augment`.
        validate_every: meta-steps between validations on `validation_episodes` episodes; 0 for none.
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
    meta_lr: float = 1e-3
    steps: int = 1500
    seconds: float | None = None
    schedule: str = "constant"
    precision: str = FLOAT32
    batched: bool = False
    augment: tuple[str, ...] = ()
    validate_every: int = 100
    validation_episodes: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (smallest, largest) in COUNTS.items():
            check_count(f"TrainingConfig.{name}", getattr(self, name), smallest, largest)
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ConfigError(f"TrainingConfig.seed must be an integer from 0 to 2^63 - 1. Got {self.seed!r}.")
        for name in ("meta_lr", "seconds"):
            value = getattr(self, name)
            if (value is not None or name == "meta_lr") and (not is_number(value) or value <= 0):
                raise ConfigError(f"TrainingConfig.{name} must be a finite number > 0. Got {value!r}.")
        kinds = {"inner": InnerConfig, "outer": Aggregator, "episode": EpisodeConfig, "batched": bool, "method": str}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                one = getattr(kind, "__name__", "one of the classes in config.INNER_LOOPS")
                raise ConfigError(f"TrainingConfig.{name} must be of {one}. Got {getattr(self, name)!r}.")
        if printable(self.method, line=True) != self.method or len(self.method) > 100:
            raise ConfigError(f"TrainingConfig.method must be a name of at most 100 letters. Got {shown(self.method)}.")
        check_augmentations(self.augment)
        names = {
            "backbone": BACKBONES,
            "norm": NORMS,
            "source": SOURCES,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
        }
        for name, options in names.items():
            value = getattr(self, name)
            if value not in options:
                raise ConfigError(f"TrainingConfig.{name} must be one of {', '.join(options)}. Got {value!r}.")

    def rate(self, share: float) -> float:
        """The outer rate when this share of the budget, from 0 to 1, is spent."""
        return self.meta_lr * ((1 + math.cos(math.pi * share)) / 2 if self.schedule == "cosine" else 1.0)

    def build(self, shape: tuple[int, ...] = (1, 28, 28)) -> MetaLearner:
        """An untrained learner for inputs of a shape. Its weights depend on `seed` only; no global state changes."""
        for size in shape:
            check_count("The size of an image", size, 1, 10_000)
        with seeded(self.seed):
            try:
                backbone = BACKBONES[self.backbone](shape, self.width, self.norm, self.precision)
            except (RuntimeError, MemoryError) as error:
                raise ConfigError(
                    f"The backbone must fit into memory. Got {self.backbone} of width {self.width}: lower `width`."
                ) from error
            learner = MetaLearner(backbone, self.inner.build(), self.episode.ways)
        return learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the faster layout on CPUs

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` makes the same configuration of it."""
        plain = dataclasses.asdict(self)
        plain["inner"] = {"name": _name_of(self.inner, INNER_LOOPS)} | plain["inner"]
        plain["outer"] = {"name": _name_of(self.outer, AGGREGATORS)} | plain["outer"]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "TrainingConfig":
        """The configuration that `to_dict` wrote. Raises ConfigError for a name that it does not know."""
        built: dict[str, Any] = {}
        wrong = None if isinstance(plain, Mapping) else shown(plain)
        for part, table in (("inner", INNER_LOOPS), ("outer", AGGREGATORS)) if wrong is None else ():
            given = plain.get(part)
            if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
                wrong = wrong or f"{shown(given)} for {part}, which has no name"
                continue
            kind, rest = table.get(given["name"]), {name: value for name, value in given.items() if name != "name"}
            if kind is None and part == "outer":
                raise ConfigError(
                    f"The rule of this run's outer loop must be one that is known. Got {shown(given['name'])}: if it "
                    "is yours, put its class into `amfs_lab.outer.AGGREGATORS` under that name first."
                )
            if kind is None:
                wrong = wrong or f"{shown(given['name'])} for {part}.name"
            elif not (wrong := wrong or (wrong_field(kind, rest, part) if dataclasses.is_dataclass(kind) else None)):
                try:
                    built[part] = kind(**rest)
                except TypeError as error:
                    wrong = str(error)
        others = {name: value for name, value in plain.items() if name not in ("inner", "outer")} if not wrong else {}
        if wrong := wrong or wrong_field(cls, others) or (None if "episode" in others else "no field 'episode'"):
            raise ConfigError(f"Expected the settings of a run. Got {wrong}.")
        built |= {"episode": EpisodeConfig(**others["episode"]), "augment": tuple(others.get("augment", ()))}
        return cls(**others | built)


# Rates were chosen on validation episodes, with the same number of tries for each inner loop.
METHODS: dict[str, dict[str, Any]] = {
    "i-amfs": {"inner": FunctionSpaceConfig(), "outer": Mean()},
    "amfs": {"inner": FunctionSpaceConfig(), "outer": PairwiseCosine()},
    "o-amfs": {"inner": MamlConfig(), "outer": PairwiseCosine()},
    "maml": {"inner": MamlConfig(), "outer": Mean()},
    "fo-maml": {"inner": MamlConfig(first_order=True), "outer": Mean()},
    "anil": {"inner": AnilConfig(), "outer": Mean()},
    "prototypes": {"inner": PrototypesConfig(), "outer": Mean(), "meta_lr": 3e-3},
}


def preset(method: str, /, **overrides: Any) -> TrainingConfig:
    """The settings of a named method, with what you override: `preset("amfs", steps=200)`.

    Raises:
        ConfigError: an unknown method or setting.
    """
    if method not in METHODS:
        raise ConfigError(f"The method must be one of {', '.join(METHODS)}. Got {method!r}.")
    try:
        settings: dict[str, Any] = {"method": method, **METHODS[method], **overrides}
        return TrainingConfig(**settings)
    except TypeError as error:
        raise ConfigError(f"Expected settings of TrainingConfig. Got: {error}.") from error


def _name_of(value: object, table: dict[str, type]) -> str:
    """Raises ConfigError for what is in no table: a file that names it could not be read again."""
    for name, kind in table.items():
        if type(value) is kind:
            return name
    kind = type(value).__name__
    name = f"outer.AGGREGATORS[{kind.lower()!r}] = {kind}"
    raise ConfigError(f"What is saved needs a name. Got {kind}, which has none: give it one, {name}.")
