"""A protected JupyterLab: for this machine and its own pages only, and never without a token or a password.

A Jupyter server runs any code that a client sends. The protecting options override every configuration file of the
user and of the machine. Only an option that the user gives after `--` replaces one.
"""

import contextlib
import json
import secrets
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp

PROTECTED = {
    "ip": "127.0.0.1",
    "identity_provider_class": "amfs_lab.lab.server.TokenOrPassword",
    "allow_origin": "",
    "allow_origin_pat": "",
    "allow_credentials": "False",
    "allow_remote_access": "False",
    "local_hostnames": "localhost",
    "disable_check_xsrf": "False",
    "tornado_settings": "{}",  # these could override each of the others, and set headers
}
# If the user sets an option on the left, those on the right are not set either.
IMPLIED = {"token": {"identity_provider_class"}, "ip": {"allow_remote_access", "local_hostnames"}}


class Server(ServerApp):
    """Jupyter's server, with command-line options that override all others.

    In Jupyter's own server, `c.LabApp.ip` overrides `--ServerApp.ip`.
    """

    def update_config(self, config: Any) -> None:
        config = deepcopy(config)
        config.merge(self.cli_config)
        super().update_config(config)


class TokenOrPassword(PasswordIdentityProvider):
    """Jupyter's login, with a random token if the settings have neither a token nor a password.

    A token on the command line would be visible in the list of processes, and Jupyter would not print it.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        with contextlib.suppress(ValueError):  # no password matches a malformed hash
            if self.hashed_password and self.passwd_check(""):
                self.hashed_password = ""
        if not self.token.strip() and not self.hashed_password:
            self.log.warning("Your Jupyter settings ask for no token and no password: this server makes a token.")
            self.token, self.token_generated = secrets.token_hex(24), True


def protection(for_jupyter: Sequence[str]) -> list[str]:
    """The protecting options, without those that the user has set. Prints a sentence that names these."""
    given = names_of(for_jupyter)
    replaced = given.union(*(IMPLIED.get(name, ()) for name in given))
    if named := sorted(given & {"token", *PROTECTED}):
        print(
            f"You set {' and '.join(named)} yourself: `lab` does not protect that. Whoever gets into this server runs "
            "programs in your name.",
            flush=True,
        )
    return [f"--ServerApp.{name}={value}" for name, value in PROTECTED.items() if name not in replaced]


def start_page(folder: Path, first: str, for_jupyter: Sequence[str]) -> list[str]:
    """The options that open `folder` at the notebook `first`, without those that the user has set."""
    given = names_of(for_jupyter)
    root = [] if given & {"root_dir", "notebook_dir"} else [f"--ServerApp.root_dir={folder}"]
    return root if "default_url" in given else [*root, f"--LabApp.default_url=/lab/tree/{first}"]


def names_of(options: Sequence[str]) -> set[str]:
    """The names of Jupyter's settings in options of any class: `--ServerApp.ip=x` and `--ip x` name `ip`."""
    words = [option.split("=")[0] for option in options if option.startswith("-")]
    return {word.lstrip("-").split(".")[-1].replace("-", "_") for word in words}


def keep_offline(prefix: Path) -> None:
    """Turns off news and update checks in an environment's JupyterLab. The user's own settings have priority."""
    folder = prefix / "share" / "jupyter" / "lab" / "settings" / "overrides.d"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (folder / "amfs_lab.json").write_text(json.dumps(settings), encoding="utf-8")


def launch(options: list[str]) -> None:
    """Runs JupyterLab until it is stopped."""
    LabApp.serverapp_class = Server
    LabApp.launch_instance(argv=options)
