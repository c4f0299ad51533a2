"""Episodes: N-way K-shot tasks drawn from labelled images, each a pure function of (source, split, seed, index)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from amfs_lab.arguments import check_count
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.plain import shown
from amfs_lab.tasks.augment import QUARTERS, bent, check_augmentations, rotated
from amfs_lab.tasks.image_folder import FolderLabel
from amfs_lab.tasks.rng import checked_index, generator

MOST = 10_000  # ways, shots or queries: more than any data set has, and few enough for a network to be built


@dataclass(frozen=True)
class EpisodeConfig:
    """The shape of an episode: N `ways` (classes), K `shots` and Q `queries` of each class."""

    ways: int = 5
    shots: int = 1
    queries: int = 15

    def __post_init__(self) -> None:
        for name, smallest in (("ways", 2), ("shots", 1), ("queries", 1)):
            check_count(f"EpisodeConfig.{name}", getattr(self, name), smallest, MOST)

    @property
    def answers(self) -> int:
        """How many answers an episode asks for: N Q, one a query image."""
        return self.ways * self.queries

    def __str__(self) -> str:
        return f"{self.ways}-way {self.shots}-shot"


class EpisodeSource:
    """`source[index]` draws episode `index` from images (classes, samples, h, w), grey levels 0..255.

    Args:
        images: or embeddings, computed before by whatever network: float vectors (classes, samples, d), taken as they
            are.
        labels: a name for each class, and no name twice; numbers become names.
        name, split, seed: with the index and `augment`, all that an episode depends on.
        augment: what training does to its images (see `amfs_lab.tasks.augment`): "rotations" makes four classes of
            each, "affine" bends every image a little.
    Raises:
        ConfigError: more ways than there are classes, more shots and queries than a class has samples, neither images
            nor embeddings, labels that are not one a class, or embeddings that are to be augmented. DataError:
            embeddings that are not finite.
    """

    def __init__(
        self,
        images: Shaped[Tensor, "c s ..."],
        labels: Iterable[object],
        config: EpisodeConfig,
        name: str = "images",
        split: str = "all",
        seed: int = 0,
        augment: Sequence[str] = (),
    ) -> None:
        check_augmentations(augment)
        _check_tensor(images)
        labels = _names(labels)
        if not isinstance(config, EpisodeConfig):
            raise ConfigError(f"`config` must be an EpisodeConfig. Got {shown(config)}: EpisodeConfig(5, 1, 15).")
        pictures = images.dtype == torch.uint8 and images.ndim == 4
        if not (pictures or (images.is_floating_point() and images.ndim == 3)):
            raise ConfigError(
                "A source needs grey images (classes, samples, h, w) in uint8, or embeddings (classes, samples, d) in "
                f"floating point. Got {tuple(images.shape)} in {images.dtype}."
            )
        if len(labels) != len(images):
            raise ConfigError(f"Each class needs one label. Got {len(labels)} for {len(images)} classes.")
        if twice := [name for name, times in Counter(labels).items() if name and times > 1]:
            raise ConfigError(
                f"Each class needs a label of its own. Got {str(twice[0])!r} for {labels.count(twice[0])} classes. "
                "Put their samples into one class, or rename them."
            )
        if not pictures and not bool(torch.isfinite(images).all()):
            broken = int((~torch.isfinite(images)).flatten(1).any(1).int().argmax())
            raise DataError(
                f"Embeddings must be finite. Got NaN or infinity in class {labels[broken]!r}. Compute it "
                "again, or leave the class out."
            )
        if augment and not pictures:
            raise ConfigError(f"Embeddings cannot be augmented. Got {', '.join(augment)}: leave it out.")
        self.augment = tuple(augment)
        turns = QUARTERS if "rotations" in augment else 1
        classes, samples = turns * len(images), images.shape[1]
        if config.ways > classes:
            raise ConfigError(
                f"An episode of {config.ways} ways needs as many classes. Got {classes} in the split {split!r} of "
                f"{name}. Lower `ways` to at most {classes}."
            )
        if config.shots + config.queries > samples:
            raise ConfigError(
                f"{config.shots} shots and {config.queries} queries need {config.shots + config.queries} samples of a "
                f"class. Got {samples} in {name}. Lower `shots` or `queries`"
                + _larger_classes(labels, samples, config.shots + config.queries)
            )
        if turns > 1:
            labels = tuple(f"{label}/{90 * quarter}°" for quarter in range(turns) for label in labels)
        self.images, self.labels, self.config, self.classes = images, labels, config, classes
        self.name, self.split, self.seed = name, split, seed

    def classes_of(self, index: int) -> list[str]:
        """The labels of the classes in episode `index`, in the order of its targets."""
        return [self.labels[c] for c in self._draw(index)[0].tolist()]

    def __getitem__(self, index: int) -> Episode:
        chosen, order = self._draw(index)
        images = self.images[chosen[:, None] % len(self.images), order]  # (ways, shots + queries, ...)
        if images.dtype == torch.uint8:
            images = self._augmented(images.float().div_(255)[:, :, None], chosen, index)
        labels = torch.arange(self.config.ways, device="cpu")
        shots, queries = self.config.shots, self.config.queries
        return Episode(
            Examples(images[:, :shots].flatten(0, 1), labels.repeat_interleave(shots), self.config.ways),
            Examples(images[:, shots:].flatten(0, 1), labels.repeat_interleave(queries), self.config.ways),
        )

    def __iter__(self) -> Iterator[Episode]:
        return (self[index] for index in count())

    def _augmented(
        self, images: Float[Tensor, "ways k 1 h w"], chosen: Int64[Tensor, " ways"], index: int
    ) -> Float[Tensor, "ways k 1 h w"]:
        if "rotations" in self.augment:
            images = rotated(images, chosen // len(self.images))
        if "affine" in self.augment:
            images = bent(images.flatten(0, 1), self._generator(index, "affine")).view_as(images)
        return images

    def _generator(self, *key: object) -> torch.Generator:
        return generator(self.name, self.split, self.seed, *key)

    def _draw(self, index: int) -> tuple[Int64[Tensor, " ways"], Int64[Tensor, "ways k"]]:
        chance, size = self._generator(checked_index(index)), (self.config.ways, self.images.shape[1])
        chosen = torch.randperm(self.classes, generator=chance, device="cpu")[: self.config.ways]
        order = torch.rand(size, generator=chance, dtype=torch.float32, device="cpu").argsort(1)
        return chosen, order[:, : self.config.shots + self.config.queries]

    def __repr__(self) -> str:
        return f"EpisodeSource({self.name}/{self.split}, {self.classes} classes, {self.config}, seed={self.seed})"


def _check_tensor(images: object) -> None:
    """Raises ConfigError for what is no tensor of numbers that can be read one by one."""
    if not isinstance(images, Tensor) or images.layout != torch.strided or images.is_meta:
        got = f"a {type(images).__name__}"
        if isinstance(images, Tensor):
            got = "a tensor on the meta device" if images.is_meta else f"a tensor of layout {images.layout}"
        raise ConfigError(
            f"Images and embeddings must be a dense tensor. Got {got}: torch.as_tensor(images) makes one."
        )


def _names(labels: object) -> tuple[str, ...]:
    """Labels as they come (a list, an array, a tensor of numbers) as names. Raises ConfigError for what is no list."""
    plain = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else labels
    if not isinstance(plain, Iterable):
        raise ConfigError(f"`labels` must be a name for each class. Got {shown(labels)}.")
    return tuple(label if isinstance(label, str) else str(label) for label in plain)


def _larger_classes(labels: tuple[str, ...], samples: int, needed: int) -> str:
    """The end of that sentence; the other ways out where `read_folder` cut all classes to the smallest."""
    cut_to = {label.smallest for label in labels if isinstance(label, FolderLabel) and label.smallest}
    for smallest in sorted(cut_to):
        if smallest.samples == samples:
            return (
                f", add images to {str(smallest)!r}, which is the smallest class with {samples}, or leave out such "
                f"classes: `read_folder(..., at_least={needed})`."
            )
    return "."


def episode_of(source: object, index: int = 0) -> Episode:
    """`source[index]`. Raises DataError where a source of your own has none, or something else than an `Episode`."""
    try:
        episode = source[index]  # type: ignore[index]
    except (LookupError, TypeError) as error:
        raise DataError(
            f"A source must give an `Episode` for each index from 0 on. Got {type(error).__name__} ({error}) for "
            f"{index} from {shown(source)}. Give a class with `__getitem__(index)` that knows no end."
        ) from error
    if not isinstance(episode, Episode):
        raise DataError(
            f"A source must give an `Episode` for each index. Got a {type(episode).__name__} from {shown(source)}. "
            "Make one: Episode(Examples(x, y, ways), Examples(x, y, ways)) of amfs_lab.episode."
        )
    return episode
