"""Reading of files that others made, within bounds, and writing of ours beside their place.

Whatever a file holds, the readers raise ValueError in our words; OSError is what the system refuses. A pipe or a device
is no data file: opening one may wait for ever.
"""

import contextlib
import io
import json
import math
import os
import re
import secrets
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor

JSON_BYTES, JSON_DEPTH = 2**24, 64  # our largest record has 85 KB and six levels
ARRAY_BYTES, TENSOR_BYTES, TENSORS = 2**29, 2**32, 20_000
LISTED = 2**24  # bytes of the names and sizes in a zip; those of Omniglot have 3 MB
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python bounds what it unpacks at a time in these alone
LEFT = ".*.part"  # the pattern of the names of files that are not in their places yet
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A regular file, open for reading. Raises ValueError for a pipe or a device."""
    _check_regular(path, os.stat(path))
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_WAIT), "rb") as file:
        _check_regular(path, os.fstat(file.fileno()))
        yield file


def _check_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, "Is a directory", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path.name} is a pipe or a device, and no file")


def content(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes."""
    with opened(path) as file:
        return content_of(file, path, most)


def content_of(file: IO[bytes], path: Path, most: int) -> bytes:
    """The same of an open file."""
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise ValueError(f"{path.name} has {size:,} bytes, more than the {most:,} that are read")
    try:
        return file.read(size)
    except MemoryError as error:
        raise ValueError(f"{path.name} has {size:,} bytes, too many for this machine") from error


def read_json(path: Path) -> Any:
    """`parse_json` of a file."""
    return parse_json(content(path, JSON_BYTES))


