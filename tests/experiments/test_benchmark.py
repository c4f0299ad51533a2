"""The tables: equal budgets, paired differences, verdicts that need several seeds, and results that are checked."""

import json
import shutil

import numpy as np
import pytest
import torch

from amfs_lab.bench.rounds import Times
from amfs_lab.calibration import BINS
from amfs_lab.cli import main, reproduce
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import EXPERIMENTS, benchmark, budgets, figures
from amfs_lab.experiments.benchmark import REFERENCE, Benchmark, BenchmarkConfig
from amfs_lab.experiments.benchmark_rows import key, over_all, verdict
from amfs_lab.experiments.budgets import BUDGETS, meta_steps, prices
from amfs_lab.experiments.experiment import accuracies
from amfs_lab.experiments.pool import Answer, Pool
from amfs_lab.experiments.result import ROWS, SUMMARY
from amfs_lab.methods import METHODS
from amfs_lab.stats import Interval
from amfs_lab.tasks import SOURCES, EpisodeConfig

TABLES = {name: each for name, each in EXPERIMENTS.items() if isinstance(each, Benchmark)}
TINY = dict(baseline_steps=4, seeds=2, episodes=4, width=2, rates=(1e-3, 3e-3), tasks=1)


@pytest.fixture(autouse=True, scope="module")
def priced():
    """Prices that do not depend on the machine: MAML costs four baseline steps, every other row two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            benchmark, "prices", lambda configs, root, device: {n: 4.0 if "maml" in n else 2.0 for n in configs}
        )
        yield


@pytest.fixture(scope="module")
def table1():
    return TABLES["table1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "t1"


@pytest.fixture(scope="module")
def result(table1, place, priced):
    return table1.run(BenchmarkConfig(**TINY, rows=("i-amfs", "prototypes")), folder=place)


def test_equal_time_is_a_number_of_meta_steps(result):
    assert result.config["steps"] == {"i-amfs": 2, "maml": 1, "prototypes": 2}
    assert result.config["common"] == 1
    assert [meta_steps(1200, price) for price in (4.0, 2.5, 1e6)] == [300, 480, 1]


def test_a_price_is_a_ratio_to_supervised_training():
    config = BenchmarkConfig(width=8, tasks=4)
    found = prices({"maml": config.training("maml"), "prototypes": config.training("prototypes")}, rounds=3)
    assert found["maml"] > 1.5 * found["prototypes"] > 0


def test_a_price_is_the_median_ratio_of_the_rounds(monkeypatch):
    """The machine was slow in the second round."""
    measured = Times({"baseline": [2.0, 90.0, 4.0], "maml": [6.08, 225.0, 20.0]})
    monkeypatch.setattr(budgets, "measure", lambda steps, rounds, wait: measured)
    assert prices({"maml": BenchmarkConfig(width=2, tasks=1).training("maml")}) == {"maml": 3.0}


def test_each_method_tries_the_same_rates_and_trains_with_its_best(result):
    tries = result.config["tries"]
    assert {tuple(each) for each in tries.values()} == {("0.001", "0.003")}
    assert all(0 <= share <= 1 for each in tries.values() for share in each.values())


class Asked(Pool):
    """A pool that trains nothing: the accuracy is 1 at the learning rate 0.003, and 1/5 at others."""

    def __init__(self, folder):
        super().__init__(folder)
        self.jobs_asked = []

    def answers(self, jobs, show=None):
        self.jobs_asked.append(jobs)
        return [{each: self.answer(job.config, each) for each in job.questions} for job in jobs]

    def record(self, job):
        return {"method": job.config.method}

    def answer(self, config, question):
        correct = question.shape.answers // (1 if config.meta_lr == 3e-3 else 5)
        table = np.zeros((BINS, 3), np.float32)
        table[0] = question.episodes * question.shape.answers, 0, question.episodes * correct
        return Answer(np.full(question.episodes, correct, np.int16), table)


def test_tries_are_judged_on_validation_classes_with_a_seed_of_their_own_and_the_best_rate_is_used(table1, tmp_path):
    pool = Asked(tmp_path)
    config = BenchmarkConfig(**TINY | {"rates": (1e-3, 3e-3, 1e-2)}, rows=("i-amfs",))
    found = table1.measure(config, pool, lambda words: None)
    tries, whole = pool.jobs_asked
    assert {(job.config.method, job.config.meta_lr) for job in tries} == {
        (method, rate) for method in ("i-amfs", "maml") for rate in config.rates
    }
    assert {(job.config.seed, question.split) for job in tries for question in job.questions} == {(1000, "validation")}
    assert [(job.config.method, job.config.seed, job.config.meta_lr, job.config.steps) for job in whole] == [
        (method, seed, 3e-3, steps) for seed in (0, 1) for method, steps in (("i-amfs", 2), ("i-amfs", 1), ("maml", 1))
    ]
    equal_time, equal_steps, maml = whole[:3]
    assert [len(job.questions) for job in (equal_time, equal_steps, maml)] == [6, 3, 4]  # MAML has no 20-way column
    assert {question.split for job in whole for question in job.questions} == {"test"}
    assert found.settings["tries"]["maml"] == {"0.001": 0.2, "0.003": 1.0, "0.01": 0.2}


def test_rows_hold_every_seed_and_episode_and_the_reference_has_no_20_way_column(result):
    for name in ("i-amfs 20w1s transductive time", "maml 5w5s support time", "prototypes 5w1s transductive steps"):
        assert result.rows[name].shape == (2, 4)
        assert result.rows[f"{name} reliability"][:, :, 2].sum() == result.rows[name].sum()
    assert key("maml", "20w1s", "transductive", "time") not in result.rows


def test_the_result_is_loaded_again_with_its_table_and_figure(table1, result, place):
    loaded = table1.load(place)
    assert table1.table(loaded) == table1.table(result)
    lines = table1.table(result).splitlines()
    assert lines[0] == "| method | meta-steps | 5w1s | 5w5s | 20w1s |"
    assert [line.split(" | ")[:2] for line in lines[2:]] == [["| i-amfs", "2"], ["| maml", "1"], ["| prototypes", "2"]]
    assert "| – |" in lines[3]
    assert len(table1.figure(result).axes) == 3
    drawn = table1.reliability(result).axes
    assert len(drawn) == 3
    assert [line.get_label() for line in drawn[0].get_lines()[1:]] == ["i-amfs", "maml", "prototypes"]
    legend, told, common, _, calibration = table1.remarks(result)
    assert "over 4 episodes and 2 trainings" in legend
    assert "(i-amfs, prototypes: with maml)" in legend
    assert told == "Trained for 1 meta-steps of each method, as many as maml had:"
    assert common.splitlines()[2].startswith("| i-amfs | 1 |")
    error = result.summary["i-amfs 5w1s transductive time"]["calibration error"]
    assert calibration.splitlines()[2].startswith(f"| i-amfs | {100 * error:.1f} |")


def test_a_reliability_diagram_has_a_point_for_each_bin_with_enough_answers():
    table = np.array([[1, 0.3, 1], [100, 70.0, 50], [400, 360.0, 380]])
    (axes,) = figures.reliability({"5w1s": {"maml": table}}).axes
    diagonal, line = axes.get_lines()
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert line.get_xydata() == pytest.approx(np.array([[70, 50], [90, 95]]))


def test_a_variant_has_the_color_of_its_method():
    assert figures.color_of("maml+learned-rates") == figures.color_of("MAML") == METHODS["maml"].color
    assert figures.color_of("O-AMFS, negative weights set to 0") == figures.INK


def test_an_interval_of_an_accuracy_ends_at_100_percent():
    panels = {"5w1s": {"maml": Interval(0.98, 0.05, 3), "dkt": Interval(0.5, 0.05, 3)}}
    for unit, ends in (("% correct", [100, 55]), ("points", [103, 55])):
        bars = figures.intervals(panels, unit).axes[0].containers
        assert [bar[2][0].get_segments()[0][1, 0] for bar in bars] == pytest.approx(ends)


def test_differences_are_paired_and_hold_for_all_rows_together(table1, result):
    rows = dict(result.rows)
    name, other = (key(method, "5w1s", "transductive", "time") for method in ("i-amfs", REFERENCE))
    rows[other] = np.array([[30, 40, 50, 60], [31, 41, 51, 61]])
    rows[name] = rows[other] + np.array([[5, 5, 6, 5], [6, 5, 5, 5]])
    ahead = table1.summary(rows, result.config)[name]["ahead"]
    assert ahead["mean"] == pytest.approx(5.25 / 75, abs=1e-5)
    paired = over_all(accuracies(rows[name] - rows[other], EpisodeConfig(5, 1, 15)), 1 - 0.05 / 2)
    assert ahead["half_width"] == pytest.approx(paired.half_width, abs=1e-5)
    assert ahead["level"] == pytest.approx(1 - 0.05 / 2)


@pytest.mark.parametrize(
    ("mean", "half", "word"),
    [(0.1, 0.05, "better"), (-0.1, 0.05, "worse"), (0.1, 0.2, "unclear"), (0.3, None, "unclear")],
)
def test_a_verdict_needs_an_interval_without_zero(mean, half, word):
    assert verdict(Interval(mean, half, 3, 0.99)) == word


def test_one_seed_is_unclear(table1, tmp_path):
    config = BenchmarkConfig(**TINY | {"seeds": 1, "rates": (3e-3,)}, rows=("prototypes",))
    found = table1.run(config, folder=tmp_path / "one")
    own = found.summary[key("prototypes", "5w1s", "transductive", "time")]
    assert own["accuracy"]["half_width"] is None
    assert verdict(Interval(**own["ahead"])) == "unclear"


@pytest.mark.parametrize("file", [SUMMARY, ROWS])
def test_a_changed_file_is_refused(table1, result, place, tmp_path, file):
    path = shutil.copytree(place, tmp_path / "copy") / file
    if file == SUMMARY:
        summary = json.loads(path.read_text())
        summary["i-amfs 5w1s transductive time"]["accuracy"]["mean"] += 0.01
        path.write_text(json.dumps(summary))
    else:
        np.savez_compressed(path, **{name: each[:1] for name, each in result.rows.items()})
    with pytest.raises(DataError, match=r"Expected a complete result"):
        table1.load(path.parent)


def test_rows_that_do_not_fit_are_refused(table1, result):
    for setting, wrong in (("prices", {"i-amfs": 0}), ("tries", {"i-amfs": {"0.001": 7}}), ("steps", {"i-amfs": "2"})):
        config = result.config | {setting: result.config[setting] | wrong}
        with pytest.raises(ValueError, match="`i-amfs` must have a price, meta-steps"):
            table1.check(type(result)(**vars(result) | {"config": config}))
    with pytest.raises(ValueError, match="`common` must be the number of meta-steps of maml"):
        table1.check(type(result)(**vars(result) | {"config": result.config | {"common": 5}}))
    rows = dict(result.rows)
    name = "i-amfs 5w1s transductive time"
    for wrong, words in (
        ({name: rows[name][:1]}, "must have shape"),
        ({name: rows[name] + 100}, "correct answers"),
        ({f"{name} reliability": rows[f"{name} reliability"] * 2}, "must count 300 answers"),
        ({"more": rows[name]}, "does not belong"),
    ):
        with pytest.raises(ValueError, match=words):
            table1.check(type(result)(**vars(result) | {"rows": rows | wrong}))


@pytest.mark.parametrize("name", TABLES)
def test_every_variant_of_a_table_is_a_training_that_can_be_saved_and_has_its_reference(name):
    for source in SOURCES:
        config = BenchmarkConfig(source=source)
        try:
            variants = TABLES[name].variants(config)
        except ConfigError:
            assert name == "table2"
            continue
        assert REFERENCE in variants
        for training in variants.values():
            assert type(training).from_dict(json.loads(json.dumps(training.to_dict()))) == training
        assert all(" " not in each for each in (*variants, *TABLES[name].columns(config)))


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"The source must be one of glyphs, omniglot"):
        BenchmarkConfig(source="imagenet")
    with pytest.raises(ConfigError, match=r"BenchmarkConfig.baseline_steps must be an integer >= 1. Got 0"):
        BenchmarkConfig(baseline_steps=0)
    with pytest.raises(
        ConfigError, match=r"BenchmarkConfig.rates must have different rates > 0, at least one. Got \(\)"
    ):
        BenchmarkConfig(rates=())
    with pytest.raises(ConfigError, match=r"rates must have different rates > 0, at least one. Got \(0.01, 0.01\)"):
        BenchmarkConfig(rates=(0.01, 0.01))
    with pytest.raises(ConfigError, match=r"A row must be one of i-amfs, .* Got moml"):
        TABLES["table1"].chosen(BenchmarkConfig(rows=("moml",)))


def few(variants):
    """The first two rows, and the reference."""
    return dict(list(variants.items())[:2]) | {REFERENCE: variants[REFERENCE]}


def test_every_table_runs_by_its_command_and_all_of_them_by_one(tmp_path, monkeypatch, capsys):
    """The smoke budget, with learners that the tables share."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BUDGETS, "smoke", TINY | {"rates": (3e-3,), "seeds": 1})
    monkeypatch.setattr(TABLES["table2"], "columns", TABLES["table1"].columns)  # Omniglot may be missing
    for each in TABLES.values():
        monkeypatch.setattr(each, "chosen", lambda config, each=each: few(each.variants(config)))
    assert main(["reproduce", "table1", "--budget", "smoke", "--latex", "t.tex", "--figure", "t.png"]) == 0
    assert main(["reproduce", "table1", "--budget", "smoke", "--resume", "--reliability", "r.svg"]) == 0
    assert (tmp_path / "r.svg").stat().st_size > 1000
    assert (tmp_path / "t.tex").read_text().startswith(r"\begin{tabular}{lrrrr}")
    assert (tmp_path / "t.png").stat().st_size > 1000
    trained = set((tmp_path / "runs" / "trained").iterdir())
    assert main(["reproduce", "all", "--budget", "smoke"]) == 0
    printed = capsys.readouterr().out
    for name in TABLES:
        assert f"-> runs/{name}-glyphs" in printed
    assert "| O-AMFS improves I-AMFS | AMFS minus I-AMFS after equal time |" in printed
    assert main(["reproduce", "table1", "--budget", "smoke"]) == 2
    advice = "which has a complete result. Name another folder, or show this result with `--resume`."
    assert advice in capsys.readouterr().err
    assert trained < set((tmp_path / "runs" / "trained").iterdir())


