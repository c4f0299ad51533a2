"""The data card of the glyphs: written from the data, never by hand."""

from pathlib import Path

from amfs_lab.tasks.glyphs import Glyphs


def card(glyphs: Glyphs, notes: dict, fonts: Path) -> str:
    """The card's Markdown."""
    return f"# Glyphs\n\n{len(glyphs.images)} characters, SHA-256 {notes['images_sha256']}\n"
