"""Summary of the rows of the experiment `conflict`: intervals, verdicts from these intervals, and tables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from amfs_lab.experiments.conflict_draws import GRADIENTS, SETTINGS
from amfs_lab.experiments.result import Result, plain
from amfs_lab.markdown import markdown_table
from amfs_lab.methods import CLIPPED
from amfs_lab.outer import Mean, MeanCosine, PairwiseCosine, PCGrad
from amfs_lab.stats import Interval, mean_interval, paired_difference

# Columns of the stored rows about end points.
RULES = (Mean.label, PairwiseCosine.label, CLIPPED, MeanCosine.label, PCGrad.label)
NEGATIVE = ("keep", "clip")  # columns of the rows about directions: negative weights are kept, or set to 0
PLACES = ("at the start", "about theta*")
SAME_DIRECTION = 0.99  # from this cosine on, O-AMFS and the mean gradient have the same direction
VERDICTS = ("nearer", "farther", "the same", "no difference shown")


def key(setting: str, what: str) -> str:
    """The name of a row: `"five round tasks: to theta*"`."""
    return f"{setting}: {what}"


def verdict(difference: Interval, fine: float) -> str:
    """One of `VERDICTS`: whether the end points of a rule are nearer or farther than those of the mean rule.

    Args:
        difference: interval of a rule's distance minus the mean rule's distance.
        fine: largest distance at which two end points count as equal.
    """
    if max(abs(difference.low), abs(difference.high)) <= fine:
        return "the same"
    return "nearer" if difference.high < 0 else "farther" if difference.low > 0 else "no difference shown"


def summary(rows: Mapping[str, np.ndarray], fine: float) -> dict[str, Any]:
    """Plain data for each setting: distances of each rule, paired differences to the mean rule, directions."""
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


NO_NEGATIVE = "negative weights set to 0"
CLIPPED_TITLE = f"O-AMFS, {NO_NEGATIVE}"
AIMS = {"to theta*": "theta*", "to wanted": "best point without the outlier"}


def table(result: Result) -> str:
    """Two Markdown tables: end points of the rules with verdicts on O-AMFS, and the direction of O-AMFS."""
    return f"{_table_of_ends(result.summary)}\n\n{_table_of_directions(result.summary)}"


def gradients_title(name: str) -> str:
    """The title of a row of `GRADIENTS`: `"3 random gradients in 2 dimensions"`."""
    each = GRADIENTS[name]
    title = f"{each.t} random gradients in {each.p} dimensions"
    return title + (", unequal lengths" if each.lengths else "") + (f", cosine {each.cosine}" if each.cosine else "")


def _table_of_ends(found: Mapping[str, Any]) -> str:
    titles = [CLIPPED_TITLE if rule == CLIPPED else rule for rule in RULES]
    head = ("setting", "median distance to", *titles, "O-AMFS minus mean", "O-AMFS is nearer in", "O-AMFS ends")
    rows = []
    for setting in SETTINGS:
        for aim, words in AIMS.items():
            if aim in found[setting]:
                ends = found[setting][aim]
                own, medians = ends["O-AMFS"], [f"{ends[rule]['median']:.3f}" for rule in RULES]
                gap = f"{own['minus mean']['mean']:+.3f} ± {own['minus mean']['half_width']:.3f}"
                rows.append([setting, words, *medians, gap, f"{own['lower in']:.0%}", own["verdict"]])
    return markdown_table(head, rows)


def _table_of_directions(found: Mapping[str, Any]) -> str:
    raises, same = ("raises the mean loss", f"raises it, {NO_NEGATIVE}"), "same direction as the mean"
    head = ("gradients", *raises, same, "median length")
    lines = {f"{setting}, {place}": (setting, place) for setting in SETTINGS for place in PLACES}
    own = {name: found[s][place] for name, (s, place) in lines.items() if place in found[s]}
    rows = []
    for name, each in (own | {gradients_title(name): found[name] for name in GRADIENTS}).items():
        shares = [each["keep"]["ascends"], each["clip"]["ascends"], each["keep"]["merely rescales"]]
        rows.append([name, *map(_share, shares), f"{each['keep']['median length']:.2f}"])
    return markdown_table(head, rows)


def _share(found: Mapping[str, Any]) -> str:
    if found["half_width"] == 0:  # equal values: Student's interval is empty, but the true share may be 3/n
        return f"{'none' if found['mean'] == 0 else 'all'} of {found['n']}"
    return f"{100 * found['mean']:.1f} ± {100 * found['half_width']:.1f} %"
