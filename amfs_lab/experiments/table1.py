"""Table 1: accuracy of the methods on unseen classes, by shape of the episodes."""

from collections.abc import Sequence

from amfs_lab.config import TrainingConfig
from amfs_lab.experiments.benchmark import Benchmark, BenchmarkConfig, Column
from amfs_lab.experiments.benchmark_tables import PARTS
from amfs_lab.experiments.published import published_table
from amfs_lab.experiments.result import Result
from amfs_lab.inner import Maml
from amfs_lab.methods import METHODS
from amfs_lab.tasks import SHAPES, data_set


class Table1(Benchmark):
    name = "table1"
    help = "accuracy of all methods on unseen classes"

    def variants(self, config: BenchmarkConfig) -> dict[str, TrainingConfig]:
        """All methods and two more rows: MAML with learned inner rates, and I-AMFS trained on the episodes of MAML."""
        found = {method: config.training(method) for method in METHODS}
        found["maml+learned-rates"] = config.training("maml", inner=Maml(learn_lr=True))
        found["i-amfs+5-way"] = config.training("i-amfs", episode=found["maml"].episode)
        return found

    def columns(self, config: BenchmarkConfig) -> dict[str, Column]:
        return {name: Column(config.source, config.split, SHAPES[name]) for name in data_set(config.source).shapes}

    def remarks(self, result: Result) -> Sequence[str]:
        """Further tables: accuracies at equal meta-steps, calibration, and published accuracies on the data set."""
        told = f"Trained for {result.config['common']} meta-steps of each method, as many as {self.reference} had:"
        found = [self.legend(result), told, PARTS["after equal meta-steps"](result)]
        found += ["Expected calibration error, in points:", PARTS["calibration"](result)]
        if published := published_table(result.config["source"].partition(":")[0]):
            found += ["Published accuracies, of other protocols and budgets:", published]
        return found


EXPERIMENT = Table1()
