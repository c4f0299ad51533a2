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
    """By hand: the eigenvalue of the class directions for N = 5, K = 4, a = 0.7, b = 0.2, which is 2.3."""
    a, b, K, N = WITHIN, BETWEEN, SHOTS, WAYS
    common, classes, within = eigenvalues(N, K, a, b)
    mistakes = [
        (1 - a + a - b, "That is 1 − a + (a − b): you forgot K. Each of the four shots adds a − b."),
        (1 - a + N * (a - b), "You multiplied by N, the number of classes. Within a class, the K shots add up."),
        (within, "That is 1 − a, of the directions within a class. It does not depend on the other shots."),
        (
            common,
            "That is for the common direction, with NKb in it. The class directions add up to zero: NKb drops out.",
        ),
        (1 + K * (a - b), "You began with 1. Begin with 1 − a: the block adds a once too often on the diagonal."),
        (1 + (K - 1) * a, "That is the value of one block by itself. The other classes take b away: K(a − b), not Ka."),
        (
            1 - a + (K - 1) * (a - b),
            "You counted K − 1 shots. The 1 − a in front already corrects the diagonal: count all K.",
        ),
        (a + K * (a - b), "You began with a. Begin with 1 − a, which is left of the diagonal."),
        (
            1 - a + N * K * (a - b),
            "You multiplied by NK, all images. A class direction adds up the K images of one class.",
        ),
        (1 - a + K * (a + b), "You added b. Similarity to other classes does not separate the classes: take a − b."),
        (1 - a + K * b, "You took b alone. The difference a − b separates the classes."),
    ]
    diagnose.number(answer, classes, mistakes, tolerance=0.01)
    return "1 − 0.7 + 4 · (0.7 − 0.2) = 2.3, four times: each shot adds a − b, the gap between the classes."


class EpisodeDraw(NamedTuple):
    """The return value of the student's function for one data set and one random generator."""

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
    """Coding exercise: `my_episode(labels, ways, shots, queries, generator)`, the indices and targets of both sets."""
    if not callable(mine):
        raise Wrong(f"Expected your function, without brackets behind its name. Got {diagnose.short(mine)}.")
    for number, (classes, samples, *shape) in enumerate(CASES):
        labels = labelled(classes, samples, number)
        drawn = [run(mine, labels, shape, seed) for seed in SEEDS]
        for fault in FAULTS:  # the simplest fault first; each is looked for in all episodes
            for one in drawn:
                if said := fault(one, labels, shape):
                    raise Wrong(said)
        if all(torch.equal(one.support.sort().values, drawn[0].support.sort().values) for one in drawn):
            raise Wrong(
                "You draw the same images every time. Let `generator` choose: `torch.randperm(n, generator=generator)`."
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
        f"In {len(CASES) * len(SEEDS)} episodes: the numbers are right, both sets have the same classes, named from 0, "
        "no image in both, and each episode depends only on its seed."
    )


def labelled(classes: int, samples: int, seed: int) -> Tensor:
    """The class of each image: the classes differ in size, and the images are in random order."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(samples + torch.arange(classes) % 3)
    return labels[torch.randperm(len(labels), generator=draw)]


def run(mine: Callable[..., Any], labels: Tensor, shape: Sequence[int], seed: int) -> EpisodeDraw:
    """The four tensors that the student's function returns.

    Raises Wrong for an error of the function, or NotAttempted.
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
            return f"`{name}` has {len(indices)} images and `{name}_y` has {len(targets)} labels. Each image has one."
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(labels):
            return f"`{name}` has an index that is no image: the images have the indices 0 to {len(labels) - 1}."
    return None


def wrong_names(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    names = sorted({*one.support_y.tolist(), *one.query_y.tolist()})
    if torch.equal(one.support_y, labels[one.support]):
        expected = sorted(set(range(shape[0])))
        if names != expected:
            return (
                f"Your labels are the classes' numbers in the data set, here {names}. In an episode, the N classes are "
                f"called 0 to {shape[0] - 1}: there is a one-hot column for each class."
            )
    if names == list(range(1, shape[0] + 1)):
        return "You count the classes from 1. Call them 0 to N − 1."
    if not set(names) <= set(range(shape[0])):
        return f"An episode's classes are called 0 to {shape[0] - 1}. Got the labels {names}."
    return None


def other_classes(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    support, query = set(labels[one.support].tolist()), set(labels[one.query].tolist())
    if support != query:
        return (
            f"The classes of your support set are {sorted(support)}; the classes of your query set are "
            f"{sorted(query)}. No learner can name a class without an example: choose the classes once, for both sets."
        )
    if len(support) < shape[0]:
        return f"Two of your {shape[0]} classes are the same one: sample without replacement, with `randperm`."
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
            "so the accuracy is too high. Mix a class's images once, then cut: first K for support, next Q for queries."
        )
    return None


def twice(one: EpisodeDraw, labels: Tensor, shape: Sequence[int]) -> str | None:
    for name, indices in (("support", one.support), ("query", one.query)):
        if len(set(indices.tolist())) < len(indices):
            return f"Your {name} set holds an image twice: sample without replacement, with `randperm`."
    return None


FAULTS = (wrong_number, wrong_names, other_classes, mixed_up, leak, twice)


def always(drawn: Sequence[EpisodeDraw], labels: Tensor, classes: int, shape: Sequence[int]) -> None:
    """Raises Wrong if the episodes vary only in their classes, or only in their images."""
    sets = {frozenset(labels[one.support].tolist()) for one in drawn}
    if len(sets) == 1 and shape[0] < classes:
        raise Wrong(f"All episodes have the same classes, {sorted(next(iter(sets)))}. Choose them at random, too.")
    for c in range(classes):
        having = [one for one in drawn if c in labels[one.support]]
        images = {frozenset(one.support[labels[one.support] == c].tolist()) for one in having}
        if len(having) > 2 and len(images) == 1:
            raise Wrong(
                f"Class {c} has the same examples in every episode, the first ones. Mix its images before you cut."
            )


@exercise
def wide_gap(answer: Any) -> str:
    """Explore: a σ at which a − b of the letters in the initial state of `BlockExplorer` is at least 0.1.

    Here a is the mean similarity within classes, and b is the mean similarity between classes.
    """
    sigma = diagnose.on_slider(answer, BlockExplorer.bandwidth)
    a, b = letters_at(sigma)
    if a - b >= GAP:
        return (
            f"At σ = {sigma:g} the letters have a − b = {a - b:.3f}. With a narrow σ no two letters are similar, with "
            "a wide σ all are. In between, a − b is largest, and each shot adds a − b to the class eigenvalues."
        )
    further = letters_at(min(1.05 * sigma, BlockExplorer.bandwidth.high))
    way = "wider" if further[0] - further[1] > a - b else "narrower"
    near = " (the difference a − b counts, not a alone: b grows as well)" if a >= 0.5 else ""
    raise Wrong(f"At σ = {sigma:g}, a = {a:.3f}, b = {b:.3f} and a − b = {a - b:.3f}{near}. Try a {way} σ.")


def letters_at(bandwidth: float) -> tuple[float, float]:
    """The similarities a and b (see `wide_gap`) of the letters in the explorer's initial state, at this σ."""
    return means(
        letter_gram(BLOCKS["task"], BLOCKS["ways"], BLOCKS["shots"], bandwidth), BLOCKS["ways"], BLOCKS["shots"]
    )
