#!/usr/bin/env python3
"""The entry point of amfs_lab: it makes .venv once, and then starts a verb in it.

Say `python3 run.py VERB` (`py run.py VERB` on Windows):

    lab          opens the lessons in JupyterLab, as working copies in my_lessons/
                   --fresh NN   start lesson NN again; your copy is kept in my_lessons/backup/
                   --solutions  open the solved lessons, as copies in my_lessons/solutions/
                   --in-place   open notebooks/ itself (for authors)
                   -- OPTIONS   go to JupyterLab, for example `-- --no-browser`; without any it answers this
                                machine and its own pages only, and asks for a token or a password
    test         runs every test and every notebook; arguments go to pytest
    notebooks    builds the notebooks from notebooks/source; arguments go to notebooks/build.py
                   --students FOLDER   write a course to hand out: it works on its own, without solutions
                   --guide             write docs/teaching.md, the guide for teachers, anew
    bench        times the methods against the baseline; arguments go to `amfs-lab bench`
    lint         ruff and pyright

With any verb, `--torch-index URL` names a package index of PyTorch (under "Get Started" on PyTorch's site).
Without it, the build of PyTorch is chosen for this machine: on Linux the small CPU build where no GPU has a driver.
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

# No module of the folder that the caller stands in, or of the caller's PYTHON variables, may run in place of a real one
# (a `venv.py` or `json.py`). ISOLATED is for Pythons of the system. SAFE is for the Python of .venv, from 3.11 on.
ISOLATED, SAFE = "-I", "-P"


class Problem(Exception):
    """An error with what to do about it. It ends the program with status 2."""


# --- Which Python ---------------------------------------------------------------------------------

# Runs in any Python from 3.4 on. An older one does not know ISOLATED and counts as missing.
PROBE = """
import sys
from importlib.util import find_spec
print("%d.%d" % sys.version_info[:2], sys.maxsize > 2**32, None not in map(find_spec, ("ensurepip", "venv")))
"""


def probe(command):
    """(version, is it 64 bit, has it venv and ensurepip) of the Python that `command` starts; None without one."""
    answer = output_of([*command, ISOLATED, "-c", PROBE]).split()
    return (answer[0], answer[1] == "True", answer[2] == "True") if len(answer) == 3 else None


def caller():
    """The Python that runs this file; inside a virtual environment, the one that made it."""
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
    """(command, version) of the first Python that can make the environment."""
    pythons = [(command, probe(command)) for command in candidates()]
    for command, found in pythons:
        if is_usable(found):
            return command, found[0]
    for command, found in pythons:
        if found and found[0] in SUPPORTED and found[1]:
            raise Problem(
                "Python {0} ({1}) comes without ensurepip, so it cannot make .venv. Install it (Debian and Ubuntu: "
                "`sudo apt install python{0}-venv`) and run the same command again.".format(found[0], " ".join(command))
            )
    versions = " and ".join(sorted({found[0] for _, found in pythons if found})) or "none"
    raise Problem(
        "amfs_lab needs a 64-bit Python {} to {}. Found {}. Install one (https://www.python.org or your system's "
        "packages) and run the same command again.".format(SUPPORTED[-1], SUPPORTED[0], versions)
    )


# --- The stamp: what .venv was made from ----------------------------------------------------------


def read_stamp():
    """The stamp of the environment; {} while it is being made; None if run.py did not make it."""
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
    """A hash of all that decides which packages belong into .venv."""
    digest = hashlib.sha256(EXTRAS.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


# --- Set-up ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def only_one():
    """Lets one run.py at a time change .venv. The system holds the lock, so a killed process leaves none behind."""
    with open(VENV + ".lock", "a") as file:
        waits = not try_lock(file)
        if waits:
            say("Another run.py is setting up .venv; waiting until it has finished.")
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
        # Some network drives have no locks: go on without one.
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
    return True


def set_up(torch_index=None):
    """Makes .venv what pyproject.toml and constraints.txt ask for, if it is not, and returns the path of its Python."""
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
            want["python"] = found[0]  # `python3.13 run.py test` asks for 3.13; any other caller takes what is there
        if stamp == want and is_alive(want["python"]):
            return PYTHON
        if dict(stamp, pins=want["pins"]) == want and is_alive(want["python"]):
            say("The pinned versions have changed: bringing .venv up to date.")
            write_stamp(dict(want, pins=""))  # if this fails, the next run tries again
            install(want["torch_index"])
        else:
            command, want["python"] = find_python()
            if stamp.get("python", want["python"]) != want["python"]:
                say("This .venv was made with Python {python}, and you called another.".format(**stamp))
            make(command, want)
        write_stamp(want)  # last: an environment with a whole stamp is whole
    return PYTHON


def is_alive(version):
    found = probe([PYTHON])
    return bool(found) and found[0] == version


def make(command, want):
    """Makes a new .venv. If a step fails, nothing is left behind."""
    clear_away()
    say("Setting up .venv with Python {}, once.".format(want["python"]))
    say("The download has about 0.4 GB, and up to 3 GB with the CUDA libraries for an NVIDIA GPU.")
    try:
        os.mkdir(VENV)
        write_stamp({})
        if call([*command, ISOLATED, "-m", "venv", VENV]):
            raise Problem(
                "Python {} could not make .venv (its message is above). Install its venv package or another Python, "
                "and run the same command again.".format(want["python"])
            )
        if call([*module("pip"), "install", "--upgrade", "-c", "constraints.txt", "pip"]):
            say("pip could not renew itself; going on with the one that is there.")
        install(want["torch_index"])
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def clear_away():
    """Removes an environment that run.py made, and keeps any other one under a new name."""
    if not os.path.lexists(VENV):
        return
    try:
        if read_stamp() is not None and not os.path.islink(VENV):
            write_stamp({})  # in case the removal stops half-way
            shutil.rmtree(VENV)
        else:
            aside = VENV + time.strftime("-%Y%m%d-%H%M%S")
            os.rename(VENV, aside)
            say("The .venv that was here is not one that run.py made; it is now {}.".format(os.path.basename(aside)))
    except OSError as error:
        raise Problem(
            "The old .venv cannot be removed ({}). Close the programs that use it (a running JupyterLab?) and run the "
            "same command again.".format(error)
        ) from None


def install(torch_index):
    """Installs the package and its extras. The caller's pip settings (files and PIP_ variables) hold."""
    pip = [*module("pip"), "install", "-c", "constraints.txt"]
    if torch_index:
        pip += ["--extra-index-url", torch_index]
    elif sys.platform.startswith("linux"):
        install_torch(pip)
    # The build tool comes first, pinned like everything else, and the package is built with it.
    if call([*pip, "hatchling"]) or call([*pip, "--no-build-isolation", "-e", ".[{}]".format(EXTRAS)]):
        raise Problem(
            "The installation failed (pip's message is above). Check the network, pip's proxy settings and the free "
            "disk space, and run the same command again."
        )


