"""How every explorer looks: a palette for all eyes, one figure template. (The page's own style is in `page.css`.)"""

from typing import Any

import plotly.graph_objects as go

# Okabe and Ito (2008): eight colours that stay apart for every common kind of colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, FAINT, GRID = "#24292F", "#6E7781", "#E7EAEE"

# No series is told by its colour alone: the n-th has a dash and a marker of its own as well.
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")

# White to blue, light up to 0.75, so that dark numbers can be read on most cells and white ones on the rest.
SIMILARITY = [[0.0, "#FFFFFF"], [0.5, "#C3DCEF"], [0.75, "#86B8DA"], [0.9, "#2B7AB3"], [1.0, "#00406B"]]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

_AXIS: dict[str, Any] = dict(
    showgrid=True,
    gridcolor=GRID,
    zeroline=False,
    showline=True,
    linecolor="#AEB6BF",
    ticks="outside",
    ticklen=4,
    tickcolor="#AEB6BF",
    title=dict(standoff=8, font=dict(size=13)),
)

TEMPLATE = go.layout.Template(
    layout=dict(
        font=dict(family=FONT, size=12, color=INK),
        paper_bgcolor="white",
        plot_bgcolor="white",
        colorway=list(COLORS),
        xaxis=_AXIS,
        yaxis=_AXIS,
        margin=dict(l=64, r=20, t=36, b=52),
        hoverlabel=dict(font=dict(family=FONT, size=12)),
        legend=dict(font=dict(size=12), bgcolor="rgba(255,255,255,0.85)"),
        annotationdefaults=dict(font=dict(size=13)),
    )
)


def series(n: int) -> dict[str, str]:
    """Colour, dash and marker of the n-th series of a figure."""
    return dict(color=COLORS[n % len(COLORS)], dash=DASHES[n % len(DASHES)], marker=MARKERS[n % len(MARKERS)])
