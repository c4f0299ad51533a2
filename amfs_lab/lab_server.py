"""The JupyterLab that `run.py lab` starts: the command line has the last word, and nobody enters without a login.

`python -m amfs_lab.lab_server OPTIONS` is `python -m jupyterlab OPTIONS` with both. Nothing else imports this module.
"""

import contextlib
import secrets
from copy import deepcopy
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp


class Server(ServerApp):
    """Jupyter's server. In Jupyter's own, `c.LabApp.ip` of a settings file beats `--ServerApp.ip`."""

    def update_config(self, config: Any) -> None:
        config = deepcopy(config)
        config.merge(self.cli_config)
        super().update_config(config)


class TokenOrPassword(PasswordIdentityProvider):
    """Jupyter's own login, and where the settings leave both token and password empty, a random token.

    (A token on the command line would be seen in the list of processes, and Jupyter would not print it.)
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        with contextlib.suppress(ValueError):  # what is no hash lets nobody in
            if self.hashed_password and self.passwd_check(""):
                self.hashed_password = ""
        if not self.token.strip() and not self.hashed_password:
            self.log.warning("Your Jupyter settings ask for no token and no password: this server makes a token.")
            self.token, self.token_generated = secrets.token_hex(24), True


if __name__ == "__main__":
    LabApp.serverapp_class = Server
    LabApp.launch_instance()
