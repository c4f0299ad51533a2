"""Working copies of the lessons: students work in the notebooks of `my_lessons/`, which are never overwritten."""

import json
import os
import tempfile
import time
from pathlib import Path

from amfs_lab.errors import ConfigError


def working_copies(root: Path, fresh: str | None = None, solutions: bool = False) -> tuple[Path, str]:
    """Copies the lessons that `my_lessons/` does not have yet. With `solutions`, also copies the solved lessons.

    Args:
        root: the project's folder.
        fresh: the number of a lesson to start again. The old copy is moved to a backup.
    Returns:
        the folder of the copies, and the path (relative to this folder) of the notebook to open first.
    Raises:
        ConfigError: no lessons to copy, or no lesson with the number `fresh`.
    """
    lessons, copies = root / "notebooks", root / "my_lessons"
    if not solutions:
        return copies, copy_lessons(lessons, copies, fresh)
    first = copy_lessons(lessons / "solutions", copies / "solutions", fresh)
    copy_lessons(lessons, copies)
    return copies, f"solutions/{first}"


def copy_lessons(lessons: Path, copies: Path, fresh: str | None = None) -> str:
    """Copies the notebooks that `copies` does not have yet. Returns the name of the notebook to open.

    Args:
        fresh: the number of a lesson to start again. The old copy is moved to a backup.
    """
    names = sorted(path.name for path in lessons.glob("*.ipynb"))
    if not names:
        raise ConfigError(_no_lessons(lessons))
    first = names[0]
    if fresh is not None:
        chosen = [name for name in names if fresh and name.split("_")[0] == fresh.zfill(2)]
        if not chosen:
            numbers = ", ".join(name.split("_")[0] for name in names)
            raise ConfigError(f"`--fresh` must be the number of a lesson, one of {numbers}. Got {fresh or 'none'}.")
        first = chosen[0]
        set_aside(copies / first)
    copies.mkdir(parents=True, exist_ok=True)
    for name in names:
        copy, lesson = copies / name, (lessons / name).read_bytes()
        clear_broken(copy, lesson)
        if not os.path.lexists(copy):
            with copy.open("xb") as file:  # mode "x" fails if the file exists
                file.write(lesson)
    return first


def clear_broken(copy: Path, lesson: bytes) -> None:
    """Deletes or moves away a copy that JupyterLab cannot open. A valid notebook is never changed."""
    if copy.is_symlink() or not copy.is_file():
        return
    there = copy.read_bytes()
    if is_notebook(there) or not is_notebook(lesson):
        return
    name = _shown(copy)
    if lesson.startswith(there):  # an incomplete copy: the student has not worked in it
        print(f"{name} was an incomplete copy. It is copied again.")
        copy.unlink()
    else:
        print(f"{name} is broken: JupyterLab cannot open it. You get a new copy.")
        set_aside(copy)


def is_notebook(content: bytes) -> bool:
    """True if the content is JSON with a list of cells."""
    try:
        return isinstance(json.loads(content.decode("utf-8"))["cells"], list)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def set_aside(copy: Path) -> None:
    """Moves a copy into a new folder in `my_lessons/backup/`."""
    if not os.path.lexists(copy):
        return
    backup = _folder(copy) / "backup"
    backup.mkdir(parents=True, exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=backup), copy.name)
    copy.rename(kept)
    print(f"Your old {copy.name} is now {_shown(kept)}.")


def _folder(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.name == "my_lessons")


def _shown(path: Path) -> Path:
    return path.relative_to(_folder(path).parent)


def _no_lessons(folder: Path) -> str:
    place = Path("notebooks", "solutions") if folder.name == "solutions" else Path("notebooks")
    root = folder.parents[len(place.parts) - 1]
    if (root / "notebooks" / "build.py").exists():
        return f"Expected lessons in {place}. Got none. Run `run.py notebooks` to build them."
    return f"This copy of the course has no {place}. Ask the teacher who gave you this copy."
