"""The data card of the glyphs, which is generated only from the data file."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

import torch
from jaxtyping import UInt8
from torch import Tensor

from amfs_lab.stats import Interval, mean_interval
from amfs_lab.tasks.glyphs import LEVELS, SAMPLES, SIDE, Glyphs
from amfs_lab.tasks.source import EpisodeConfig, ImageSource
from data.glyph_builder import shapes
from data.glyph_builder.scripts import FEWEST_CHARACTERS, MOST_CHARACTERS, SCRIPTS, SKIPPED

EPISODES, EPISODES_A_SCRIPT = 1000, 200
TOLERANCE = 0.001  # largest share of pixels that may differ (by one grey level) between two machines; see the card


def raw_pixel_accuracy(images: UInt8[Tensor, "classes samples h w"], ways: int, episodes: int) -> Interval:
    """Accuracy of the nearest neighbour in raw pixels, without learning: `ways`-way 1-shot, 15 queries for each class.

    Squared distances between integer grey levels are exact in float32. So the result is the same on every machine.
    """
    source = ImageSource(images, ("",) * len(images), EpisodeConfig(ways, 1, 15), "raw pixels")
    right = []
    for index in range(episodes):
        episode = source[index]
        support, query = ((half.x.flatten(1) * (LEVELS - 1)).round() for half in (episode.support, episode.query))
        squared = query.square().sum(1)[:, None] + support.square().sum(1) - 2 * query @ support.T
        right.append((episode.support.y[squared.argmin(1)] == episode.query.y).double().mean())
    return mean_interval(torch.stack(right))


def difficulty(glyphs: Glyphs) -> dict:
    """Raw-pixel accuracies: 5-way and 20-way for all glyphs and for each split, and 5-way for each script."""
    parts = {"all": glyphs.images} | {name: glyphs.split(name)[0] for name in ("train", "validation", "test")}
    scripts = {name: [i for i, script in enumerate(glyphs.scripts) if script == name] for name in sorted(glyphs.splits)}
    return {
        "parts": {
            part: [asdict(raw_pixel_accuracy(images, ways, EPISODES)) for ways in (5, 20)]
            for part, images in parts.items()
        },
        "scripts": {
            name: raw_pixel_accuracy(glyphs.images[rows], 5, EPISODES_A_SCRIPT).mean for name, rows in scripts.items()
        },
    }


def card(glyphs: Glyphs, notes: Mapping) -> str:
    """The card as Markdown, made from the glyphs and the notes in the data file."""
    images, splits = glyphs.images, glyphs.splits
    table = {script.name: script for script in SCRIPTS}
    of_script = Counter(glyphs.scripts)
    of_part = Counter(splits[script] for script in glyphs.scripts) + Counter(all=len(images))

    hardness = [
        f"| {part} | {of_part[part]} | {Interval(**five).percent()} | {Interval(**twenty).percent()} |"
        for part in ("all", "train", "validation", "test")
        for five, twenty in [notes["raw_pixels"]["parts"][part]]
    ]
    per_script = [
        f"| {name} | {splits[name]} | {of_script[name]} | {notes['faces'][name]} | "
        f"{', '.join(family.removeprefix('Noto') for family in table[name].families)} | "
        f"{notes['raw_pixels']['scripts'][name]:.0%} |".replace("%", " %")
        for name in sorted(splits)
    ]
    left_out = [f"- {name}: {why}" for name, why in sorted({**SKIPPED, **notes["left_out"]}.items())]
    fonts = [f"| {family} | {version} |" for family, version in sorted(notes["families"].items())]
    shares = [f"{list(splits.values()).count(name)} {name}" for name in ("train", "validation", "test")]
    tolerance = f"{TOLERANCE:.1%}".replace("%", " %")
    made_with = ", ".join(f"{name} {version}" for name, version in sorted(notes["made_with"].items()))
    return f"""# Glyphs

<!-- Written by `python -m data.glyph_builder`. A test compares it with the data. Do not edit. -->

