"""Self-checks on episodes: lesson 05."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amfs_lab.checks import diagnose
from amfs_lab.checks.diagnose import exercise
from amfs_lab.checks.verdict import Wrong
from amfs_lab.explore.episodes.blocks import START as BLOCKS
from amfs_lab.explore.episodes.blocks import BlockExplorer, eigenvalues, letter_gram, means

WAYS, SHOTS, WITHIN, BETWEEN = 5, 4, 0.7, 0.2  # of the exercise by hand
GAP = 0.1  # smallest a − b that the exercise "explore" accepts


@exercise
def class_eigenvalue(answer: Any) -> str:
    """By hand: the eigenvalue of the class directions in the ideal Gram matrix of an episode.

    The episode has N = 5 classes with K = 4 examples each. The similarity is a = 0.7 within classes and b = 0.2 between
    classes. The answer is 2.3.
    """
    a, b, K, N = WITHIN, BETWEEN, SHOTS, WAYS
    common, classes, within = eigenvalues(N, K, a, b)
    mistakes = [
        (1 - a + a - b, "That is 1 − a + (a − b): you forgot K. Each of the four shots adds a − b."),
        (
            1 - a + N * (a - b),
            "You multiplied by N, the number of classes. The K shots of one class add up: multiply a − b by K.",
        ),
        (within, "That is 1 − a, the eigenvalue within a class. The class eigenvalue has K(a − b) in addition."),
        (
            common,
            "That is the common eigenvalue, with NKb. The entries of a class eigenvector add up to zero: omit NKb.",
        ),
        (1 + K * (a - b), "You began with 1. Begin with 1 − a, because K(a − b) already counts the diagonal with a."),
        (
            1 + (K - 1) * a,
            "That is the eigenvalue of one block alone. The other classes subtract b: take 1 − a + K(a − b).",
        ),
        (
            1 - a + (K - 1) * (a - b),
            "You counted K − 1 shots. The term 1 − a already corrects the diagonal: count all K.",
        ),
        (a + K * (a - b), "You began with a. Begin with 1 − a."),
        (
            1 - a + N * K * (a - b),
            "You multiplied by NK, all images. Only the K images of one class add up: multiply a − b by K.",
        ),
        (
            1 - a + K * (a + b),
            "You added b. Similarity to other classes makes it harder to separate the classes: take a − b.",
        ),
        (1 - a + K * b, "You took b alone. The difference a − b separates the classes: take K(a − b)."),
    ]
    diagnose.number(answer, classes, mistakes, tolerance=0.01)
    return "1 − 0.7 + 4 · (0.7 − 0.2) = 2.3, four times: each shot adds a − b, the gap between the classes."


class EpisodeDraw(NamedTuple):
    """An episode that the student's function returned, for one data set and one random generator."""

    support: Tensor
    support_y: Tensor
    query: Tensor
    query_y: Tensor


# Each case: classes, samples of the smallest class, ways, shots, queries. Samples are in random order, and the classes
# differ in size.
CASES = [(8, 9, 3, 2, 4), (6, 12, 5, 1, 3), (7, 10, 4, 3, 3)]
SEEDS = range(12)


@exercise
def episode(mine: Any) -> str:
    """Coding exercise: `my_episode(labels, ways, shots, queries, generator)` samples an episode.

    It returns the indices and targets of the support set and of the query set.
    """
    if not callable(mine):
        raise Wrong(f"Expected your function, without brackets after its name. Got {diagnose.short(mine)}.")
    for number, (classes, samples, *shape) in enumerate(CASES):
        labels = labelled(classes, samples, number)
        drawn = [run(mine, labels, shape, seed) for seed in SEEDS]
        for fault in FAULTS:  # the simplest fault first; each is looked for in all episodes
            for one in drawn:
                if said := fault(one, labels, shape):
                    raise Wrong(said)
        if all(torch.equal(one.support.sort().values, drawn[0].support.sort().values) for one in drawn):
            raise Wrong(
                "You take the same images every time. Let `generator` choose: `torch.randperm(n, generator=generator)`."
            )
        always(drawn, labels, classes, shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)  # changes the global random state, in case the answer uses it
            again = run(mine, labels, shape, SEEDS[0])
        if any(not torch.equal(a, b) for a, b in zip(again, drawn[0], strict=True)):
            raise Wrong(
                "The same seed gave two different episodes. Pass `generator` to every `torch.randperm`, so that an "
                "episode depends only on its seed."
            )
    return (
        f"In {len(CASES) * len(SEEDS)} episodes the numbers are right. Both sets have the same classes, labelled "
        "from 0, with no image in both. Each episode depends only on its seed."
    )


