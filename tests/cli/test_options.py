"""Options that are generated from configurations: one for each field, with its documentation and default."""

import argparse
import dataclasses
from dataclasses import dataclass, field

import pytest

from amfs_lab.cli.options import add_fields, add_inner, documented, given, given_inner, inner_option, option_name
from amfs_lab.config import TrainingConfig
from amfs_lab.errors import ConfigError
from amfs_lab.experiments import EXPERIMENTS
from amfs_lab.inner import Maml
from amfs_lab.methods import INNER_LOOPS, FunctionSpaceConfig
from amfs_lab.tasks import EpisodeConfig

CONFIGURATIONS = [TrainingConfig, FunctionSpaceConfig, Maml, *(each.config for each in EXPERIMENTS.values())]


@dataclass(frozen=True)
class Toy:
    """A configuration.

    Args:
        many: several words; None: nobody.
        flag: on or off (see `somewhere`). rate, share: numbers at 5 %.
        meta_steps: how many.
    Raises:
        never: at all.
    """

    many: tuple[str, ...] | None = None
    flag: bool = True
    rate: float = 0.5
    share: float | None = None
    meta_steps: int = 3
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    maml: Maml = field(default_factory=Maml)


def parser(**more):
    made = argparse.ArgumentParser()
    add_fields(made, Toy, **more)
    return made


@pytest.mark.parametrize("kind", CONFIGURATIONS, ids=lambda kind: kind.__name__)
def test_every_field_of_a_configuration_is_documented(kind):
    assert set(documented(kind)) == {each.name for each in dataclasses.fields(kind)}
    assert all(documented(kind).values())


def test_the_documentation_is_the_help_without_references():
    assert documented(Toy) == {
        "many": "several words; None: nobody",
        "flag": "on or off",
        "rate": "numbers at 5 %",
        "share": "numbers at 5 %",
        "meta_steps": "how many",
    }
    said = " ".join(parser().format_help().split())
    for text in (
        "several words (default: nobody)",
        "--flag, --no-flag on or off (default True)",
        "numbers at 5 % (default 0.5)",
        "numbers at 5 % (default: none)",
        "--steps STEPS how many (default 3)",
        "--inner-lr INNER_LR",
    ):
        assert text in said


def test_only_what_was_given_replaces_a_default():
    assert Toy(**given(parser().parse_args([]), Toy)) == Toy()
    words = ["--many", "a", "b", "--no-flag", "--share", "0.25", "--steps", "7", "--ways", "3", "--inner-lr", "0.3"]
    expected = Toy(("a", "b"), False, 0.5, 0.25, 7, EpisodeConfig(ways=3), Maml(lr=0.3))
    assert Toy(**given(parser().parse_args(words), Toy)) == expected
    assert Toy(**given(parser().parse_args(["--many"]), Toy)).many == ()


def test_hidden_options_are_left_out():
    made = parser(hidden=["flag", "inner_lr"])
    assert "--flag" not in made.format_help()
    assert "--inner-lr" not in made.format_help()
    assert Toy(**given(made.parse_args([]), Toy, ["flag", "inner_lr"])) == Toy()


def test_every_setting_of_every_inner_loop_is_an_option_of_train():
    made = argparse.ArgumentParser()
    add_inner(made, list(INNER_LOOPS.values()))
    options = made.parse_args(["--inner-lr", "0.2", "--lam", "0.4", "--first-order"])
    for kind in INNER_LOOPS.values():
        assert all(hasattr(options, inner_option(each.name)) for each in dataclasses.fields(kind))
    assert given_inner(options, Maml) == {"lr": 0.2, "first_order": True}
    assert given_inner(options, FunctionSpaceConfig) == {"lam": 0.4, "first_order": True}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_hidden_field_of_an_experiment_exists(name):
    experiment = EXPERIMENTS[name]
    fields = {option_name(each.name) for each in dataclasses.fields(experiment.config)}
    inner = {inner_option(each.name) for kind in INNER_LOOPS.values() for each in dataclasses.fields(kind)}
    assert set(experiment.hidden) <= fields | inner
    assert set(experiment.option_help) <= fields


def test_a_method_that_the_accuracy_table_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"The method must be one of i-amfs, amfs, maml, prototypes. Got anil"):
        EXPERIMENTS["accuracy"].configure({"methods": ("anil", "maml")})
