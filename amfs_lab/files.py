"""Reading of untrusted files up to a size limit, and atomic writing of files.

The reading functions raise ValueError for wrong content, and OSError if the system refuses access.
"""

import contextlib
import gzip
import io
import json
import os
import secrets
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor

JSON_BYTES = 2**24  # our largest record has 85 KB
ARRAY_BYTES, TENSOR_BYTES = 2**29, 2**32
DIRECTORY_BYTES = 2**24  # limit of a zip's list of members; the list of Omniglot's zip has 3 MB
TAR_HEADERS = 2**20  # bytes of the headers before a member of a tar
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the two methods that zipfile unpacks in bounded pieces
LEFT = ".*.part"  # the names of files that are not complete yet


def opened(path: Path) -> io.BufferedReader:
    """A regular file, open for reading. Raises ValueError for a pipe or a device, which could block for ever."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path.name} is a pipe or a device, not a file")
    return path.open("rb")


def content(path: Path, most: int) -> bytes:
    """The bytes of a regular file. Raises ValueError if the file has more than `most` bytes."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{path.name} has {size:,} bytes, more than the limit of {most:,}")
        try:
            return file.read(size)
        except MemoryError as error:
            raise ValueError(f"{path.name} has {size:,} bytes, more than the free memory") from error


def read_json(path: Path) -> Any:
    """The value in a JSON file, read by `parse_json`. The file must have no more than `JSON_BYTES` bytes."""
    return parse_json(content(path, JSON_BYTES))


def parse_json(data: bytes | str) -> Any:
    """The value of strict JSON in UTF-8: finite numbers, integers of at most 64 bits, and no repeated field.

    Raises ValueError for any other text.
    """
    if len(data) > JSON_BYTES:
        raise ValueError(f"its JSON has {len(data):,} bytes, more than the limit of {JSON_BYTES:,}")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        plain = json.loads(text, object_pairs_hook=_unique_fields, parse_int=_integer)
        json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()  # refuses NaN, infinity and lone surrogates
    except (RecursionError, MemoryError) as error:
        raise ValueError("its JSON is nested too deeply or too large") from error
    except ValueError as error:
        raise ValueError(f"its JSON is not valid: {str(error)[:100]}") from error
    return plain


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"the field {max(names, key=names.count)[:60]!r} occurs twice")
    return dict(pairs)


def _integer(word: str) -> int:
    if len(word) > 20 or abs(int(word)) >= 2**63:
        raise ValueError(f"the integer {word[:20]} has more than 64 bits")
    return int(word)


def archive(file: io.BufferedReader | io.BytesIO) -> zipfile.ZipFile:
    """An open zip archive. Raises ValueError if its list of members has more than `DIRECTORY_BYTES` bytes."""
    return zipfile.ZipFile(_Bounded(file))  # type: ignore[arg-type]


