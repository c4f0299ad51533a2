"""A download ends whole or not at all, against a real server on loopback that misbehaves in every way we know."""

import errno
import hashlib
import http.server
import io
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import data_dirs, download

ROOT = Path(__file__).resolve().parents[2]
FILES = {name: random.Random(name).randbytes(300_000) for name in ("first.zip", "second.zip")}
FIRST = FILES["first.zip"]


class Server(http.server.ThreadingHTTPServer):
    """Serves FILES, counts what is asked for, and does what `manners` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.files = dict(FILES)
        self.ranges = True  # whether it can send the rest of a file
        self.lengths = True  # whether it says how long an answer is
        self.drops: list[int] = []  # after how many bytes each of the next answers breaks off
        self.silent = False  # whether it sends nothing more after a drop, rather than hanging up
        self.status = 200
        self.pause = 0.0  # seconds between pieces of 16 KB
        self.shift = 0  # by how much the part it sends is not the one that was asked for

    def handle_error(self, request, client_address) -> None:
        """A client that hung up is what some tests are about, and no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append((self.path.strip("/"), wanted))
        body = server.files.get(self.path.strip("/"))
        if body is None or server.status != 200:
            self.send_error(404 if body is None else server.status)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if start and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            start += server.shift
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        rest = body[start:]
        if server.lengths:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        drop = server.drops.pop(0) if server.drops else len(rest)
        for place in range(0, drop, 2**14):
            self.wfile.write(rest[place : min(place + 2**14, drop)])
            time.sleep(server.pause)
        if server.silent and drop < len(rest):
            time.sleep(2)
        self.close_connection = True

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def remote(server) -> download.Remote:
    sums = {name: (hashlib.md5(data).hexdigest(), len(data)) for name, data in FILES.items()}
    return download.Remote("things", server.url, sums)


@pytest.fixture
def one(remote) -> download.Remote:
    return download.Remote("things", remote.base, {"first.zip": remote.files["first.zip"]})


def come(folder: Path) -> dict[str, bytes]:
    """What lies in the folder of the data set, but for the lock."""
    return {p.name: p.read_bytes() for p in (folder / "things").iterdir() if p.name != ".fetching.lock"}


def test_all_files_come_whole_with_progress_to_the_last_byte(remote, server, tmp_path):
    steps, said = [], []
    paths = download.fetch(remote, tmp_path, None, lambda *step: steps.append(step), said.append)
    assert come(tmp_path) == FILES
    assert paths == [tmp_path / "things" / name for name in FILES]
    assert server.asked == [("first.zip", None), ("second.zip", None)]
    for name, data in FILES.items():
        done = [have for what, have, total in steps if what == name and total == len(data)]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, len(data))
        assert len(done) > 3
    assert said == [f"{path}: 0.3 MB, checksum right." for path in paths]


def test_what_is_there_whole_is_not_asked_for_again(remote, server, tmp_path):
    download.fetch(remote, tmp_path)
    (tmp_path / "things" / "second.zip").unlink()
    server.asked.clear()
    said = []
    download.fetch(remote, tmp_path, say=said.append)
    assert server.asked == [("second.zip", None)]
    assert said[0].endswith("first.zip is there already, and whole.")


def test_another_file_of_that_name_is_left_alone(one, server, tmp_path):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "first.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"or the official file .* damaged or repacked copy. It is left alone"):
        download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": b"mine"}
    assert server.asked == []


def test_a_mirror_takes_the_place_of_the_official_address(one, server, tmp_path):
    elsewhere = download.Remote("things", "http://127.0.0.1:9/unused", one.files)
    download.fetch(elsewhere, tmp_path, server.url + "/")
    assert come(tmp_path) == {"first.zip": FIRST}


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "file:///etc", "127.0.0.1/x", "http://"])
def test_a_mirror_that_is_no_web_address_is_refused(one, tmp_path, address):
    with pytest.raises(ConfigError, match=r"A mirror is an address that begins with http:// or https://. Got"):
        download.fetch(one, tmp_path, address)
    assert list(tmp_path.iterdir()) == []


# --- broken off and gone on


def test_a_connection_that_breaks_is_taken_up_where_it_broke(one, server, tmp_path):
    server.drops = [100_000, 50_000]
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}
    assert server.asked == [("first.zip", wanted) for wanted in (None, "bytes=100000-", "bytes=150000-")]


def test_without_progress_it_stops_keeps_what_came_and_a_later_run_goes_on(one, server, tmp_path):
    server.drops = [100_000, 0]
    said = r"Got 100000 bytes: .*100000 of 300000 bytes. What has come is kept: run it again, and it goes on from there"
    with pytest.raises(DataError, match=said):
        download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip.partial": FIRST[:100_000]}
    server.asked.clear()
    steps = []
    download.fetch(one, tmp_path, progress=lambda *step: steps.append(step))
    assert server.asked == [("first.zip", "bytes=100000-")]
    assert steps[0] == ("first.zip", 100_000, 300_000)
    assert come(tmp_path) == {"first.zip": FIRST}


