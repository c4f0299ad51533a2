"""`python -m data.glyph_builder`: renders the glyphs from the fonts of this machine."""

import argparse
from pathlib import Path

from tqdm import tqdm

from amfs_lab.tasks import glyphs
from data.glyph_builder import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m data.glyph_builder", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default %(default)s)")
    parser.add_argument("--fonts", type=Path, default=build.FONTS, help="folder of the fonts (default %(default)s)")
    options = parser.parse_args()
    with tqdm(unit="letter", dynamic_ncols=True) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total or None
            bar.set_description(what)
            bar.update(done - bar.n)

        data = build.build(options.out, options.fonts, progress)
    print(f"{len(data.images)} letters of {len(set(data.scripts))} scripts in {options.out}")
    if glyphs.images_sha256(data.images.numpy()) != glyphs.IMAGES_SHA256:
        print("amfs_lab refuses this file: its images differ from the tested ones, because fonts or libraries differ.")
        print("Compare the versions in the new `GLYPHS.md` with those in the shipped `GLYPHS.md`.")


if __name__ == "__main__":
    main()
