"""A JupyterLab server for the tests, and a browser that opens its pages."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import BrowserContext, Playwright

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
NOTEBOOKS = CHECKOUT / "notebooks"

START_SECONDS = 90  # longest wait for the start; normally it is much shorter

# Options of Chromium: no GPU, no first-run pages, no requests to its maker.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "doNotDisturbMode": True, "fetchNews": "false"},
    "docmanager-extension/plugin": {"autosave": False},
}


def chromium() -> str | None:
    """The path of an installed Chromium; None if there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def jupyter(folder: Path, notebooks: Path = NOTEBOOKS) -> Iterator["Server"]:
    """JupyterLab of this Python on a copy of the lessons. Files that it saves do not reach the checkout."""
    shutil.copytree(notebooks, folder / "lessons", ignore=shutil.ignore_patterns("source", "*.py", "__pycache__", ".*"))
    server = Server(folder)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


class Server:
    """A JupyterLab process on a free port of this machine, with settings of its own."""

    def __init__(self, folder: Path) -> None:
        self.lessons, self.runtime, self.log = folder / "lessons", folder / "runtime", folder / "server.log"
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "JPY_", "AMFS_LAB_CHECKS"))
        }
        env |= {
            "JUPYTER_PREFER_ENV_PATH": "1",
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), env.get("PYTHONPATH")))),
            "AMFS_LAB_FAST": "1",  # this variable and the next are for the kernels
            "OMP_NUM_THREADS": "1",  # otherwise the threads of several kernels slow each other down
            "PYTHONFAULTHANDLER": "1",  # for `end_kernels`
        }
        for name, values in SETTINGS.items():
            path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
            *("--ip=127.0.0.1", f"--port={free_port()}", f"--ServerApp.root_dir={self.lessons}"),
            *("--LabApp.news_url=None", "--LabApp.extension_manager=readonly"),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def end_kernels(self) -> None:
        """Ends all kernels. Each one writes to the log what its threads were doing."""
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any("ipykernel" in word for word in each.cmdline()):
                    each.send_signal(signal.SIGABRT)
                    each.wait(10)

    def wait(self) -> None:
        """Waits until the server listens. It then writes a file with its port, which may differ from the given port."""
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError, ValueError, StopIteration):
                info = json.loads(next(self.runtime.glob("jpserver-*.json")).read_text())
                self.url, self.token = info["url"], info["token"]
                socket.create_connection(("127.0.0.1", info["port"]), timeout=1).close()
                return
            assert self.process.poll() is None, f"JupyterLab ended with {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < end, f"JupyterLab does not listen after {START_SECONDS} s:\n{self.tail()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server as two Ctrl-C would: kernels first."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self, characters: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-characters:]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def open_browser(playwright: Playwright, profile: Path, **look: Any) -> BrowserContext:
    """Chromium without a window, with its own profile, and with `page.js` in every page."""
    look = {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light", **look}
    context = playwright.chromium.launch_persistent_context(
        str(profile), executable_path=chromium(), headless=True, args=list(FLAGS), **look
    )
    context.add_init_script(path=HERE / "page.js")
    return context
