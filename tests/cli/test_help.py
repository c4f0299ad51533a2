"""The help of every option of every verb has its meaning, unit and default."""

import argparse
import dataclasses
import re

import pytest
import torch

from amfs_lab import cli
from amfs_lab.runs.progress import Progress


def verbs(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()):
    """(verb, parser) of each command that can be run."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield " ".join(path), parser
    for action in inner:
        for name, child in action.choices.items():
            yield from verbs(child, (*path, name))


VERBS = dict(verbs(cli.parser()))
OPTIONS = [(verb, action) for verb, parser in VERBS.items() for action in parser._actions if action.dest != "help"]
UNITS = {  # a word that the help of an option of this name must have
    **dict.fromkeys(["seconds"], "seconds"),
    **dict.fromkeys(["validate_every", "save_every", "report_every"], "meta-steps"),
    **dict.fromkeys(["episodes", "tasks"], "episodes"),
    **dict.fromkeys(["bandwidth"], "units of feature distance"),
    **dict.fromkeys(["steps", "inner_steps"], "steps"),
    **dict.fromkeys(["threads"], "processor threads"),
    **dict.fromkeys(["width"], "filters"),
    **dict.fromkeys(["shots", "queries"], "images of each class"),
    **dict.fromkeys(["ways"], "classes in an episode"),
}


def faults(action: argparse.Action) -> list[str]:
    text = (action.help or "") % vars(action) if action.help else ""
    found = []
    if len(text.split()) < 2:
        found.append("no help")
    switch = action.nargs == 0
    if action.option_strings and not switch and not action.required and "default" not in text:
        found.append("no default")
    plain = isinstance(action.default, int | float | str) and not isinstance(action.default, bool)
    if plain and not switch and f"{action.default}" not in text:
        found.append(f"another default than {action.default}")
    if (unit := UNITS.get(action.dest)) and unit not in text:
        found.append(f"no unit ({unit})")
    return found


@pytest.mark.parametrize(("verb", "action"), OPTIONS, ids=[f"{verb} {a.dest}" for verb, a in OPTIONS])
def test_an_option_has_a_help_with_its_unit_and_its_default(verb, action):
    assert not faults(action), f"amfs-lab {verb}, {action.option_strings or action.dest}: {action.help!r}"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"help": None}, "no help"),
        ({"help": "number of meta-steps"}, "no default"),
        ({"help": "number of meta-steps (default 5)", "default": 7}, "another default than 7"),
        ({"help": "how many (default 7)", "default": 7}, "no unit (steps)"),
    ],
)
def test_an_incomplete_help_is_found(options, fault):
    action = argparse.ArgumentParser().add_argument("--steps", type=int, **options)
    assert fault in faults(action)


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_can_be_printed(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb.split(), "--help"])
    assert ended.value.code == 0
    assert f"usage: amfs-lab {verb}" in capsys.readouterr().out


COMPUTES = ["train", "evaluate", "replay", "predict", "bench", "data build-pretrained"]


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb in COMPUTES or (verb.startswith("reproduce") and verb != "reproduce merge")]
)
def test_every_command_that_computes_has_an_option_for_threads(verb, monkeypatch, capsys):
    """A negative number is refused before any other work."""
    assert set(COMPUTES) <= set(VERBS)
    needed = {
        "evaluate": ["nowhere"],
        "replay": ["nowhere"],
        "predict": ["nowhere", "image.png", "--support", "nowhere"],
    }
    arguments = [*verb.split(), *needed.get(verb, []), "--threads", "-1"]
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == "amfs-lab: `threads` must be >= 1, or 0 for torch's own choice. Got -1.\n"


def test_the_given_number_of_threads_is_used(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    for number in ("0", "3"):
        cli.main(["evaluate", "nowhere", "--threads", number])
    assert asked == [3]


def test_the_fields_of_the_log_are_explained():
    """`train --help` explains all fields of the log, and no other fields."""
    told = re.findall(r"^  (\w+) ", VERBS["train"].epilog, re.MULTILINE)
    assert sorted(told) == sorted(field.name for field in dataclasses.fields(Progress))
    assert VERBS["train"].epilog in VERBS["train"].format_help()