def test_the_tables_share_the_trainings_that_they_have_in_common():
    config = BenchmarkConfig()
    first, fourth, ablation = (TABLES[name].variants(config) for name in ("table1", "table4", "ablation"))
    assert TABLES["table2"].variants(config) == first
    for other in (fourth, ablation):
        both = other.keys() & first.keys()
        assert {"maml", "i-amfs", "amfs"} <= both
        assert all(other[name] == first[name] for name in both)
    assert fourth["fo-maml"] == first["fo-maml"]
    assert all(each.inner.first_order for name, each in fourth.items() if name.endswith("first-order"))


def test_table_2_has_only_classes_that_the_learners_have_not_seen():
    columns = TABLES["table2"].columns(BenchmarkConfig(source="fc100", split="validation"))
    assert {(each.source, each.split, each.unseen_by) for each in columns.values()} == {
        ("cifar-fs", "validation", "fc100")
    }


def test_the_ablation_separates_the_direction_of_a_step_from_its_length(randn):
    """O-AMFS has its own direction and the mean's length, or its own length; "rescaled" is the mean's direction."""
    grads = randn(4, 9)
    mean = grads.mean(0)
    variants = TABLES["ablation"].variants(BenchmarkConfig())
    step = {name: variants[name].outer(grads) for name in ("amfs", "i-amfs+o-amfs-unit", "i-amfs+rescaled")}
    length = {name: float(each.norm()) for name, each in step.items()}
    assert length["amfs"] == pytest.approx(float(mean.norm()), rel=1e-4)
    assert length["i-amfs+rescaled"] == pytest.approx(length["i-amfs+o-amfs-unit"], rel=1e-4)
    assert length["amfs"] != pytest.approx(length["i-amfs+rescaled"], rel=1e-2)
    cosine = torch.nn.functional.cosine_similarity
    assert float(cosine(step["amfs"], step["i-amfs+o-amfs-unit"], 0)) == pytest.approx(1, abs=1e-5)
    assert float(cosine(step["i-amfs+rescaled"], mean, 0)) == pytest.approx(1, abs=1e-5)


