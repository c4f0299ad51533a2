#!/usr/bin/env python3
"""The front door of amfs_lab: makes .venv once, then does what you ask.

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
    bench        times the methods against their floor; arguments go to `amfs-lab bench`
    lint         ruff and pyright

With any verb, `--torch-index URL` names one more place where pip looks for PyTorch. On Linux the
index of PyTorch's CPU builds (its address is under "Get Started" on PyTorch's site) makes the
download far smaller.
"""
# Standard library only, and no syntax younger than Python 3.6: an old Python must get far enough to look for a new one.

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.realpath(__file__))
VENV = os.path.join(ROOT, ".venv")
EXTRAS = "data,lab,tensorboard,test,torchjd"
SUPPORTED = ("3.14", "3.13", "3.12", "3.11")  # tried in this order when the Python that runs this file will not do


# Neither the folder that the caller stands in nor the caller's PYTHON variables may put a module before the real one: a
# `venv.py` or `json.py` there would run as the reader. ISOLATED is for Pythons of the system. SAFE is for the one in
# .venv, which is 3.11 or younger: its PYTHON variables hold (warnings, UTF-8), but for those that `environment` drops.
ISOLATED, SAFE = "-I", "-P"


class Problem(Exception):
    """What went wrong and what to do, in one sentence. Ends the program with status 2."""


# --- Which Python ---------------------------------------------------------------------------------

# Runs in any Python from 3.4 on: an older one does not know ISOLATED, and is as good as none.
PROBE = """
import sys
try:
    import ensurepip, venv
    can_make = "yes"
except ImportError:
    can_make = "no"
print("%d.%d %s %s" % (sys.version_info[0], sys.version_info[1], sys.maxsize > 2**32, can_make))
"""


def probe(command):
    """(version, is it 64 bit, has it venv and ensurepip) of the Python that `command` starts; None without one."""
    try:
        answer = subprocess.run(
            [*command, ISOLATED, "-c", PROBE],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
        ).stdout.split()
    except OSError:
        return None
    return (answer[0], answer[1] == "True", answer[2] == "yes") if len(answer) == 3 else None


def caller():
    """The Python that runs this file; from inside a virtual environment, the one that made it."""
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
    seen = []
    for command in candidates():
        found = probe(command)
        if is_usable(found):
            return command, found[0]
        if found:
            seen.append((command, found))
    for command, (version, is_64_bit, _) in seen:
        if version in SUPPORTED and is_64_bit:
            raise Problem(
                "Python {0} ({1}) comes without ensurepip, so it cannot make .venv: install it (Debian and Ubuntu: "
                "`sudo apt install python{0}-venv`) and run the same command again.".format(version, " ".join(command))
            )
    raise Problem(
        "amfs_lab needs a 64-bit Python {0} to {1} and found {2}: install one (https://www.python.org or your "
        "system's packages) and run the same command again.".format(
            SUPPORTED[-1], SUPPORTED[0], " and ".join(sorted({found[0] for _, found in seen})) or "none"
        )
    )


# --- The stamp: what .venv was made from ----------------------------------------------------------


def venv_bin(name):
    folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    return os.path.join(VENV, folder, name + suffix)


def stamp_path():
    return os.path.join(VENV, "amfs_lab_stamp.json")


def read_stamp():
    """What the environment says of itself; {} while it is being made; None when run.py did not make it."""
    try:
        with open(stamp_path(), encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return None
    except ValueError:
        return {}


def write_stamp(stamp):
    put(stamp_path(), json.dumps(stamp).encode())


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
    """Let one run.py at a time touch .venv. The system holds the lock, so a killed process leaves none behind."""
    with open(VENV + ".lock", "a") as file:
        told = False
        while not try_lock(file):
            if not told:
                say("Another run.py is setting up .venv; waiting until it has finished.")
                told = True
            time.sleep(0.2)
        yield  # closing the file gives the lock back


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
        # Some network drives know no locks: then go on without, rather than wait for ever.
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)
    return True