class _Bounded:
    """A file that raises ValueError for a read of more than `DIRECTORY_BYTES` bytes.

    zipfile reads the list of members in one read, so this limits the length of the list.
    """

    def __init__(self, file: io.BufferedReader | io.BytesIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_BYTES:
            raise ValueError(f"its list of members has {size:,} bytes, more than the limit of {DIRECTORY_BYTES:,}")
        return self._file.read(size)


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """The bytes of one member of a zip. Raises ValueError for more than `most` bytes.

    The function does not trust the size that the zip states.
    """
    if info.compress_type not in METHODS:
        raise ValueError(f"{info.filename!r} must be stored or deflated. Got another compression method")
    if info.file_size > most:
        raise ValueError(f"{info.filename!r} has {info.file_size:,} bytes, more than the limit of {most:,}")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # not more; zipfile compares the checksum at the end


def tar_members(path: Path, most: int, largest: int, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of the wanted members of a tar or tar.gz, in the order of the archive.

    Nothing is written to disk.

    Raises ValueError for a link or a device, for a wanted member of more than `largest` bytes, or for more than `most`
    bytes in total. The function does not trust the sizes that the archive states.
    """
    with opened(path) as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        source: Any = _Growing(gzip.GzipFile(fileobj=file) if packed else file)
        try:
            with tarfile.open(fileobj=source, mode="r|") as archive:
                while info := archive.next():
                    if not (info.isreg() or info.isdir()) or info.issparse():
                        raise ValueError(f"{info.name!r} is a link or a device, not a file")
                    if (end := info.offset_data + info.size) > most:
                        raise ValueError(f"more than {most:,} bytes when unpacked")
                    source.limit = end + TAR_HEADERS
                    if info.isreg() and wanted(info.name):
                        if info.size > largest:
                            limit = f"more than the limit of {largest:,}"
                            raise ValueError(f"{info.name!r} has {info.size:,} bytes, {limit}")
                        yield info.name, archive.extractfile(info).read()  # type: ignore[union-attr]
                    archive.members = []  # type: ignore[attr-defined]  # tarfile would keep all of them
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(f"not a complete archive: {error}") from error


class _Growing:
    """An unpacked stream that raises ValueError if more than `limit` bytes are read.

    The limit is necessary, because the header of a tar may state any size for the name of a member.
    """

    def __init__(self, file: io.BufferedReader | gzip.GzipFile) -> None:
        self._file, self._at, self.limit = file, 0, TAR_HEADERS

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._at += len(data)
        if self._at > self.limit:
            raise ValueError("headers of more than a megabyte")
        return data


def arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz file. Raises ValueError for pickled objects."""
    try:
        with archive(io.BytesIO(data)) as opened:
            members = opened.infolist()
            if (total := sum(info.file_size for info in members)) > ARRAY_BYTES:
                raise ValueError(f"{total:,} bytes when unpacked, more than the limit of {ARRAY_BYTES:,}")
            return {info.filename.removesuffix(".npy"): _array(member(opened, info, ARRAY_BYTES)) for info in members}
    except Exception as error:  # numpy evaluates the text of a header, and may raise nearly any type of error
        raise ValueError(f"not a complete npz archive: {str(error)[:200]}") from error


def _array(data: bytes) -> np.ndarray:
    array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    if array.size > len(data):
        raise ValueError(f"{array.size:,} elements in {len(data):,} bytes")
    return array


def tensors(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    try:
        found = read_tensors(data)
    except (SafetensorError, RuntimeError, TypeError, KeyError, MemoryError, OverflowError, ValueError) as error:
        raise ValueError(f"not a complete file of tensors: {error}") from error
    end = 8 + int.from_bytes(data[:8], "little")
    return found, parse_json(data[8:end]).get("__metadata__", {})


@contextlib.contextmanager
def replacing(path: Path, text: bool = False) -> Iterator[IO[Any]]:
    """A context with a new file, open for writing. The file replaces `path` if the block ends without an error.

    The new file is in the folder of `path`. Its name cannot be guessed, and an existing file is never opened. So nobody
    can redirect the writing by a link that was made before. A link at `path` is replaced, not followed.
    """
    partial = unguessable(path)
    settings: dict[str, Any] = {"encoding": "utf-8", "newline": "", "errors": "backslashreplace"} if text else {}
    with open(partial, "x" if text else "xb", **settings) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            partial.unlink(missing_ok=True)
            raise
    os.replace(partial, path)


def write_json(path: Path, plain: Any) -> None:
    """Writes plain data to a JSON file. The complete new file replaces an old file in one step."""
    with replacing(path, text=True) as file:
        file.write(json.dumps(plain, indent=1) + "\n")


def unguessable(path: Path) -> Path:
    """A hidden path in the folder of `path`, with a random name that nobody can guess."""
    return path.with_name(f".{secrets.token_hex(8)}.part")


def is_trusted(found: os.stat_result) -> bool:
    """True for a file of this user or of root, if not everybody may write to it. On Windows always True."""
    if not hasattr(os, "geteuid"):  # Windows: a user's cache folder is closed to others
        return True
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & stat.S_IWOTH