def test_a_server_that_sends_no_rest_is_asked_for_all(one, server, tmp_path):
    server.ranges, server.drops = False, [100_000]
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}


def test_a_server_that_always_breaks_at_the_same_place_does_not_go_on_for_ever(one, server, tmp_path):
    server.ranges, server.drops = False, [100_000] * 50
    with pytest.raises(DataError, match="Got 100000 bytes"):
        download.fetch(one, tmp_path)
    assert len(server.asked) == 2


def test_a_server_that_falls_silent_counts_as_broken(one, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SECONDS", 0.3)
    server.silent, server.drops = True, [100_000]
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}
    assert server.asked[1] == ("first.zip", "bytes=100000-")


def test_a_rest_that_is_another_part_is_refused(one, server, tmp_path):
    server.drops, server.shift = [100_000], 5
    with pytest.raises(DataError, match=r"or its rest. Got some other part of it"):
        download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip.partial": FIRST[:100_000]}


def test_a_whole_partial_file_needs_no_more_bytes(one, server, tmp_path):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "first.zip.partial").write_bytes(FIRST)
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}
    assert server.asked == [("first.zip", "bytes=300000-")]


def test_a_server_that_tells_no_length_is_trusted_to_the_checksum_only(one, server, tmp_path):
    server.lengths = False
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}


# --- what is not the file


@pytest.mark.parametrize("start", [0, 100_000])
@pytest.mark.parametrize(
    "wrong", [FIRST[:-1], FIRST[:-1] + b"?", FIRST + b"?", b""], ids=["cut", "changed", "longer", "empty"]
)
def test_a_file_with_another_checksum_is_removed_and_said(one, server, tmp_path, wrong, start):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "first.zip.partial").write_bytes(FIRST[:start])
    server.files["first.zip"], server.lengths = wrong, False
    with pytest.raises(DataError, match=r"with the MD5 [0-9a-f]{32}. Got [0-9a-f]{32}: .* It is removed: run it again"):
        download.fetch(one, tmp_path)
    assert come(tmp_path) == {}
    server.files["first.zip"] = FIRST
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}


def test_a_partial_file_of_something_else_is_noticed(one, tmp_path):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "first.zip.partial").write_bytes(b"?" * 1000)
    with pytest.raises(DataError, match="It is removed"):
        download.fetch(one, tmp_path)
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}


@pytest.mark.parametrize("status", [404, 403, 500])
def test_an_answer_that_is_no_file_is_said_with_its_number(one, server, tmp_path, status):
    server.status = status
    with pytest.raises(DataError, match=rf"Expected a file at {server.url}/first.zip. Got {status} .* `--from URL`"):
        download.fetch(one, tmp_path)
    assert come(tmp_path) == {}


def test_a_file_that_the_server_lacks_keeps_the_one_that_came(remote, server, tmp_path):
    del server.files["second.zip"]
    with pytest.raises(DataError, match=r"second.zip. Got 404 Not Found"):
        download.fetch(remote, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}


def test_no_server_is_said_and_keeps_what_came(one, tmp_path):
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "first.zip.partial").write_bytes(FIRST[:1000])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataError, match=r"Expected a server at .*first.zip. Got: .* Check the network, .* is kept"):
            download.fetch(one, tmp_path, address)
    assert come(tmp_path) == {"first.zip.partial": FIRST[:1000]}


# --- no space


def test_a_disk_that_is_too_full_is_said_before_a_byte_is_written(one, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=299_999))
    said = (
        r"room to write in. Got .*things: 300000 bytes are to come, 299999 are free. Free some space, or .*`--to DIR`"
    )
    with pytest.raises(DataError, match=said):
        download.fetch(one, tmp_path)
    assert come(tmp_path) == {}


def test_a_disk_that_fills_up_on_the_way_keeps_what_came(one, tmp_path, monkeypatch):
    left = [100_000]

    class Filling(io.FileIO):
        def write(self, data: bytes) -> int:
            super().write(data[: left[0]])
            left[0] -= len(data)
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(download, "open", Filling, raising=False)
        with pytest.raises(DataError, match=r"No space left on device. Free some space.* What has come is kept"):
            download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip.partial": FIRST[:100_000]}
    download.fetch(one, tmp_path)
    assert come(tmp_path) == {"first.zip": FIRST}


