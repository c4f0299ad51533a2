"""A table in Markdown, and the same table in LaTeX."""

from amfs_lab.markdown import latex_table, markdown_table


def test_latex_has_the_cells_of_the_markdown_table():
    table = markdown_table(["method", "5w1s", "5w5s"], [["i-amfs", "97.64 ± 0.34 %", "–"], ["a_b & c", "1 %", "#2"]])
    assert latex_table(table).splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"method & 5w1s & 5w5s \\",
        r"\midrule",
        r"i-amfs & 97.64 $\pm$ 0.34 \% & -- \\",
        r"a\_b \& c & 1 \% & \#2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
