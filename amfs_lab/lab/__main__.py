"""The command `lab` of run.py: makes working copies of the lessons and opens them in a protected JupyterLab."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from amfs_lab.errors import AmfsError, ConfigError, printable
from amfs_lab.lab import server
from amfs_lab.lab.working_copies import working_copies


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message[0].upper()}{message[1:]}. `run.py lab --help` lists the options.")


def read_options(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options of `lab`, and the options of JupyterLab that follow `--`. Raises ConfigError for unknown options."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = Parser(prog="run.py lab", add_help=False, allow_abbrev=False)
    parser.add_argument("--fresh", metavar="NN")
    parser.add_argument("--solutions", action="store_true")
    parser.add_argument("--in-place", action="store_true")
    options, unknown = parser.parse_known_args(arguments[:cut])
    if unknown:
        words = " ".join(unknown)
        raise ConfigError(f"`lab` has no option `{words}`. JupyterLab's options follow `--`: `run.py lab -- {words}`.")
    if options.in_place and (options.fresh is not None or options.solutions):
        raise ConfigError("`--in-place` makes no copies. Leave out `--fresh` and `--solutions`.")
    return options, arguments[cut + 1 :]


def main(arguments: list[str], root: Path) -> int:
    """Opens the lessons of the project folder `root` in JupyterLab. Returns the exit status when JupyterLab ends."""
    try:
        options, for_jupyter = read_options(arguments)
        if options.in_place:
            folder, first = root / "notebooks", "00_start_here.ipynb"
        else:
            folder, first = working_copies(root, options.fresh, options.solutions)
        server.keep_offline(Path(sys.prefix))
    except AmfsError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        advice = "Check that this folder is complete and that you can write to it."
        print(f"run.py: {printable(str(error))}. {advice}", file=sys.stderr)
        return 2
    command = [*server.protection(for_jupyter), *server.start_page(folder, first, for_jupyter)]
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in for_jupyter:
        command.append("--allow-root")  # root is often a container's only user; the token is still needed
    print("JupyterLab prints its address below. Open it if no browser opens by itself. Ctrl-C stops it.", flush=True)
    server.launch([*command, *for_jupyter])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
