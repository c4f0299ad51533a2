"""Builds two notebooks from each lesson's source: one for students and a solved one.

    notebooks/source/NN_title.py  ->  notebooks/NN_title.ipynb            exercises unsolved, no outputs
                                      notebooks/solutions/NN_title.ipynb  solved, no outputs

    python notebooks/build.py                 write the notebooks that have changed
    python notebooks/build.py --check         write nothing; exit 1 and name each notebook that is out of date
    python notebooks/build.py --guide         also write docs/teaching.md, from a run of each lesson (one minute)
    python notebooks/build.py --students DIR  write a hand-out: a self-contained folder without solutions

A source has the format py:percent. A cell has no tag or one of these two:

    exercise   markdown: the task, with a heading `### Exercise 2 · in code`;
               code: the answer, with its solution between `### BEGIN SOLUTION` and `### END SOLUTION`.
               Inside a function the solution becomes `raise NotImplementedError`;
               at the top level every `name = value` becomes `name = ...`
    check      code: the self-check of the answer above; the cell can set its points (default `points=1`)

The code cell of a question (`widgets.predict`) is collapsed, because it contains the answer.
"""

import argparse
import hashlib
import os
import re
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

import guide
import handout
import jupytext
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
QUESTION = "widgets.predict("
TAGS = ("exercise", "check")
NAME = re.compile(r"\d\d_[a-z0-9_]+")
HEADING = re.compile(r"^### Exercise (\d+) · (by hand|in code|explore)$", re.MULTILINE)
ASSIGNMENT = re.compile(r"(\s*)([A-Za-z_]\w*)\s*=[^=]")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class BuildError(Exception):
    """An error in a lesson's source. The message says: file, cell, expected, got."""


@dataclass
class Lesson:
    """The two notebooks that are built from one source."""

    name: str
    student: str
    solution: str


@dataclass
class Exercises:
    """State of a lesson's exercises: checks the order task, answer, check, and gives each answer its grade_id."""

    number: str
    open: str | None = None
    answered: bool = False
    seen: list[str] = field(default_factory=list)

    def task(self, source: str) -> None:
        heading = HEADING.search(source)
        if heading is None:
            raise BuildError(
                "expected a heading like `### Exercise 2 · in code` (or `by hand`, `explore`) "
                "in a markdown cell tagged `exercise`"
            )
        self.finish()
        if heading[1] in self.seen:
            raise BuildError(f"exercise {heading[1]} appears twice; number the exercises 1, 2, 3")
        self.open, self.answered = heading[1], False
        self.seen.append(heading[1])

    def answer(self) -> dict:
        if self.open is None:
            raise BuildError("an answer stands without its task; put a markdown cell tagged `exercise` before it")
        if self.answered:
            raise BuildError(f"exercise {self.open} has two answer cells; one is expected")
        self.answered = True
        return self.metadata("answer", grade=False, solution=True, locked=False)

    def check(self, points: int) -> dict:
        if self.open is None or not self.answered:
            raise BuildError("a check stands without an answer; put a code cell tagged `exercise` before it")
        metadata = self.metadata("check", grade=True, solution=False, locked=True) | {"points": points}
        self.open = None
        return metadata

    def finish(self) -> None:
        if self.open is not None:
            raise BuildError(
                f"exercise {self.open} ends without a check; follow its answer by a code cell tagged `check`"
            )

    def metadata(self, part: str, grade: bool, solution: bool, locked: bool) -> dict:
        grade_id = f"lesson-{self.number}-exercise-{self.open}-{part}"
        kind = {"grade": grade, "solution": solution, "locked": locked, "task": False}
        return kind | {"grade_id": grade_id, "schema_version": 3}


def unsolved(source: str) -> str:
    """The answer cell of the student's notebook, without the solution."""
    kept: list[str] = []
    block: list[str] | None = None
    for line in source.split("\n"):
        marker = line.strip()
        if marker == BEGIN:
            if block is not None:
                raise BuildError(f"a second `{BEGIN}` before `{END}`")
            block, indent = [], line[: len(line) - len(line.lstrip())]
        elif marker == END:
            if block is None:
                raise BuildError(f"`{END}` without a `{BEGIN}` before it")
            kept += [f"{indent}raise NotImplementedError  # your code"] if indent else [blank(each) for each in block]
            block = None
        elif block is None:
            kept.append(line)
        elif marker:
            block.append(line)
    if block is not None:
        raise BuildError(f"`{BEGIN}` without an `{END}` after it")
    return "\n".join(kept)


