"""End points of O-AMFS when tasks disagree: laws of the trajectories, verdicts, and checks of a result."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from amfs_lab.cli import main
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.experiments import Result, conflict
from amfs_lab.experiments.conflict import ConflictConfig, key
from amfs_lab.experiments.conflict_draws import GRADIENTS, SETTINGS
from amfs_lab.experiments.conflict_verdicts import PLACES, RULES, verdict
from amfs_lab.experiments.result import stored
from amfs_lab.methods import CLIPPED
from amfs_lab.outer import PairwiseCosine
from amfs_lab.planes import geometric_median
from amfs_lab.stats import Interval, paired_difference

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"
SMALL = ConflictConfig(draws=6, steps=300)
BFLOAT16 = ConflictConfig(draws=3, steps=5)
CALM = [name for name, setting in SETTINGS.items() if not setting.noise]


@pytest.fixture(scope="module")
def made():
    return conflict.run(replace(SMALL, steps=10))  # few steps, because these tests do not need the end points


@pytest.fixture(scope="module")
def shipped():
    return conflict.load(stored("conflict-planes"))


def test_rows_have_one_entry_for_each_draw_and_rule(made):
    for setting, about in SETTINGS.items():
        for what in ("to theta*", "to median", "excess", "worst"):
            assert made.rows[key(setting, what)].shape == (6, len(RULES))
        assert (key(setting, "to wanted") in made.rows) == bool(about.outliers)
        assert (key(setting, "cosine") in made.rows) == (setting in CALM)
    for setting in CALM:
        assert made.rows[key(setting, "length")].shape == (6, len(PLACES), 2)
    for name in GRADIENTS:
        assert made.rows[key(name, "cosine")].shape == (6, 2)
    assert {values.dtype for values in made.rows.values()} == {np.dtype(np.float32)}


def test_the_same_seed_gives_the_same_rows_and_another_gives_others():
    one, again, other = (conflict.run(replace(BFLOAT16, seed=seed)) for seed in (0, 0, 1))
    for name, values in one.rows.items():
        assert np.array_equal(values, again.rows[name]), name
    assert not np.array_equal(one.rows["five round tasks: to median"], other.rows["five round tasks: to median"])


def test_the_first_draws_of_many_are_those_of_few():
    for setting in SETTINGS.values():
        few, many = setting.draw(3, 7), setting.draw(9, 7)
        for mine, theirs in ((few.start, many.start), (few.tasks.optima, many.tasks.optima)):
            assert torch.equal(mine, theirs[:3])
    for gradients in GRADIENTS.values():
        assert torch.equal(gradients.draw(2, 7), gradients.draw(3, 7)[:2])


@pytest.mark.parametrize("setting", CALM)
def test_the_mean_ends_at_theta_star(setting):
    found = conflict.measure(SMALL, setting)
    assert found["to theta*"][:, RULES.index("mean")].max() <= SMALL.fine
    assert found["excess"].min() >= 0


def test_with_two_tasks_o_amfs_and_the_mean_have_the_same_trajectory():
    paths, best = conflict.paths(SMALL, "two tasks"), conflict.sample(SMALL, "two tasks").tasks.best()
    away = (paths["mean"] - best).norm(dim=2).cummin(0).values
    on_the_way = away > SMALL.rate  # nearer to theta* it oscillates, where the two gradients are opposite
    assert on_the_way.sum(0).min() >= 5
    for rule in ("O-AMFS", CLIPPED):
        assert torch.allclose(paths[rule][on_the_way], paths["mean"][on_the_way], atol=1e-9)
        assert torch.allclose(paths[rule][-1], paths["mean"][-1], atol=SMALL.fine)
    assert not torch.allclose(paths["PCGrad"][on_the_way], paths["mean"][on_the_way], atol=1e-2)


@pytest.mark.parametrize(
    "setting", ["three round tasks", "ten round tasks", "unequal curvatures", "one outlier of five"]
)
def test_on_round_tasks_o_amfs_ends_at_the_geometric_median(setting):
    draws, ends = conflict.sample(SMALL, setting), conflict.paths(SMALL, setting)
    median = geometric_median(draws.tasks.optima)
    assert (ends["O-AMFS"][-1] - median).norm(dim=1).max() < 5e-3
    assert (median - draws.tasks.best()).norm(dim=1).min() > 2e-2


def test_an_outlier_moves_o_amfs_less():
    found = conflict.measure(SMALL, "one outlier of ten")["to wanted"]
    assert (found[:, RULES.index("O-AMFS")] < found[:, RULES.index("mean")]).all()
    draws = conflict.sample(SMALL, "one outlier of ten")
    assert torch.allclose(draws.wanted, draws.tasks.optima[:, :-1].mean(1))
    assert torch.allclose(draws.tasks.optima[:, -1].norm(dim=1), torch.full((6,), 10.0).double())


def test_settings_agree_with_their_names():
    draws = {name: setting.draw(4000, 0).tasks for name, setting in SETTINGS.items()}
    groups = draws["majority and minority"].optima
    assert torch.allclose(
        groups[:, 5:].mean((0, 1)) - groups[:, :5].mean((0, 1)), torch.tensor([4.0, 0]).double(), atol=0.05
    )
    eigenvalues = torch.linalg.eigvalsh(draws["stretched valleys"].hessians)
    assert torch.allclose(eigenvalues, torch.tensor([0.3, 3.0]).double().expand_as(eigenvalues))
    log_curvature = draws["unequal curvatures"].hessians[..., 0, 0].log()
    assert abs(log_curvature.std() - 1) < 0.05
    assert not draws["one optimum, noise in one"].optima.any()
    assert abs(draws["five round tasks"].optima.std() - 1) < 0.02
    grads = GRADIENTS["4 in 1000-D, cosine 0.05"].draw(50, 0)
    units = grads / grads.norm(dim=2, keepdim=True)
    assert abs((units[:, 0] * units[:, 1]).sum(1).mean() - 0.05) < 0.02


def test_directions_are_those_of_the_library_one_by_one(randn):
    grads = randn(5, 4, 3)
    cosine, length = conflict.against_mean(grads)
    for n in range(5):
        for column, negative in enumerate(("keep", "clip")):
            d, mean = PairwiseCosine("agreement", negative)(grads[n]), grads[n].mean(0)
            assert torch.allclose(cosine[n, column], torch.cosine_similarity(d, mean, dim=0))
            assert torch.allclose(length[n, column], d.norm() / mean.norm())


def test_verdicts_come_from_the_interval():
    said = {mean: verdict(Interval(mean, 0.01, 9), fine=0.001) for mean in (-0.02, 0.02, 0.005, -0.005)}
    assert list(said.values()) == ["nearer", "farther", "no difference shown", "no difference shown"]
    assert verdict(Interval(0.0004, 0.0005, 9), fine=0.001) == "the same"
    assert verdict(Interval(0.0009, 0.0005, 9), fine=0.001) == "farther"


@pytest.mark.parametrize("setting", SETTINGS)
def test_intervals_are_computed_from_the_rows(made, setting):
    rows = torch.from_numpy(made.rows[key(setting, "to theta*")].astype(np.float64))
    gap = paired_difference(rows[:, RULES.index("O-AMFS")], rows[:, RULES.index("mean")])
    said = made.summary[setting]["to theta*"]["O-AMFS"]
    assert (said["minus mean"]["mean"], said["minus mean"]["half_width"]) == pytest.approx(
        (gap.mean, gap.half_width), abs=1e-6
    )
    assert said["median"] == pytest.approx(float(np.median(np.sort(rows[:, 1].numpy())[2])), abs=1e-6)
    assert said["verdict"] == verdict(gap, SMALL.fine)


def test_an_ascent_is_a_cosine_below_0(made):
    rows = {name: values.copy() for name, values in made.rows.items()}
    rows["5 in 2-D: cosine"][:, 0] = [-0.5, -0.001, 0.0, 0.3, 0.991, 1.0]
    said = conflict.summary(rows, SMALL.fine)["5 in 2-D"]["keep"]
    assert said["ascends"]["mean"] == said["merely rescales"]["mean"] == pytest.approx(1 / 3, abs=1e-6)


def test_the_table_has_a_line_for_each_setting_aim_and_place(made):
    ends, directions = (part.splitlines() for part in conflict.table(made).split("\n\n"))
    assert len(ends) == 2 + len(SETTINGS) + 2
    assert len(directions) == 2 + 2 * len(CALM) + len(GRADIENTS)
    own = made.summary["stretched valleys"]["to theta*"]["O-AMFS"]
    (line,) = [line for line in ends if line.startswith("| stretched valleys")]
    assert f"| {own['median']:.3f} |" in line
    assert line.endswith(f"| {own['verdict']} |")
    assert directions[2].startswith("| two tasks, at the start | none of 6 | none of 6 | all of 6 |")


def test_a_result_whose_numbers_disagree_is_refused(made, tmp_path):
    wrong = json.loads(json.dumps(made.summary))
    wrong["two tasks"]["to theta*"]["O-AMFS"]["verdict"] = "nearer"
    Result(**{**vars(made), "summary": wrong}).save(tmp_path / "summary")
    with pytest.raises(
        DataError, match=r"Expected a complete result in .* the summary must be the one that is computed from the rows"
    ):
        conflict.load(tmp_path / "summary")
    fewer = {name: values[:-1] for name, values in made.rows.items()}
    Result(**{**vars(made), "rows": fewer}).save(tmp_path / "rows")
    with pytest.raises(DataError, match=r"`two tasks: to theta\*` must have 6 draws\. Got 5"):
        conflict.load(tmp_path / "rows")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"draws": 1}, r"ConflictConfig.draws must be an integer >= 2. Got 1."),
        ({"steps": 1}, r"ConflictConfig.steps must be an integer >= 2. Got 1."),
        ({"seed": -1}, r"ConflictConfig.seed must be an integer from 0 to 2\^63 - 1. Got -1."),
        ({"rate": 0.0}, r"A ConflictConfig needs a finite rate > 0 and 0 < shrink <= 1. Got 0.0 and 0.001."),
        ({"rate": float("nan")}, r"needs a finite rate > 0"),
        ({"shrink": 2.0}, r"0 < shrink <= 1. Got 0.25 and 2.0."),
    ],
)
def test_invalid_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        ConflictConfig(**settings)
    with pytest.raises(ConfigError, match=r"The setting must be one of two tasks, .* Got 'three'"):
        conflict.measure(BFLOAT16, "three")


def test_the_command_makes_a_folder_and_prints_the_table(tmp_path, capsys):
    words = ["reproduce", "conflict", "--draws", "3", "--steps", "5", "--seed", "4", "--out", str(tmp_path / "one")]
    assert main(words) == 0
    back = conflict.load(tmp_path / "one")
    assert conflict.table(back) in capsys.readouterr().out
    assert (back.config["draws"], back.config["steps"], back.seeds) == (3, 5, [4])
    assert main(words) == 2
    assert "needs a new folder" in capsys.readouterr().err
    assert main([*words[:2], "--draws", "1"]) == 2
    assert "`--draws` must be an integer >= 2" in capsys.readouterr().err


def test_the_shipped_result_is_complete_and_agrees_with_the_text(shipped):
    assert shipped.code["changed"] is False  # made by a commit without local changes
    config = ConflictConfig(**shipped.config)
    assert config == ConflictConfig()
    said = {name: shipped.summary[name]["to theta*"]["O-AMFS"]["verdict"] for name in SETTINGS}
    assert {name for name, word in said.items() if word != "farther"} == {"two tasks", "one optimum, noise in one"}
    assert (said["two tasks"], said["one optimum, noise in one"]) == ("the same", "nearer")
    text = " ".join(RESULTS.read_text(encoding="utf-8").split())
    farther = list(said.values()).count("farther")
    assert (
        f"There are {len(SETTINGS)} settings with {config.draws} random samples each. "
        f"In {farther} settings O-AMFS ends farther from θ* than the mean gradient" in text
    )
    for name in ("one outlier of five", "one outlier of ten"):
        own = shipped.summary[name]["to wanted"]["O-AMFS"]
        assert (own["verdict"], own["lower in"]) == ("nearer", 1.0)
    for name in CALM:  # the mean has arrived
        assert shipped.rows[key(name, "to theta*")][:, 0].max() <= config.fine


def test_its_first_draws_can_be_reproduced(shipped):
    """The tolerance is for machines that round differently, which changes the oscillation of the last steps."""
    few = replace(ConflictConfig(**shipped.config), draws=8)
    for name in ("two tasks", "stretched valleys", "one outlier of five"):
        again = conflict.measure(few, name)
        for what in ("to theta*", "cosine", "worst"):
            stored_rows = shipped.rows[key(name, what)][:8]
            columns = slice(2) if what != "cosine" else slice(None)
            assert np.allclose(again[what][:, columns], stored_rows[:, columns], atol=1e-2), (name, what)
