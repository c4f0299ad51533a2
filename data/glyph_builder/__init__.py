"""The builder of `data/glyphs.npz`, a tool for maintainers. It is not part of the library."""
