"""Downloads end whole or not at all, whatever a real server on loopback does."""

import errno
import hashlib
import http.server
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from amfs_lab import cli
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import data_dirs, download

ROOT = Path(__file__).resolve().parents[2]
FILES = {name: random.Random(name).randbytes(300_000) for name in ("first.zip", "second.zip")}
FIRST = FILES["first.zip"]


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` and records the names that are asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.files = dict(FILES)
        self.drops: list[int] = []  # the number of bytes after which each of the next answers breaks off

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.server.asked.append(name)
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        drop = self.server.drops.pop(0) if self.server.drops else len(body)
        self.wfile.write(body[:drop])
        self.close_connection = True

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "RETRIES", 0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(server) -> download.Remote:
    return download.Remote("things", server.url, {n: (hashlib.md5(d).hexdigest(), len(d)) for n, d in FILES.items()})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "things").glob("*")}


def failing(error: BaseException):
    def write(file, data):
        raise error

    return write


def test_all_files_come_whole_and_whole_files_are_kept(remote, server, tmp_path):
    said: list[str] = []
    paths = download.fetch(remote, tmp_path, say=said.append)
    assert paths == [tmp_path / "things" / name for name in FILES]
    assert contents(tmp_path) == FILES
    assert said == [f"{path}: 0.3 MB, checksum correct." for path in paths]
    paths[1].unlink()
    download.fetch(remote, tmp_path, say=said.append)
    assert server.asked == ["first.zip", "second.zip", "second.zip"]
    assert said[2] == f"{paths[0]} is complete already."


def test_another_file_of_that_name_is_left_alone(remote, server, tmp_path):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "first.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"must be absent, or the official file .* not changed\. Move it away"):
        download.fetch(remote, tmp_path)
    assert contents(tmp_path) == {"first.zip": b"mine"}
    assert server.asked == []


def test_a_mirror_replaces_the_official_address(remote, server, tmp_path):
    download.fetch(download.Remote("things", "http://127.0.0.1:9/unused", remote.files), tmp_path, server.url + "/")
    assert contents(tmp_path) == FILES


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "file:///etc", "127.0.0.1/x", "http://"])
def test_a_mirror_that_is_no_web_address_is_refused(remote, tmp_path, address):
    with pytest.raises(ConfigError, match=r"A mirror's address must begin with http:// or https://\. Got"):
        download.fetch(remote, tmp_path, address)


def test_a_broken_connection_is_tried_again(remote, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "RETRIES", 1)
    server.drops = [100_000]
    download.fetch(remote, tmp_path)
    assert server.asked == ["first.zip", "first.zip", "second.zip"]
    assert contents(tmp_path) == FILES


WRONG = (
    "must have 300,000 bytes and the md5:.* Got another file. Run the command again, or name another mirror with "
    "`--from URL`"
)


@pytest.mark.parametrize(
    ("body", "drops", "words"),
    [
        (None, [], "second.zip must be a file. Got: 404 Client Error: .* Try later, or name another mirror"),
        (FIRST, [], WRONG),
        (FIRST[:-1], [], WRONG),
        (b"", [], WRONG),
        (FILES["second.zip"] + bytes(3_000_000), [], WRONG),
        (FIRST, [300_000, 100_000], r"second.zip must be reachable. Got: .*\. Check the network, or name"),
    ],
)
def test_a_file_that_cannot_come_whole_leaves_nothing_and_keeps_the_others(
    remote, server, tmp_path, body, drops, words
):
    server.files["second.zip"], server.drops = body, drops
    with pytest.raises(DataError, match=words):
        download.fetch(remote, tmp_path)
    assert contents(tmp_path) == {"first.zip": FIRST}


def test_a_server_that_does_not_answer_is_said_with_the_cause_alone(remote, tmp_path):
    with pytest.raises(DataError, match=r"first.zip must be reachable. Got: \[Errno 111\] .{,40}\. Check the network"):
        download.fetch(remote, tmp_path, "http://127.0.0.1:9")


def test_a_full_disk_is_said_and_leaves_nothing(remote, tmp_path, monkeypatch):
    monkeypatch.setattr(download._Bounded, "write", failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(
        DataError, match=r"things must be a folder .* Got: No space left on device. Free some space, or"
    ):
        download.fetch(remote, tmp_path)
    assert contents(tmp_path) == {}


def test_an_interrupted_download_leaves_nothing(remote, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download._Bounded, "write", failing(KeyboardInterrupt()))
    monkeypatch.setitem(download.REMOTES, "omniglot", remote)
    assert cli.main(["data", "fetch", "omniglot", "--to", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "amfs-lab: stopped.\n"
    assert contents(tmp_path) == {}


def test_a_place_that_cannot_be_a_folder_is_said(remote, tmp_path):
    (tmp_path / "things").write_text("in the way")
    with pytest.raises(DataError, match=r"things must be a folder with room .* name another folder with `--to DIR`"):
        download.fetch(remote, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_whoever_may_read_the_folder_may_read_the_file(remote, tmp_path):
    (tmp_path / "things").mkdir(mode=0o755)
    assert [path.stat().st_mode & 0o777 for path in download.fetch(remote, tmp_path)] == [0o644, 0o644]


def test_two_downloads_at_once_do_no_harm(remote, server, tmp_path):
    threads = [threading.Thread(target=download.fetch, args=(remote, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert contents(tmp_path) == FILES


def test_the_default_folder_is_data_in_the_checkout_or_in_the_current_directory(monkeypatch, tmp_path):
    assert data_dirs.downloads() == ROOT / "data"
    monkeypatch.setattr(data_dirs, "PACKAGE", tmp_path / "site-packages" / "amfs_lab")
    monkeypatch.chdir(tmp_path)
    assert data_dirs.downloads() == tmp_path / "data"
    assert data_dirs.downloads() in data_dirs.folders(None, "anything")


def test_downloads_stay_out_of_git():
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the course is no git repository")
    paths = [f"data/omniglot/{name}" for name in download.OMNIGLOT.files]
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == paths
