"""Where data lies: the folders that every data set is looked for in, and the folder of packed copies."""

import os
from pathlib import Path

from amfs_lab.errors import DataError

PACKAGE = Path(__file__).resolve().parents[1]


def folders(root: Path | None, what: str) -> list[Path]:
    """Where to look, in this order: `root`, $AMFS_LAB_DATA, the installed package, the checkout, ./data.

    Args:
        what: the file or folder that is looked for, for the message.
    Raises:
        DataError: `root` is given, but is no folder.
    """
    if root is not None and not Path(root).is_dir():
        raise DataError(
            f"Expected a folder to look for {what} in. Got {root}, which is none. Leave it out, or mend it."
        )
    named = [Path(folder) for folder in (root, os.environ.get("AMFS_LAB_DATA")) if folder]
    return list(dict.fromkeys([*named, PACKAGE / "data", PACKAGE.parent / "data", Path.cwd() / "data"]))


def downloads() -> Path:
    """Where a download goes unless told otherwise: `data/` of the checkout, or of the present folder if installed."""
    return (PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else Path.cwd()) / "data"


def cache() -> Path:
    """The folder of packed copies, each of which may be deleted: $AMFS_LAB_CACHE, or the user's own for caches."""
    if named := os.environ.get("AMFS_LAB_CACHE"):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("amfs-lab", appauthor=False)
