"""The wheel is complete: in an environment of its own it finds the glyphs and all its other files.

The new environment uses the large dependencies of this environment, but not the checkout. A .pth file adds the folder
of these packages to the search path. Python does not read the .pth files in that folder (as of the editable install).
"""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.entry_point.conftest import ROOT

DATA = {path.name for path in (ROOT / "data").iterdir() if path.suffix in {".npz", ".md"}}
DATA |= {f"pretrained/{name}" for name in ("meta_parameters.safetensors", "run.json")}
DATA |= {path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data" / "results").rglob("*.*")}
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AMFS_LAB_"))}


def pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory) -> Path:
    """The Python of an environment in which the wheel is installed."""
    home = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], env=CLEAN, check=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip(f"--python={python}", "install", "--no-deps", "--no-index", str(wheel))
    (site,) = [p for p in home.rglob("site-packages") if p.is_dir()]
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n")
    return python


def say(python: Path, code: str) -> list[str]:
    done = subprocess.run([python, "-c", code], cwd=python.parent, env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    listed = subprocess.run(["git", "ls-files", "amfs_lab"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        files = set(listed.stdout.splitlines())
    else:  # a download without the git history
        paths = (ROOT / "amfs_lab").rglob("*")
        files = {p.relative_to(ROOT).as_posix() for p in paths if p.is_file() and "__pycache__" not in p.parts}
    files |= {f"amfs_lab/data/{name}" for name in DATA}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert sorted(files - packed) == []
    assert {name.split("/")[0] for name in packed} == {"amfs_lab"}, "nothing but the package belongs into the wheel"


def test_the_data_are_those_of_the_checkout(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for name in DATA:
            assert archive.read(f"amfs_lab/data/{name}") == (ROOT / "data" / name).read_bytes()


def test_elsewhere_it_opens_its_own_glyphs(elsewhere):
    code = (
        "import amfs_lab, torch\n"
        "from amfs_lab.tasks import glyphs\n"
        "print(amfs_lab.__file__)\n"
        "print(glyphs.find())\n"
        "print(*glyphs.load().images.shape)"
    )
    package, data, shape = say(elsewhere, code)
    home = elsewhere.parents[1]
    assert home in Path(package).parents
    assert home in Path(data).parents
    assert shape.split()[1:] == ["20", "28", "28"]


def test_elsewhere_it_opens_its_own_pretrained_learner(elsewhere):
    folder, width = say(
        elsewhere, "from amfs_lab import pretrained\nprint(pretrained.find())\nprint(pretrained.load().config.width)"
    )
    assert elsewhere.parents[1] in Path(folder).parents
    assert int(width) >= 8


def test_elsewhere_it_opens_its_stored_results(elsewhere):
    code = (
        "from amfs_lab.experiments import figure2, result\n"
        "for source in ('glyphs', 'omniglot'):\n"
        "    print(figure2.load(result.stored(f'figure2-{source}')).config['source'])"
    )
    assert say(elsewhere, code) == ["glyphs", "omniglot"]


def test_elsewhere_its_command_line_starts(elsewhere):
    command = elsewhere.with_name("amfs-lab.exe" if os.name == "nt" else "amfs-lab")
    done = subprocess.run([command, "--version"], cwd=elsewhere.parent, env=CLEAN, capture_output=True, text=True)
    assert done.stdout.startswith("amfs-lab "), done.stderr


def test_without_its_data_the_error_says_where_to_get_them(elsewhere, tmp_path):
    code = (
        "from amfs_lab.errors import DataError\n"
        "from amfs_lab.tasks import glyphs\n"
        "glyphs.find().rename('moved')\n"
        "try:\n"
        "    glyphs.load()\n"
        "except DataError as error:\n"
        "    print(error)\n"
        "finally:\n"
        "    import pathlib\n"
        "    pathlib.Path('moved').rename(pathlib.Path(glyphs.__file__).parents[1] / 'data' / 'glyphs.npz')"
    )
    (message,) = say(elsewhere, code)
    assert "python -m data.glyph_builder" in message