`glyphs.npz` has {len(images)} printed characters of {len(splits)} scripts, with {SAMPLES} samples each. A sample is a
grey image of {SIDE}x{SIDE} pixels with bright ink. This is the data set of the course. It has many alphabets and needs
no download. In raw pixels, it is as difficult as Omniglot.

| | |
|---|---|
| SHA-256 of the decoded array (uint8, C order, {"x".join(map(str, images.shape))}) | `{notes["images_sha256"]}` |
| SHA-256 of the labels (lines `SPLIT SCRIPT/U+XXXX`) | `{notes["labels_sha256"]}` |
| made with | {made_with} |
| licence | see `LICENSE-glyphs.md` |

`glyphs.npz` contains `images`, `scripts`, `codepoints` and `notes` (JSON), without pickle. Each byte of `images` has
two pixels of {LEVELS} grey levels, the left pixel in the high half. A grey level times 17 gives 0 to 255.
`amfs_lab.tasks.glyphs.load()` checks both hashes.

## Difficulty

The table has the accuracy of the nearest neighbour in raw pixels: 1-shot, with 15 queries for each class. For
comparison: on Omniglot's background set, reduced to {SIDE}x{SIDE} pixels, it is 44 % (5-way) and 24 % (20-way).

| characters | number | 5-way | 20-way |
|---|---|---|---|
{chr(10).join(hardness)}

## Split

Each script is in one split: {", ".join(shares)}. The scripts are sorted by the SHA-256 of their names. The
first 60 % are for training, the next 15 % for validation, and the rest for testing. So no person chose the split.

## Scripts

The last column is the 5-way 1-shot accuracy in raw pixels, with characters of this script only.

| script | split | characters | faces | families (Noto ...) | raw pixels |
|---|---|---|---|---|---|
{chr(10).join(per_script)}

These scripts are left out:

{chr(10).join(left_out)}

## Selection of the characters

- A character must be a letter (Unicode Lo, Ll or Lu) that NFKD does not change. Of a script with two cases, the lower
  case is used if it has enough letters.
- Every face of the script must have a glyph for it. In basic layout, this glyph must not be empty, and it must not be
  the font's sign for a missing glyph.
- It must not look like another character. For this comparison, characters are drawn at one size
  ({shapes.SIDE}x{shapes.SIDE}) and stroke width. The cosine similarity to every other selected character must be below
  {shapes.LOOK_ALIKE}, in every pair of families and for shifts of up to one pixel. Characters of different scripts are
  also compared after quarter turns. If scripts share a shape, the first of Latin, Greek and Cyrillic keeps it, or else
  the script with fewer letters.
- It must not be a bare bar or dot. (In a slanted font, | and / look the same.)
- A script is left out if most of its letters look like letters of another script, some of them only after a turn. It is
  also left out if fewer than {FEWEST_CHARACTERS} letters remain. If more than {MOST_CHARACTERS} letters remain, evenly
  spaced letters are taken.

## Drawing of a sample

The characters of a script use its faces (all families, weights and widths) in turn. A letter is first converted to the
signed distance to the edge of its ink. This distance is rotated, sheared, stretched and bent by an elastic field. Then
the letter is inked again with the stroke width of the sample. The stroke is never so thin that it breaks. It is not so
thick that the gaps fill, if this is possible. The SHA-256 of (script, code point, sample, attempt) determines all
random numbers. An attempt is accepted if it has enough ink, is not a blob, does not touch the border, has no broken
stroke, and has at least half of the letter's holes open.

One machine always gives the same array. Another machine may round a pixel between two of the {LEVELS} grey levels in
the other direction. So a test allows a difference of one grey level (17) in at most {tolerance} of the pixels.

## Fonts

Google's Noto fonts, SIL Open Font License 1.1, from Debian's `fonts-noto-core` and `fonts-noto-extra`.

| family | version |
|---|---|
{chr(10).join(fonts)}
"""