@pytest.mark.parametrize("lengths", [True, False])
def test_a_download_stops_at_the_official_size(one, server, tmp_path, lengths):
    """A server that sends more could fill the disk: no more than one byte too many is taken."""
    server.files["first.zip"], server.lengths = FIRST + bytes(3_000_000), lengths
    most = []
    words = r"Expected 300,000 bytes from .*first.zip. Got 3,300,000: another file" if lengths else "It is removed"
    with pytest.raises(DataError, match=words):
        download.fetch(one, tmp_path, progress=lambda name, done, total: most.append(done))
    assert max(most, default=0) <= 300_001
    assert come(tmp_path) == {}


@pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
@pytest.mark.parametrize("name", ["first.zip.partial", ".fetching.lock"])
@pytest.mark.parametrize("prepare", [Path.symlink_to, Path.hardlink_to, lambda place, _: os.mkfifo(place)])
def test_what_others_put_into_the_way_is_not_written_through(one, tmp_path, name, prepare):
    target = tmp_path / "precious"
    target.write_bytes(b"mine")
    (tmp_path / "things").mkdir()
    place = tmp_path / "things" / name
    prepare(place, target)
    download.fetch(one, tmp_path)
    assert target.read_bytes() == b"mine"
    assert (tmp_path / "things" / "first.zip").read_bytes() == FIRST
    assert not (tmp_path / "things" / "first.zip").is_symlink()


def test_a_place_that_can_not_be_a_folder_is_said(one, tmp_path):
    (tmp_path / "things").write_text("in the way")
    with pytest.raises(DataError, match=r"folder with room to write in. Got .*things: File exists. Name another with"):
        download.fetch(one, tmp_path)


# --- two at once, and stopped


def test_of_two_at_once_the_second_says_so_waits_and_finds_all_there(remote, server, tmp_path):
    server.pause = 0.02
    said: list[list[str]] = [[], []]
    threads = [
        threading.Thread(target=download.fetch, args=(remote, tmp_path), kwargs={"say": lines.append}) for lines in said
    ]
    threads[0].start()
    while not server.asked:
        time.sleep(0.005)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert come(tmp_path) == FILES
    assert server.asked == [("first.zip", None), ("second.zip", None)]
    assert said[1][0] == f"Another download into {tmp_path / 'things'} is under way. Waiting for it."
    assert [line.endswith("is there already, and whole.") for line in said[1][1:]] == [True, True]


def in_a_process(one: download.Remote, folder: Path) -> subprocess.Popen:
    code = (
        "import sys; from pathlib import Path; from amfs_lab import cli; from amfs_lab.tasks import download\n"
        f"download.REMOTES['omniglot'] = {one!r}\n"
        f"sys.exit(cli.main(['data', 'fetch', 'omniglot', '--to', {str(folder)!r}]))"
    )
    code = code.replace("Remote(", "download.Remote(")
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for another process on Windows")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_stopped_leaves_a_partial_file_and_no_lock(one, server, tmp_path, how):
    server.pause = 0.1
    process = in_a_process(one, tmp_path)
    partial = tmp_path / "things" / "first.zip.partial"
    while not (partial.exists() and partial.stat().st_size):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert errors == f"amfs-lab: stopped. {download.KEPT}\n"
    had = partial.stat().st_size
    assert partial.read_bytes() == FIRST[:had]
    assert 0 < had < len(FIRST)
    server.pause = 0
    server.asked.clear()
    said = []
    download.fetch(one, tmp_path, say=said.append)
    assert server.asked == [("first.zip", f"bytes={had}-")]
    assert come(tmp_path) == {"first.zip": FIRST}
    assert not any("Waiting" in line for line in said), "the lock ended with its process"


# --- where to


def test_without_a_folder_it_goes_to_the_checkout_or_where_one_stands(monkeypatch, tmp_path):
    assert data_dirs.downloads() == ROOT / "data"
    monkeypatch.setattr(data_dirs, "PACKAGE", tmp_path / "site-packages" / "amfs_lab")
    monkeypatch.chdir(tmp_path)
    assert data_dirs.downloads() == tmp_path / "data"
    assert data_dirs.downloads() in data_dirs.folders(None, "anything")


def test_what_is_downloaded_stays_out_of_git():
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the course is no git repository")
    paths = [f"data/omniglot/{name}{end}" for name in download.OMNIGLOT.files for end in ("", ".partial")]
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == paths


def test_omniglot_is_the_official_one():
    assert download.REMOTES["omniglot"].base.startswith("https://raw.githubusercontent.com/brendenlake/omniglot/")
    assert download.OMNIGLOT.files == {
        "images_background.zip": ("68d2efa1b9178cc56df9314c21c6e718", 9464212),
        "images_evaluation.zip": ("6b91aef0f799c5bb55b94e3f2daec811", 6462886),
    }
