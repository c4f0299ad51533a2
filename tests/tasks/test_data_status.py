"""`amfs-lab data status` and `data fetch`: what is there, what is missing, where it belongs; and then it opens."""

import hashlib
import http.server
import threading
import warnings
from functools import partial
from pathlib import Path

import pytest

from amfs_lab import cli
from amfs_lab.tasks import EpisodeConfig, cifar, cub, data_dirs, data_status, download, glyphs, omniglot, open_source
from tests.tasks import small_omniglot as small
from tests.tasks import test_cifar, test_cub, test_mini_imagenet


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    """A present folder without a checkout around it: data goes to, and is looked for in, its `data/`."""
    shipped = glyphs.find()
    monkeypatch.delenv("AMFS_LAB_DATA", raising=False)
    monkeypatch.setenv("AMFS_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(data_dirs, "PACKAGE", tmp_path / "site-packages" / "amfs_lab")
    monkeypatch.setattr(omniglot, "COMPLETE", {"images_background": (6, 15), "images_evaluation": (2, 5)})
    monkeypatch.chdir(tmp_path)
    (data_dirs.PACKAGE / "data").mkdir(parents=True)
    (data_dirs.PACKAGE / "data" / glyphs.FILE).symlink_to(shipped)
    return tmp_path


@pytest.fixture(scope="module")
def parts() -> dict[str, dict[str, bytes]]:
    return {
        "images_background": small.members("images_background", small.BACKGROUND),
        "images_evaluation": small.members("images_evaluation", small.EVALUATION),
    }


@pytest.fixture
def put(home, parts):
    """`put("images_background")` lays that zip where `data fetch` would."""
    return lambda part: small.write_zip(home / "data" / "omniglot" / f"{part}.zip", parts[part])


def status(*arguments: str, capsys) -> list[str]:
    assert cli.main(["data", "status", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


def test_without_omniglot_each_missing_file_is_named_with_its_place(home, capsys):
    belongs, lines = home / "data" / "omniglot", status(capsys=capsys)
    assert lines[0].startswith("glyphs: 44 scripts, 1,218 characters, 24,360 images in ")
    assert lines[1] == "  ready: `--source glyphs`, for train, validation, test"
    for part in ("images_background", "images_evaluation"):
        place = lines.index(f"omniglot: {part}.zip is missing. It belongs in {belongs}")
        assert lines[place + 1] == "  download it: `amfs-lab data fetch omniglot`"
    assert lines[-1].startswith(f"packed copies: 0, 0.0 MB in {home / 'cache'}")
    assert sum("ready" in line for line in lines) == 1


def test_each_other_data_set_that_is_missing_says_from_where_and_to_where(home, capsys):
    lines = status(capsys=capsys)
    for name, file in (("cifar100", "cifar-100-python.tar.gz"), ("cub", "CUB_200_2011.tgz")):
        place = lines.index(f"{name}: {file} is missing. It belongs in {home / 'data' / name}")
        assert lines[place + 1] == f"  download it: `amfs-lab data fetch {name}`"
        assert list(download.REMOTES[name].files) == [file]
    place = lines.index(f"mini-imagenet: the folder mini-imagenet is missing. It belongs in {home / 'data'}")
    assert lines[place + 1].startswith(
        "  it has no official address. Put `images/` with train.csv, val.csv and test.csv"
    )


def test_each_other_data_set_that_is_there_says_which_splits_are_ready(home, capsys):
    data = home / "data"
    cifar_archive = test_cifar.as_archive(data / "cifar100", test_cifar.contents())
    mini = test_mini_imagenet.with_folders(data / "mini-imagenet")
    (data / "cub").mkdir()
    birds = test_cub.as_archive(data / "cub", test_cub.members())
    lines = status(capsys=capsys)
    assert f"mini-imagenet: 6 classes, 12 images in {mini}" in lines
    assert "  ready: `--source mini-imagenet`, for train, validation, test" in lines
    assert lines[lines.index(f"cub: {birds}") + 1] == "  `--source cub` reads it at its first use"
    place = lines.index(f"cifar100: {cifar_archive}")
    assert lines[place + 1 : place + 3] == [
        f"  `--source {name}` reads it at its first use" for name in cifar.PROTOCOLS
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cub.split("train")
        cifar.split("cifar-fs", "train")
    lines = status(capsys=capsys)
    assert "  ready: `--source cub`, for train, validation, test" in lines
    assert "  ready: `--source cifar-fs`, for train, validation, test" in lines
    assert "  `--source fc100` reads it at its first use" in lines


def test_a_cifar_that_lacks_classes_is_ready_for_the_other_splits(home, capsys):
    otter = test_cifar.batch(1, without={"otter"})
    test_cifar.as_archive(home / "data", test_cifar.contents(train=otter, test=None))
    with pytest.warns(UserWarning, match=r"of each class of .* is 1\. In"):
        cifar.split("cifar-fs", "train")
    lines = status(capsys=capsys)
    assert "  ready: `--source cifar-fs`, for train, test" in lines
    assert "  ready: `--source cifar-fs:partial`, for validation, without the missing classes" in lines


def test_damaged_folders_of_images_are_lines_and_no_errors(home, capsys):
    (home / "data" / "mini-imagenet").mkdir(parents=True)
    (home / "data" / "CUB_200_2011").mkdir()
    said = "\n".join(status(capsys=capsys))
    assert "\nmini-imagenet: not usable. Expected images of mini-ImageNet in" in said
    assert "\ncub: not usable. Expected the lists images.txt, " in said


def test_the_background_alone_is_ready_for_two_splits_of_one_protocol(put, capsys):
    path = put("images_background")
    lines = status(capsys=capsys)
    assert f"omniglot: 6 alphabets, 15 characters, 300 images in {path}" in lines
    assert "  ready: `--source omniglot`, for train, validation" in lines
    assert not any("random-classes" in line for line in lines)


def test_both_parts_are_ready_for_all(put, capsys):
    for part in omniglot.PARTS:
        put(part)
    lines = status(capsys=capsys)
    assert "  ready: `--source omniglot`, for train, validation, test" in lines
    assert "  ready: `--source omniglot-random-classes`, for train, validation, test" in lines
    assert not any("missing" in line for line in lines if "omniglot" in line)
    turned = ("rotations",)  # so that one class of validation is enough
    for name in omniglot.PROTOCOLS:  # and that is true
        for split in ("train", "validation", "test"):
            assert open_source(name, split, EpisodeConfig(2, 1, 1), augment=turned if split != "test" else ())


def test_status_reads_no_image_and_tells_of_conversions_once_they_were_packed(home, parts, capsys):
    name = "images_background/Greek/character02/0002_05.png"
    other = {**parts["images_background"], name: small.png(small.drawing("Greek/character02", 5, "L"))}
    small.write_zip(home / "data" / "images_background.zip", other)
    assert not any("converted" in line for line in status(capsys=capsys))
    assert not (home / "cache").exists()
    with pytest.warns(UserWarning, match="1 of 300 images were not"):
        open_source("omniglot", "train", EpisodeConfig(2, 1, 1))
    lines = status(capsys=capsys)
    assert "  note: 1 of 300 images were not 105x105 of 1 bit, and were converted." in lines
    assert lines[-1].startswith("packed copies: 1, 0.2 MB in ")


def test_an_incomplete_set_is_told(home, parts, capsys):
    few = {name: data for name, data in parts["images_background"].items() if "Greek" not in name}
    small.write_zip(home / "data" / "images_background.zip", few)
    said = "  note: Expected 6 alphabets of 15 characters in all. Got 5 of 12. The splits and episodes differ "
    assert said + "from the ones of the complete set." in status(capsys=capsys)


def test_damaged_data_is_a_line_and_no_error(put, home, parts, capsys):
    put("images_background").write_bytes(b"cut short")
    gone = {name: data for name, data in parts["images_evaluation"].items() if "ULOG/character02" not in name}
    small.write_folder(home / "data", {**gone, "images_evaluation/ULOG/character03/0009_01.png": b""})
    lines = status(capsys=capsys)
    (background,) = [line for line in lines if "images_background is not usable" in line]
    assert "Got: File is not a zip file" in background
    (evaluation,) = [line for line in lines if "images_evaluation is not usable" in line]
    assert "Got no images_evaluation/ULOG/character02/" in evaluation
    assert not any("--source omniglot" in line for line in lines)


def test_a_folder_named_in_vain_is_told_first_and_not_asked_for_again(home, monkeypatch, capsys):
    (home / "bare").mkdir()
    (home / "file").touch()
    told = {"absent": "which does not exist", "file": "which is a file, not a folder", "bare": "which has no data"}
    for name, words in told.items():
        monkeypatch.setenv("AMFS_LAB_DATA", str(home / name))
        lines = status(capsys=capsys)
        assert lines[0].startswith(f"AMFS_LAB_DATA is {home / name}, {words}")
        assert not any("name its folder" in line for line in lines)


@pytest.mark.parametrize("below", [".", "omniglot"])
def test_the_other_part_may_lie_beside_the_one_that_was_found(home, parts, below, monkeypatch, capsys):
    """And that is true: there it is found, and nothing is said of the named folder."""
    found, other = (home / "mine" / below / f"{part}.zip" for part in omniglot.PARTS)
    small.write_zip(found, parts["images_background"])
    monkeypatch.setenv("AMFS_LAB_DATA", str(home / "mine"))
    lines = status(capsys=capsys)
    assert (f"  download it: `amfs-lab data fetch omniglot` (downloads to {home / 'data' / 'omniglot'})") in lines
    assert f"omniglot: images_evaluation.zip is missing. It belongs in {found.parent}" in lines
    assert not any("AMFS_LAB_DATA" in line for line in lines)
    small.write_zip(other, parts["images_evaluation"])
    lines = status(capsys=capsys)
    assert not any("missing" in line for line in lines if "omniglot" in line)
    assert not any("AMFS_LAB_DATA" in line for line in lines)


def test_damaged_glyphs_are_a_line_too(home, capsys):
    (home / "own").mkdir()
    (home / "own" / glyphs.FILE).write_bytes(b"?")
    lines = status("--data", "own", capsys=capsys)
    assert lines[0].startswith("glyphs: not usable. Expected a complete glyph file at own")


def test_a_folder_that_is_none_is_one_sentence(capsys):
    assert cli.main(["data", "status", "--data", "absent"]) == 2
    assert "Expected a folder to look for data in. Got absent" in capsys.readouterr().err


# --- the whole way: fetch, status, open


@pytest.fixture
def mirror(home, parts, monkeypatch):
    """A plain file server with the small set, whose checksums are the official ones for this test."""
    folder = home / "mirror"
    zips = {f"{part}.zip": small.write_zip(folder / f"{part}.zip", files) for part, files in parts.items()}
    sums = {name: (hashlib.md5(path.read_bytes()).hexdigest(), path.stat().st_size) for name, path in zips.items()}
    monkeypatch.setitem(download.REMOTES, "omniglot", download.Remote("omniglot", "http://127.0.0.1:9/none", sums))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("to", [None, "elsewhere"])
def test_what_was_fetched_opens(mirror, home, capsys, to):
    assert cli.main(["data", "fetch", "omniglot", "--from", mirror, *(["--to", to] if to else [])]) == 0
    folder = Path(to or home / "data") / "omniglot"
    printed = capsys.readouterr().out.splitlines()
    paths = [folder / f"{part}.zip" for part in omniglot.PARTS]
    assert printed[:2] == [f"{path}: {path.stat().st_size / 1e6:.1f} MB, checksum correct." for path in paths]
    assert printed[2:] == (["Use it with `--data elsewhere`, or set AMFS_LAB_DATA to that folder."] if to else [])
    root = Path(to) if to else None
    assert open_source("omniglot", "test", EpisodeConfig(5, 1, 15), root)[0].query.x.shape == (75, 1, 28, 28)
    assert len(list(folder.iterdir())) == 2


def test_a_server_that_is_not_there_is_one_line(mirror, home, capsys, monkeypatch):
    monkeypatch.setattr(download, "RETRIES", 0)
    assert cli.main(["data", "fetch", "omniglot"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("amfs-lab: http://127.0.0.1:9/none/images_background.zip must be reachable. Got: ")
    assert said.count("\n") == 1


# --- training without the evaluation set

QUICK = ["--width", "8", "--tasks", "1", "--steps", "2", "--queries", "3", "--episodes", "4", "--validate-every", "0"]
QUICK += ["--ways", "2", "--source", "omniglot"]


def test_training_without_the_evaluation_set_says_how_before_it_begins(put, home, capsys):
    put("images_background")
    assert cli.main(["train", "--out", "run", *QUICK]) == 2
    said = capsys.readouterr().err
    assert "Expected images_evaluation.zip" in said
    assert "Or use `--split validation`, which needs only the background set." in said
    assert not (home / "run").exists()
    assert cli.main(["train", "--out", "run", "--split", "validation", "--augment", "rotations", *QUICK]) == 0
    assert "unseen alphabets, omniglot/validation, 2-way 1-shot" in capsys.readouterr().out


def test_a_remark_on_the_data_is_one_sentence_said_once(home, parts, capsys):
    name = "images_background/Greek/character02/0002_05.png"
    other = {**parts["images_background"], name: small.png(small.drawing("Greek/character02", 5, "L"))}
    path = small.write_zip(home / "data" / "images_background.zip", other)
    assert cli.main(["train", "--out", "run", "--split", "validation", "--augment", "rotations", *QUICK]) == 0
    said = f"amfs-lab: {path}: 1 of 300 images were not 105x105 of 1 bit, and were converted.\n"
    assert capsys.readouterr().err.count(said) == 1


def test_status_comes_line_by_line():
    assert next(data_status.report()).startswith("glyphs: ")
