"""The glyph builder: selection on test fonts, drawing, and a rebuild of shipped glyphs with Debian's fonts."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import glyphs
from data.glyph_builder import build, card, pen, scripts, select, shapes
from data.glyph_builder.scripts import SCRIPTS, Script

REBUILT = ("Adlam", "Grantha", "Javanese")  # all of their faces are in Debian's fonts-noto-core
BOX = [[(100, 0), (100, 700), (600, 700), (600, 0)], [(150, 50), (550, 50), (550, 650), (150, 650)]]
TABLE = {script.name: script for script in SCRIPTS}


# Test fonts: a letter has a few strokes, and each stroke is a rectangle between random points.


def strokes(seed: int) -> list[list[tuple[int, int]]]:
    rng = np.random.default_rng(seed)
    contours = []
    for _ in range(4):
        (x0, y0), (x1, y1) = rng.integers(0, 700, (2, 2))
        length = max(1.0, np.hypot(x1 - x0, y1 - y0))
        dx, dy = -(y1 - y0) / length * 35, (x1 - x0) / length * 35
        corners = [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)]
        contours.append([(round(x), round(y)) for x, y in corners])
    return contours


def turned(contours):
    return [[(700 - y, x) for x, y in contour] for contour in contours]


def font(path: Path, letters: dict[int, list]) -> None:
    names = {codepoint: f"u{codepoint:X}" for codepoint in letters}
    drawn = {".notdef": BOX} | {names[codepoint]: contours for codepoint, contours in letters.items()}
    outlines = {}
    for name, contours in drawn.items():
        pen = TTGlyphPen(None)
        for start, *rest in contours:
            pen.moveTo(start)
            for point in rest:
                pen.lineTo(point)
            pen.closePath()
        outlines[name] = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(drawn))
    builder.setupCharacterMap(names)
    builder.setupGlyf(outlines)
    builder.setupHorizontalMetrics(dict.fromkeys(drawn, (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular", "version": "Version 1.5;made up"})
    builder.setupPost()
    builder.save(path)


HEBREW, DEVANAGARI, THAI = 0x5D0, 0x915, 0xE01  # first code points of runs of letters
LETTERS = 14


@pytest.fixture
def three_scripts(tmp_path) -> tuple[Script, ...]:
    """Three scripts. The second has two letters of the first, one of them turned. The third is the first, turned."""
    first = [strokes(seed) for seed in range(LETTERS)]
    second = [strokes(100 + seed) for seed in range(LETTERS)]
    second[2], second[5] = first[7], turned(first[8])
    third = [turned(contours) for contours in first]
    made = []
    for name, prefix, start, letters in (
        ("First", "HEBREW", HEBREW, first),
        ("Second", "DEVANAGARI", DEVANAGARI, second),
        ("Third", "THAI", THAI, third),
    ):
        for style in ("Regular", "Bold"):
            font(tmp_path / f"{name}-{style}.ttf", {start + i: contours for i, contours in enumerate(letters)})
        made.append(Script(name, prefix, ((start, start + LETTERS - 1),), (name,)))
    return tuple(made)


def test_one_script_keeps_a_shared_shape_and_a_turned_script_is_left_out(three_scripts, tmp_path):
    chosen = select.select(tmp_path, three_scripts)
    assert chosen.characters["First"] == tuple(range(HEBREW, HEBREW + LETTERS))
    kept = {codepoint - DEVANAGARI for codepoint in chosen.characters["Second"]}
    assert kept == set(range(LETTERS)) - {2, 5}
    assert list(chosen.left_out) == ["Third"]
    assert "a rotation of First: 100 % of its letters match" in chosen.left_out["Third"]


def test_a_script_with_too_few_letters_of_its_own_is_left_out(three_scripts, tmp_path, monkeypatch):
    monkeypatch.setattr(select, "FEWEST_CHARACTERS", 13)
    chosen = select.select(tmp_path, three_scripts[:2])
    assert chosen.left_out == {"Second": "only 12 letters look like no other script's"}


def test_of_too_many_letters_evenly_spaced_ones_are_kept(three_scripts, tmp_path, monkeypatch):
    monkeypatch.setattr(select, "MOST_CHARACTERS", 7)
    monkeypatch.setattr(select, "FEWEST_CHARACTERS", 5)
    chosen = select.select(tmp_path, three_scripts[:1])
    assert chosen.characters["First"] == tuple(range(HEBREW, HEBREW + LETTERS, 2))


def test_a_letter_that_some_face_cannot_draw_is_left_out(tmp_path):
    whole = {THAI + i: strokes(i) for i in range(4)}
    font(tmp_path / "Toy-Regular.ttf", whole | {THAI + 1: [], THAI + 2: BOX})
    font(tmp_path / "Toy-Bold.ttf", {c: s for c, s in whole.items() if c != THAI + 3})
    script = Script("Toy", "THAI", ((THAI, THAI + 3),), ("Toy",))
    covered = select.covered(select.letters(script), select.faces(script, tmp_path))
    assert covered == [THAI, THAI + 1, THAI + 2]
    assert list(select.drawings(covered, [tmp_path / "Toy-Regular.ttf"])) == [THAI]


def test_missing_fonts_are_named(tmp_path):
    with pytest.raises(DataError, match=r"Adlam need the fonts NotoSansAdlam-\*.ttf. Got none in .*fonts-noto-core"):
        select.faces(TABLE["Adlam"], tmp_path)


def test_only_letters_that_nfkd_does_not_change_are_used():
    thai, latin = TABLE["Thai"], TABLE["Latin"]
    assert select.is_letter(0x0E01, thai.prefix)
    assert not select.is_letter(0x0E31, thai.prefix), "a combining vowel"
    assert not select.is_letter(0x0E33, thai.prefix), "NFKD takes it apart"
    assert not select.is_letter(0x0E50, thai.prefix), "a digit"
    assert not select.is_letter(0x00E9, latin.prefix), "NFKD takes the accent off"
    assert not select.is_letter(0x0061, thai.prefix), "another script's"


def test_lower_case_is_used_if_there_is_one():
    assert select.one_case(list(range(0x41, 0x5B)) + list(range(0x61, 0x7B))) == list(range(0x61, 0x7B))
    assert select.one_case(list(range(0x13A0, 0x13B0))) == list(range(0x13A0, 0x13B0))
    assert select.one_case(list(range(0x5D0, 0x5E0))) == list(range(0x5D0, 0x5E0))


# Shapes.


@pytest.fixture
def letter_shapes(tmp_path) -> np.ndarray:
    font(tmp_path / "Toy-Regular.ttf", {THAI + i: strokes(i) for i in range(12)})
    return np.stack([shapes.normalised(chr(THAI + i), tmp_path / "Toy-Regular.ttf") for i in range(12)])


def test_similarity_is_symmetric_one_with_itself_and_invariant_to_a_shift_of_one_pixel(letter_shapes):
    similar = shapes.similarity(letter_shapes, letter_shapes)
    assert np.allclose(np.diag(similar), 1)
    assert np.array_equal(similar, similar.T)
    assert np.allclose(np.diag(shapes.similarity(np.roll(letter_shapes, (1, -1), (1, 2)), letter_shapes)), 1, atol=1e-3)
    assert similar[~np.eye(12, dtype=bool)].max() < shapes.LOOK_ALIKE


def test_size_and_weight_hardly_change_the_similarity(tmp_path):
    def plus(size: int, weight: int):
        return [
            [(0, size - weight), (0, size + weight), (2 * size, size + weight), (2 * size, size - weight)],
            [(size - weight, 0), (size - weight, 2 * size), (size + weight, 2 * size), (size + weight, 0)],
        ]

    font(tmp_path / "Toy-Regular.ttf", {THAI: plus(300, 10), THAI + 1: plus(150, 5), THAI + 2: plus(300, 45)})
    small, large, bold = (shapes.normalised(chr(THAI + i), tmp_path / "Toy-Regular.ttf")[None] for i in range(3))
    assert shapes.similarity(small, large) > 0.985
    assert shapes.similarity(small, bold) > 0.97


def test_a_bare_bar_or_dot_is_left_out_and_a_corner_is_kept(tmp_path):
    slanted = [[(0, 0), (60, 0), (360, 700), (300, 700)]]
    corner = [[(0, 0), (0, 700), (70, 700), (70, 70), (400, 70), (400, 0)]]
    dot = [[(0, 40), (0, 100), (40, 140), (100, 140), (140, 100), (140, 40), (100, 0), (40, 0)]]
    font(tmp_path / "Toy-Regular.ttf", {THAI: slanted, THAI + 1: dot, THAI + 2: corner})
    drawn = np.stack([shapes.normalised(chr(THAI + i), tmp_path / "Toy-Regular.ttf") for i in range(3)])
    assert [shapes.is_plain(image) for image in drawn] == [True, True, False]
    assert select.distinct(drawn[:, None], []) == [2]


# The pen.


@pytest.fixture
def face(tmp_path) -> Path:
    font(tmp_path / "Toy-Regular.ttf", {THAI: strokes(3), THAI + 1: []})
    return tmp_path / "Toy-Regular.ttf"


def test_a_sample_depends_only_on_its_name(face):
    def draw(*key):
        return pen.sample(*key, face)

    assert np.array_equal(draw("Toy", THAI, 4), draw("Toy", THAI, 4))
    assert not np.array_equal(draw("Toy", THAI, 4), draw("Toy", THAI, 5))
    assert not np.array_equal(draw("Toy", THAI, 4), draw("Other", THAI, 4))
    alone = pen.character("Toy", THAI, [face] * 3)
    assert np.array_equal(alone[2], draw("Toy", THAI, 2))


def test_an_empty_face_and_a_too_strong_distortion_are_errors(face):
    with pytest.raises(DataError, match=r"Toy-Regular.ttf must draw U\+0E02. Got an empty image"):
        pen.sample("Toy", THAI + 1, 0, face)
    with pytest.raises(DataError, match=r"legible sample 7 of Toy/U\+0E01 from Toy-Regular.ttf. Got none in .*Weaken"):
        pen.sample("Toy", THAI, 7, face, replace(pen.PEN, size=(40.0, 41.0)))


def test_ink_is_right_only_between_too_little_and_too_much():
    def square(size: int, place: int = 10) -> np.ndarray:
        image = np.zeros((28, 28), np.uint8)
        image[place : place + size, place : place + size] = 255
        return image

    assert pen.ink_is_right(square(6))
    assert not pen.ink_is_right(square(0)), "empty"
    assert not pen.ink_is_right(square(2)), "too little"
    assert not pen.ink_is_right(square(12)), "a blob"
    assert not pen.ink_is_right(square(6, 0)), "at the border"
    assert not pen.ink_is_right(square(6) // 2), "too faint"
    lines = np.zeros((28, 28), np.uint8)
    lines[2:26:2, 2:26] = 255
    assert not pen.ink_is_right(lines), "too much"


def test_pieces_and_holes_are_counted_and_kept(face):
    ring = np.zeros((12, 12), bool)
    ring[2:8, 2:8] = True
    ring[4:6, 4:6] = False
    ring[10, 10] = True
    assert pen.pieces_and_holes(ring) == (2, 1)
    letter = replace(pen.outline(chr(THAI), face), pieces=1, holes=2)
    image = np.where(ring, 255, 0).astype(np.uint8)
    assert not pen.keeps_its_shape(image, letter), "broken in two"
    image[10, 10] = 0
    assert pen.keeps_its_shape(image, letter), "half of the holes"
    image[4:6, 4:6] = 255
    assert not pen.keeps_its_shape(image, letter), "no hole left"
    assert pen.keeps_its_shape(image, letter, holes_too=False)
    assert not pen.keeps_its_shape(np.zeros_like(image), letter, holes_too=False), "no ink left"


@pytest.mark.parametrize("count", [2, 3, 4, 5, 9, 12, 36, 72, 81, 108, 180])
def test_every_face_is_used_before_one_repeats(count):
    files = [Path(str(i)) for i in range(count)]
    taken = [file for rank in range(count) for file in pen.faces_in_turn(files, rank)]
    assert all(set(taken[i : i + count]) == set(files) for i in range(0, len(taken) - count + 1, count))


# The file and its card.


@pytest.fixture(scope="module")
def shipped():
    return glyphs.read(glyphs.find())


def test_the_same_glyphs_give_the_same_bytes_and_come_back(shipped, tmp_path):
    data, notes = shipped
    packed = build.pack(data, notes)
    assert packed == build.pack(data, notes)
    (tmp_path / "glyphs.npz").write_bytes(packed)
    again, same = glyphs.read(tmp_path / "glyphs.npz")
    assert torch.equal(again.images, data.images)
    assert (again.labels, again.splits, same) == (data.labels, data.splits, notes)


def test_the_file_is_small_and_its_notes_agree_with_it(shipped):
    data, notes = shipped
    assert glyphs.find().stat().st_size <= 8e6
    assert notes["images_sha256"] == glyphs.IMAGES_SHA256
    assert notes["labels_sha256"] == glyphs.LABELS_SHA256
    assert data.splits == scripts.split_scripts(data.splits)
    for script in data.splits:
        assert 2 <= notes["faces"][script] <= 20 * data.scripts.count(script), "each face is used"


def test_the_card_is_as_the_builder_writes_it(shipped):
    data, notes = shipped
    checkout = Path(build.__file__).parents[2] / "data" / "GLYPHS.md"
    assert checkout.read_text(encoding="utf-8") == card.card(data, notes)


def test_the_numbers_of_the_card_can_be_measured_again(shipped):
    data, notes = shipped
    rows = [i for i, script in enumerate(data.scripts) if script == "Thai"]
    again = card.raw_pixel_accuracy(data.images[rows], 5, card.EPISODES_A_SCRIPT)
    assert notes["raw_pixels"]["scripts"]["Thai"] == pytest.approx(again.mean)
    for five, twenty in notes["raw_pixels"]["parts"].values():
        assert 0.40 <= five["mean"] <= 0.50
        assert 0.20 <= twenty["mean"] <= 0.30
        assert five["n"] == twenty["n"] == card.EPISODES


def without(data, rows):
    keep = [i for i in range(len(data.images)) if i not in rows]
    scripts = tuple(data.scripts[i] for i in keep)
    return glyphs.Glyphs(
        data.images[keep],
        scripts,
        tuple(data.codepoints[i] for i in keep),
        {name: split for name, split in data.splits.items() if name in scripts},
    )


def test_a_data_set_that_breaks_a_rule_is_refused(shipped):
    data, _ = shipped
    build.check(data)
    blank = data.images.clone()
    blank[2, 3] = 0
    few = set(sorted(data.splits)[:8])
    for broken, message in (
        (without(data, {i for i, s in enumerate(data.scripts) if s in few}), "at least 40 scripts. Got 36"),
        (without(data, range(0, len(data.images), 3)), "at least 1000 characters. Got"),
        (replace(data, images=data.images[:, :19]), "20 samples of 28x28"),
        (replace(data, scripts=("Greek",) * 25 + data.scripts[25:]), "at most 36 characters. Got"),
        (
            replace(data, codepoints=(0x301, *data.codepoints[1:])),
            r"letter of Adlam that NFKD does not change. Got U\+0301",
        ),
        (replace(data, images=blank), f"Every sample of {data.labels[2]} must be legible".replace("+", r"\+")),
    ):
        with pytest.raises(DataError, match=message):
            build.check(broken)


@pytest.mark.parametrize("culprit", ["select", "render", "check", "take_notes", "pack"])
def test_a_failed_build_changes_no_file(culprit, shipped, monkeypatch, tmp_path):
    data, notes = shipped
    for name, result in (
        ("select", select.Selection({}, {})),
        ("render", data),
        ("check", None),
        ("take_notes", notes),
        ("pack", b"new"),
    ):
        monkeypatch.setattr(build, name, lambda *_, result=result, **__: result)
    monkeypatch.setattr(card, "card", lambda *_: "new")

    def fail(*_, **__):
        raise DataError("no")

    (tmp_path / "glyphs.npz").write_bytes(b"old")
    with monkeypatch.context() as broken:
        broken.setattr(build, culprit, fail)
        with pytest.raises(DataError, match="no"):
            build.build(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"glyphs.npz": b"old"}
    build.build(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"glyphs.npz": b"new", "GLYPHS.md": b"new"}


def test_an_unknown_script_cannot_be_drawn():
    with pytest.raises(ConfigError, match=r"Every script must be in the table of `scripts`\. Got Klingon"):
        build.render({"Klingon": [0xF8D0]})


# With Debian's fonts. These tests skip if fonts or tools differ, unless AMFS_LAB_REQUIRE_FONTS=1.


def need(reason: str | None) -> None:
    if reason and os.environ.get("AMFS_LAB_REQUIRE_FONTS") == "1":
        pytest.fail(f"AMFS_LAB_REQUIRE_FONTS=1, but {reason}")
    if reason:
        pytest.skip(reason)


def other_than_shipped(scripts, notes) -> str | None:
    """The reason why these scripts cannot be drawn here as in the shipped file; None if they can."""
    made, here = notes["made_with"]["FreeType"], build.tools()["FreeType"]
    if made != here:
        return f"the shipped glyphs were drawn by FreeType {made}, and this machine has {here}"
    for name in scripts:
        try:
            files = select.faces(TABLE[name], build.FONTS)
        except DataError as error:
            return str(error)
        if build.font_hash(files) != notes["fonts_sha256"][name]:
            return f"the fonts of {name} in {build.FONTS} differ from those of the shipped glyphs"
    return None


def test_three_scripts_are_drawn_again_as_shipped(shipped):
    data, notes = shipped
    need(other_than_shipped(REBUILT, notes))
    rows = [i for i, script in enumerate(data.scripts) if script in REBUILT]
    characters = {name: [data.codepoints[i] for i in rows if data.scripts[i] == name] for name in REBUILT}
    again = build.render(characters)
    assert again.labels == tuple(data.labels[i] for i in rows)
    off = (again.images.int() - data.images[rows].int()).abs()
    assert off.max() <= 17, "more than one grey level"
    assert (off > 0).double().mean() <= card.TOLERANCE


def test_no_two_characters_look_alike(shipped):
    """Compares all characters upright, and characters of different scripts after turns.

    It uses the reference face of each script, which is in fonts-noto-core.
    """
    data, _ = shipped
    references = [build.FONTS / f"{TABLE[script].families[0]}-Regular.ttf" for script in data.scripts]
    missing = sorted({file.name for file in references if not file.exists()})
    need(f"{len(missing)} fonts, {missing[0]} first, are not in {build.FONTS}" if missing else None)
    drawn = np.stack([shapes.normalised(chr(c), face) for c, face in zip(data.codepoints, references, strict=True)])
    assert drawn.any((1, 2)).all(), "nothing empty"
    boxes = {face: shapes.normalised(select.UNASSIGNED, face) for face in set(references)}
    for image, face in zip(drawn, references, strict=True):
        assert shapes.similarity(image[None], boxes[face][None]) < select.BOX
        assert not shapes.is_plain(image)
    script = np.array(data.scripts)
    for turns in range(4):
        similar = shapes.similarity(np.rot90(drawn, turns, (1, 2)), drawn)
        compared = script[:, None] != script if turns else ~np.eye(len(drawn), dtype=bool)
        assert similar[compared].max() < shapes.LOOK_ALIKE, f"after {turns} quarter turns"
