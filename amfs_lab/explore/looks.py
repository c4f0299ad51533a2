"""The colour, dash and marker of each method and each aggregation rule in figures, by label."""

from amfs_lab import methods
from amfs_lab.widgets.style import GREEN, INK, Look

_OF_LESSONS = [methods.METHODS[name] for name in methods.LESSONS]
METHODS = {each.label: Look(each.color, each.dash, each.marker) for each in _OF_LESSONS}
RULES = {label: Look(each.color, each.dash, each.marker, each.pattern) for label, each in methods.RULES.items()}
# The methods of `planes`. Its tasks are quadratic, so the solve of I-AMFS is the proximal step.
IN_THE_PLANE = {
    "joint": Look(INK, "dot", "cross"),
    "FO-MAML": METHODS["FO-MAML"],
    "MAML": METHODS["MAML"],
    "Reptile": Look(GREEN, "dashdot", "triangle-up"),
    "proximal": METHODS["I-AMFS"],
}