def blank(line: str) -> str:
    """The line `name = value` with dots in place of the value; the student replaces them."""
    found = ASSIGNMENT.match(line)
    if found is None or found[1]:
        raise BuildError(
            f"at the top level a solution is made of lines `name = value`. Got `{line.strip()}`; "
            "move it into a function"
        )
    return f"{found[2]} = ...  # your answer"


def cells(text: str, number: str) -> tuple[list[NotebookNode], list[NotebookNode]]:
    """The cells of the student's notebook and of the solved one."""
    student, solution = [], []
    exercises, ids = Exercises(number), set()
    if not text.startswith("# %%"):
        raise BuildError("a source begins with `# %% [markdown]`, the header of the lesson")
    try:
        for cell in jupytext.reads(text, fmt="py:percent").cells:
            metadata, points = label(cell)
            tags = metadata.get("tags", [])
            marked = BEGIN in cell.source or END in cell.source
            if marked and (cell.cell_type != "code" or tags != ["exercise"]):
                raise BuildError("solution markers stand in a cell that is no answer; tag the code cell `exercise`")
            shown = cell.source
            if tags == ["exercise"] and cell.cell_type == "markdown":
                exercises.task(cell.source)
            elif tags == ["exercise"]:
                metadata["nbgrader"] = exercises.answer()
                if not marked:
                    raise BuildError(f"an answer cell without `{BEGIN}` and `{END}`: there is nothing to solve")
                shown = unsolved(cell.source)
            elif tags == ["check"]:
                metadata["nbgrader"] = exercises.check(points)
            if cell.cell_type == "code" and QUESTION in cell.source:
                metadata["jupyter"] = {"source_hidden": True}
            identity = fixed_id(cell, ids)
            student.append(make(cell.cell_type, shown, metadata, identity))
            solution.append(make(cell.cell_type, cell.source, metadata, identity))
        exercises.finish()
    except BuildError as error:
        raise BuildError(f"cell {len(student) + 1}: {error}") from None
    return student, solution


def label(cell: NotebookNode) -> tuple[dict, int]:
    """The cell's tags, checked, and its points."""
    if cell.cell_type not in ("code", "markdown"):
        raise BuildError(f"expected a code or markdown cell. Got a {cell.cell_type} cell")
    if not cell.source.strip():
        raise BuildError("the cell is empty; delete it")
    metadata = dict(cell.metadata)
    metadata.pop("lines_to_next_cell", None)  # added by jupytext
    tags, points = metadata.pop("tags", []), metadata.pop("points", None)
    if metadata:
        raise BuildError(
            f"expected `tags` and `points` on the cell's `# %%` line. Got {', '.join(map(repr, metadata))}"
        )
    if tags and (len(tags) != 1 or tags[0] not in TAGS):
        raise BuildError(f"expected one tag of {', '.join(TAGS)}. Got {', '.join(tags)}")
    if tags == ["check"] and cell.cell_type != "code":
        raise BuildError("a cell tagged `check` is a code cell. Got markdown")
    if points is not None and (tags != ["check"] or not isinstance(points, int) or points < 0):
        raise BuildError("`points` is a whole number >= 0 and stands on a cell tagged `check`")
    return ({"tags": tags} if tags else {}), 1 if points is None else points


def fixed_id(cell: NotebookNode, taken: set[str]) -> str:
    """An id from the content of the cell: equal on every machine, and unchanged when other cells are inserted."""
    for repeat in range(len(taken) + 1):
        digest = hashlib.sha256(f"{cell.cell_type}\n{repeat}\n{cell.source}".encode()).hexdigest()[:8]
        if digest not in taken:
            break
    taken.add(digest)
    return digest


def make(kind: str, source: str, metadata: dict, identity: str) -> NotebookNode:
    new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    return new(source=source, metadata=dict(metadata), id=identity)