def set_up(torch_index=None):
    """Make .venv what pyproject.toml and constraints.txt ask for, if it is not; return the path of its Python."""
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
            want["python"] = found[0]  # `python3.13 run.py test` means 3.13; any other caller takes what is there
        if stamp == want and is_alive(want["python"]):
            return venv_bin("python")
        rest = {key: value for key, value in want.items() if key != "pins"}
        if rest == {key: stamp.get(key) for key in rest} and is_alive(want["python"]):
            say("The pinned versions have changed: bringing .venv up to date.")
            write_stamp(dict(want, pins=""))  # whatever happens now, the next run tries again
            install(want["torch_index"])
        else:
            command, want["python"] = find_python()
            if stamp.get("python", want["python"]) != want["python"]:
                say("This .venv was made with Python {python}, and you called another.".format(**stamp))
            make(command, want)
        write_stamp(want)  # last: what carries a whole stamp is whole
    return venv_bin("python")


def is_alive(version):
    found = probe([venv_bin("python")])
    return bool(found) and found[0] == version


def make(command, want):
    """A new .venv. If anything fails, none is left behind."""
    clear_away()
    say("Setting up .venv with Python {}, once.".format(want["python"]))
    say(download_size(sys.platform, want["torch_index"]))
    try:
        os.mkdir(VENV)
        write_stamp({})
        if call([*command, ISOLATED, "-m", "venv", VENV]):
            raise Problem(
                "Python {} could not make .venv (its message is above): install its venv package or another Python "
                "and run the same command again.".format(want["python"])
            )
        if call([*module("pip"), "install", "--upgrade", "-c", "constraints.txt", "pip"]):
            say("pip could not renew itself; going on with the one that is there.")
        install(want["torch_index"])
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def clear_away():
    """Remove an environment of our own making; keep one that somebody else made, under another name."""
    if not os.path.lexists(VENV):
        return
    try:
        if read_stamp() is not None and not os.path.islink(VENV):
            write_stamp({})  # should the removal stop half-way
            shutil.rmtree(VENV)
        else:
            aside = VENV + time.strftime("-%Y%m%d-%H%M%S")
            os.rename(VENV, aside)
            say("The .venv that was here is not one that run.py made; it is now {}.".format(os.path.basename(aside)))
    except OSError as error:
        raise Problem(
            "The old .venv cannot be removed ({}): close what uses it (a running JupyterLab?) and run the same command "
            "again.".format(error)
        ) from None


def download_size(platform, torch_index):
    """Sizes of the wheels that constraints.txt names, Python 3.12; CONTRIBUTING.md says how they were summed."""
    if not platform.startswith("linux"):
        return "pip will download about 0.3 GB, less what it has kept from before."
    if torch_index:
        return "pip will download 0.4 GB if {} has CPU builds of PyTorch, up to 3 GB otherwise.".format(torch_index)
    return (
        "pip may download up to 3.0 GB, 2.7 GB of it PyTorch with its CUDA libraries. Without an NVIDIA GPU, stop this "
        '(Ctrl-C) and add `--torch-index URL` with the index of PyTorch\'s CPU builds (under "Get Started" on its '
        "site): then it is about 0.4 GB."
    )


def install(torch_index):
    # The caller's pip settings (files and PIP_ variables) hold; nothing here overrides an index, a proxy or a cache.
    pip = [*module("pip"), "install", "-c", "constraints.txt"]
    if torch_index:
        pip += ["--extra-index-url", torch_index]
    # The build tool comes first, pinned like everything else, and the package is built with it.
    if call([*pip, "hatchling"]) or call([*pip, "--no-build-isolation", "-e", ".[{}]".format(EXTRAS)]):
        raise Problem(
            "The installation failed (pip's message is above): check the network, pip's proxy settings and the free "
            "disk space, and run the same command again."
        )


# --- The verbs ------------------------------------------------------------------------------------