def install_torch(pip):
    """Installs the build of PyTorch that fits the GPU's driver, or the CPU build without one.

    PyPI has the CUDA build alone for Linux, 2.7 GB larger than the CPU build. uv knows PyTorch's own indexes.
    """
    settings = output_of([*module("pip"), "config", "list"])
    if ".index-url=" in settings or ".no-index=" in settings:
        return  # the caller chose an index for pip, which uv does not read
    uv = [*module("uv"), "pip", "install", "--python", PYTHON, "-c", "constraints.txt"]
    if call([*pip, "uv"]) or call([*uv, "--torch-backend=auto", "torch"]):
        say(
            "uv could not install PyTorch from its own index (the message is above), so pip takes the build that it "
            "finds. Without an NVIDIA GPU you can stop (Ctrl-C) and add `--torch-index URL`, for a smaller download."
        )


# --- The verbs ------------------------------------------------------------------------------------

VERBS = ("lab", "test", "notebooks", "bench", "lint")
TOOLS = (("ruff", "check"), ("ruff", "format", "--check"), ("pyright",))  # of `lint`
# Options of pytest that choose tests, load plugins or look inside. A value may follow the short ones without a space.
ALONE = ("-k", "-m", "-p", "-s", "--pdb", "--trace")


def start(verb, ours, more):
    """Runs a verb in .venv with its arguments, those before and those after `--`, and returns its status."""
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
    """Up to four processes, with a lesson's cells in one of them. Nothing if tests are named: any word may name one."""
    if any(not word.startswith("-") or word.startswith(ALONE) for word in given):
        return []
    return ["-n", str(min(4, os.cpu_count() or 1)), "--dist=loadfile", "--no-loadscope-reorder"]


def check_sources(verb):
    """Says what a copy for students (made by `notebooks --students`) does not hold. Raises Problem for `notebooks`."""
    if os.path.exists(os.path.join(ROOT, "notebooks", "build.py")):
        return
    if verb == "notebooks":
        raise Problem("This copy of the course has no sources to build from. Its lessons in notebooks/ are ready.")
    if verb == "test":
        say("This copy of the course has no tests of the library; each lesson is run from top to bottom.")


# --- Commands -------------------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def complain(text):
    print("run.py: {}".format(text), file=sys.stderr)


def module(name):
    """The start of a command: that module of .venv, whatever folder the caller stands in."""
    return [PYTHON, SAFE, "-m", name]


def environment(**more):
    """The caller's environment, with .venv's programs and its Jupyter kernel first.

    The caller's PYTHONPATH and PYTHONHOME are dropped for pip, JupyterLab and the kernels: modules of another project
    or another Python would come before those of .venv. Modules beside a notebook are found.
    """
    path = os.path.dirname(PYTHON) + os.pathsep + os.environ.get("PATH", os.defpath)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return dict(kept, PATH=path, VIRTUAL_ENV=VENV, JUPYTER_PREFER_ENV_PATH="1", **more)


def output_of(command):
    """The output of a command; empty if it cannot be started."""
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
    """Runs `command` in place of this process, so that its signals and its status are ours."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, environment(**variables))
    process = subprocess.Popen(command, env=environment(**variables))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Windows sends Ctrl-C to both; the command decides when it ends
            continue


def main(arguments):
    os.chdir(ROOT)  # Windows looks for programs in the current folder, and PATH may say "."
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    ours, more = arguments[:cut], arguments[cut + 1 :]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--torch-index", nargs="?", const="")
    options, ours = parser.parse_known_args(ours)
    try:
        if options.torch_index == "":
            raise Problem("`--torch-index` needs a value after it.")
        verb = ours.pop(0) if ours else None
        for_us = verb in (None, "-h", "--help") or (verb in ("lab", "lint") and {"-h", "--help"} & set(ours))
        if for_us:  # the other verbs pass --help on
            print(__doc__)
        if verb is None:
            raise Problem("A verb is missing: `run.py lab` opens the lessons.")
        if for_us:
            return 0
        if verb not in VERBS:
            raise Problem("There is no verb {!r}. Give one of {}.".format(verb, ", ".join(VERBS)))
        check_sources(verb)
        set_up(options.torch_index)
        return start(verb, ours, more)
    except Problem as problem:
        complain(problem)
        return 2
    except OSError as error:
        complain("{}. See that this folder is whole and can be written to.".format(error))
        return 2
    except KeyboardInterrupt:
        complain("interrupted; run the same command again to go on.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
