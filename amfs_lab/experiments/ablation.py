"""Ablation: each inner loop with several aggregation rules, and I-AMFS with several settings.

O-AMFS changes both the direction and the length of the outer step. The ablation separates both effects. With
`normalization="length"`, the step of O-AMFS is as long as the mean gradient, so only the direction changes. The rule
`Rescaled` changes only the length. Its step has the direction of the mean gradient. The length is that of the O-AMFS
step with `normalization="unit"`.
"""

from collections.abc import Sequence
from dataclasses import replace

from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.benchmark import BenchmarkConfig
from amfs_lab.experiments.benchmark_rows import AT_EQUAL_TIME
from amfs_lab.experiments.result import Result
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
    kinds = AT_EQUAL_TIME  # compared rows have almost the same price, so almost the same number of meta-steps

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
        """The row with the same inner loop, the mean gradient and default settings; None for that row itself."""
        method, plus, _ = variant.partition("+")
        return method if plus else {"o-amfs": "maml", "amfs": "i-amfs"}.get(variant)

    def remarks(self, result: Result) -> Sequence[str]:
        return (self.legend(result),)


EXPERIMENT = Ablation()
