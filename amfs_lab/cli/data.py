"""`amfs-lab data`: fetch, make or check data."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from amfs_lab import reader
from amfs_lab.cli.options import bar_of, command, data_folder, set_threads, threads
from amfs_lab.errors import ConfigError
from amfs_lab.tasks import download, glyphs, inventory

FONTS = Path("/usr/share/fonts/truetype/noto")  # where Debian puts fonts-noto-core and fonts-noto-extra


def add_to(commands: Any) -> None:
    data = commands.add_parser("data", help="fetch, make or check data").add_subparsers(required=True, metavar="WHAT")
    p = command(data, "fetch", fetch, "download a data set: resumed where it broke off, checked, moved in whole")
    p.add_argument("name", choices=download.REMOTES, help="data set to download")
    p.add_argument("--to", type=Path, metavar="DIR", help="data folder to put it in (default: `data/` of the course)")
    p.add_argument(
        "--from",
        dest="mirror",
        metavar="URL",
        help="address of a mirror that has the same files (default: the publisher's)",
    )
    p = command(data, "status", status, "say what is there, what is missing, and where it belongs")
    data_folder(p)
    p = command(data, "build-glyphs", build_glyphs, "render the glyphs from the fonts of this machine")
    p.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default %(default)s)")
    p.add_argument("--fonts", type=Path, default=FONTS, help="folder of the Noto fonts (default %(default)s)")

    p = command(
        data,
        "build-reader",
        build_reader,
        "train the small reader that lessons draw for; on one thread it is the same one every time",
    )
    p.add_argument("--out", type=Path, default=Path("data"), help="folder to write to (default %(default)s)")
    p.add_argument("--steps", type=int, default=reader.CONFIG.steps, help="meta-steps (default %(default)s)")
    p.add_argument("--episodes", type=int, default=600, help="validation episodes (default %(default)s)")
    threads(p, 1)


def fetch(options: argparse.Namespace) -> None:
    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def progress(name: str, done: int, total: int | None) -> None:
            bar.set_description(name, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        def say(line: str) -> None:
            bar.write(line, file=sys.stdout)
            sys.stdout.flush()

        try:
            download.fetch(download.REMOTES[options.name], options.to, options.mirror, progress, say)
        except KeyboardInterrupt:
            bar.close()
            print(f"amfs-lab: stopped. {download.KEPT}", file=sys.stderr)
            raise SystemExit(130) from None
    if options.to:
        print(f"Use it with `--data {options.to}`, or set AMFS_LAB_DATA to that folder.")


def status(options: argparse.Namespace) -> None:
    for line in inventory.report(options.data):
        print(line)


def build_glyphs(options: argparse.Namespace) -> None:
    try:
        from amfs_lab.tasks import glyph_builder
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Drawing needs the extra `data`. Got no {error.name}: pip install 'amfs-lab[data]'."
        ) from error
    with bar_of("letter") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.total = total or None
            bar.set_description(what)
            bar.update(done - bar.n)

        data = glyph_builder.build(options.out, options.fonts, progress)
    print(f"{len(data.images)} letters of {len(set(data.scripts))} scripts in {options.out}")
    if glyphs.images_sha256(data.images.numpy()) != glyphs.IMAGES_SHA256:
        print("These fonts or libraries draw other images than amfs_lab was tested with, so it refuses the file.")
        print("`GLYPHS.md` beside it names the versions that drew it; the shipped card names the tested ones.")


def build_reader(options: argparse.Namespace) -> None:
    set_threads(options.threads)
    config = dataclasses.replace(reader.CONFIG, steps=options.steps)
    with bar_of("step", config.steps) as bar:
        judged = reader.build(options.out, config, lambda progress: bar.update(), options.episodes, options.threads)
    print(f"{config.method}, {config.norm} norm, {config.steps} meta-steps -> {options.out / reader.FOLDER}")
    print(f"unseen scripts, {judged}")
