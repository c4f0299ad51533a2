"""Downloads that end whole or not at all: resumed where they broke off, checked by MD5, moved into place at once.

What has come lies beside its place as NAME.partial, until it is whole. A lock lets only one process write it.
"""

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import Timeout

from amfs_lab import files
from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import data_dirs

CHUNK, SECONDS = 2**16, 30  # bytes read at a time; silence of a server that counts as a broken connection
KEPT = "What has come is kept: run it again, and it goes on from there."


@dataclass(frozen=True)
class Remote:
    """A data set on the web: where its files lie, and the MD5 and the number of bytes of each."""

    name: str
    base: str
    files: dict[str, tuple[str, int]]


OMNIGLOT = Remote(
    "omniglot",
    "https://raw.githubusercontent.com/brendenlake/omniglot/master/python",
    {
        "images_background.zip": ("68d2efa1b9178cc56df9314c21c6e718", 9_464_212),
        "images_evaluation.zip": ("6b91aef0f799c5bb55b94e3f2daec811", 6_462_886),
    },
)
REMOTES = {remote.name: remote for remote in (OMNIGLOT,)}


class _BrokenOff(Exception):
    """The connection ended before the file did."""


def fetch(
    remote: Remote,
    to: Path | None = None,
    base: str | None = None,
    progress: Callable[[str, int, int | None], None] = lambda name, done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """The files of a data set in the folder `to`/NAME, each downloaded unless it lies there already, whole.

    Args:
        to: a data folder; without one, `data/` of the checkout, or of the present folder.
        base: the address of a mirror that has the same files.
        progress: called with a file's name, the bytes that are here, and of how many, if the server says.
        say: called with each line that a waiting reader should see.
    Raises:
        ConfigError: an address that is not http. DataError: anything that kept a file from coming whole.
    """
    base = (base or remote.base).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).netloc:
        raise ConfigError(f"A mirror is an address that begins with http:// or https://. Got {base!r}. Correct it.")
    folder = (to or data_dirs.downloads()) / remote.name
    with _disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with _alone(folder, say):
        for name, (md5, size) in remote.files.items():
            path = folder / name
            if path.exists():
                _check_present(path, md5)
                say(f"{path} is there already, and whole.")
            else:
                _download(f"{base}/{name}", path, md5, size, progress)
                say(f"{path}: {path.stat().st_size / 1e6:.1f} MB, checksum right.")
            paths.append(path)
    return paths


def partial_of(path: Path) -> Path:
    """Where a file lies as long as it isn't whole."""
    return path.with_name(path.name + ".partial")


@contextlib.contextmanager
def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Only one process at a time: a second one says so, and waits. The lock ends with its process, however it ends."""
    with _disk(folder):
        lock = files.lock(folder / ".fetching.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"Another download into {folder} is under way. Waiting for it.")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(url: str, path: Path, md5: str, size: int, progress: Callable[[str, int, int | None], None]) -> None:
    partial, best = partial_of(path), -1
    while True:
        try:
            _receive(url, partial, size, lambda done, total: progress(path.name, done, total))
            break
        except _BrokenOff as error:  # go on by ourselves as long as each attempt brings more
            have = files.kept_size(partial)
            if have <= best or have == 0:
                raise DataError(f"Expected {path.name} from {url}. Got {have} bytes: {error}. {KEPT}") from error
            best = have
    got = _md5(partial)
    if got != md5:
        partial.unlink()
        raise DataError(
            f"Expected {url} with the MD5 {md5}. Got {got}: cut short, changed on the way, or another file. "
            "It is removed: run it again, or name another mirror with `--from URL`."
        )
    with _disk(path.parent):
        os.replace(partial, path)


def _receive(url: str, partial: Path, size: int, progress: Callable[[int, int | None], None]) -> None:
    """One attempt: the rest of the file to the end of `partial`, or all of it if the server can't send a rest.

    Raises:
        _BrokenOff: the connection ended too early, or was never made. DataError: the server or the disk refused, or
            the server has more than `size` bytes, which could fill a disk.
    """
    with _disk(partial.parent):
        have = files.kept_size(partial)
        if have > size:
            partial.unlink()
            have = 0
    headers = {"User-Agent": "amfs-lab", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))
    try:
        response = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:  # nothing after what we have: it is whole, which its MD5 decides
                return
            raise DataError(
                f"Expected a file at {url}. Got {error.code} {error.reason}. Try later, or name another mirror "
                "with `--from URL`."
            ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        hint = "Check the network, or name a mirror with `--from URL`."
        raise DataError(f"Expected a server at {url}. Got: {reason}. {hint} {KEPT if have else ''}".strip()) from error
    with response, _disk(partial.parent):
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() and len(length) < 19 else None
        if response.status == 206 and not have:
            raise DataError(f"Expected all of {url}, or its rest. Got some other part of it. Name another mirror.")
        if total is not None and total > size:
            raise DataError(
                f"Expected {size:,} bytes from {url}. Got {total:,}: another file. Name another mirror: `--from URL`."
            )
        if total is not None and total - have > (free := shutil.disk_usage(partial.parent).free):
            raise OSError(errno.ENOSPC, f"{total - have} bytes are to come, {free} are free")
        with open(partial, "ab" if have else "wb", opener=files.open_ours) as file:
            progress(have, total)
            while chunk := _next(response)[: size + 1 - have]:  # one byte too many is enough for another MD5
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise _BrokenOff(f"the connection ended after {have} of {total} bytes")


def _next(response: http.client.HTTPResponse) -> bytes:
    """The next bytes of an answer, none at its end; apart from writing, so that a failure has one cause."""
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from error


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Says what the disk refused, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Free some space, or name another folder with `--to DIR`." if full else "Name another with `--to DIR`."
        raise DataError(
            f"Expected a folder with room to write in. Got {folder}: {error.strerror}. {remedy} {KEPT}"
        ) from error


def _check_present(path: Path, md5: str) -> None:
    if not path.is_file() or (got := _md5(path)) != md5:
        what = f"MD5 {got}" if path.is_file() else "no file"
        raise DataError(
            f"Expected nothing at {path}, or the official file (MD5 {md5}). Got {what}: a damaged or repacked copy. "
            "It is left alone: move it away to fetch the official one. (A repacked copy may be fine to use: "
            "`amfs-lab data status` says.)"
        )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
