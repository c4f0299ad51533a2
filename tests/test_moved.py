"""Old names give an error with the new place, for notebooks and scripts of an earlier version."""

import importlib

import pytest

import amfs_lab
from amfs_lab import explore
from amfs_lab.errors import MovedError
from amfs_lab.moved import MOVED


def resolved(place: str) -> object:
    """The module, class or function with this dotted name in `amfs_lab`."""
    try:
        return importlib.import_module(f"amfs_lab.{place}")
    except ModuleNotFoundError:
        parent, _, name = place.rpartition(".")
        return getattr(importlib.import_module(f"amfs_lab.{parent}"), name)


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_tells_the_new_one_which_exists(old):
    parent, _, name = f"amfs_lab.{old}".rpartition(".")
    module = importlib.import_module(parent)
    says = f"`amfs_lab.{old}` is now `amfs_lab.{MOVED[old]}`. Change the name"
    with pytest.raises(MovedError, match=says):
        getattr(module, name)
    with pytest.raises(MovedError, match=says):
        exec(f"from {parent} import {name}")
    if hasattr(module, "__path__"):  # in a package, the name may be a module
        with pytest.raises(MovedError, match=says):
            importlib.import_module(f"amfs_lab.{old}")
    assert resolved(MOVED[old]) is not None


def test_modules_of_an_old_package_name_their_new_place():
    with pytest.raises(MovedError, match=r"`amfs_lab.explore.check` is now `amfs_lab\.checks`"):
        importlib.import_module("amfs_lab.explore.check.ridge")


def test_any_other_name_gives_the_usual_error():
    assert not hasattr(amfs_lab, "nothing")
    with pytest.raises(AttributeError, match=r"has no attribute .nothing."):
        explore.nothing  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"No module named .amfs_lab.nothing."):
        importlib.import_module("amfs_lab.nothing")
