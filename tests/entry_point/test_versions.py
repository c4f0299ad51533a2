"""The versions in pyproject.toml (lower bounds), constraints.txt and environment.yml agree."""

import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.entry_point.conftest import ROOT
from tests.test_private_parts import CEILINGS

CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "playwright-python": "playwright"}


def required() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for requirement in (Requirement(line) for line in lines if line and not line.startswith("#")):
        (version,) = requirement.specifier
        assert version.operator == "==", f"{requirement} needs an exact version"
        assert canonicalize_name(requirement.name) not in pins, f"{requirement.name} has two lines"
        pins[canonicalize_name(requirement.name)] = version.version
    return pins


def conda() -> dict[str, str]:
    document = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert document["channels"] == ["conda-forge"]
    pairs = [line.split("=") for line in document["dependencies"] if isinstance(line, str)]
    (pip,) = (line["pip"] for line in document["dependencies"] if isinstance(line, dict))
    for requirement in (Requirement(line) for line in pip if line != "-e ."):  # packages that conda-forge does not have
        (version,) = requirement.specifier
        pairs.append([requirement.name, version.version])
    return {canonicalize_name(CONDA_NAMES.get(name, name)): version for name, version in pairs}


def test_constraints_pin_every_requirement_within_its_bounds():
    pins = pinned()
    for name, requirement in required().items():
        assert name in pins, f"{name} is required, but constraints.txt gives no version"
        assert requirement.specifier.contains(pins[name]), f"{requirement}, but constraints.txt has {pins[name]}"


def test_required_packages_have_lower_bounds_and_upper_bounds_have_reasons():
    """The reasons for upper bounds are in tests/test_private_parts.py."""
    for name, requirement in required().items():
        operators = ["<", ">="] if name in CEILINGS else [">="]
        assert sorted(s.operator for s in requirement.specifier) == operators, str(requirement)


def test_constraints_name_no_build_and_no_place():
    text = (ROOT / "constraints.txt").read_text()
    assert "torch==2.13.0\n" in text
    assert "+" not in text
    assert " @ " not in text
    assert "file:" not in text


def test_installed_versions_are_the_pinned_versions():
    from importlib.metadata import distributions

    import torch  # the version of a CPU build ends in +cpu

    pins, found = pinned(), {canonicalize_name(d.name): d.version for d in distributions() if d.name}
    assert torch.__version__.split("+")[0] == pins["torch"]
    differing = [
        f"{name}: {found[name]} instead of {pins[name]}"
        for name in required()
        if name in found and name in pins and found[name].split("+")[0] != pins[name]
    ]
    assert not differing, "\n".join(differing)


def test_conda_names_the_same_versions():
    pins, names = pinned(), conda()
    python = names.pop("python")
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python.split(".")[:2] in (["3", "12"], ["3", "13"]), supported
    assert names.pop("pip") == pins["pip"]
    assert set(names) == set(required()), "environment.yml and pyproject.toml name different packages"
    assert names == {name: pins[name] for name in names}


@pytest.mark.parametrize("name", ["LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "README.md"])
def test_a_file_that_every_visitor_looks_for_is_there(name):
    assert (ROOT / name).read_text(encoding="utf-8").strip()


def test_all_files_name_the_same_version():
    import amfs_lab

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == citation["version"] == amfs_lab.__version__