def labelled(classes: int, samples: int, seed: int) -> Tensor:
    """The class of each image of a test data set, in random order. The classes have different sizes."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(samples + torch.arange(classes) % 3)
    return labels[torch.randperm(len(labels), generator=draw)]


def run(mine: Callable[..., Any], labels: Tensor, shape: Sequence[int], seed: int) -> EpisodeDraw:
    """The episode that the student's function returns, after a check of its form.

    Raises NotAttempted if the exercise is unchanged. Raises Wrong for an error of the function.
    """
    given = f"{len(labels)} labels, ways={shape[0]}, shots={shape[1]}, queries={shape[2]} and a generator"
    answer = diagnose.called(mine, labels.clone(), *shape, torch.Generator().manual_seed(seed), given=given)
    if answer is None:
        raise Wrong("Your function returns nothing. End it with `return support, support_y, query, query_y`.")
    if not isinstance(answer, (tuple, list)) or len(answer) != 4:
        raise Wrong(
            "Expected four things, `support, support_y, query, query_y`. Got "
            f"{len(answer) if isinstance(answer, (tuple, list)) else diagnose.short(answer)}."
        )
    drawn = EpisodeDraw(*(diagnose.plain(part, "four tensors of whole numbers") for part in answer))
    for name, part in zip(EpisodeDraw._fields, drawn, strict=True):
        if part.ndim != 1:
            raise Wrong(f"Expected `{name}` as one row of numbers. Got shape {tuple(part.shape)}: `.flatten()` it.")
        if part.is_floating_point() or part.dtype == torch.bool:
            raise Wrong(f"Expected whole numbers in `{name}`. Got {part.dtype}.")
    return drawn


# Each fault is a function of an episode, the labels and the shape (ways, shots, queries). It returns a sentence about
# the fault, or None if the episode does not have it.


def wrong_number(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    ways, shots, queries = shape
    for name, indices, targets, each in (
        ("support", one.support, one.support_y, shots),
        ("query", one.query, one.query_y, queries),
    ):
        if len(indices) == each:
            return (
                f"Your {name} set holds {each} images in all. Expected {each} in each of {ways} classes, {ways * each}."
            )
        if len(indices) != ways * each:
            return f"Your {name} set holds {len(indices)} images. Expected {ways} classes times {each}: {ways * each}."
        if len(targets) != len(indices):
            return f"`{name}` has {len(indices)} images and `{name}_y` has {len(targets)} labels. Each image needs one."
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(labels):
            return f"`{name}` has an index without an image: the images have the indices 0 to {len(labels) - 1}."
    return None


def wrong_names(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    names = sorted({*one.support_y.tolist(), *one.query_y.tolist()})
    if torch.equal(one.support_y, labels[one.support]):
        expected = sorted(set(range(shape[0])))
        if names != expected:
            return (
                f"Your labels are the numbers of the classes in the data set, here {names}. In an episode, the N "
                f"classes have the labels 0 to {shape[0] - 1}, one for each one-hot column."
            )
    if names == list(range(1, shape[0] + 1)):
        return "You count the classes from 1. Their labels must be 0 to N − 1."
    if not set(names) <= set(range(shape[0])):
        return f"The labels of an episode must be 0 to {shape[0] - 1}. Got {names}."
    return None


def other_classes(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    support, query = set(labels[one.support].tolist()), set(labels[one.query].tolist())
    if support != query:
        return (
            f"The classes of your support set are {sorted(support)}; the classes of your query set are "
            f"{sorted(query)}. A learner cannot predict a class without an example: use the same classes for both."
        )
    if len(support) < shape[0]:
        return f"Two of your {shape[0]} classes are the same: sample without replacement, with `randperm`."
    return None


def mixed_up(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    named = {}
    for half, indices, targets in (("support", *one[:2]), ("query", *one[2:])):
        for image, name in zip(indices.tolist(), targets.tolist(), strict=True):
            own = int(labels[image])
            if named.setdefault(name, own) != own:
                return (
                    f"The label {name} stands for class {named[name]} and, in the {half} set, also for class {own}. "
                    "Images and labels must have the same order in both sets."
                )
    if len(set(named.values())) < len(named):
        return "One class has two labels. Each class of an episode must have one label."
    for half, targets, each in (("support", one.support_y, shape[1]), ("query", one.query_y, shape[2])):
        if targets.bincount(minlength=shape[0]).tolist() != [each] * shape[0]:
            return f"Your {half} set does not hold {each} images of each class: {targets.bincount().tolist()}."
    return None


def leak(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    shared = set(one.support.tolist()) & set(one.query.tolist())
    if shared:
        return (
            f"LEAK: image {min(shared)} is in the support set and in the query set. The learner has seen the answer, "
            "so the accuracy is too high. Mix a class once: the first K images are support, the next Q are queries."
        )
    return None


def twice(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    for name, indices in (("support", one.support), ("query", one.query)):
        if len(set(indices.tolist())) < len(indices):
            return f"Your {name} set holds an image twice: sample without replacement, with `randperm`."
    return None


FAULTS = (wrong_number, wrong_names, other_classes, mixed_up, leak, twice)


def always(drawn: Sequence[EpisodeDraw], labels: Tensor, classes: int, shape: Sequence[int]) -> None:
    """Raises Wrong if all episodes have the same classes, or if a class has the same images in all episodes."""
    sets = {frozenset(labels[one.support].tolist()) for one in drawn}
    if len(sets) == 1 and shape[0] < classes:
        raise Wrong(
            f"All episodes have the same classes, {sorted(next(iter(sets)))}. Choose the classes at random, too."
        )
    for c in range(classes):
        having = [one for one in drawn if c in labels[one.support]]
        images = {frozenset(one.support[labels[one.support] == c].tolist()) for one in having}
        if len(having) > 2 and len(images) == 1:
            raise Wrong(
                f"Class {c} has the same examples in every episode, the first ones. Mix its images before you choose."
            )


@exercise
def wide_gap(answer: Any) -> str:
    """Explore: a σ at which a − b is at least 0.1, for the letters in the initial state of `BlockExplorer`.

    Here a is the mean similarity within classes, and b is the mean similarity between classes.
    """
    sigma = diagnose.on_slider(answer, BlockExplorer.bandwidth)
    a, b = letters_at(sigma)
    if a - b >= GAP:
        return (
            f"At σ = {sigma:g} the letters have a − b = {a - b:.3f}. With a narrow σ no two images are similar, with "
            "a wide σ all are. In between, a − b is largest, and each shot adds a − b to the class eigenvalues."
        )
    further = letters_at(min(1.05 * sigma, BlockExplorer.bandwidth.high))
    way = "wider" if further[0] - further[1] > a - b else "narrower"
    near = " (a alone is not enough, because b grows as well)" if a >= 0.5 else ""
    raise Wrong(f"At σ = {sigma:g}, a = {a:.3f}, b = {b:.3f} and a − b = {a - b:.3f}{near}. Try a {way} σ.")


def letters_at(bandwidth: float) -> tuple[float, float]:
    """The similarities a and b (see `wide_gap`) of the letters in the explorer's initial state, at this σ."""
    return means(
        letter_gram(BLOCKS["task"], BLOCKS["ways"], BLOCKS["shots"], bandwidth), BLOCKS["ways"], BLOCKS["shots"]
    )
