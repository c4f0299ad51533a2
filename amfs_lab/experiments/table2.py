"""Table 2: accuracy across domains. The learners of Table 1 are evaluated on other data sets."""

from collections.abc import Sequence

from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.experiments.benchmark import BenchmarkConfig, Column
from amfs_lab.experiments.result import Result
from amfs_lab.experiments.table1 import Table1
from amfs_lab.tasks import SHAPES, SOURCES

# From the data set of the training to the data sets of the evaluation.
DOMAINS = {
    "glyphs": ("omniglot",),
    "omniglot": ("glyphs",),
    "fc100": ("cifar-fs",),
    "cifar-fs": ("fc100",),
    "fc100:partial": ("cifar-fs:partial",),
    "cifar-fs:partial": ("fc100:partial",),
    "mini-imagenet": ("cub",),
    "cub": ("mini-imagenet",),
}


class Table2(Table1):
    name = "table2"
    help = "accuracy of the learners of Table 1 on other data sets"

    def columns(self, config: BenchmarkConfig) -> dict[str, Column]:
        return {
            f"{other}:{name}": Column(other, config.split, SHAPES[name], config.source)
            for other in DOMAINS[config.source]
            for name in SOURCES[other].shapes
        }

    def remarks(self, result: Result) -> Sequence[str]:
        chosen = (
            "The evaluation has no class of the training split. The outer learning rates were chosen on validation "
            "classes of the training data, which may be among the classes of the evaluation."
        )
        return (self.legend(result), chosen)

    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        if config.source not in DOMAINS:
            raise ConfigError(f"Table 2 needs a source of {', '.join(DOMAINS)}. Got {config.source!r}.")
        return super().variants(config)


EXPERIMENT = Table2()
