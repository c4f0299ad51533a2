"""`amfs-lab predict`: names, scores and "none of these", as lines and as JSON."""

import json
import shutil

import pytest
import torch
from PIL import Image

from amfs_lab import cli, pretrained
from amfs_lab.errors import DataError
from amfs_lab.prediction import classifier
from amfs_lab.runs import saved
from amfs_lab.tasks import EpisodeConfig
from tests.handwriting import SIXTH, photograph, save, support_folder
from tests.prediction.test_classifier import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "i-amfs")


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    return support_folder(tmp_path_factory.mktemp("support"))


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return save(photograph("K", 30), tmp_path_factory.mktemp("images") / "k.jpg")


def predict(run, support, *arguments):
    return cli.main(["predict", str(run), "--support", str(support), "--device", "cpu", *map(str, arguments)])


def test_a_photograph_is_classified_and_another_letter_is_none_of_these(support, image, tmp_path, capsys):
    other = save(photograph(SIXTH, 30), tmp_path / "m.jpg")
    assert predict(pretrained.find(), support, image, other, "--ink") == 0
    head, known, unknown, rates = capsys.readouterr().out.splitlines()
    assert head == "i-amfs, group norm; 5 classes, 1 to 3 examples each"
    assert known.split()[:3] == [str(image), "K", "variance"]
    assert unknown.removeprefix(str(other)).strip().startswith("none of these  variance 0.")
    assert rates.startswith("none of these: variance > 0.")
    assert "On 100 episodes of glyphs, validation (5 classes, 1 to 3 support images each)" in rates
    assert rates.count(" %)") == 2


def test_json_is_one_object_and_nothing_else(run, support, image, capsys):
    assert predict(run, support, image, "--ink", "--json", "--episodes", 8) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["support"] == {"A": 1, "E": 1, "K": 2, "R": 2, "S": 3}
    assert told["norm"] == "support"
    (one,) = told["predictions"]
    assert one["image"] == str(image)
    assert set(one["scores"]) == set(one["probabilities"]) == set("AKSER")
    assert one["known"] == (one["variance"] <= one["threshold"])
    assert one["threshold"] == told["calibration"]["threshold"]
    assert told["calibration"]["known_rejected"]["episodes"] == 4
    assert told["remarks"] == [classifier.FEW_WORDS.format(4)]


def test_the_order_of_the_images_changes_no_prediction(run, support, image, tmp_path, capsys):
    other = save(photograph("S", 30), tmp_path / "s.jpg")
    told = []
    for images in ((image, other), (other, image), (other,)):
        assert predict(run, support, *images, "--ink", "--json", "--episodes", 8) == 0
        told.append({each["image"]: each for each in json.loads(capsys.readouterr().out)["predictions"]})
    assert told[0] == told[1]
    assert told[2] == {str(other): told[0][str(other)]}


def test_a_folder_means_all_its_images(run, support, image, capsys):
    for given in (image.parent, image.parent / "*.jpg"):
        assert predict(run, support, given, "--ink", "--episodes", 0) == 0
        assert str(image) in capsys.readouterr().out


def test_images_that_look_inverted_are_noted(run, support, image, capsys):
    assert predict(run, support, image, "--episodes", 0) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2
    assert all("has no black background" in note for note in notes)


def test_a_method_without_variance_prints_a_note(tmp_path, support, image, capsys):
    assert predict(train(tmp_path / "run", "prototypes"), support, image, "--ink") == 0
    assert 'note: prototypes has no posterior variance, so it cannot say "none of these".' in capsys.readouterr().out


def test_without_validation_data_there_is_no_verdict(run, support, image, monkeypatch, capsys):
    def missing(*arguments):
        raise DataError("Expected glyphs.npz. Got none.")

    monkeypatch.setattr(classifier, "open_source", missing)
    assert predict(run, support, image, "--ink") == 0
    assert 'note: No threshold for "none of these": Expected glyphs.npz. Got none.' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["RUN", "--support", "nowhere", "IMAGE"], "Expected a folder nowhere with one folder of images"),
        (["RUN", "--support", "single", "IMAGE"], "folders of at least two classes in single. Got one, 'a'."),
        (["RUN", "--support", "SUPPORT", "gone.png"], "Got gone.png, which does not exist."),
        (["RUN", "--support", "SUPPORT", "notes.png"], "Expected an image that can be read. Got notes.png"),
        (["RUN", "--support", "SUPPORT", "empty"], "in empty. Got none. Add images, or name files."),
        (["RUN", "--support", "SUPPORT", "--ink", "blank.png"], "Got blank.png, in which no ink was found"),
        (["nowhere", "--support", "SUPPORT", "IMAGE"], "Expected a run in nowhere"),
        (["MAML", "--support", "SUPPORT", "IMAGE"], "has a linear head, so the support set must have 3 classes"),
        (["OWN", "--support", "SUPPORT", "IMAGE"], "trained a learner of your own"),
        (["RUN", "--support", "SUPPORT", "IMAGE", "--episodes", "3"], "`episodes` must be 0 or >= 4. Got 3."),
        (["RUN", "--support", "SUPPORT", "IMAGE", "--threads", "-1"], "`threads` must be >= 1, or 0"),
        (["RUN", "--support", "SUPPORT", "IMAGE", "--device", "abacus"], "The device must be auto"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(tmp_path, monkeypatch, capsys, run, support, image, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    save(Image.new("L", (9, 9)), tmp_path / "single" / "a" / "1.png")
    save(Image.new("L", (90, 90), 200), tmp_path / "blank.png")
    (tmp_path / "notes.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    places = {"RUN": run, "SUPPORT": support, "IMAGE": image}
    if "MAML" in arguments:
        places["MAML"] = train(tmp_path / "maml", "maml", episode=EpisodeConfig(3, 1, 2))
    if "OWN" in arguments:
        places["OWN"] = shutil.copytree(run, tmp_path / "own")
        tensors, record = saved.load(places["OWN"])
        saved.save(places["OWN"], tensors, record | {"learner": {"own": True}})
    assert cli.main(["predict", *(str(places.get(each, each)) for each in arguments)]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.startswith("amfs-lab: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_the_given_number_of_threads_is_used(run, support, image):
    try:
        assert predict(run, support, image, "--episodes", 0, "--threads", 2) == 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