def lab(torch_index, options, jupyter_options):
    fresh, in_place = take_value(options, "--fresh"), take_flag(options, "--in-place")
    solutions = take_flag(options, "--solutions")
    if options:
        raise Problem(
            "`lab` does not know `{0}`: options for JupyterLab go after `--`, as in `run.py lab -- {0}`.".format(
                " ".join(options)
            )
        )
    if in_place and fresh:
        raise Problem("`--fresh` resets a working copy and `--in-place` uses none: give one of the two.")
    if in_place and solutions:
        raise Problem("`--solutions` makes copies to read and `--in-place` uses none: give one of the two.")
    if in_place:
        folder, first = os.path.join(ROOT, "notebooks"), "00_start_here.ipynb"
    else:
        folder, first = working_copies(fresh, solutions)
    set_up(torch_index)
    keep_offline()
    command = [*module("amfs_lab.lab_server"), *protection(jupyter_options)]
    given = names_of(jupyter_options)
    if not given & {"root_dir", "notebook_dir"}:
        command.append("--ServerApp.root_dir=" + folder)
    if "default_url" not in given:
        command.append("--LabApp.default_url=/lab/tree/" + first)
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in jupyter_options:
        command.append("--allow-root")  # in containers there is nobody else; the token and the loopback address stay
    say("JupyterLab prints its address below: open that if no browser opens by itself. Ctrl-C stops it.")
    return become(command + jupyter_options)


# A server runs whatever it is told to. These stand on its command line, which beats every configuration file of the
# user and of the machine: this machine only, no page of another site, and never without a token or a password.
PROTECTED = (
    ("ip", "127.0.0.1"),
    ("identity_provider_class", "amfs_lab.lab_server.TokenOrPassword"),
    ("allow_origin", ""),
    ("allow_origin_pat", ""),
    ("allow_credentials", "False"),
    ("allow_remote_access", "False"),
    ("local_hostnames", "localhost"),
    ("disable_check_xsrf", "False"),
    ("tornado_settings", "{}"),  # they could set each of the others once more, and headers
)
# Who sets the first has said enough about the second, too.
IMPLIED = {"token": {"identity_provider_class"}, "ip": {"allow_remote_access", "local_hostnames"}}


def protection(jupyter_options):
    """The protecting options of `lab`, without those that the reader has set after `--`; a sentence names these."""
    given = names_of(jupyter_options)
    left = given.union(*(IMPLIED.get(name, ()) for name in given))
    named = sorted(given & {"token", *dict(PROTECTED)})
    if named:
        say(
            "You set {} yourself: `lab` does not protect that. Whoever gets into this server runs programs in your "
            "name.".format(" and ".join(named))
        )
    return ["--ServerApp.{}={}".format(name, value) for name, value in PROTECTED if name not in left]


def names_of(options):
    """The settings that options of JupyterLab name, of whichever class: `--ServerApp.ip=x` and `--ip x` name `ip`."""
    words = [option.split("=")[0] for option in options if option.startswith("-")]
    return {word.lstrip("-").split(".")[-1].replace("-", "_") for word in words}


