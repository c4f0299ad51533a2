"""The teaching guide docs/teaching.md, generated from the solved lessons and from their outputs.

`python3 run.py notebooks --guide` runs each solved lesson once and writes the page. This run gives the correct option
of each question and the output of each check. A question without reasons for its options is open: its answer depends on
the student's machine, so the guide gives no answer.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent / "docs" / "teaching.md"
CELL_SECONDS = 120

# Runs in the kernel before the lesson: records every question, even without a variable and without display.
RECORD = """
import amfs_lab.explore
from amfs_lab.widgets.predict import Prediction
_asked, _ask = [], Prediction.__init__
def _recording(self, *args, **kwargs):
    _ask(self, *args, **kwargs)
    _asked.append(self)
Prediction.__init__ = _recording
"""

# Runs in the kernel after the lesson, because some correct options depend on the results of the lesson.
REPORT = """
import json
print(json.dumps([
    {"question": each.question, "options": each.options, "because": each.because, "key": each._key()}
    for each in _asked
]))
"""

HEAD = """\
# Teaching with amfs_lab

This page is for you, not for the class: it has the answers. It is generated from the lessons and from a run of
each (`python3 run.py notebooks --guide`). To change the text, edit the lesson in `notebooks/source`.

**Before a lesson**, run its solved version (`python3 run.py lab --solutions`) and move each slider once. **At a
prediction**, let everybody choose and say why before anyone clicks. Do not give the reasons on this page earlier: the
notebook shows them after a wrong choice. **At an exercise**, its check recognises common mistakes and
explains them. Let students read its message first. **At the end**, "What we claimed" lists the results of the lesson;
the cell below each result proves it. Use "Where this breaks" for a discussion.

The minutes are a guess for a student who works alone. With a class that discusses, plan for twice as many.
"""

GRADING = """\
## Grading

A check runs in the kernel that the student's cells have run in. This is sufficient for practice. But a student can
get points without solving the exercise, and the grade does not show it:

- `os.environ.pop("NBGRADER_EXECUTION")` in any cell shows every wrong answer as a message in a box, which costs no
  points. If your own grader sets `AMFS_LAB_CHECKS`, `os.environ.pop("AMFS_LAB_CHECKS")` does the same;
- `checks.kernels.rbf_kernel = my_rbf` replaces the correct kernel, so that answers are compared with a wrong one, and
  `checks.rbf = print` makes the check accept every answer;
- a file beside the notebook, such as `torch.py`, is imported in the place of the installed package of that name;
- the right numbers are in `amfs_lab/checks`, where a student can read them.

If the points are part of a grade:

1. **Your copy.** Run the answers in a fresh environment that you made from your own copy of the course. Take only the
   notebook from what a student sends, and let your grader restore the cells of the checks.
2. **A container**, without network and without your files: a notebook is a program and runs with your user rights.
3. **Read all cells that the student has changed or added.** No answer needs `import`, `environ`, `checks`, `setattr`,
   `exec`, `eval`, `open` or a name with two underscores. Search the cells for them. This finds simple tricks, but not
   all of them.
