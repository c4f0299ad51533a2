"""How every explorer looks: a palette for all eyes, one figure template, one style sheet."""

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


CSS = """
.amfs-explorer { max-width: 1100px; padding: 2px 6px 6px 0; overflow: hidden; box-sizing: border-box; }
.amfs-title .widget-html-content { font-size: 15px; font-weight: 600; line-height: 1.4; }
.amfs-controls { gap: 4px 28px; }
.amfs-control { min-width: 0; }
.amfs-control .widget-label { overflow: visible; text-overflow: clip; text-align: left; }
.amfs-unit .widget-html-content, .amfs-help .widget-html-content
  { font-size: 12px; line-height: 1.3; color: var(--jp-ui-font-color2, #57606A); white-space: normal; }
.amfs-help { margin-top: -4px; }
.amfs-toolbar { gap: 6px; align-items: center; }
.amfs-say
  { font-size: 14px; line-height: 1.45; min-height: 4.2em; padding: 8px 12px; margin: 4px 0 0; box-sizing: border-box;
    border-left: 4px solid #0072B2; background: rgba(0, 114, 178, 0.07); color: var(--jp-content-font-color1, #24292F); }
.amfs-banner .widget-html-content > div
  { border-left: 6px solid #B3261E; background: #FDECEA; color: #7A1712; padding: 8px 12px; line-height: 1.45; white-space: normal; }
.amfs-predict { max-width: 860px; padding: 10px 14px 12px; border: 1px solid var(--jp-border-color2, #D0D7DE); border-radius: 6px; }
.amfs-question .widget-html-content { font-size: 15px; line-height: 1.45; white-space: normal; }
.amfs-explorer button:focus-visible, .amfs-predict button:focus-visible, .amfs-explorer .noUi-handle:focus-visible
  { outline: 3px solid #0072B2; outline-offset: 2px; }
"""
