"""Table 4: the first-order version of each method, and the accuracy that it loses."""

from dataclasses import replace
from typing import Any, cast

from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.benchmark import BenchmarkConfig
from amfs_lab.experiments.table1 import Table1
from amfs_lab.inner.function_space import EVIDENCE
from amfs_lab.methods import METHODS


class Table4(Table1):
    name = "table4"
    help = "first-order versions of the methods"

    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        found: dict[str, TrainingConfig] = {}
        for method, row in METHODS.items():  # FO-MAML is the first-order version of MAML; DKT has none
            if getattr(row.inner, "first_order", None) is False and getattr(row.inner, "objective", "") != EVIDENCE:
                found[method] = config.training(method)
                if method == "maml":
                    found["fo-maml"] = config.training("fo-maml")
                else:
                    inner = replace(cast(Any, row.inner), first_order=True)
                    found[f"{method}+first-order"] = config.training(method, inner=inner)
        return found

    def rival(self, variant: str) -> str | None:
        """The name of the row of a method, if `variant` is the first-order version of this method; otherwise None."""
        method, plus, _ = variant.partition("+")
        return "maml" if variant == "fo-maml" else method if plus else None


EXPERIMENT = Table4()
