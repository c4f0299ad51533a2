"""The panels of a figure by name. Each panel has a position, a title and two axes.

panels = Panels(
    "fit filter / fit labels",  # two rows; `fit` is on the left and covers both
    widths=(0.58, 0.42),
    fit=Panel("data and fit", axis("x", (-3.3, 3.3)), axis("y", (-2.4, 2.4))),
    filter=Panel("share kept", axis("direction i"), axis("h(s<sub>i</sub>)", ticks=[0, 0.5, 1])),
    labels=Panel("labels", axis("direction i"), axis("|u<sub>i</sub>ᵀy|")),
)
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from amfs_lab.errors import ConfigError
from amfs_lab.widgets.controls import Number

Axis = Mapping[str, Any]


EQUAL_X: dict[str, Any] = dict(constrain="domain", showgrid=False)  # equal units on both axes, for a map or a matrix
EQUAL_Y: dict[str, Any] = EQUAL_X | dict(scaleanchor="x")


def axis(
    title: Any = None,
    range: Sequence[Number] | None = None,
    *,
    ticks: Sequence[Any] | Mapping[Any, str] | None = None,
    zero: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """An axis as a dictionary of plotly's properties. `more` has further properties.

    Args:
        range: both ends; on a logarithmic axis, their exponents of ten. zero: the colour of the line at 0.
        ticks: the tick values, or a mapping from tick value to label.
    """
    given: dict[str, Any] = {}
    if title is not None:
        given["title"] = title
    if range is not None:
        given["range"] = list(range)
    if ticks is not None:
        given["tickvals"] = list(ticks)
    if isinstance(ticks, Mapping):
        given["ticktext"] = list(ticks.values())
    if zero is not None:
        given |= dict(zeroline=True, zerolinecolor=zero)
    return given | more


def log_axis(*args: Any, **more: Any) -> dict[str, Any]:
    """A logarithmic axis, see `axis`."""
    return axis(*args, type="log", **more)


class Panel(NamedTuple):
    """One panel of a figure: its title and its two axes, as plotly's properties."""

    title: str = ""
    x: Axis = {}
    y: Axis = {}


class Panels(Mapping[str, Panel]):
    """The panels of a figure by name, numbered from 0 in reading order.

    Args:
        grid: the names of the panels, row by row; "/" ends a row, "." leaves a cell empty. A panel covers all cells
            with its name. By default all panels are in one row.
        widths, heights: relative sizes of the columns and rows.
        spacing: space between the columns and between the rows, in plotly's units.
    Raises:
        ConfigError: a grid that omits a panel or has an unknown name.
    """

    def __init__(
        self,
        grid: str = "",
        *,
        widths: Sequence[Number] = (),
        heights: Sequence[Number] = (),
        spacing: tuple[Number, Number] = (0.1, 0.25),
        **panels: Panel,
    ) -> None:
        self.cells = [row.split() for row in (grid or " ".join(panels)).split("/")]
        names = [name for name in dict.fromkeys(name for row in self.cells for name in row) if name != "."]
        if set(names) != set(panels) or len({len(row) for row in self.cells}) != 1:
            raise ConfigError(
                f"`grid` must have rows of equal length and name each of the panels {', '.join(panels)}. Got {grid!r}."
            )
        self._panels = {name: panels[name] for name in names}
        self.widths = list(widths or [1] * len(self.cells[0]))
        self.heights = list(heights or [1] * len(self.cells))
        self.spacing = spacing

    def __getitem__(self, name: str) -> Panel:
        return self._panels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._panels)

    def __len__(self) -> int:
        return len(self._panels)

    def number(self, name: str) -> int:
        """The number of a panel from 0; 0 for the name "". Raises ConfigError for an unknown name."""
        if name and name not in self._panels:
            raise ConfigError(f"A panel must be one of {', '.join(self)}. Got {name!r}.")
        return list(self).index(name) if name else 0

    def area(self, name: str) -> tuple[int, int, int, int]:
        """The first row and column of a panel, and the first row and column after the panel. Numbers start at 0."""
        rows, columns = zip(
            *((i, j) for i, row in enumerate(self.cells) for j, each in enumerate(row) if each == name), strict=True
        )
        return min(rows), min(columns), max(rows) + 1, max(columns) + 1

    def share(self, name: str) -> float:
        """The share of the figure's height that a panel takes."""
        row, _, end, _ = self.area(name)
        return sum(self.heights[row:end]) / sum(self.heights)

    def subplots(self) -> dict[str, Any]:
        """The arguments of plotly's `make_subplots`."""
        specs: list[list[Any]] = [[None] * len(row) for row in self.cells]
        for name in self:
            row, column, row_end, column_end = self.area(name)
            specs[row][column] = dict(rowspan=row_end - row, colspan=column_end - column)
        return dict(
            rows=len(self.heights),
            cols=len(self.widths),
            specs=specs,
            column_widths=self.widths,
            row_heights=self.heights,
            horizontal_spacing=self.spacing[0],
            vertical_spacing=self.spacing[1],
            subplot_titles=[panel.title for panel in self._panels.values()],
        )

    def layout(self) -> dict[str, Axis]:
        """All axes by plotly's layout names. `scaleanchor="x"` means the x axis of the same panel."""
        axes = {}
        for n, panel in enumerate(self._panels.values()):
            for letter, settings in zip("xy", panel[1:], strict=True):
                own = dict(settings)
                if "scaleanchor" in own:
                    own["scaleanchor"] += number(n)
                axes[f"{letter}axis{number(n)}"] = own
        return axes

    def path(self, place: str) -> tuple[int, str]:
        """The number of the panel and plotly's layout path, for a property such as "panel.x.range" or "panel.title"."""
        name, _, prop = place.partition(".")
        head, dot, rest = prop.partition(".")
        return self.number(name), "title.text" if head == "title" else f"{head}axis{dot}{rest}"

    def titled(self) -> Collection[int]:
        """The numbers of the panels with a title; plotly has one annotation for each title."""
        return [n for n, panel in enumerate(self._panels.values()) if panel.title]


def number(n: int) -> str:
    """The suffix that plotly gives the axes of panel `n`: "" for 0, "2" for 1."""
    return str(n + 1) if n else ""
