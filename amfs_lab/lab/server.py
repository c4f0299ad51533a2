"""A protected JupyterLab: it serves only this machine and its own pages, and asks for a token or a password.

A Jupyter server runs any code that a client sends. So the protecting options override every configuration file of the
user and of the machine. Only an option that the user gives after `--` replaces a protecting option.
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
    "tornado_settings": "{}",  # could override all options above, and set HTTP headers
}
# If the user sets an option on the left, the protection does not set the options on the right.
IMPLIED = {"token": {"identity_provider_class"}, "ip": {"allow_remote_access", "local_hostnames"}}


class Server(ServerApp):
    """Jupyter's server, in which command-line options override all configuration files.

    In the original server, the setting `c.LabApp.ip` of a file overrides the option `--ServerApp.ip`.
    """

    def update_config(self, config: Any) -> None:
        config = deepcopy(config)
        config.merge(self.cli_config)
        super().update_config(config)


class TokenOrPassword(PasswordIdentityProvider):
    """Jupyter's login, with a random token if the user's settings have neither a token nor a password.

    The token is not a command-line option. Such an option would be visible in the list of processes, and Jupyter would
    not print the token.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        with contextlib.suppress(ValueError):  # no password matches a malformed hash
            if self.hashed_password and self.passwd_check(""):
                self.hashed_password = ""
        if not self.token.strip() and not self.hashed_password:
            self.log.warning("Your Jupyter settings ask for no token and no password. So this server makes a token.")
            self.token, self.token_generated = secrets.token_hex(24), True


def protection(for_jupyter: Sequence[str]) -> list[str]:
    """The protecting options that the user has not set. Prints a warning about the options that the user has set."""
    given = names_of(for_jupyter)
    replaced = given.union(*(IMPLIED.get(name, ()) for name in given))
    if named := sorted(given & {"token", *PROTECTED}):
        print(
            f"You set {' and '.join(named)}, so `lab` does not protect this setting. Anyone who can open this server "
            "can run programs with your rights.",
            flush=True,
        )
    return [f"--ServerApp.{name}={value}" for name, value in PROTECTED.items() if name not in replaced]


def start_page(folder: Path, first: str, for_jupyter: Sequence[str]) -> list[str]:
    """The options that open the notebook `first` in `folder`. Options that the user has set are left out."""
    given = names_of(for_jupyter)
    root = [] if given & {"root_dir", "notebook_dir"} else [f"--ServerApp.root_dir={folder}"]
    return root if "default_url" in given else [*root, f"--LabApp.default_url=/lab/tree/{first}"]


def names_of(options: Sequence[str]) -> set[str]:
    """The names of the settings in Jupyter options, without the class: `ip` for `--ServerApp.ip=x` and for `--ip x`."""
    words = [option.split("=")[0] for option in options if option.startswith("-")]
    return {word.lstrip("-").split(".")[-1].replace("-", "_") for word in words}


def keep_offline(prefix: Path) -> None:
    """Turns off news and update checks in the JupyterLab of an environment, unless the user has turned them on."""
    folder = prefix / "share" / "jupyter" / "lab" / "settings" / "overrides.d"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (folder / "amfs_lab.json").write_text(json.dumps(settings), encoding="utf-8")


def launch(options: list[str]) -> None:
    """Runs JupyterLab until it is stopped."""
    LabApp.serverapp_class = Server
    LabApp.launch_instance(argv=options)
