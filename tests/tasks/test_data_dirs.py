"""AMFS_LAB_DATA: what names a folder is used however it was written down, and what names none is said."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from amfs_lab import pretrained
from amfs_lab.errors import DataError
from amfs_lab.tasks import EpisodeConfig, data_dirs, data_status, glyphs, omniglot, open_source

JOIN = os.pathsep


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    """A home with two data folders, and a present folder without any."""
    for name in ("mine", "other", "with blank"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path / "other")
    return tmp_path


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{home}/mine", ["mine"]),
        ("~/mine", ["mine"]),
        ("$HOME/mine", ["mine"]),
        ('"{home}/mine"', ["mine"]),
        ("'~/mine'", ["mine"]),
        (" {home}/mine\r\n", ["mine"]),
        ("{home}/with blank", ["with blank"]),
        (f"{{home}}/mine{JOIN}{{home}}/other", ["mine", "other"]),
        (f'"{{home}}/other"{JOIN} ~/mine {JOIN}', ["other", "mine"]),
        ("", []),
    ],
)
def test_a_folder_is_found_however_it_was_written_down(home, monkeypatch, value, found):
    monkeypatch.setenv("AMFS_LAB_DATA", value.format(home=home))
    assert data_dirs.named() == [home / name for name in found]
    assert data_dirs.faults() == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        looked = data_dirs.folders(None, "anything")
    assert looked[: len(found)] == [home / name for name in found]


@pytest.mark.skipif(os.name == "nt", reason="no such names")
def test_a_folder_whose_name_has_a_colon_quotes_or_a_tilde_is_itself(home, monkeypatch):
    for name in (f"a{JOIN}b", "'quoted'", "~", " "):
        (home / name).mkdir()
        monkeypatch.chdir(home)
        for value in (str(home / name), name):
            monkeypatch.setenv("AMFS_LAB_DATA", value)
            assert data_dirs.named() == [Path(value)]
            assert data_dirs.faults() == []


FAULTS = [
    ("{home}/absent", ["AMFS_LAB_DATA is {home}/absent, which does not exist. Name another folder, or make that one."]),
    ("~/absent", ["AMFS_LAB_DATA is {home}/absent, which does not exist. Name another folder, or make that one."]),
    (
        "{home}/file",
        ["AMFS_LAB_DATA is {home}/file, which is a file, not a folder. Name the folder that contains it."],
    ),
    (
        f"{{home}}/mine{JOIN}{{home}}/absent{JOIN}{{home}}/file",
        [
            "AMFS_LAB_DATA has {home}/absent, which does not exist. Name another folder, or make that one.",
            "AMFS_LAB_DATA has {home}/file, which is a file, not a folder. Name the folder that contains it.",
        ],
    ),
    (
        "{home}/mine,{home}/other",
        [
            "AMFS_LAB_DATA is {home}/mine,{home}/other, which does not exist. Name another folder, or make that one "
            f"(several are joined by {JOIN!r})."
        ],
    ),
    ("  ", ["AMFS_LAB_DATA is '  ', which names no folder. Name a folder, or remove the variable."]),
    ("''", ["AMFS_LAB_DATA is \"''\", which names no folder. Name a folder, or remove the variable."]),
]


@pytest.fixture(params=FAULTS, ids=range(len(FAULTS)))
def fault(request, home, monkeypatch) -> list[str]:
    value, said = request.param
    monkeypatch.setenv("AMFS_LAB_DATA", value.format(home=home))
    return [each.format(home=home) for each in said]


@pytest.mark.skipif(os.name == "nt", reason="other separators")
@pytest.mark.parametrize(
    "look",
    [
        lambda: open_source("glyphs", "train", EpisodeConfig()),
        glyphs.find,
        pretrained.find,
        lambda: data_dirs.lookup(omniglot.wanted("images_background")),
        lambda: data_dirs.folders(None, "anything"),
    ],
    ids=["open_source", "glyphs", "pretrained", "omniglot", "anything"],
)
def test_whatever_looks_for_data_says_what_names_no_folder(fault, look):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        look()
    assert [str(each.message) for each in caught] == fault
    assert {each.category for each in caught} == {data_dirs.DataFolderWarning}


@pytest.mark.skipif(os.name == "nt", reason="other separators")
def test_status_says_it_as_lines_and_not_twice(fault):
    with warnings.catch_warnings():
        warnings.simplefilter("error", data_dirs.DataFolderWarning)
        lines = list(data_status.report())
    assert lines[: len(fault)] == fault
    for sentence in fault:
        assert lines.count(sentence) == 1


def run(home: Path, *arguments: str) -> list[str]:
    """What another Python says of the variable, on its standard error."""
    root = Path(data_dirs.PACKAGE).parent
    more = {"AMFS_LAB_DATA": str(home / "absent"), "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], env=os.environ | more, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "AMFS_LAB_DATA" in line]


def test_it_is_said_once_by_all_that_look(home):
    """Python shows a warning once for each place in the code; all of them are one place."""
    code = (
        "from amfs_lab import pretrained\n"
        "from amfs_lab.tasks import data_dirs, glyphs, omniglot, open_source, EpisodeConfig\n"
    )
    code += "glyphs.find(); data_dirs.lookup(omniglot.wanted('images_background'));"
    code += "open_source('glyphs', 'test', EpisodeConfig());"
    code += "pretrained.find(); pretrained.load(); data_dirs.folders(None, 'x')"
    (line,) = run(home, "-c", code)
    assert f"DataFolderWarning: AMFS_LAB_DATA is {home / 'absent'}, which does not exist" in line


def test_the_command_line_says_it_in_one_sentence(home):
    """With validation and a test, each of which looks for data of its own."""
    quick = ["--width", "8", "--tasks", "1", "--steps", "2", "--queries", "3", "--episodes", "4", "--ways", "2"]
    quick += ["--validate-every", "1"]
    said = f"amfs-lab: AMFS_LAB_DATA is {home / 'absent'}, which does not exist. Name another folder, or make that one."
    assert run(home, "-m", "amfs_lab", "train", "--out", str(home / "run"), *quick) == [said]


def test_what_is_not_found_because_of_it_says_so(home, monkeypatch):
    monkeypatch.setattr(data_dirs, "PACKAGE", home / "nowhere" / "amfs_lab")
    monkeypatch.setenv("AMFS_LAB_DATA", str(home / "absent"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the error has it, so that no warning need say it, too
        with pytest.raises(DataError, match=r"in AMFS_LAB_DATA\. AMFS_LAB_DATA is .*absent, which does not exist"):
            omniglot.find("images_background")
    (home / "mine" / "images_background").mkdir()
    with pytest.warns(data_dirs.DataFolderWarning, match="absent, which does not exist"):  # but if it is found
        assert omniglot.find("images_background", home / "mine") == home / "mine" / "images_background"
    monkeypatch.delenv("AMFS_LAB_DATA")
    with pytest.raises(DataError, match=r"in AMFS_LAB_DATA\.$"):
        omniglot.find("images_background")


def test_the_folders_of_roots_and_caches_are_written_out_too(home, monkeypatch):
    assert data_dirs.folders(Path("~/mine"), "anything")[0] == home / "mine"
    with pytest.raises(DataError, match=r"a folder to look for anything in. Got ~/absent, which is not a folder"):
        data_dirs.folders(Path("~/absent"), "anything")
    for value in ("~/cache", f'"{home}/cache"', f" {home}/cache "):
        monkeypatch.setenv("AMFS_LAB_CACHE", value)
        assert data_dirs.cache() == home / "cache"
    monkeypatch.setenv("AMFS_LAB_CACHE", " ")
    assert data_dirs.cache().name == "amfs-lab"


def test_status_tells_of_each_folder_in_which_nothing_is(home, monkeypatch):
    monkeypatch.setenv("AMFS_LAB_DATA", JOIN.join([str(home / "mine"), str(home / "absent"), str(home / "other")]))
    lines = list(data_status.report())
    assert lines[0].startswith(f"AMFS_LAB_DATA has {home / 'absent'}, which does not exist")
    for line, name in zip(lines[1:3], ("mine", "other"), strict=True):
        assert line.startswith(f"AMFS_LAB_DATA has {home / name}, which has no data: searched for images_b")