4. **For an exam**, ask in person why an answer is right. No check asks that.
"""


class GuideError(Exception):
    """An error in a lesson that stops the guide. The message has the lesson, what is expected, and what was found."""


# --- Running a lesson -----------------------------------------------------------------------------


def run(notebook: NotebookNode, before: str = "", after: str = "", root: Path = HERE.parent) -> NotebookNode:
    """Executes a notebook in a kernel of this Python, in fast mode, up to the first error. Returns it with outputs.

    Args:
        before, after: code of one additional cell before and one after the lesson.
        root: the folder of the project or of a hand-out. The kernel imports the library from there.
    """
    cells = [nbformat.v4.new_code_cell(source) for source in (before, after)]
    notebook.cells = [cells[0], *notebook.cells, cells[1]]
    env = {
        **os.environ,
        "AMFS_LAB_FAST": "1",
        "AMFS_LAB_CHECKS": "raise",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(root),
    }
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # not a kernel with that name in the home folder
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(root / "notebooks")}}
    )
    client.execute(env=env)
    return notebook


def printed(cell: NotebookNode) -> str:
    """The printed output of a cell. Boxes become text."""
    return "".join(each.get("text") or f"{each.get('data', {}).get('text/plain', '')}\n" for each in cell.outputs)


# --- The section of a lesson ----------------------------------------------------------------------


def section(name: str, performed: NotebookNode) -> str:
    """The section of a lesson, made from its solved notebook after `run(notebook, RECORD, REPORT)`."""
    cells, asked = performed.cells[1:-1], json.loads(printed(performed.cells[-1]))
    title, goals, terms, *opening = paragraphs(cells[0].source)
    under = dict(chapters(cells))
    parts = [
        f"#{title}",
        f"[lesson](../notebooks/{name}.ipynb) · [solved](../notebooks/solutions/{name}.ipynb) · {terms}",
        goals,
        *opening,
        "**Outline:** " + " → ".join(list(under)[1 : list(under).index("Exercises")]),
        "### Predictions",
        *predictions(name, under, asked),
        "### Exercises",
        *exercises(name, cells),
        "### What we claimed",
        "\n".join(claims(under["What we claimed"])),
        "### Where this breaks",
        "\n".join(breaks(under["Where this breaks"])),
    ]
    return "\n\n".join(parts) + "\n"


def paragraphs(text: str) -> list[str]:
    return [block for block in re.split(r"\n\s*\n", text.strip()) if block]


def chapters(cells: Iterable[NotebookNode]) -> Iterator[tuple[str, list[NotebookNode]]]:
    """Each `##` heading with its cells. The cells before the first heading have the heading ""."""
    heading, inside = "", []
    for cell in cells:
        found = re.search(r"^## (.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        if found:
            yield heading, inside
            heading, inside = found[1], []
        inside.append(cell)
    yield heading, inside


def predictions(name: str, under: dict[str, list[NotebookNode]], asked: list[dict]) -> Iterator[str]:
    """Each question with its options, the correct option first, and the reason that students read for each."""
    places = [heading for heading, cells in under.items() for cell in cells if "widgets.predict(" in cell.source]
    if len(places) != len(asked):
        raise GuideError(f"{name}: each question must have a cell. Got {len(places)} cells for {len(asked)} questions.")
    for number, (place, each) in enumerate(zip(places, asked, strict=True), start=1):
        where = f"under “{place}”" if place else "at the start"
        yield f"**{number}. {each['question']}** ({where})"
        if not each["because"]:
            yield f"Open: {' / '.join(each['options'])}. It is measured anew in each run, so there is no key."
            continue
        if each["key"] is None:
            raise GuideError(f"{name}: each question must have an answer at the end. Got none: {each['question']}")
        order = sorted(each["options"], key=lambda option: option != each["key"])  # other options keep their order
        marks = {option: f"✓ **{option}**" if option == each["key"] else f"*{option}*" for option in order}
        yield "\n".join(
            f"- {mark}: {each['because'].get(option, 'no reason is given')}" for option, mark in marks.items()
        )


def exercises(name: str, cells: list[NotebookNode]) -> Iterator[str]:
    """Each exercise: its task, its solution, and the output of its check."""
    for cell in cells:
        kind = (cell.cell_type, *cell.metadata.get("tags", []))
        if kind == ("markdown", "exercise"):
            heading, text = re.split(r"^### ", cell.source, flags=re.MULTILINE)[-1].split("\n", 1)
        elif kind == ("code", "exercise"):
            answer = re.sub(r"^\s*### (BEGIN|END) SOLUTION\n?", "", cell.source, flags=re.MULTILINE).rstrip()
        elif kind == ("code", "check"):
            if not printed(cell).startswith("✓ "):
                raise GuideError(f"{name}: {heading}: the check must pass. Got {printed(cell).strip()!r}.")
            points = cell.metadata.nbgrader.points
            yield f"**{heading}** ({points} {'point' if points == 1 else 'points'})"
            yield text.strip()
            yield f"```python\n{answer}\n```"
            yield printed(cell).strip()


def claims(cells: list[NotebookNode]) -> Iterator[str]:
    """The claims of a lesson, each followed by the comments of the assert statements that prove it."""
    for cell in cells:
        if cell.cell_type == "markdown":
            yield from (item(text) for text in paragraphs(cell.source) if not text.startswith("#"))
        else:
            words = re.findall(r"^ *assert .*  # (.+?),?$", cell.source, re.MULTILINE)
            if words:
                yield "  - " + "; ".join(words)


def breaks(cells: list[NotebookNode]) -> Iterator[str]:
    """The paragraphs that begin in bold, each of which describes a failure. Without any, the first paragraph."""
    texts = [text for cell in cells if cell.cell_type == "markdown" for text in paragraphs(cell.source)]
    texts = [text for text in texts if not text.startswith("#")]
    yield from map(item, [text for text in texts if text.startswith("**")] or texts[:1])


def item(text: str) -> str:
    return "- " + text.replace("\n", "\n  ")


# --- The page -------------------------------------------------------------------------------------


def plan(solutions: dict[str, NotebookNode]) -> str:
    """A table with a row for each lesson: minutes, requirements, number of predictions, points."""
    rows, total = ["| lesson | minutes | needs | predictions | points |", "|---|---|---|---|---|"], 0
    for notebook in solutions.values():
        title, _, terms, *_ = paragraphs(notebook.cells[0].source)
        found = re.match(r"(\d+) minutes · needs: (.+) · runs offline", terms.replace("\n", " "))
        if found is None:
            raise GuideError(f"{title}: expected `N minutes · needs: ... · runs offline in ...`. Got `{terms}`.")
        asked = sum("widgets.predict(" in cell.source for cell in notebook.cells)
        points = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)
        rows.append(f"| {title.lstrip('# ')} | {found[1]} | {found[2]} | {asked} | {points} |")
        total += int(found[1])
    return "\n".join(rows) + f"\n\nTogether {total} minutes.\n"


def page(solutions: dict[str, NotebookNode], sections: Iterable[str]) -> str:
    return "\n".join([HEAD, plan(solutions), GRADING, *sections])


def guide(solutions: dict[str, str]) -> str:
    """The page, made from the text of each solved notebook. Runs all notebooks."""
    sections = []
    for name, text in solutions.items():
        print(f"running {name}", flush=True)
        try:
            sections.append(section(name, run(nbformat.reads(text, 4), RECORD, REPORT)))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            why = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else error
            raise GuideError(f"{name} must run without an error. Got {why}. The guide was not written.") from None
    return page({name: nbformat.reads(text, 4) for name, text in solutions.items()}, sections)


# --- Drift ----------------------------------------------------------------------------------------


def comparable(text: str) -> str:
    """The text without the numbers in outputs of checks, because their last digits may differ between machines."""
    return re.sub(r"^✓ .*$", lambda line: re.sub(r"\d+([.,]\d+)?", "#", line[0]), text, flags=re.MULTILINE)


def split(text: str) -> dict[str, str]:
    """The parts of the page. The key of the first part is "", and the key of a lesson's section is its number."""
    first, *rest = re.split(r"\n(?=## \d\d · )", text)
    return {"": first} | {part[3:5]: part for part in rest}