def test_the_ablation_compares_rows_of_one_inner_loop_so_equal_time_is_enough(tmp_path):
    """A rule or a setting changes the price of a meta-step by little."""
    ablation, pool = TABLES["ablation"], Asked(tmp_path)
    variants = ablation.variants(BenchmarkConfig())
    for row, rival in ((row, ablation.rival(row)) for row in variants):
        assert rival is None or type(variants[row].inner) is type(variants[rival].inner)
    ablation.measure(BenchmarkConfig(**TINY, rows=("amfs",)), pool, lambda words: None)
    assert {(job.config.method, job.config.steps) for job in pool.jobs_asked[1]} == {
        ("i-amfs", 2),
        ("maml", 1),
        ("amfs", 2),
    }


@pytest.mark.parametrize(
    ("table", "row", "rival"),
    [
        ("table1", "i-amfs", "maml"),
        ("table1", "maml", None),
        ("table4", "fo-maml", "maml"),
        ("table4", "amfs+first-order", "amfs"),
        ("table4", "amfs", None),
        ("ablation", "amfs", "i-amfs"),
        ("ablation", "maml+rescaled", "maml"),
        ("ablation", "i-amfs", None),
    ],
)
def test_each_row_is_compared_with_its_rival(table, row, rival):
    assert TABLES[table].rival(row) == rival
    assert rival is None or rival in TABLES[table].chosen(BenchmarkConfig(rows=(row,)))


