"""Sources of N-way K-shot episodes; each episode is a pure function of (source, split, seed, index)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from amfs_lab.arguments import check_count
from amfs_lab.episode import Episode, Examples
from amfs_lab.errors import ConfigError, DataError, MovedError
from amfs_lab.plain import shown
from amfs_lab.tasks.augment import CHANGES, QUARTERS, check_augmentations, rotated
from amfs_lab.tasks.image_folder import FolderLabel
from amfs_lab.tasks.ragged import Ragged, counts_of
from amfs_lab.tasks.rng import checked_index, generator

COLORS = 3  # channels of a colour image
MOST = 10_000  # ways, shots or queries: more than any data set has, but few enough to build a network


@dataclass(frozen=True)
class EpisodeConfig:
    """The shape of an episode: `ways` = N classes, with `shots` = K and `queries` = Q samples of each class."""

    ways: int = 5
    shots: int = 1
    queries: int = 15

    def __post_init__(self) -> None:
        for name, smallest in (("ways", 2), ("shots", 1), ("queries", 1)):
            check_count(f"EpisodeConfig.{name}", getattr(self, name), smallest, MOST)

    @property
    def answers(self) -> int:
        """The number of queries of an episode, N Q."""
        return self.ways * self.queries

    def __str__(self) -> str:
        return f"{self.ways}-way {self.shots}-shot"


@runtime_checkable
class EpisodeSource(Protocol):
    """A source of episodes: `source[index]` is an `Episode` for each index >= 0.

    The same index gives the same episode at every call. A source may have optional attributes: `config` (the shape of
    an episode), `name`, `split`, `seed`, `classes` (the number of classes), and `classes_of(index)` (the names of an
    episode's classes).
    """

    if not TYPE_CHECKING:  # not part of the protocol

        def __init__(self, *given: object, **named: object) -> None:
            if given or named or type(self) is EpisodeSource:  # old programs used the name for the class of images
                raise MovedError(
                    "`EpisodeSource` is now a protocol that takes no images. Use `tasks.ImageSource` for images in "
                    "uint8, `tasks.EmbeddingSource` for vectors, or subclass one of them."
                )

    def __getitem__(self, index: int, /) -> Episode: ...


class LabelledSource:
    """Base class of `ImageSource` and `EmbeddingSource`: `source[index]` samples an episode from labelled classes.

    A `for` loop over a source gives the episodes 0, 1, 2, ... and never ends.

    Args:
        samples: (classes, samples, ...), or `Ragged` for classes of unequal sizes.
        labels: a different name for each class. Numbers are converted to names.
        name, split, seed: the random choices of an episode depend only on these three and on its index.
    Raises:
        ConfigError: samples of another type or shape, a wrong number of labels, a repeated label, or more ways, shots
            or queries than the samples allow.

    The attribute `smallest` is the number of samples of the smallest class.
    """

    turns = 1  # number of classes that are made from each class

    def __init__(
        self,
        samples: Tensor | Ragged,
        labels: Iterable[object],
        config: EpisodeConfig,
        name: str,
        split: str,
        seed: int,
    ) -> None:
        labels = _names(labels)
        if not isinstance(config, EpisodeConfig):
            raise ConfigError(
                f"`config` must be an EpisodeConfig. Got {shown(config)}. For example: EpisodeConfig(5, 1, 15)."
            )
        if len(labels) != len(samples):
            raise ConfigError(f"Each class needs one label. Got {len(labels)} labels for {len(samples)} classes.")
        if twice := [name for name, times in Counter(labels).items() if name and times > 1]:
            raise ConfigError(
                f"Each class needs its own label. Got {str(twice[0])!r} for {labels.count(twice[0])} classes. "
                "Put their samples into one class, or rename them."
            )
        ragged = samples if isinstance(samples, Ragged) else Ragged(samples.flatten(0, 1), counts_of(samples))
        self._flat, self._sizes = ragged.flat, torch.tensor(ragged.counts, device="cpu")
        self._first = torch.tensor(ragged.offsets[:-1], device="cpu")
        classes = self.turns * len(samples)
        if config.ways > classes:
            raise ConfigError(
                f"An episode of {config.ways} ways needs at least {config.ways} classes. Got {classes} in the split "
                f"{split!r} of {name}. Lower `ways` to at most {classes}."
            )
        needed = config.shots + config.queries
        if small := [c for c, size in enumerate(ragged.counts) if size < needed]:
            size = min(ragged.counts)
            where = name if len(small) == len(samples) else f"{labels[ragged.counts.index(size)]!r} of {name}"
            others = f" {len(small)} classes have fewer than {needed}." if 1 < len(small) < len(samples) else ""
            raise ConfigError(
                f"{config.shots} shots and {config.queries} queries need {needed} samples of a class. Got {size} in "
                f"{where}.{others} Lower `shots` or `queries`{_larger_classes(labels, size, needed)}"
            )
        if self.turns > 1:
            labels = tuple(f"{label}/{90 * quarter}°" for quarter in range(self.turns) for label in labels)
        self.samples, self.labels, self.config, self.classes = samples, labels, config, classes
        self.name, self.split, self.seed, self.smallest = name, split, seed, min(ragged.counts)
        self._largest = max(ragged.counts)

    def classes_of(self, index: int) -> list[str]:
        """The labels of the classes in episode `index`, in the order of its targets."""
        return [self.labels[c] for c in self._choose(index)[0].tolist()]

    def __getitem__(self, index: int, /) -> Episode:
        chosen, order = self._choose(index)
        rows = self._first[chosen % len(self.samples), None] + order
        x = self._inputs(self._flat[rows], chosen, index)
        labels, shots = torch.arange(self.config.ways, device="cpu"), self.config.shots
        return Episode(
            Examples(x[:, :shots].flatten(0, 1), labels.repeat_interleave(shots), self.config.ways),
            Examples(x[:, shots:].flatten(0, 1), labels.repeat_interleave(self.config.queries), self.config.ways),
        )

    def _inputs(self, samples: Tensor, chosen: Int64[Tensor, " ways"], index: int) -> Float[Tensor, "ways k ..."]:
        """The inputs of the network for the samples (ways k ...) of an episode."""
        return samples

    def _generator(self, *key: object) -> torch.Generator:
        return generator(self.name, self.split, self.seed, *key)

    def _choose(self, index: int) -> tuple[Int64[Tensor, " ways"], Int64[Tensor, "ways k"]]:
        """The class indices of episode `index`, and the sample indices of each class."""
        random = self._generator(checked_index(index))
        chosen = torch.randperm(self.classes, generator=random, device="cpu")[: self.config.ways]
        keys = torch.rand(self.config.ways, self._largest, generator=random, dtype=torch.float32, device="cpu")
        if self.smallest < self._largest:
            sizes = self._sizes[chosen % len(self.samples), None]
            keys[torch.arange(self._largest, device="cpu") >= sizes] = 2.0  # sorted last
        return chosen, keys.argsort(1)[:, : self.config.shots + self.config.queries]

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"{kind}({self.name}/{self.split}, {self.classes} classes, {self.config}, seed={self.seed})"


class ImageSource(LabelledSource):
    """Episodes of images in uint8: grey (classes, samples, h, w), or in colour (classes, samples, 3, h, w).

    For classes of unequal sizes, pass a `Ragged` of (n, h, w) or (n, 3, h, w), or a list with one tensor per class.

    Args:
        augment: random changes of the training images (see `amfs_lab.tasks.augment`). "rotations" makes four classes
            from each class.
    """

    def __init__(
        self,
        images: Shaped[Tensor, "c s ..."] | Ragged | Sequence[Tensor],
        labels: Iterable[object],
        config: EpisodeConfig,
        name: str = "images",
        split: str = "all",
        seed: int = 0,
        augment: Sequence[str] = (),
    ) -> None:
        check_augmentations(augment)
        images = _samples(images)
        shape, dtype = _one(images).shape, _one(images).dtype
        if dtype != torch.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[0] == COLORS)):
            raise ConfigError(
                "ImageSource needs images (classes, samples, h, w), or in colour (classes, samples, 3, h, w), in "
                f"uint8. Got {_told(images)}. For vectors (classes, samples, d) in floating point, use EmbeddingSource."
            )
        self.augment, self.turns = tuple(augment), QUARTERS if "rotations" in augment else 1
        super().__init__(images, labels, config, name, split, seed)

    def _inputs(self, samples: Tensor, chosen: Int64[Tensor, " ways"], index: int) -> Float[Tensor, "ways k c h w"]:
        images = samples.float().div_(255)
        if images.ndim == 4:
            images = images[:, :, None]
        if "rotations" in self.augment:
            images = rotated(images, chosen // len(self.samples))
        for name, change in CHANGES.items():
            if name in self.augment:
                images = change(images.flatten(0, 1), self._generator(index, name)).view_as(images)
        return images


class EmbeddingSource(LabelledSource):
    """Episodes of embeddings (classes, samples, d) in floating point, precomputed by any network.

    Raises the errors of `LabelledSource`, and DataError for NaN or infinity.
    """

    def __init__(
        self,
        embeddings: Shaped[Tensor, "c s ..."] | Ragged | Sequence[Tensor],
        labels: Iterable[object],
        config: EpisodeConfig,
        name: str = "embeddings",
        split: str = "all",
        seed: int = 0,
    ) -> None:
        embeddings = _samples(embeddings)
        if not _one(embeddings).is_floating_point() or _one(embeddings).ndim != 1:
            raise ConfigError(
                f"EmbeddingSource needs vectors (classes, samples, d) in floating point. Got {_told(embeddings)}. For "
                "images in uint8, use ImageSource."
            )
        super().__init__(embeddings, labels, config, name, split, seed)
        sound = torch.isfinite(self._flat).all(1)
        if not bool(sound.all()):
            broken = int((self._first <= int((~sound).int().argmax())).sum()) - 1
            raise DataError(
                f"Embeddings must be finite. Got NaN or infinity in class {self.labels[broken]!r}. Compute its "
                "embeddings again, or leave the class out."
            )


def _samples(given: object) -> Tensor | Ragged:
    """The given samples. A list of tensors is converted to a `Ragged`.

    Raises ConfigError if the samples are not dense tensors, or if their shapes or types differ.
    """
    if isinstance(given, list | tuple) and given and all(isinstance(each, Tensor) for each in given):
        shapes = {(tuple(each.shape[1:]), each.dtype) for each in given}
        if len(shapes) > 1:
            first, second, *_ = (f"{list(shape)} in {dtype}" for shape, dtype in shapes)
            raise ConfigError(f"All samples must have one shape and type. Got {first} and {second}. Convert them.")
        given = Ragged.of(given)
    tensor = given.flat if isinstance(given, Ragged) else given
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
        got = f"a {type(tensor).__name__}"
        if isinstance(tensor, Tensor):
            got = "a tensor on the meta device" if tensor.is_meta else f"a tensor of layout {tensor.layout}"
        raise ConfigError(
            f"Images and embeddings must be a dense tensor. Got {got}. torch.as_tensor converts an array, `to_dense` a "
            "sparse tensor."
        )
    return given  # type: ignore[return-value]


def _one(samples: Tensor | Ragged) -> Tensor:
    """A tensor without values (on the meta device) that has the shape and type of one sample."""
    flat, axes = (samples.flat, 1) if isinstance(samples, Ragged) else (samples, 2)
    return torch.empty(flat.shape[axes:] if flat.ndim >= axes else (), dtype=flat.dtype, device="meta")


def _told(samples: Tensor | Ragged) -> str:
    """The shape and type of the samples as text, for an error message."""
    if isinstance(samples, Ragged):
        return f"{len(samples)} classes of {tuple(samples.flat.shape[1:])} in {samples.flat.dtype}"
    return f"{tuple(samples.shape)} in {samples.dtype}"


def _names(labels: object) -> tuple[str, ...]:
    """The labels as names. `labels` may be a list, an array or a tensor. Raises ConfigError for other types."""
    plain = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else labels
    if not isinstance(plain, Iterable):
        raise ConfigError(f"`labels` must be a name for each class. Got {shown(labels)}.")
    return tuple(label if isinstance(label, str) else str(label) for label in plain)


def _larger_classes(labels: tuple[str, ...], samples: int, needed: int) -> str:
    """The end of the error message for too few samples, with advice if `read_folder` cut the classes to equal size."""
    smallest = {label.smallest for label in labels if isinstance(label, FolderLabel) and label.samples == samples}
    if not smallest:
        return "."
    return (
        f", add images to {min(smallest)!r}, which is the smallest class with {samples}, or leave out such classes: "
        f"`read_folder(..., at_least={needed})`."
    )


def episode_of(source: object, index: int = 0) -> Episode:
    """The episode `source[index]`.

    Raises DataError if the source raises LookupError or TypeError, or if the result is not an `Episode`.
    """
    try:
        episode = source[index]  # type: ignore[index]
    except (LookupError, TypeError) as error:
        raise DataError(
            f"A source must give an `Episode` for each index >= 0. Got {type(error).__name__} ({error}) for "
            f"{index} from {shown(source)}. Give a class whose `__getitem__(index)` accepts every index >= 0."
        ) from error
    if not isinstance(episode, Episode):
        raise DataError(
            f"A source must give an `Episode` for each index. Got a {type(episode).__name__} from {shown(source)}. "
            "Make one: Episode(Examples(x, y, ways), Examples(x, y, ways)) of amfs_lab.episode."
        )
    return episode