def keep_offline():
    """Let .venv's JupyterLab neither ask about news nor look for updates, unless the user's own settings say so."""
    folder = os.path.join(VENV, "share", "jupyter", "lab", "settings", "overrides.d")
    os.makedirs(folder, exist_ok=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    settings = {"@jupyterlab/apputils-extension:notification": quiet}
    put(os.path.join(folder, "amfs_lab.json"), json.dumps(settings).encode())


def working_copies(fresh=None, solutions=False):
    """Copy what my_lessons/ does not have yet of the lessons, and of the solved ones if they are asked for.

    Return that folder and the notebook to open first. A file that is there is never written to.
    """
    lessons, copies = os.path.join(ROOT, "notebooks"), os.path.join(ROOT, "my_lessons")
    if not solutions:
        return copies, copy_lessons(lessons, copies, fresh)
    first = copy_lessons(os.path.join(lessons, "solutions"), os.path.join(copies, "solutions"), fresh)
    copy_lessons(lessons, copies)
    return copies, "solutions/" + first  # an address, not a path


def copy_lessons(lessons, copies, fresh=None):
    """Copy the notebooks of one folder that the other does not have yet; return the name of the one to open."""
    names = sorted(name for name in os.listdir(lessons) if name.endswith(".ipynb")) if os.path.isdir(lessons) else []
    if not names:
        raise Problem(nothing_in(os.path.relpath(lessons, ROOT)))
    os.makedirs(copies, exist_ok=True)
    first = names[0]
    if fresh is not None:
        chosen = [name for name in names if name.split("_")[0] == fresh.zfill(2)]
        if not chosen:
            numbers = ", ".join(name.split("_")[0] for name in names)
            raise Problem("There is no lesson {}: `--fresh` takes one of {}.".format(fresh, numbers))
        first = chosen[0]
        set_aside(os.path.join(copies, first))
    for name in names:
        with open(os.path.join(lessons, name), "rb") as file:
            lesson = file.read()
        copy = os.path.join(copies, name)
        clear_broken(copy, lesson)
        if not os.path.lexists(copy):
            put(copy, lesson, over=False)
    return first


def clear_broken(copy, lesson):
    """Make way for a new copy where there is a file that no JupyterLab can open. A notebook is never touched."""
    if os.path.islink(copy) or not os.path.isfile(copy):
        return
    with open(copy, "rb") as file:
        there = file.read()
    if is_notebook(there) or not is_notebook(lesson):
        return
    name = os.path.relpath(copy, ROOT)
    if lesson.startswith(there):  # nobody can have worked in it
        say("{} was copied only in part, and is copied anew.".format(name))
        os.remove(copy)
    else:
        say("{} is broken: JupyterLab cannot open it. You get a new copy.".format(name))
        set_aside(copy)


def is_notebook(content):
    try:
        return isinstance(json.loads(content.decode("utf-8"))["cells"], list)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def nothing_in(folder):
    if is_handed_out():
        return "This copy of the course was handed out without {}: ask those who gave it to you.".format(folder)
    return "There are no lessons in {}: run `run.py notebooks` to build them.".format(folder)


def is_handed_out():
    """Is this a copy for students, made by `notebooks --students`? It has neither sources nor solutions nor tests."""
    return not os.path.exists(os.path.join(ROOT, "notebooks", "build.py"))


def set_aside(path):
    if not os.path.lexists(path):
        return
    backup = os.path.join(ROOT, "my_lessons", "backup")
    os.makedirs(backup, exist_ok=True)
    name = os.path.basename(path)
    kept = os.path.join(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=backup), name)
    os.rename(path, kept)
    say("Your {} is kept as {}.".format(name, os.path.relpath(kept, ROOT)))


def test(torch_index, options, more):
    if is_handed_out():
        say("This copy of the course has no tests of the library; each lesson is run from top to bottom.")
    given = [*options, *more]
    set_up(torch_index)
    return become([*module("pytest"), *parallel_options(given), *given], AMFS_LAB_FAST="1")


# They choose tests, load plugins or look inside. The short ones may have their value glued to them.
ALONE = ("-k", "-m", "-p", "-s", "--pdb", "--trace")


def parallel_options(given):
    """File by file on up to four cores, so that a lesson stays in one process, cell after cell; unless tests are named.

    Any word that is no option may name one. These options come first, and those that were given win over them.
    """
    if any(not word.startswith("-") or word.startswith(ALONE) for word in given):
        return []
    return ["-n", str(min(4, os.cpu_count() or 1)), "--dist=loadfile", "--no-loadscope-reorder"]


def notebooks(torch_index, options, more):
    if is_handed_out():
        raise Problem("This copy of the course has no sources to build from: its lessons in notebooks/ are ready.")
    return become([set_up(torch_index), os.path.join("notebooks", "build.py"), *options, *more])


def bench(torch_index, options, more):
    set_up(torch_index)
    return become([*module("amfs_lab"), "bench", *options, *more])


TOOLS = (("ruff", "check"), ("ruff", "format", "--check"), ("pyright",))


def lint(torch_index, options, more):
    set_up(torch_index)
    return max(call([*module(name), *words]) for name, *words in TOOLS)


VERBS = {"lab": lab, "test": test, "notebooks": notebooks, "bench": bench, "lint": lint}


