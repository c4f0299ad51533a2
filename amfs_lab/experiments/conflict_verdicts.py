"""What the rows of `conflict` say: intervals, verdicts computed from them, and both as tables."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from amfs_lab.experiments.conflict_draws import GRADIENTS, SETTINGS
from amfs_lab.experiments.result import Result, plain
from amfs_lab.stats import Interval, mean_interval, paired_difference

CLIPPED = "O-AMFS, clip"
RULES = ("mean", "O-AMFS", CLIPPED, "cosine to mean", "PCGrad")  # the columns of an end's rows
NEGATIVE = ("keep", "clip")  # the columns of a place's rows
PLACES = ("at the start", "about theta*")
SAME_DIRECTION = 0.99  # the cosine to the mean from which on O-AMFS merely rescales it
VERDICTS = ("nearer", "farther", "the same", "no difference shown")


def key(setting: str, what: str) -> str:
    """The name of a row: `"five round tasks: to theta*"`."""
    return f"{setting}: {what}"


def verdict(difference: Interval, fine: float) -> str:
    """What an interval of the distance less the mean rule's shows, one of `VERDICTS`."""
    if max(abs(difference.low), abs(difference.high)) <= fine:
        return "the same"
    return "nearer" if difference.high < 0 else "farther" if difference.low > 0 else "no difference shown"


def summary(rows: Mapping[str, np.ndarray], fine: float) -> dict[str, Any]:
    """Of each setting and rule its distances, in pairs with the mean rule's; of directions, shares and medians."""
    found: dict[str, Any] = {}
    for setting in SETTINGS:
        own = {what: values for (name, what), values in _split(rows).items() if name == setting}
        ends = {what: _ends(own[what], fine) for what in own if what not in ("cosine", "length")}
        found[setting] = ends
        if "cosine" in own:
            found[setting] |= {
                place: _directions(own["cosine"][:, i], own["length"][:, i]) for i, place in enumerate(PLACES)
            }
    return found | {name: _directions(rows[key(name, "cosine")], rows[key(name, "length")]) for name in GRADIENTS}


def _split(rows: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    return {(name.rpartition(": ")[0], name.rpartition(": ")[2]): values for name, values in rows.items()}


def _ends(values: np.ndarray, fine: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    columns = dict(zip(RULES, torch.from_numpy(values.astype(np.float64)).unbind(1), strict=True))
    for rule, own in columns.items():
        found[rule] = {"median": _round(own.median()), "95 % below": _round(own.quantile(0.95))}
        if rule != "mean":
            gap = paired_difference(own, columns["mean"])
            lower = (own - columns["mean"] < -fine).double().mean()
            found[rule] |= {"minus mean": plain(gap), "lower in": _round(lower), "verdict": verdict(gap, fine)}
    return found


def _directions(cosine: np.ndarray, length: np.ndarray) -> dict[str, Any]:
    found = {}
    for i, negative in enumerate(NEGATIVE):
        c, own = torch.from_numpy(cosine[:, i].astype(np.float64)), np.median(length[:, i])
        found[negative] = {
            "ascends": plain(mean_interval((c < 0).double())),
            "merely rescales": plain(mean_interval((c > SAME_DIRECTION).double())),
            "median length": _round(own),
        }
    return found


def _round(number: Any) -> float:
    return round(float(number), 6)


AIMS = {"to theta*": "theta*", "to wanted": "best without the outlier"}


def table(result: Result) -> str:
    """Two tables in Markdown: where the rules end, with verdicts on O-AMFS; and its direction beside the mean's."""
    return "\n".join([*_table_of_ends(result.summary), "", *_table_of_directions(result.summary)])


def _table_of_ends(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"| setting | median distance to | {' | '.join(RULES)} | O-AMFS minus mean | lower in | O-AMFS ends |"
    yield "|---|---|" + "---|" * (len(RULES) + 3)
    for setting in SETTINGS:
        for aim, words in AIMS.items():
            if aim in found[setting]:
                ends = found[setting][aim]
                medians = " | ".join(f"{ends[rule]['median']:.3f}" for rule in RULES)
                own = ends["O-AMFS"]
                gap = f"{own['minus mean']['mean']:+.3f} ± {own['minus mean']['half_width']:.3f}"
                yield f"| {setting} | {words} | {medians} | {gap} | {own['lower in']:.0%} | {own['verdict']} |"


def _table_of_directions(found: Mapping[str, Any]) -> Iterator[str]:
    yield "| gradients | ascends | clipped, ascends | merely rescales the mean | median length |"
    yield "|---|---|---|---|---|"
    lines = {f"{setting}, {place}": (setting, place) for setting in SETTINGS for place in PLACES}
    own = {name: found[s][place] for name, (s, place) in lines.items() if place in found[s]}
    for name, each in (own | {name: found[name] for name in GRADIENTS}).items():
        shares = [each["keep"]["ascends"], each["clip"]["ascends"], each["keep"]["merely rescales"]]
        cells = " | ".join(map(_share, shares))
        yield f"| {name} | {cells} | {each['keep']['median length']:.2f} |"


def _share(found: Mapping[str, Any]) -> str:
    if found["half_width"] == 0:  # Student's interval of n equal values says nothing: 3/n or so may have been missed
        return f"{'none' if found['mean'] == 0 else 'all'} of {found['n']}"
    return f"{100 * found['mean']:.1f} ± {100 * found['half_width']:.1f} %"