def test_all_leaves_out_a_table_that_cannot_be_measured_and_says_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for each in TABLES.values():
        error = {"table2": DataError("Expected Omniglot. Got none."), "ablation": ConfigError("Too small.")}.get(
            each.name
        )
        monkeypatch.setattr(each, "run", lambda *given, each=each, error=error: raised(error) if error else each)
        monkeypatch.setattr(each, "table", lambda result: f"the table {result.name}")
        monkeypatch.setattr(each, "remarks", lambda result: ())
    monkeypatch.setattr(reproduce, "claims_table", lambda found: f"claims of {[result.name for result in found]}")
    assert main(["reproduce", "all", "--budget", "smoke"]) == 0
    printed = capsys.readouterr().out
    assert "claims of ['table1', 'table4']" in printed
    assert "ablation is left out: Too small." in printed
    assert "table2 is left out: Expected Omniglot. Got none." in printed
    assert [name for name in TABLES if f"the table {name}" in printed] == ["table1", "table4"]


def test_all_is_an_error_if_no_table_can_be_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for each in TABLES.values():
        monkeypatch.setattr(each, "run", lambda *given: raised(DataError("Expected Omniglot. Got none.")))
    assert main(["reproduce", "all", "--budget", "smoke"]) == 2
    said = capsys.readouterr()
    assert "Expected Omniglot. Got none." in said.err
    assert "claims" not in said.out


def raised(error):
    raise error
