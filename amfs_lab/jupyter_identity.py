"""The login of the JupyterLab that `run.py lab` starts: a token or a password, whatever Jupyter's settings say.

Named on the server's command line as `--ServerApp.identity_provider_class`; nothing else imports it. A token of its own
on the command line would be seen in the list of processes, and Jupyter would not print it.
"""

import secrets
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider


class TokenOrPassword(PasswordIdentityProvider):
    """Jupyter's own login, and where the settings leave both token and password empty, a random token."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.hashed_password and self.passwd_check(""):
            self.hashed_password = ""
        if not self.token.strip() and not self.hashed_password:
            self.log.warning("Your Jupyter settings ask for no token and no password: this server makes a token.")
            self.token, self.token_generated = secrets.token_hex(24), True
