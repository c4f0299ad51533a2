"""The data card of the glyphs, generated from the data file alone."""

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
TOLERANCE = 0.001  # share of pixels that may differ by one grey level between two machines; see the card


def raw_pixel_accuracy(images: UInt8[Tensor, "classes samples h w"], ways: int, episodes: int) -> Interval:
    """Accuracy of the nearest neighbour in raw pixels: `ways`-way 1-shot, 15 queries a class, without learning.

    Squared distances between integer grey levels are exact in float32: the result is the same on every machine.
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
    """Raw-pixel accuracy for the notes: of all glyphs and of each split (5-way, 20-way), and of each script (5-way)."""
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
    """The card as Markdown, from the glyphs and the notes in their file."""
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

<!-- Written by `python -m data.glyph_builder`; a test holds it against the data. Do not edit. -->

{len(images)} printed characters of {len(splits)} scripts, {SAMPLES} samples each, {SIDE}x{SIDE} grey, ink bright,
in `glyphs.npz`. The embedded data set of the course: many alphabets, no download, as hard for raw pixels as Omniglot.

| | |
|---|---|
| SHA-256 of the decoded array (uint8, C order, {"x".join(map(str, images.shape))}) | `{notes["images_sha256"]}` |
| SHA-256 of the labels (lines `SPLIT SCRIPT/U+XXXX`) | `{notes["labels_sha256"]}` |
| made with | {made_with} |
| licence | see `LICENSE-glyphs.md` |

`glyphs.npz` holds `images` (two pixels a byte, {LEVELS} grey levels, the left pixel in the high half; times 17 gives
0..255), `scripts`, `codepoints` and `notes` (JSON), no pickle. `amfs_lab.tasks.glyphs.load()` checks both hashes.

## Difficulty

Nearest neighbour among raw pixels, 1-shot, 15 queries a class. On Omniglot's background set, reduced to
{SIDE}x{SIDE}, it gets 44 % (5-way) and 24 % (20-way).

| characters | number | 5-way | 20-way |
|---|---|---|---|
{chr(10).join(hardness)}

## Split

Whole scripts: {", ".join(shares)}. In the order of the SHA-256 of their names, the first 60 % are for training,
the next 15 % for validation, the rest for testing. Nobody chose.

## Scripts

The last column is the raw-pixel accuracy, 5-way 1-shot, among the characters of that script alone.

| script | split | characters | faces | families (Noto ...) | raw pixels |
|---|---|---|---|---|---|
{chr(10).join(per_script)}

Left out:

{chr(10).join(left_out)}

## How a character gets in

- A letter (Unicode Lo, Ll or Lu) that NFKD leaves alone; of scripts with two cases the lower, where it has one.
- Every face of its script has a glyph for it, drawn in basic layout, that is neither empty nor the font's sign for a
  missing one.
- It looks like no other: drawn at one size ({shapes.SIDE}x{shapes.SIDE}) and stroke width, its cosine similarity to
  every other character kept is below {shapes.LOOK_ALIKE}, in every pair of families, shifted by up to a pixel, and,
  between scripts, after any quarter turn. Where scripts share a shape, Latin, Greek and Cyrillic keep it, in this
  order, then the script with fewer letters.
- It is no bare bar or dot: slanted, | and / are one.
- A script most of whose letters are another's, some of them turned, is left out, and so is one of which fewer than
  {FEWEST_CHARACTERS} letters remain. Of more than {MOST_CHARACTERS}, evenly spaced ones are taken.

## How a sample is made

The characters of a script take its faces (all families, weights, widths) in turn. The letter becomes the signed
distance to the edge of its ink, is rotated, sheared, stretched and bent by an elastic field, and is inked again with a
pen of the sample's own width, never so fine that a stroke breaks nor, if it can be helped, so broad that its gaps fill.
All of it is decided by the SHA-256 of (script, code point, sample, attempt). An attempt counts only if its ink is
neither too little nor a blob, keeps clear of the border, and leaves no stroke broken and half of the holes open.

The same machine gives the same array every time. Another may round a pixel that lies between two of the {LEVELS} grey
levels the other way: rebuilding is held to a difference of at most one level (17) in at most {tolerance} of the pixels.

## Fonts

Google's Noto fonts, SIL Open Font License 1.1, from Debian's `fonts-noto-core` and `fonts-noto-extra`.

| family | version |
|---|---|
{chr(10).join(fonts)}
"""