def write(parts: list[NotebookNode]) -> str:
    notebook = nbformat.v4.new_notebook(cells=parts, metadata=METADATA)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def build(folder: Path = HERE) -> list[Lesson]:
    """All lessons under `folder`/source, in order. Writes nothing."""
    sources = sorted((folder / "source").glob("*.py"))
    if not sources:
        raise BuildError(f"expected lessons in {folder / 'source'}. Got none")
    lessons = []
    for path in sources:
        try:
            if not NAME.fullmatch(path.stem):
                raise BuildError("a source is called NN_title.py, in small letters, digits and underscores")
            student, solution = cells(path.read_text(encoding="utf-8").replace("\r\n", "\n"), path.stem[:2])
            lessons.append(Lesson(path.stem, write(student), write(solution)))
        except BuildError as error:
            raise BuildError(f"{path.name}: {error}") from None
    return lessons


def targets(lessons: list[Lesson], folder: Path = HERE) -> dict[Path, str]:
    """The up-to-date content of each notebook, by path."""
    student = {folder / f"{lesson.name}.ipynb": lesson.student for lesson in lessons}
    return student | {folder / "solutions" / f"{lesson.name}.ipynb": lesson.solution for lesson in lessons}


def drift(folder: Path = HERE) -> list[str]:
    """Differences between the sources and the notebooks, one sentence each."""
    wanted = targets(build(folder), folder)
    there = set(folder.glob("*.ipynb")) | set((folder / "solutions").glob("*.ipynb"))
    found = [f"{path.relative_to(folder)} has no source" for path in sorted(there - wanted.keys())]
    for path, text in wanted.items():
        if path not in there:
            found.append(f"{path.relative_to(folder)} is missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{path.relative_to(folder)} differs from its source")
    return found


def differs(path: Path, wanted: str | bytes) -> bool:
    """True if the file is missing or has other content. Line ends are ignored in text."""
    if not path.is_file():
        return True
    there = path.read_bytes()
    return there != wanted if isinstance(wanted, bytes) else there.replace(b"\r\n", b"\n") != wanted.encode()


def save(wanted: dict[Path, str] | dict[Path, bytes]) -> list[Path]:
    """Writes the files that have changed and returns their paths.

    A file is replaced as a whole or not at all. Links are not followed.
    """
    changed = [path for path, content in wanted.items() if differs(path, content)]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = wanted[path]
        beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
        try:
            with beside.open("xb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    return changed


def refuse_to_overwrite(wanted: dict[Path, bytes]) -> None:
    """Raises BuildError if a path is a link or a file with other content, which may be a student's work."""
    for path, content in wanted.items():
        if os.path.lexists(path) and (path.is_symlink() or differs(path, content)):
            raise BuildError(f"{path} is there already and differs. Name an empty folder.")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="notebooks/build.py", description="Builds the lessons from notebooks/source.")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook is out of date")
    task.add_argument("--guide", action="store_true", help="write docs/teaching.md too, from a run of each lesson")
    task.add_argument(
        "--students", metavar="DIR", type=Path, help="write a folder that works on its own, without solutions, to DIR"
    )
    options = parser.parse_args(arguments)
    try:
        if options.check:
            stale = drift()
            print("\n".join(stale) or "every notebook matches its source")
            if stale:
                print("the sources are what counts: run `python3 run.py notebooks`")
            return 1 if stale else 0
        lessons = build()
        if options.students:
            files = handout.hand_out({lesson.name: lesson.student for lesson in lessons})
            wanted = {options.students / path: content for path, content in files.items()}
            refuse_to_overwrite(wanted)
            print(f"wrote {len(save(wanted))} files into {options.students.absolute()}: a course that works on its own")
            return 0
        changed = save(targets(lessons))
        if options.guide:
            changed += save({guide.PLACE: guide.guide({lesson.name: lesson.solution for lesson in lessons})})
    except (BuildError, guide.GuideError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print("\n".join(f"wrote {path}" for path in changed) or "every notebook matches its source")
    return 0


if __name__ == "__main__":
    sys.exit(main())
