"""Table 1: accuracy of the methods on unseen classes, by shape of the episodes."""

from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.benchmark import Benchmark, BenchmarkConfig, Column
from amfs_lab.methods import METHODS
from amfs_lab.tasks import SHAPES, data_set


class Table1(Benchmark):
    name = "table1"
    help = "accuracy of all methods on unseen classes"

    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        return {method: config.training(method) for method in METHODS}

    def columns(self, config: BenchmarkConfig) -> dict[str, Column]:
        return {name: Column(config.source, config.split, SHAPES[name]) for name in data_set(config.source).shapes}


EXPERIMENT = Table1()
