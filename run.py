#!/usr/bin/env python3
"""The entry point of amfs_lab: makes .venv once, and then runs a verb in it.

Usage: `python3 run.py VERB` (`py run.py VERB` on Windows). The verbs:

    lab          opens the lessons in JupyterLab, as working copies in my_lessons/
                   --fresh NN   start lesson NN again; your copy is kept in my_lessons/backup/
                   --solutions  open the solved lessons, as copies in my_lessons/solutions/
                   --in-place   open notebooks/ itself (for authors)
                   -- OPTIONS   pass options on to JupyterLab, for example `-- --no-browser`. By default,
                                JupyterLab accepts connections from this machine and its own pages only,
                                and asks for a token or a password
    test         runs every test and every notebook; arguments go to pytest
    notebooks    builds the notebooks from notebooks/source; arguments go to notebooks/build.py
                   --students FOLDER   write a course to hand out: a complete folder without solutions
                   --guide             also write docs/teaching.md, the guide for teachers
    bench        times the methods against the baseline; arguments go to `amfs-lab bench`
    lint         runs ruff and pyright

`--help` or `-h` after a verb prints this page. `VERB -- --help` prints the help of the program that the verb runs.

`--torch-index URL` works with every verb. It names a package index of PyTorch (see "Get Started" on PyTorch's site).
Without it, run.py chooses the build of PyTorch for this machine. On Linux without a GPU driver, this is the small CPU
build.
"""
# Standard library only, and no syntax after Python 3.6: an old Python must get far enough to look for a newer one.

import argparse
import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.realpath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
STAMP = os.path.join(VENV, "amfs_lab_stamp.json")
EXTRAS = "data,lab,tensorboard,test,torchjd"
SUPPORTED = ("3.14", "3.13", "3.12", "3.11")  # tried in this order if the Python that runs this file cannot be used

# A file in the current folder or on PYTHONPATH, such as `venv.py` or `json.py`, must not replace the real module.
# ISOLATED prevents that for Pythons of the system, and SAFE for the Python of .venv (3.11 or newer).
ISOLATED, SAFE = "-I", "-P"


class Problem(Exception):
    """An error whose message says what to do. The program then ends with status 2."""


# --- Which Python ---------------------------------------------------------------------------------

# Runs in any Python from 3.4 on. An older one does not know ISOLATED and counts as missing.
PROBE = """
import sys
from importlib.util import find_spec
print("%d.%d" % sys.version_info[:2], sys.maxsize > 2**32, None not in map(find_spec, ("ensurepip", "venv")))
"""


def probe(command):
    """(version, is 64-bit, has venv and ensurepip) of the Python that `command` starts; None if no Python starts."""
    answer = output_of([*command, ISOLATED, "-c", PROBE]).split()
    return (answer[0], answer[1] == "True", answer[2] == "True") if len(answer) == 3 else None


def caller():
    """The Python that runs this file. In a virtual environment, the Python that made the environment."""
    return [getattr(sys, "_base_executable", None) or sys.executable]


def candidates():
    """Commands that may start a Python, best first."""
    yield caller()
    for version in SUPPORTED:
        yield ["py", "-" + version] if os.name == "nt" else ["python" + version]
    yield ["python3"]
    yield ["python"]


def is_usable(found):
    return bool(found) and found[0] in SUPPORTED and found[1] and found[2]


def find_python():
    """The command and version of the first Python that can make the environment. Raises Problem if there is none."""
    pythons = [(command, probe(command)) for command in candidates()]
    for command, found in pythons:
        if is_usable(found):
            return command, found[0]
    for command, found in pythons:
        if found and found[0] in SUPPORTED and found[1]:
            raise Problem(
                "Python {0} ({1}) has no ensurepip, so it cannot make .venv. Install ensurepip (Debian and Ubuntu: "
                "`sudo apt install python{0}-venv`) and run the same command again.".format(found[0], " ".join(command))
            )
    versions = " and ".join(sorted({found[0] for _, found in pythons if found})) or "none"
    raise Problem(
        "amfs_lab needs a 64-bit Python {} to {}. Found {}. Install one (https://www.python.org or your system's "
        "packages) and run the same command again.".format(SUPPORTED[-1], SUPPORTED[0], versions)
    )


# --- The stamp: what .venv was made from ----------------------------------------------------------


