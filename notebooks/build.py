"""Builds two notebooks from the source of each lesson: one for students and one with solutions.

    notebooks/source/NN_title.py  ->  notebooks/NN_title.ipynb            exercises unsolved, no outputs
                                      notebooks/solutions/NN_title.ipynb  solved, no outputs

    python notebooks/build.py                 write the notebooks that have changed
    python notebooks/build.py --check         write nothing; exit 1 and name each notebook that is out of date
    python notebooks/build.py --guide         also write docs/teaching.md, from a run of each lesson (one minute)
    python notebooks/build.py --students DIR  write a hand-out: a complete folder without solutions

A source has the format py:percent. A cell has no tag, or one of these two tags:

    exercise   markdown cell: the task, with a heading `### Exercise 2 · in code`;
               code cell: the answer, with the solution between `### BEGIN SOLUTION` and `### END SOLUTION`.
               In the student's notebook, a solution in a function becomes `raise NotImplementedError`,
               and each line `name = value` of a solution outside a function becomes `name = ...`
    check      code cell: the self-check of the answer above. The cell can set points (default `points=1`)

The code cell of a question (`widgets.predict`) is collapsed, because its code contains the answer.
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
    """An error in a lesson's source. The message has the file, the cell, what is expected, and what was found."""


@dataclass
class Lesson:
    """The text of the two notebooks that are built from one source."""

    name: str
    student: str
    solution: str


@dataclass
class Exercises:
    """The exercises of a lesson so far. Checks the order task, answer, check, and makes the metadata for nbgrader."""

    number: str
    open: str | None = None
    answered: bool = False
    seen: list[str] = field(default_factory=list)

    def task(self, source: str) -> None:
        heading = HEADING.search(source)
        if heading is None:
            raise BuildError(
                "a markdown cell tagged `exercise` must have a heading like `### Exercise 2 · in code` "
                "(or `by hand`, `explore`). Got none"
            )
        self.finish()
        if heading[1] in self.seen:
            raise BuildError(f"exercise {heading[1]} appears twice. Number the exercises 1, 2, 3")
        self.open, self.answered = heading[1], False
        self.seen.append(heading[1])

    def answer(self) -> dict:
        if self.open is None:
            raise BuildError("an answer must follow its task. Put a markdown cell tagged `exercise` before it")
        if self.answered:
            raise BuildError(f"exercise {self.open} must have one answer cell. Got two. Remove one tag")
        self.answered = True
        return self.metadata("answer", grade=False, solution=True, locked=False)

    def check(self, points: int) -> dict:
        if self.open is None or not self.answered:
            raise BuildError("a check must follow an answer. Put a code cell tagged `exercise` before it")
        metadata = self.metadata("check", grade=True, solution=False, locked=True) | {"points": points}
        self.open = None
        return metadata

    def finish(self) -> None:
        if self.open is not None:
            raise BuildError(
                f"exercise {self.open} must end in a check. Got none. Put a code cell tagged `check` after its answer"
            )

    def metadata(self, part: str, grade: bool, solution: bool, locked: bool) -> dict:
        grade_id = f"lesson-{self.number}-exercise-{self.open}-{part}"
        kind = {"grade": grade, "solution": solution, "locked": locked, "task": False}
        return kind | {"grade_id": grade_id, "schema_version": 3}


def unsolved(source: str) -> str:
    """The source of an answer cell without its solution, for the student's notebook."""
    kept: list[str] = []
    block: list[str] | None = None
    for line in source.split("\n"):
        marker = line.strip()
        if marker == BEGIN:
            if block is not None:
                raise BuildError(f"`{END}` must follow `{BEGIN}`. Got a second `{BEGIN}`")
            block, indent = [], line[: len(line) - len(line.lstrip())]
        elif marker == END:
            if block is None:
                raise BuildError(f"`{BEGIN}` must stand before `{END}`. Got none")
            kept += [f"{indent}raise NotImplementedError  # your code"] if indent else [blank(each) for each in block]
            block = None
        elif block is None:
            kept.append(line)
        elif marker:
            block.append(line)
    if block is not None:
        raise BuildError(f"`{END}` must stand after `{BEGIN}`. Got none")
    return "\n".join(kept)


def blank(line: str) -> str:
    """The line `name = ...`, made from `name = value`. The student replaces the dots."""
    found = ASSIGNMENT.match(line)
    if found is None or found[1]:
        raise BuildError(
            f"a solution outside a function must have only lines `name = value`. Got `{line.strip()}`. "
            "Move it into a function"
        )
    return f"{found[2]} = ...  # your answer"


