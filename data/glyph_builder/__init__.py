"""Builds `data/glyphs.npz`: a maintainer's tool, not part of the library."""
