"""The style of every explorer: a colour-blind-safe palette, the looks of tasks, and the figure template.

(The CSS of the page is in `page.css`.)
"""

from typing import Any, NamedTuple

import plotly.graph_objects as go

# Okabe and Ito (2008): eight colours that can be distinguished with every common kind of colour vision. Orange and sky
# blue are darker here, for a contrast of 3 on white. Yellow has less contrast, and therefore always a dark rim.
BLACK, ORANGE, SKY, GREEN = "#000000", "#C98500", "#3E9BD6", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
WINE = "#882255"  # of Tol's muted palette, for methods that no explorer shows
INK, FAINT, GRAY, GRID = "#24292F", "#6E7781", "#AEB6BF", "#E7EAEE"

# No series is identified by its colour alone: the n-th series also has its own dash and marker.
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "12px,2px,2px,2px,2px,2px")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")


class Look(NamedTuple):
    """The look of a method, rule or task in figures: its colour, and the dash, marker and pattern of its traces."""

    color: str
    dash: str
    marker: str
    pattern: str = ""


# One look for each task, in every figure. The looks of methods and rules are in `amfs_lab.methods`.
TASKS = (Look(SKY, "solid", "circle"), Look(YELLOW, "solid", "square", "/"), Look(PURPLE, "solid", "diamond", "x"))

# White to blue, light up to 0.75: dark numbers are readable on most cells and white numbers on the rest.
SIMILARITY = [[0.0, "#FFFFFF"], [0.5, "#D3E5F3"], [0.75, "#A6CCE6"], [0.9, "#2B7AB3"], [1.0, "#00406B"]]

# Each colour of a light page and its replacement on a dark page.
NIGHT = {
    BLACK: "#E6EDF3",
    INK: "#E6EDF3",
    FAINT: "#9DA7B1",
    GRID: "#2D333B",
    GRAY: "#6B7580",
    "white": "#111111",
    "#FFFFFF": "#111111",
    WINE: "#D2709F",
    BLUE: "#4DA3DB",
    "#D3E5F3": "#12304A",
    "#A6CCE6": "#1D4F7A",
    "#2B7AB3": "#4E9AD0",
    "#00406B": "#B9DCF5",
    "#C9D3DE": "#3A4656",
    "#EEF3F8": "#1A2129",
    "#AFC0D2": "#45586C",
}

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

_AXIS: dict[str, Any] = dict(
    showgrid=True,
    gridcolor=GRID,
    zeroline=False,
    showline=True,
    linecolor=GRAY,
    ticks="outside",
    ticklen=4,
    tickcolor=GRAY,
    ticklabeloverflow="allow",  # so that plotly.js need not measure each label at each drawing
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
