"""Old names: one sentence with the new place, for notebooks and scripts of an earlier version."""

import importlib

import pytest

import amfs_lab
from amfs_lab import explore
from amfs_lab.errors import MovedError
from amfs_lab.moved import MOVED

NAMES = [(module, name, place) for module, names in MOVED.items() for name, place in names.items()]


def resolved(place: str) -> object:
    """The module, class or function at a dotted place in `amfs_lab`."""
    try:
        return importlib.import_module(f"amfs_lab.{place}")
    except ModuleNotFoundError:
        parent, _, name = place.rpartition(".")
        return getattr(importlib.import_module(f"amfs_lab.{parent}"), name)


@pytest.mark.parametrize(("module", "name", "place"), NAMES, ids=[f"{module}.{name}" for module, name, _ in NAMES])
def test_an_old_name_tells_the_new_one_which_exists(module, name, place):
    with pytest.raises(MovedError, match=f"`{module}.{name}` is now `amfs_lab.{place}`. Change the name"):
        getattr(importlib.import_module(module), name)
    assert resolved(place) is not None


def test_so_does_an_import_of_it():
    with pytest.raises(MovedError, match=r"is now `amfs_lab\.checks`"):
        exec("from amfs_lab.explore import check")
    with pytest.raises(MovedError, match=r"is now `amfs_lab\.pretrained`"):
        exec("from amfs_lab import reader")


def test_any_other_name_is_missing_as_ever():
    assert not hasattr(amfs_lab, "nothing")
    with pytest.raises(AttributeError, match=r"has no attribute .nothing."):
        explore.nothing  # noqa: B018
