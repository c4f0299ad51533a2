"""The protection of `lab` in a real JupyterLab, against a user's settings that switch all of it off."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tests.entry_point.conftest import ROOT

OPEN = """
for app in (c.ServerApp, c.LabApp, c.NotebookApp):
    app.ip = "0.0.0.0"
    app.token = ""
    app.password = ""
    app.allow_origin_pat = ".*"
    app.allow_credentials = True
    app.allow_remote_access = True
    app.local_hostnames = ["evil.example"]
    app.disable_check_xsrf = True
    app.tornado_settings = {"headers": {"Access-Control-Allow-Origin": "*"}, "disable_check_xsrf": True}
c.IdentityProvider.token = ""
c.PasswordIdentityProvider.hashed_password = ""
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The description that the running server writes into Jupyter's runtime folder."""
    home = tmp_path_factory.mktemp("home")
    (home / "jupyter_server_config.py").write_text(OPEN)
    (home / "jupyter_lab_config.py").write_text(OPEN)
    (home / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": {"allow_origin": "*"}}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = dict(JUPYTER_CONFIG_DIR=home, JUPYTER_RUNTIME_DIR=home / "runtime", HOME=home, JUPYTER_TOKEN="")
    more = ["--allow-root", "--no-browser", f"--port={port}", f"--ServerApp.root_dir={home}"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "amfs_lab.lab", "--in-place", "--", *more],
        env={**os.environ, **{name: str(value) for name, value in settings.items()}, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=(home / "log").open("w"),
    )  # fmt: skip
    try:
        yield running(process, home)
    finally:
        process.terminate()
        process.wait(30)


def running(process, home) -> dict:
    for _ in range(600):
        for file in (home / "runtime").glob("jpserver-*.json"):
            said = json.loads(file.read_text() or "{}")
            try:
                socket.create_connection(("127.0.0.1", said["port"])).close()
                return said
            except (OSError, KeyError):
                pass
        assert process.poll() is None, (home / "log").read_text()
        time.sleep(0.1)
    raise AssertionError((home / "log").read_text())


def ask(server: dict, place: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server["port"], timeout=30)
    connection.request(method, place, headers=headers)
    answer = connection.getresponse()
    answer.read()
    assert not [name for name in answer.headers if name in ALLOWED and answer.headers[name] in ("*", "true", EVIL)]
    return answer


EVIL = "http://evil.example"
ALLOWED = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials")


def test_it_listens_on_this_machine_only_and_has_a_token(server):
    assert server["hostname"] == "127.0.0.1"
    assert len(server["token"]) == 48
    assert not server["password"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("origin", [{}, {"Origin": EVIL}])
@pytest.mark.parametrize("token", ["", "?token="])
def test_access_without_the_token_is_refused(server, method, origin, token):
    assert ask(server, "/api/terminals" + token, method, **origin).status in (403, 404)


def test_the_token_gives_access(server):
    assert ask(server, f"/api/terminals?token={server['token']}").status == 200


def test_a_page_of_another_site_cannot_use_a_logged_in_browser(server):
    cookies = ask(server, f"/lab?token={server['token']}").headers.get_all("Set-Cookie")
    cookie = {"Cookie": "; ".join(each.split(";")[0] for each in cookies)}
    assert ask(server, "/api/terminals", **cookie).status == 200
    assert ask(server, "/api/terminals", Origin=EVIL, **cookie).status in (403, 404)
    assert ask(server, "/api/terminals", "POST", **cookie).status == 403, "without the XSRF token of our own page"


@pytest.mark.parametrize("name", ["evil.example", "other.example"])
def test_another_host_name_for_this_machine_is_refused(server, name):
    assert ask(server, f"/api/terminals?token={server['token']}", Host=name).status == 403


# --- the login itself ---


@pytest.mark.parametrize(
    ("token", "password", "kept"),
    [
        ("", None, ""),
        (" ", None, ""),
        ("mine", None, "token"),
        ("mine", "", "token"),
        ("", "", ""),
        ("", "a password", "password"),
        ("mine", "a password", "token password"),
    ],
)
def test_a_given_login_is_kept_and_an_empty_one_is_replaced(token, password, kept):
    from jupyter_server.auth import passwd

    from amfs_lab.lab.server import TokenOrPassword

    hashed = "" if password is None else passwd(password, "sha1")
    login = TokenOrPassword(token=token, hashed_password=hashed)
    assert login.hashed_password == (hashed if "password" in kept else "")
    if kept:
        assert login.token == (token if "token" in kept else "")
    else:
        assert len(login.token) == 48
        assert login.token_generated, "Jupyter prints no other token"


def test_a_malformed_hash_is_not_an_empty_password():
    from amfs_lab.lab.server import TokenOrPassword

    login = TokenOrPassword(token="", hashed_password="argon2:no hash")
    assert (login.token, login.hashed_password) == ("", "argon2:no hash")
