"""A box below a notebook cell: one or two sentences, as HTML and as text, in the colours of the page theme."""

import html
import re
from typing import Any, NamedTuple

# Colour and first words of each kind. The text keeps the page's colour on a light tint, so every theme can show it.
LOOKS = {
    "right": ("#009E73", "rgba(0, 158, 115, 0.10)", "✓"),
    "wrong": ("#E69F00", "rgba(230, 159, 0, 0.12)", "Not yet."),
    "open": ("#6E7781", "rgba(110, 119, 129, 0.10)", "○"),
    "stopped": ("#6E7781", "rgba(110, 119, 129, 0.10)", "Stopped."),
}
STYLE = (
    "border-left: 4px solid {0}; background: {1}; color: inherit; padding: 8px 12px; margin: 4px 0; "
    "max-width: 860px; box-sizing: border-box; font-size: 14px; line-height: 1.45; overflow-wrap: anywhere"
)
CODE = "background: transparent; color: inherit; padding: 0; white-space: pre-wrap"


class Box(NamedTuple):
    """A message and its kind, which is a key of `LOOKS`. Words between backticks are shown as code."""

    kind: str
    words: str

    def __repr__(self) -> str:
        return f"{LOOKS[self.kind][2]} {self.words}"

    def _repr_html_(self) -> str:
        color, tint, mark = LOOKS[self.kind]
        words = re.sub(r"`([^`]+)`", rf'<code style="{CODE}">\1</code>', html.escape(self.words))
        box = f'<div class="amfs-verdict amfs-{self.kind}" role="status" style="{STYLE.format(color, tint)}">'
        return f"{box}<b>{mark}</b> {words}</div>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}, {"amfs_lab": {"verdict": self.kind}}