def read_stamp():
    """The stamp of the environment: {} while run.py makes the environment, None if run.py did not make it."""
    try:
        with open(STAMP, encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return None
    except ValueError:
        return {}


def write_stamp(stamp):
    with open(STAMP, "w", encoding="utf-8") as file:
        json.dump(stamp, file)


def pins():
    """A hash of everything that decides which packages .venv must have."""
    digest = hashlib.sha256(EXTRAS.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


# --- Set-up ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def only_one():
    """A context in which no other run.py changes .venv. The operating system releases the lock of a killed process."""
    with open(VENV + ".lock", "a") as file:
        waits = not try_lock(file)
        if waits:
            say("Another run.py is setting up .venv. Waiting until it has finished.")
        while waits and not try_lock(file):
            time.sleep(0.2)
        yield  # closing the file releases the lock


def try_lock(file):
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network drives have no locks: continue without one.
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
    return True


def set_up(torch_index=None):
    """Brings .venv to the state that pyproject.toml and constraints.txt describe. Returns the path of its Python."""
    with only_one():
        stamp = read_stamp() or {}
        want = {
            "pins": pins(),
            "place": VENV,  # a virtual environment that was moved or copied starts the wrong Python
            "python": stamp.get("python"),
            "torch_index": torch_index or stamp.get("torch_index"),
        }
        found = probe(caller())
        if is_usable(found):
            want["python"] = found[0]  # `python3.13 run.py test` asks for 3.13
        if stamp == want and is_alive(want["python"]):
            return PYTHON
        if dict(stamp, pins=want["pins"]) == want and is_alive(want["python"]):
            say("The pinned versions have changed: bringing .venv up to date.")
            write_stamp(dict(want, pins=""))  # if this fails, the next run tries again
            install(want["torch_index"])
        else:
            command, want["python"] = find_python()
            if stamp.get("python", want["python"]) != want["python"]:
                say("This .venv was made with Python {python}, and you use another version.".format(**stamp))
            make(command, want)
        write_stamp(want)  # last: a complete stamp means a complete environment
    return PYTHON


def is_alive(version):
    found = probe([PYTHON])
    return bool(found) and found[0] == version


def make(command, want):
    """Makes a new .venv. If a step fails, nothing is left behind."""
    clear_away()
    say("Setting up .venv with Python {}, once.".format(want["python"]))
    say("The download is about 0.4 GB, or up to 3 GB with the CUDA libraries for an NVIDIA GPU.")
    try:
        os.mkdir(VENV)
        write_stamp({})
        if call([*command, ISOLATED, "-m", "venv", VENV]):
            raise Problem(
                "Python {} could not make .venv (see its message above). Install its venv package or another Python, "
                "and run the same command again.".format(want["python"])
            )
        if call([*module("pip"), "install", "--upgrade", "-c", "constraints.txt", "pip"]):
            say("pip could not update itself. The installed version of pip is used.")
        install(want["torch_index"])
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def clear_away():
    """Removes a .venv that run.py made. Renames any other .venv."""
    if not os.path.lexists(VENV):
        return
    try:
        if read_stamp() is not None and not os.path.islink(VENV):
            write_stamp({})  # in case the removal stops half-way
            shutil.rmtree(VENV)
        else:
            aside = VENV + time.strftime("-%Y%m%d-%H%M%S")
            os.rename(VENV, aside)
            say("run.py did not make the .venv that was here. Its new name is {}.".format(os.path.basename(aside)))
    except OSError as error:
        raise Problem(
            "The old .venv cannot be removed ({}). Close the programs that use it (perhaps JupyterLab) and run the "
            "same command again.".format(error)
        ) from None


def install(torch_index):
    """Installs the package and its extras. The user's pip settings (files and PIP_ variables) apply."""
    pip = [*module("pip"), "install", "-c", "constraints.txt"]
    if torch_index:
        pip += ["--extra-index-url", torch_index]
    elif sys.platform.startswith("linux"):
        install_torch(pip)
    # The build tool is installed first, in its pinned version, and the package is built with it.
    if call([*pip, "hatchling"]) or call([*pip, "--no-build-isolation", "-e", ".[{}]".format(EXTRAS)]):
        raise Problem(
            "The installation failed (see pip's message above). Check the network, pip's proxy settings and the free "
            "disk space, and run the same command again."
        )


def install_torch(pip):
    """Installs the build of PyTorch that fits the GPU's driver, or the CPU build if there is no driver.

    For Linux, PyPI has only the CUDA build, which is 2.7 GB larger than the CPU build. uv knows PyTorch's own indexes.
    """
    settings = output_of([*module("pip"), "config", "list"])
    if ".index-url=" in settings or ".no-index=" in settings:
        return  # the user chose an index in pip's settings, which uv does not read
    uv = [*module("uv"), "pip", "install", "--python", PYTHON, "-c", "constraints.txt"]
    if call([*pip, "uv"]) or call([*uv, "--torch-backend=auto", "torch"]):
        say(
            "uv could not install PyTorch from PyTorch's index (see the message above). pip installs it instead. "
            "Without an NVIDIA GPU you can stop (Ctrl-C) and add `--torch-index URL` for a smaller download."
        )


# --- The verbs ------------------------------------------------------------------------------------

VERBS = ("lab", "test", "notebooks", "bench", "lint")
HELP = ("-h", "--help")
TOOLS = (("ruff", "check"), ("ruff", "format", "--check"), ("pyright",))  # of `lint`
# Options of pytest that choose tests, load plugins or start a debugger. A short option may include its value.
ALONE = ("-k", "-m", "-p", "-s", "--pdb", "--trace")


def start(verb, ours, more):
    """Runs a verb in .venv and returns its exit status. `ours`: arguments before `--`. `more`: arguments after it."""
    given = [*ours, *more]
    if verb == "lab":
        return become([*module("amfs_lab.lab"), *ours, "--", *more])
    if verb == "test":
        return become([*module("pytest"), *parallel_options(given), *given], AMFS_LAB_FAST="1")
    if verb == "notebooks":
        return become([PYTHON, os.path.join("notebooks", "build.py"), *given])
    if verb == "bench":
        return become([*module("amfs_lab"), "bench", *given])
    return max(call([*module(name), *words]) for name, *words in TOOLS)


def parallel_options(given):
    """pytest's options for up to four processes, with each lesson in one. Empty if an argument may name a test."""
    if any(not word.startswith("-") or word.startswith(ALONE) for word in given):
        return []
    return ["-n", str(min(4, os.cpu_count() or 1)), "--dist=loadfile", "--no-loadscope-reorder"]


def check_sources(verb):
    """Prints what a copy for students (made by `notebooks --students`) lacks. Raises Problem for `notebooks`."""
    if os.path.exists(os.path.join(ROOT, "notebooks", "build.py")):
        return
    if verb == "notebooks":
        raise Problem("This copy of the course has no sources of the lessons. Its lessons in notebooks/ are ready.")
    if verb == "test":
        say("This copy of the course has no tests of the library. The test runs each lesson from top to bottom.")


# --- Commands -------------------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def complain(text):
    print("run.py: {}".format(text), file=sys.stderr)


def module(name):
    """The first words of a command that runs this module in .venv, independent of the current folder."""
    return [PYTHON, SAFE, "-m", name]


def environment(**more):
    """The user's environment variables, with the programs and the Jupyter kernel of .venv first.

    PYTHONPATH and PYTHONHOME are removed for pip, JupyterLab and the kernels. Otherwise, modules of another project or
    another Python would be imported before the modules of .venv. Modules beside a notebook can still be imported.
    """
    path = os.path.dirname(PYTHON) + os.pathsep + os.environ.get("PATH", os.defpath)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return dict(kept, PATH=path, VIRTUAL_ENV=VENV, JUPYTER_PREFER_ENV_PATH="1", **more)


def output_of(command):
    """The standard output of a command; empty if the command cannot be started."""
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    try:
        return subprocess.run(command, cwd=ROOT, env=environment(), **pipes).stdout
    except OSError:
        return ""


def call(command):
    try:
        return subprocess.call(command, cwd=ROOT, env=environment())
    except OSError as error:
        say("{}: {}".format(command[0], error))
        return 1


def become(command, **variables):
    """Replaces this process by `command`, which then receives all signals and sets the exit status."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, environment(**variables))
    process = subprocess.Popen(command, env=environment(**variables))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Windows sends Ctrl-C to both processes; wait for the command's end
            continue


def main(arguments):
    os.chdir(ROOT)  # Windows searches the current folder for programs, and PATH may contain "."
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    ours, more = arguments[:cut], arguments[cut + 1 :]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--torch-index", nargs="?", const="")
    options, ours = parser.parse_known_args(ours)
    try:
        verb = ours.pop(0) if ours else None
        if verb in HELP or (verb in VERBS and set(HELP) & set(ours)):
            print(__doc__)
            return 0
        if options.torch_index == "":
            raise Problem("`--torch-index` must have a value. Got none. Give the URL of a package index after it.")
        if verb is None:
            print(__doc__)
            raise Problem("A verb is missing. `run.py lab` opens the lessons.")
        if verb not in VERBS:
            raise Problem("There is no verb {!r}. Give one of {}.".format(verb, ", ".join(VERBS)))
        check_sources(verb)
        set_up(options.torch_index)
        return start(verb, ours, more)
    except Problem as problem:
        complain(problem)
        return 2
    except OSError as error:
        complain("{}. Check that this folder is complete and that you can write to it.".format(error))
        return 2
    except KeyboardInterrupt:
        complain("Interrupted. Run the same command again to continue.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
