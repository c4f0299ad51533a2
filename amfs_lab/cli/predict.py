"""`amfs-lab predict`: classifies images by a few examples of each class."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from amfs_lab.cli.options import bar_of, command, data_folder, device, set_threads, threads
from amfs_lab.errors import printable
from amfs_lab.prediction.classifier import EPISODES, NONE, Classifier, Prediction, grouped
from amfs_lab.tasks.image_folder import loose_images
from amfs_lab.tasks.support import read_picture

PATIENCE = 3.0  # seconds before a progress bar shows


def add_to(commands: Any) -> None:
    p = command(
        commands,
        "predict",
        predict,
        'classify images by a few examples of each class, or answer "none of these"',
    )
    p.add_argument("run", type=Path, help="folder of a run")
    p.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image to classify, or a folder of images")
    p.add_argument(
        "--support",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder with one folder of example images for each class, named like the class; one image is enough, and "
        "classes may have different numbers of images (required)",
    )
    p.add_argument(
        "--ink",
        action="store_true",
        help="images are dark drawings on light paper, photographed or scanned: the paper becomes black, the ink "
        "bright, and the drawing is cut out and centred (default: images have bright ink on black already)",
    )
    p.add_argument("--json", action="store_true", help="print one JSON object, and nothing else (default: lines)")
    p.add_argument(
        "--episodes",
        type=int,
        default=EPISODES,
        help=f'validation episodes to measure the threshold for "{NONE}" and its error rates on; 0: no threshold '
        "(default %(default)s)",
    )
    data_folder(p)
    device(p)
    threads(p)


def predict(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    images = [image for given in options.images for image in _images(given)]
    for image in images:  # raises for an unreadable image before the computation
        read_picture(image, ink=options.ink)
    with bar_of("episode", options.episodes, delay=PATIENCE) as bar:
        bar.set_description("threshold")
        classifier = Classifier.load(
            options.run,
            options.support,
            ink=options.ink,
            root=options.data,
            device=options.device,
            episodes=options.episodes,
            watch=lambda done: bar.update(done - bar.n),
        )
    predictions = [classifier(image) for image in images]
    remarks = [*classifier.remarks, *_remarks(images, predictions)]
    if options.json:
        print(json.dumps(_record(options, classifier, images, predictions, remarks), indent=2, allow_nan=False))
        return
    assert classifier.config is not None
    counts = [int((classifier.support.y == n).sum()) for n in range(len(classifier.labels))]
    shots = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    print(f"{classifier.config.method}, {classifier.config.norm} norm; {len(counts)} classes, {shots} examples each")
    names = [printable(str(image), line=True) for image in images]
    width = max(map(len, names))
    for name, prediction in zip(names, predictions, strict=True):
        print(f"{name:<{width}}  {prediction}")
    if classifier.calibration is not None:
        print(f"{NONE}: {classifier.calibration}")
    for remark in remarks:
        print(f"note: {remark}")


def _images(given: Path) -> list[Path]:
    """A list with the given image, with all images of the given folder, or with the files that match a pattern.

    Raises DataError for a folder without images.
    """
    if not os.path.isdir(given):
        pattern = not given.exists() and any(mark in given.name for mark in "*?")  # not expanded by the shell
        return (sorted(given.parent.glob(given.name)) if pattern and given.parent.is_dir() else []) or [given]
    return loose_images(given)


def _remarks(images: list[Path], predictions: list[Prediction]) -> tuple[str, ...]:
    about: dict[str, list[str]] = {}
    for image, prediction in zip(images, predictions, strict=True):
        for remark in prediction.remarks:
            about.setdefault(remark, []).append(str(image))
    return grouped(about)


def _record(
    options: argparse.Namespace,
    classifier: Classifier,
    images: list[Path],
    predictions: list[Prediction],
    remarks: list[str],
) -> dict[str, Any]:
    assert classifier.config is not None
    calibration = classifier.calibration
    return {
        "run": str(options.run),
        "method": classifier.config.method,
        "norm": classifier.config.norm,
        "ink": options.ink,
        "support": {
            label: int((classifier.support.y == number).sum()) for number, label in enumerate(classifier.labels)
        },
        "calibration": None if calibration is None else calibration.to_dict(),
        "remarks": remarks,
        "predictions": [
            {"image": str(image)} | prediction.to_dict() for image, prediction in zip(images, predictions, strict=True)
        ],
    }