def parse_json(data: bytes | str) -> Any:
    """Strict JSON in UTF-8: finite numbers, integers of 64 bits, no field twice, `JSON_DEPTH` levels at most."""
    if len(data) > JSON_BYTES:
        raise ValueError(f"its JSON has {len(data):,} bytes, more than the {JSON_BYTES:,} that are read")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        plain = json.loads(
            text, object_pairs_hook=_fields, parse_constant=_no_number, parse_float=_finite, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError("its text is not UTF-8") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("its JSON is nested too deeply or too large") from error
    level, depth = [plain], 0
    while level := [child for part in level for child in _children(part)]:
        depth += 1
        if depth > JSON_DEPTH:
            raise ValueError(f"its JSON is nested too deeply, more than {JSON_DEPTH} levels")
    if re.search(r"\\u[dD][89a-fA-F]", text):
        try:
            json.dumps(plain, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("its text has half of a character (a lone surrogate)") from error
    return plain


def _children(part: Any) -> Any:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for n, (name, _) in enumerate(pairs) if name in dict(pairs[:n]))
        raise ValueError(f"its JSON has the field {twice[:60]!r} twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"its JSON has {word}, which is no number there")


def _finite(word: str) -> float:
    number = float(word)
    return number if math.isfinite(number) else _no_number(word[:60])


def _integer(word: str) -> int:
    number = int(word) if len(word) <= 20 else 2**63
    if abs(number) >= 2**63:
        raise ValueError(f"its JSON has the integer {word[:20]}..., which has more than 64 bits")
    return number


@contextlib.contextmanager
def archive(file: io.BufferedReader | io.BytesIO) -> Iterator[zipfile.ZipFile]:
    """An open zip. Raises ValueError for a list of files that would take minutes and gigabytes to read."""
    with zipfile.ZipFile(_Bounded(file)) as opened:  # type: ignore[arg-type]
        yield opened


class _Bounded:
    """A file of which no more than `LISTED` bytes are read at once; zipfile reads its list of files at once."""

    def __init__(self, file: io.BufferedReader | io.BytesIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > LISTED:
            raise ValueError(f"a list of files of {size:,} bytes, more than the {LISTED:,} that are read")
        return self._file.read(size)


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """A file of a zip that has at most `most` bytes, whatever the zip says of its size."""
    if info.compress_type not in METHODS:
        raise ValueError(f"{info.filename!r} is packed by another method than the usual one (deflate)")
    if info.file_size > most:
        raise ValueError(f"{info.filename!r} has {info.file_size:,} bytes, more than the {most:,} that are read")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # unpacks no more, and compares the checksum at the end


def arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz file. A shape is compared with the bytes that are there before memory is taken for it."""
    try:
        with archive(io.BytesIO(data)) as opened:
            members = opened.infolist()
            if (total := sum(info.file_size for info in members)) > ARRAY_BYTES:
                raise ValueError(f"arrays of {total:,} bytes, more than the {ARRAY_BYTES:,} that are read")
            return {
                info.filename.removesuffix(".npy"): _array(info.filename, member(opened, info, ARRAY_BYTES))
                for info in members
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, MemoryError, OverflowError) as error:
        raise ValueError(f"no whole archive of arrays: {error}") from error


def _array(name: str, data: bytes) -> np.ndarray:
    file, form = io.BytesIO(data), np.lib.format
    headers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    try:
        shape, _, dtype = headers[form.read_magic(file)](file)
    except Exception as error:  # numpy evaluates the header's text
        raise ValueError(f"{name!r} has no header of an array") from error
    there = len(data) - file.tell()
    if dtype.hasobject or min((0, *shape)) < 0 or not dtype.itemsize or math.prod(shape) * dtype.itemsize != there:
        raise ValueError(f"{name!r} is no array of shape {str(shape)[:60]} and type {str(dtype)[:60]} in {there} bytes")
    file.seek(0)
    return form.read_array(file, allow_pickle=False)


def tensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and the notes beside them."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise ValueError("no whole file of tensors: it ends within its header")
    header = parse_json(data[8 : 8 + size])
    notes = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(notes, dict):
        raise ValueError("no whole file of tensors: its header is no object")
    if len(header) > TENSORS:
        raise ValueError(f"no whole file of tensors: it names {len(header):,}, more than the {TENSORS:,} that are read")
    try:
        return read_tensors(data), notes
    except (SafetensorError, RuntimeError, TypeError, KeyError, MemoryError, OverflowError) as error:
        raise ValueError(f"no whole file of tensors: {error}") from error


@contextlib.contextmanager
def replacing(path: Path, text: bool = False) -> Iterator[IO[Any]]:
    """A new file beside `path`, open for writing, which takes its place when the block has ended without an error.

    Its name cannot be guessed and it is made anew, so that no link leads it elsewhere. The mode is the user's own for
    files (0666 less the umask). A link at `path` is replaced, not followed.
    """
    partial = unguessable(path)
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK | _NO_WAIT, 0o666)
    try:
        settings: dict[str, Any] = {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"} if text else {}
        with os.fdopen(descriptor, "w" if text else "wb", **settings) as file:
            yield file
            file.flush()
            os.fsync(descriptor)  # the power may fail as well
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def unguessable(path: Path) -> Path:
    """A hidden name beside `path` that nobody can have prepared."""
    return path.with_name(f".{secrets.token_hex(8)}.part")


def is_ours(found: os.stat_result) -> bool:
    """True for a regular file with one name that belongs to this user."""
    own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1 and own


def is_trusted(found: os.stat_result) -> bool:
    """True for a file that only this user or root can have written."""
    if not hasattr(os, "geteuid"):  # Windows: a user's folder for caches is closed to others
        return True
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & stat.S_IWOTH


def kept_size(partial: Path) -> int:
    """The bytes that came before, 0 for none. A link, or the file of somebody else, is removed."""
    try:
        found = partial.lstat()
    except FileNotFoundError:
        return 0
    if is_ours(found):
        return found.st_size
    partial.unlink()
    return 0


def open_ours(path: Path | str, flags: int) -> int:
    """An `opener` for a file with a name that can be guessed: it follows no link, and opens no file of others."""
    descriptor = os.open(path, flags | _NO_LINK | _NO_WAIT, 0o666)
    if not is_ours(os.fstat(descriptor)):
        os.close(descriptor)
        raise FileExistsError(17, "A file of somebody else is in the way", str(path))
    return descriptor


def lock(path: Path) -> FileLock:
    """A lock file, not held yet. A link there is removed: older versions of filelock would empty what it leads to."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            path.unlink()
    return FileLock(path)
