"""A few-shot classifier made from a saved run and a support set. If calibrated, it rejects other images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amfs_lab.backbones import BATCH_NORMS, FLOAT32
from amfs_lab.config import TrainingConfig
from amfs_lab.episode import Examples
from amfs_lab.errors import ConfigError, DataError, NumericalError, printable
from amfs_lab.inner import FunctionSpace, GradientLoop
from amfs_lab.learner import MetaLearner, measuring, seed
from amfs_lab.prediction.open_set import LEAST_EPISODES, Calibration, answers, calibrate
from amfs_lab.provenance import told
from amfs_lab.runs.saved import load_run, run_data
from amfs_lab.stats import FEW
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, open_source
from amfs_lab.tasks.support import Picture, read_picture, support_files

Image = Path | str | Tensor
NONE = "none of these"
EPISODES = 200  # validation episodes: the threshold is chosen on one half, and error rates are measured on the other
SIZE = 28  # width and height in pixels of the images that a `TrainingConfig` trains on
FEW_WORDS = "The error rates were measured on {} episodes, fewer than thirty, so their intervals are rough."


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    `label`: the class with the largest score, even if `known` is False.
    `scores`: one score for each class, in the order of `classes`. `probabilities`: the softmax of the scores.
    `variance`: posterior variance; None if the inner loop has no variance.
    `threshold`: an image with a larger variance is classified as "none of these".
    `known`: True if the variance is not above the threshold; None without a threshold.
    `remarks`: possible problems of the image.
    """

    label: str
    classes: tuple[str, ...]
    scores: tuple[float, ...]
    probabilities: tuple[float, ...]
    variance: float | None = None
    threshold: float | None = None
    known: bool | None = None
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The label, or "none of these" if the image is rejected."""
        return NONE if self.known is False else self.label

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """The classes with their probabilities, the most probable class first."""
        pairs = zip(self.classes, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain data for JSON."""
        return {
            "verdict": self.verdict,
            "label": self.label,
            "scores": dict(zip(self.classes, self.scores, strict=True)),
            "probabilities": dict(zip(self.classes, self.probabilities, strict=True)),
            "variance": self.variance,
            "threshold": self.threshold,
            "known": self.known,
            "remarks": list(self.remarks),
        }

    def __str__(self) -> str:
        told = f"{self.verdict}"
        if self.variance is not None:
            sign = "" if self.threshold is None else f" {'>' if self.known is False else '<='} {self.threshold:.3g}"
            told += f"  variance {self.variance:.3g}{sign}"
        ranked = [f"{label} {share:.1%}".replace("%", " %") for label, share in self.ranked[:3]]
        return printable(f"{told}  ({', '.join(ranked)})", line=True)


