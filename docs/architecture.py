"""Draws `docs/architecture.svg` from the imports. Run it as `python docs/architecture.py`.

The layers come from the table in `docs/architecture.md`. The arrows come from the import statements of `amfs_lab`.
"""

import ast
import re
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PAGE, DRAWING, PACKAGE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.svg", ROOT / "amfs_lab"
WIDTH, LEFT, ROW, BOX = 1000, 36, 74, 34  # pixels: drawing width, left margin, height of a layer, height of a box
INK, PALE, LINE = "#24292F", "#EEF3F8", "#0072B2"

Imports = list[tuple[int, str]]  # line number, and the imported package or module on the first level of amfs_lab


def layers(page: str) -> list[list[str]]:
    """The names on each layer, lowest layer first, from the table's rows `| 3 | `name`, `name` | ... |`."""
    rows = re.findall(r"^\| *(\d+) *\| *((?:`[a-z_]+`(?:, )?)+) *\|", page, re.MULTILINE)
    found: dict[int, list[str]] = {}
    for number, names in rows:
        found.setdefault(int(number), []).extend(re.findall(r"`([a-z_]+)`", names))
    return [found[number] for number in sorted(found)]


def imports(source: str, module: str, is_package: bool) -> Imports:
    """All imports of `amfs_lab` in a source file, including imports inside functions and under TYPE_CHECKING.

    Args:
        module: dotted name of the source file, which is needed to resolve relative imports.
        is_package: True for an `__init__.py`.
    """
    here = module.split(".") if is_package else module.split(".")[:-1]
    found: Imports = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "amfs_lab" else [base]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "amfs_lab" and not rest.startswith("__version__"):
                found.append((node.lineno, rest.partition(".")[0]))
    return found


def graph(package: Path) -> dict[str, set[str]]:
    """The imports between packages or modules on the first level: for each name, the names that it imports."""
    found: dict[str, set[str]] = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        own = parts[1]
        if own == "__init__":
            continue
        module = ".".join(parts[:-1] if is_package else parts)
        names = {name for _, name in imports(file.read_text(encoding="utf-8"), module, is_package)}
        found.setdefault(own, set()).update(names - {own, ""})
    return found


def direct(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The transitive reduction: the arrows without each arrow that follows from a longer path."""

    def reachable(name: str) -> set[str]:
        return {below for other in arrows.get(name, ()) for below in {other} | reachable(other)}

    return {
        name: {other for other in others if not any(other in reachable(way) for way in others - {other})}
        for name, others in arrows.items()
    }


def draw(rows: list[list[str]], arrows: dict[str, set[str]]) -> str:
    """The SVG drawing: one row of boxes for each layer, highest layer on top, and one arrow for each direct import."""
    places: dict[str, tuple[float, float]] = {}
    boxes, lines = [], []
    for number, names in enumerate(reversed(rows)):
        step, y = (WIDTH - LEFT) / len(names), 10 + number * ROW
        label = len(rows) - 1 - number
        boxes.append(f'<text x="10" y="{y + 22}" fill="#6E7781">{label}</text>')
        for i, name in enumerate(names):
            wide, x = 9 * len(name) + 22, LEFT + (i + 0.5) * step
            places[name] = (x, y)
            boxes.append(
                f'<rect x="{x - wide / 2:.0f}" y="{y}" width="{wide}" height="{BOX}" rx="6" fill="{PALE}" '
                f'stroke="{INK}"/><text x="{x:.0f}" y="{y + 22}" text-anchor="middle">{escape(name)}</text>'
            )
    for name, others in arrows.items():
        for other in sorted(others):
            (x, y), (x2, y2) = places[name], places[other]
            bend = (y2 - y - BOX) / 2
            lines.append(
                f'<path d="M{x:.0f},{y + BOX} C{x:.0f},{y + BOX + bend:.0f} {x2:.0f},{y2 - bend:.0f} '
                f'{x2:.0f},{y2 - 2}" marker-end="url(#tip)"/>'
            )
    high = 10 + len(rows) * ROW
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" font-family="monospace" '
            f'font-size="14" fill="{INK}">',
            "<title>The packages of amfs_lab by layer, and what imports what</title>",
            '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3" orient="auto">',
            f'<path d="M0,0 L6,3 L0,6 z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{high}" fill="white"/>',
            f'<g fill="none" stroke="{LINE}" stroke-opacity="0.55" stroke-width="1.2">',
            *lines,
            "</g>",
            *boxes,
            "</svg>",
            "",
        ]
    )


def main() -> None:
    rows = layers(PAGE.read_text(encoding="utf-8"))
    DRAWING.write_text(draw(rows, direct(graph(PACKAGE))), encoding="utf-8")


if __name__ == "__main__":
    main()
