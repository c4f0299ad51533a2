"""Tables in Markdown, and the same tables in LaTeX."""

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with one line per row. The text does not end with a line break."""
    lines = [head, *rows]
    cells = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([cells[0], "|" + "---|" * len(head), *cells[1:]])


def latex_table(markdown: str) -> str:
    """The Markdown table as a LaTeX `tabular` with the rules of the package booktabs."""
    head, _, *lines = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in markdown.splitlines())
    body = [" & ".join(map(_latex, line)) + r" \\" for line in (head, *lines)]
    columns = "l" + "r" * (len(head) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex(cell: str) -> str:
    for mark, replacement in LATEX.items():
        cell = cell.replace(mark, replacement)
    return cell


LATEX = {
    "\\": r"\textbackslash{}",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
    "#": r"\#",
    "±": r"$\pm$",
    "–": "--",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
    "μ": r"$\mu$",
    "γ": r"$\gamma$",
}