@dataclass(frozen=True)
class Classifier:
    """A trained learner with a support set. `classifier(image)` returns a `Prediction`.

    Each image is classified separately, so a prediction does not depend on other images.
    `Classifier.load` makes a classifier from a saved run.

    Args:
        learner: a trained learner, which is not changed.
        support: images with classes 0..N-1, for N classes. labels: the names of the classes.
        calibration: the threshold for "none of these"; None: no image is rejected.
        read: function that reads the image file at a path. remarks: possible problems of the classifier.
        config: the configuration of the run; None for a learner without a run.
    Raises:
        ConfigError: the learner has a linear head with another number of outputs than classes.
    """

    learner: MetaLearner
    support: Examples
    labels: tuple[str, ...]
    calibration: Calibration | None = None
    read: Callable[[Path | str], Picture] = read_picture
    remarks: tuple[str, ...] = ()
    config: TrainingConfig | None = None

    def __post_init__(self) -> None:
        heads = self.learner.ways
        if isinstance(self.learner.inner, GradientLoop) and heads != len(self.labels):
            raise ConfigError(
                f"The network of this run has a linear head, so the support set must have {heads} classes. "
                f"Got {len(self.labels)}. Use {heads} classes, or a run of i-amfs, amfs or prototypes, which have no "
                "such head."
            )

    @classmethod
    def load(
        cls,
        run: Path | str,
        support: Path | str | Mapping[str, Sequence[Image]],
        *,
        ink: bool = False,
        root: Path | None = None,
        device: str = "auto",
        learner: MetaLearner | None = None,
        validation: EpisodeSource | None = None,
        size: int = SIZE,
        episodes: int = EPISODES,
        watch: Callable[[int], Any] = lambda _: None,
    ) -> "Classifier":
        """Makes the classifier of a saved run and a support set.

            read = Classifier.load("runs/mine", support="letters", ink=True)
            print(read("photo.png"))

        BatchNorm always uses the statistics of the support set (`norm="support"`), and Conv-4 always computes in
        float32. This is so even if the run was trained with other settings.

        Args:
            run: the folder of the run.
            support: a folder with one folder of images for each class, or a mapping from class names to images. Classes
                may have different numbers of images. One image is enough.
            ink: True for photographed or scanned drawings on paper (see `amfs_lab.tasks.ink`). If False, images are
                only made grey and square. If the training images have bright ink on black, the given images must
                also have bright ink on black.
            root: first directory to search for the validation data. device: see `pick_device`.
            learner: the learner, if the run has a learner of your own.
            validation: labelled images of classes that were not used in training, if the run has data of your own.
            size: width and height in pixels of the images that the network was trained on.
            episodes: number of validation episodes for the threshold; 0: no threshold.
            watch: called after each episode with the number of finished episodes.
        Raises:
            DataError: no run, no support folder, fewer than two classes, an image that cannot be read.
            ConfigError: the run needs a learner of your own, or its linear head has another number of classes.
        """
        if episodes and episodes < LEAST_EPISODES:
            raise ConfigError(f"`episodes` must be 0 or >= {LEAST_EPISODES}. Got {episodes}. {EPISODES} is usual.")
        network, config, _ = load_run(run, device, learner=learner, precision=FLOAT32)
        if learner is None and config.norm in BATCH_NORMS:
            network, config, _ = load_run(run, device, "support", precision=FLOAT32)
        files = support_files(support) if isinstance(support, str | Path) else support
        trained_on = run_data(run) or {}
        black = not trained_on.get("own")  # all data sets of the library have a black background
        bare = cls.of(network, files, lambda path: read_picture(path, size, ink, black))
        bare = replace(bare, config=config)
        if not isinstance(network.inner, FunctionSpace):
            return bare.remarking(f'{config.method} has no posterior variance, so it cannot say "{NONE}".')
        if not episodes:
            return bare
        if validation is None and trained_on.get("own"):
            return bare.remarking(
                f'No threshold for "{NONE}": the run was trained on data of your own ({told(trained_on)}), and the '
                "threshold needs other classes of the same kind. Pass them in Python, as `validation=`."
            )
        shots = [len(images) for images in files.values()]
        try:
            source = validation or open_source(config.source, "validation", EpisodeConfig(), root)
            calibration = calibrate(network, source, shots, episodes, watch)
        except (ConfigError, DataError) as error:
            return bare.remarking(f'No threshold for "{NONE}": {error}')
        measured = replace(bare, calibration=calibration)
        few = calibration.known_rejected.episodes
        return measured.remarking(FEW_WORDS.format(few)) if few < FEW else measured

    @classmethod
    def of(
        cls,
        learner: MetaLearner,
        support: Mapping[str, Sequence[Image]],
        read: Callable[[Path | str], Picture] = read_picture,
    ) -> "Classifier":
        """Makes the classifier of a learner in memory and a mapping from class names to images.

        The classifier has no threshold.

        Raises:
            DataError: fewer than two classes, a class without images, or images of different shapes.
        """
        labels, images, classes, remarks = tuple(support), [], [], dict[str, list[str]]()
        if len(labels) < 2:
            raise DataError(f"A support set must have two or more classes. Got {len(labels)}.")
        for number, (label, given) in enumerate(support.items()):
            if not len(given):
                raise DataError(f"Each class of a support set must have an image. Got none for {label!r}.")
            for image in given:
                picture = read(image) if isinstance(image, str | Path) else Picture(image)
                images.append(picture.x)
                classes.append(number)
                for remark in picture.remarks:
                    remarks.setdefault(remark, []).append(str(image))
        if len({tuple(x.shape) for x in images}) > 1:
            raise DataError(
                f"All images of a support set must have the same shape. Got {sorted({tuple(x.shape) for x in images})}."
            )
        split = Examples(torch.stack(images), torch.tensor(classes), len(labels)).to(learner.device)
        return cls(learner, split, labels, None, read, grouped(remarks))

    def remarking(self, remark: str) -> "Classifier":
        """A copy of the classifier with one more remark."""
        return replace(self, remarks=(*self.remarks, remark))

    def __call__(self, image: Image) -> Prediction:
        """The prediction for one image, given as a path or as a tensor of the shape of a support image.

        Raises:
            DataError: the image cannot be read, or its shape differs from the support images.
            NumericalError: scores that are not finite.
        """
        picture = self.read(image) if isinstance(image, str | Path) else Picture(image)
        x = picture.x
        if not x.is_floating_point():
            raise DataError(f"An image must have a floating-point dtype. Got {x.dtype}. Divide it by 255.")
        x = x.to(self.support.x)
        if x.shape != self.support.x.shape[1:]:
            raise DataError(
                f"An image must have the shape of a support image, {tuple(self.support.x.shape[1:])}. "
                f"Got {tuple(x.shape)}."
            )
        with torch.no_grad(), measuring(self.learner):
            seed(self.learner.device, 0)  # in case the network uses random numbers in evaluation too
            scores, variances = answers(self.learner, self.support, x[None])
        if not bool(torch.isfinite(scores).all()):
            which = f" for {image}" if isinstance(image, str | Path) else ""
            raise NumericalError(
                f"Scores must be finite. Got NaN or infinity{which}. The learner's parameters are damaged, or lam is "
                "too small for this precision."
            )
        row = scores[0].double().cpu()
        variance = None if variances is None else float(variances[0])
        threshold = None if self.calibration is None else self.calibration.threshold
        return Prediction(
            label=self.labels[int(row.argmax())],
            classes=self.labels,
            scores=tuple(row.tolist()),
            probabilities=tuple(row.softmax(0).tolist()),
            variance=variance,
            threshold=threshold,
            known=None if variance is None or threshold is None else variance <= threshold,
            remarks=picture.remarks,
        )


def grouped(remarks: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """One sentence per remark, with the names of the images concerned: `a.png and 2 more images: looks ...`"""
    sentences = []
    for remark, images in remarks.items():
        more = f" and {len(images) - 1} more image{'s' if len(images) > 2 else ''}" if len(images) > 1 else ""
        sentences.append(f"{images[0]}{more}: {remark}.")
    return tuple(sentences)