def cells(text: str, number: str) -> tuple[list[NotebookNode], list[NotebookNode]]:
    """The cells of the student's notebook, and the cells of the solved notebook."""
    student, solution = [], []
    exercises, ids = Exercises(number), set()
    if not text.startswith("# %%"):
        raise BuildError("a source must begin with `# %% [markdown]` and the header of the lesson. Add them")
    try:
        for cell in jupytext.reads(text, fmt="py:percent").cells:
            metadata, points = label(cell)
            tags = metadata.get("tags", [])
            marked = BEGIN in cell.source or END in cell.source
            if marked and (cell.cell_type != "code" or tags != ["exercise"]):
                raise BuildError("only an answer may have solution markers. Tag the code cell `exercise`")
            shown = cell.source
            if tags == ["exercise"] and cell.cell_type == "markdown":
                exercises.task(cell.source)
            elif tags == ["exercise"]:
                metadata["nbgrader"] = exercises.answer()
                if not marked:
                    raise BuildError(f"an answer must have `{BEGIN}` and `{END}`. Add them around the solution")
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
    """The checked tags of a cell, as metadata, and its points."""
    if cell.cell_type not in ("code", "markdown"):
        raise BuildError(f"a cell must be a code or markdown cell. Got a {cell.cell_type} cell")
    if not cell.source.strip():
        raise BuildError("a cell must not be empty. Delete it")
    metadata = dict(cell.metadata)
    metadata.pop("lines_to_next_cell", None)  # added by jupytext
    tags, points = metadata.pop("tags", []), metadata.pop("points", None)
    if metadata:
        raise BuildError(
            f"the `# %%` line of a cell may set only `tags` and `points`. Got {', '.join(map(repr, metadata))}"
        )
    if tags and (len(tags) != 1 or tags[0] not in TAGS):
        raise BuildError(f"a cell may have one tag, one of {', '.join(TAGS)}. Got {', '.join(tags)}")
    if tags == ["check"] and cell.cell_type != "code":
        raise BuildError("a cell tagged `check` must be a code cell. Got a markdown cell")
    if points is not None and (tags != ["check"] or not isinstance(points, int) or points < 0):
        raise BuildError(f"`points` must be an integer >= 0 on a cell tagged `check`. Got {points!r}")
    return ({"tags": tags} if tags else {}), 1 if points is None else points


def fixed_id(cell: NotebookNode, taken: set[str]) -> str:
    """An id made from the content of the cell. It is equal on every machine, and inserting other cells keeps it."""
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
    """All lessons in `folder`/source, sorted by name. Writes no file."""
    sources = sorted((folder / "source").glob("*.py"))
    if not sources:
        raise BuildError(f"expected lessons in {folder / 'source'}. Got none")
    lessons = []
    for path in sources:
        try:
            if not NAME.fullmatch(path.stem):
                raise BuildError("a source must be named like 01_title.py: lower-case letters, digits and underscores")
            student, solution = cells(path.read_text(encoding="utf-8").replace("\r\n", "\n"), path.stem[:2])
            lessons.append(Lesson(path.stem, write(student), write(solution)))
        except BuildError as error:
            raise BuildError(f"{path.name}: {error}") from None
    return lessons


def targets(lessons: list[Lesson], folder: Path = HERE) -> dict[Path, str]:
    """The content that each notebook must have, by path."""
    student = {folder / f"{lesson.name}.ipynb": lesson.student for lesson in lessons}
    return student | {folder / "solutions" / f"{lesson.name}.ipynb": lesson.solution for lesson in lessons}


def drift(folder: Path = HERE) -> list[str]:
    """The differences between sources and notebooks, with one sentence for each."""
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

    A file is replaced completely or not at all. Links are not followed.
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
            raise BuildError(f"a hand-out must not overwrite files. Got {path}, which exists. Name an empty folder.")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="notebooks/build.py", description="Builds the lessons from notebooks/source.")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="write nothing; exit 1 if a notebook is out of date")
    task.add_argument("--guide", action="store_true", help="also write docs/teaching.md, from a run of each lesson")
    task.add_argument(
        "--students", metavar="DIR", type=Path, help="write a complete course without solutions to the folder DIR"
    )
    options = parser.parse_args(arguments)
    try:
        if options.check:
            stale = drift()
            print("\n".join(stale) or "every notebook matches its source")
            if stale:
                print("notebooks must match their sources: run `python3 run.py notebooks`")
            return 1 if stale else 0
        lessons = build()
        if options.students:
            files = handout.hand_out({lesson.name: lesson.student for lesson in lessons})
            wanted = {options.students / path: content for path, content in files.items()}
            refuse_to_overwrite(wanted)
            print(f"wrote {len(save(wanted))} files of a complete course into {options.students.absolute()}")
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
