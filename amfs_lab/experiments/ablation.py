"""Ablation: inner loop against aggregation rule, with direction and length of the outer step apart; settings of I-AMFS.

O-AMFS changes the direction and the length of a step. With `normalization="length"` its step is as long as the mean's,
so only the direction differs. `Rescaled` is the mean's direction with the length of O-AMFS's step under "unit".
"""

from dataclasses import replace

from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.benchmark import BenchmarkConfig
from amfs_lab.experiments.table1 import Table1
from amfs_lab.methods import FunctionSpaceConfig
from amfs_lab.outer import MeanCosine, PairwiseCosine, Rescaled

RULES = {
    "o-amfs-unit": PairwiseCosine(normalization="unit"),
    "rescaled": Rescaled(),
    "cosine-to-mean": MeanCosine(),
}
SETTINGS = {
    "learned-lam": dict(learn_lam=True),
    "mu": dict(mu=0.1),
    "gamma": dict(gamma=0.01),
    "linear": dict(kernel="linear"),
    "cosine": dict(kernel="cosine"),
}


class Ablation(Table1):
    name = "ablation"
    help = "inner loops against aggregation rules, and the settings of I-AMFS"

    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        found = {method: config.training(method) for method in ("maml", "o-amfs", "i-amfs", "amfs")}  # as in Table 1
        for method in ("maml", "i-amfs"):
            for rule, outer in RULES.items():
                found[f"{method}+{rule}"] = config.training(method, outer=outer)
        for name, changes in SETTINGS.items():
            inner = replace(FunctionSpaceConfig(), **changes)
            found[f"i-amfs+{name}"] = config.training("i-amfs", inner=inner)
        return found

    def rival(self, variant: str) -> str | None:
        """The same inner loop with the mean gradient and default settings."""
        method, plus, _ = variant.partition("+")
        return method if plus else {"o-amfs": "maml", "amfs": "i-amfs"}.get(variant)


EXPERIMENT = Ablation()
