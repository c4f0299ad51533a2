"""Downloads of data sets with the library pooch. Each file is checked by MD5, and then moved to its final folder."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
from tqdm import tqdm

from amfs_lab.errors import ConfigError, DataError
from amfs_lab.tasks import data_dirs

RETRIES = 2  # after a broken connection or a wrong checksum


@dataclass(frozen=True)
class Remote:
    """A data set on the web: the address `base` of its files, and the MD5 and the size in bytes of each file."""

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
CIFAR100 = Remote(
    "cifar100",
    "https://www.cs.toronto.edu/~kriz",
    {"cifar-100-python.tar.gz": ("eb9058c3a382ffc7106e4002c42a8d85", 169_001_437)},
)
CUB = Remote(
    "cub",
    "https://data.caltech.edu/records/65de6-vp158/files",
    {"CUB_200_2011.tgz": ("97eceeb196236b17998738112f37df78", 1_150_585_339)},
)
REMOTES = {remote.name: remote for remote in (OMNIGLOT, CIFAR100, CUB)}


def fetch(
    remote: Remote, to: Path | None = None, base: str | None = None, say: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Downloads a data set to the folder `to`/NAME, and returns its files. Keeps complete files that already exist.

    Args:
        to: a data directory; by default `data/` in the checkout or in the current directory.
        base: the address of a mirror that has the same files.
        say: called with one line for each file.
    Raises:
        ConfigError: `base` is not a web address. DataError: a file could not be downloaded completely.
    """
    base = (base or remote.base).rstrip("/")
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).netloc:
        raise ConfigError(f"A mirror's address must begin with http:// or https://. Got {base!r}. Correct it.")
    folder = (to or data_dirs.downloads()) / remote.name
    registry = {name: f"md5:{md5}" for name, (md5, _) in remote.files.items()}
    pooch.get_logger().setLevel("ERROR")  # its lines would break the progress bar
    store = pooch.create(folder, f"{base}/", registry=registry, retry_if_failed=RETRIES)
    for name, (md5, size) in remote.files.items():
        path = folder / name
        if not path.exists():
            _download(store, name, size)
            path.chmod(folder.stat().st_mode & 0o666)  # pooch makes it readable only by its owner
            say(f"{path}: {path.stat().st_size / 1e6:.1f} MB, checksum correct.")
        elif path.is_file() and pooch.file_hash(str(path), alg="md5") == md5:
            say(f"{path} is complete already.")
        else:
            raise DataError(
                f"{path} must be absent, or the official file (MD5 {md5}). Got another file, which is not changed. "
                "Move it away to download the official one. `amfs-lab data status` says if this file can be used."
            )
    return [folder / name for name in remote.files]


def _download(store: pooch.Pooch, name: str, size: int) -> None:
    """Downloads one file. Raises DataError with the cause and with advice."""
    from requests import HTTPError, RequestException

    url, mirror = f"{store.base_url}{name}", "name another mirror with `--from URL`"
    try:
        store.fetch(name, downloader=partial(_receive, size))
    except HTTPError as error:
        raise DataError(f"{url} must be a file. Got: {error}. Try later, or {mirror}.") from error
    except RequestException as error:
        raise DataError(f"{url} must be reachable. Got: {_cause(error)}. Check the network, or {mirror}.") from error
    except ValueError as error:
        wanted = f"{size:,} bytes and the {store.registry[name]}"
        raise DataError(f"{url} must have {wanted}. Got another file. Run the command again, or {mirror}.") from error
    except OSError as error:
        raise DataError(
            f"{store.path} must be a folder with room to write in. Got: {error.strerror or error}. Free some space, "
            "or name another folder with `--to DIR`."
        ) from error


def _receive(size: int, url: str, path: str, store: pooch.Pooch) -> None:
    """Tries once to download a file. Raises ValueError above `size` bytes, because a response may be endless."""
    bar: dict[str, Any] = {"desc": url.rpartition("/")[2], "total": size, "disable": None}
    with _Bounded(path, "wb") as file, tqdm.wrapattr(file, "write", **bar) as watched:
        file.size = size
        pooch.HTTPDownloader(chunk_size=2**16)(url, watched, store)


class _Bounded(io.FileIO):
    """A file for writing. Raises ValueError if more than `size` bytes are written."""

    size: int

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self.size:
            raise ValueError("too many bytes")
        return super().write(data)


def _cause(error: BaseException) -> BaseException:
    """The first error of a chain of errors. The later errors of the chain only repeat the address."""
    return _cause(error.__context__) if error.__context__ else error