# --- Small tools ----------------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def complain(problem):
    """To the terminal, which no word of the caller may command: ESC is written out as \\x1b."""
    text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(problem))
    print("run.py: " + text, file=sys.stderr)


def put(path, content, over=True):
    """Write a file beside its place, under a name that nobody can foresee, and move it there: it is whole or not there.

    Args:
        over: may it replace a file? Without, one that is there stays.
    """
    beside = "{}.{}.new".format(path, os.urandom(8).hex())
    # A file of its own, with the mode of any other: never through a link, never into one that is there.
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if over:
            os.replace(beside, path)
        else:
            move_to_free_place(beside, path)
    finally:
        with contextlib.suppress(OSError):
            os.remove(beside)


def move_to_free_place(beside, path):
    with contextlib.suppress(FileExistsError):
        if os.name == "nt":
            os.rename(beside, path)  # replaces nothing there
            return
        try:
            os.link(beside, path)
        except FileExistsError:
            raise
        except OSError:  # a USB stick knows no links
            if not os.path.lexists(path):
                os.replace(beside, path)


def take_flag(arguments, name):
    """Remove `name` from the list; was it there?"""
    is_there = name in arguments
    arguments[:] = [argument for argument in arguments if argument != name]
    return is_there


def take_value(arguments, name):
    """Remove `name VALUE` or `name=VALUE` from the list and return VALUE, or None."""
    for i, argument in enumerate(arguments):
        if argument.startswith(name + "="):
            value = arguments.pop(i)[len(name) + 1 :]
        elif argument == name:
            value = "".join(arguments[i + 1 : i + 2])
            del arguments[i : i + 2]
        else:
            continue
        if not value:
            raise Problem("`{}` needs a value after it.".format(name))
        return value
    return None


def module(name):
    """The start of a command: that module of .venv, wherever the caller stands."""
    return [venv_bin("python"), SAFE, "-m", name]


def environment(**more):
    """The caller's environment, with .venv's programs first and .venv's Jupyter kernel before any of the user's.

    The caller's PYTHONPATH and PYTHONHOME end here, for pip, JupyterLab and its kernels alike: modules of another
    project or another Python would come before those of .venv. Your own modules are found beside your notebook.
    """
    path = os.path.dirname(venv_bin("python")) + os.pathsep + os.environ.get("PATH", os.defpath)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return dict(kept, PATH=path, VIRTUAL_ENV=VENV, JUPYTER_PREFER_ENV_PATH="1", **more)


def call(command):
    try:
        return subprocess.call(command, cwd=ROOT, env=environment())
    except OSError as error:
        say("{}: {}".format(command[0], error))
        return 1


def become(command, **variables):
    """Run `command` in our place, so that its signals and its status are ours."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, environment(**variables))
    process = subprocess.Popen(command, env=environment(**variables))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Windows sends Ctrl-C to both; the command decides when it has finished
            continue


def main(arguments):
    os.chdir(ROOT)  # Windows looks for programs where it stands, PATH may say "."
    ours, more = list(arguments), []
    if "--" in ours:
        cut = ours.index("--")
        ours, more = ours[:cut], ours[cut + 1 :]
    try:
        torch_index = take_value(ours, "--torch-index")
        verb = ours.pop(0) if ours else None
        if verb in ("-h", "--help"):
            print(__doc__)
            return 0
        if verb is None:
            print(__doc__)
            raise Problem("A verb is missing: `run.py lab` opens the lessons.")
        if verb not in VERBS:
            raise Problem(
                "There is no verb `{}`: give one of {}, or none to read what each does.".format(verb, ", ".join(VERBS))
            )
        if verb in ("lab", "lint") and {"-h", "--help"} & set(ours):  # the others hand their arguments on
            print(__doc__)
            return 0
        return VERBS[verb](torch_index, ours, more)
    except Problem as problem:
        complain(problem)
        return 2
    except OSError as error:
        complain("{}: see that this folder is whole and can be written to.".format(error))
        return 2
    except KeyboardInterrupt:
        print("run.py: interrupted; run the same command again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
