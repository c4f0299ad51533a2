"""Paths of the lessons in the project."""

from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def lesson_paths() -> list[Path]:
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def solution_of(lesson: Path) -> Path:
    return NOTEBOOKS / "solutions" / lesson.name
