"""Files of others are read within limits. Our files are written completely, and not through links."""

import gzip
import io
import json
import os
import stat
import struct
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save as serialize

from amfs_lab import files
from amfs_lab.errors import AmfsError, printable

posix = pytest.mark.skipif(os.name == "nt", reason="pipes and modes of POSIX")


# --- JSON


def test_json_comes_as_it_was_written():
    plain = {"a": [1, -2.5, None, True, "é\u2028😀"], "b": {"c": 2**63 - 1}, "e": {}}
    for text in (json.dumps(plain), json.dumps(plain, ensure_ascii=False)):
        assert files.parse_json(text) == plain
        assert files.parse_json(text.encode()) == plain
        assert files.parse_json(b"\xef\xbb\xbf" + text.encode()) == plain  # with a byte-order mark


HOSTILE_JSON = {
    "empty": (b"", "Expecting value"),
    "cut short": (b'{"a": 1', "Expecting"),
    "NaN": (b'{"a": NaN}', "Out of range float values"),
    "infinity": (b"[-Infinity]", "Out of range float values"),
    "a float beyond all": (b"[1e999]", "Out of range float values"),
    "an integer of 65 bits": (b"[18446744073709551616]", "more than 64 bits"),
    "an integer of a million digits": (b"[" + b"9" * 10**6 + b"]", "more than 64 bits"),
    "a field twice": (b'{"a": 1, "b": {"x": 1, "x": 2}}', "the field 'x' occurs twice"),
    "half of a character": (b'{"a": "\\ud800"}', "surrogates not allowed"),
    "half of a character for a name": (b'{"\\udfff": 1}', "surrogates not allowed"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "'utf-8' codec"),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), "Expecting property name"),
    "100,000 lists": (b"[" * 10**5 + b"]" * 10**5, "nested too deeply"),
    "100,000 objects": (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "nested too deeply"),
    "too large": (b"[" + b" " * 2**24 + b"]", "16,777,218 bytes, more than"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_a_value_error_of_the_package(name):
    data, words = HOSTILE_JSON[name]
    with pytest.raises(ValueError, match=words) as caught:
        files.parse_json(data)
    assert len(str(caught.value)) < 200


# --- arrays


def npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def declared(shape: str, kind: str = "<f8", data: bytes = b"") -> bytes:
    return npz(x=npy(f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}}}", data))


def bomb(size: int, method: int = zipfile.ZIP_DEFLATED, claimed: int | None = None) -> bytes:
    """Compressed zeros, with a wrong size in the list of contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.npy", bytes(size))
    data = file.getvalue()
    if claimed is not None:
        data = data.replace(size.to_bytes(4, "little"), claimed.to_bytes(4, "little"))
    return data


def test_arrays_come_as_they_were_saved():
    saved = {
        "a": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "words": np.array(["x", "longer", "é"]),
        "none": np.empty((0, 4), np.uint8),
        "one": np.array(3.5, np.float32),
        "big end": np.arange(3, dtype=">i4"),
    }
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, **saved)
        loaded = files.arrays(file.getvalue())
        assert loaded.keys() == saved.keys()
        for name, array in saved.items():
            assert loaded[name].dtype == array.dtype
            assert np.array_equal(loaded[name], array)


def pickled() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([{"a": 1}], dtype=object))
    return file.getvalue()


def many_files() -> bytes:
    """A zip file without contents whose list of files has 32 MB."""
    listed = bytes(2**25)
    return listed + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, len(listed), 0, 0)


HOSTILE_ARRAYS = {
    "a list of a million files": (many_files, "its list of members has 33,554,432 bytes, more than"),
    "no zip": (lambda: b"no zip at all", "not a zip file"),
    "code in a shape": (lambda: declared("(10**18,)"), "malformed node"),
    "a shape of an exabyte": (lambda: declared(f"({10**18},)"), "Unable to allocate|[Ee]of|EOF"),
    "a shape that overflows": (lambda: declared(f"({2**62}, {2**62})"), "cannot reshape"),
    "sizes below zero": (lambda: declared("(-1, -1)", data=bytes(8)), "not a complete npz archive"),
    "letters of no size": (lambda: declared(f"({10**12},)", "<U0"), "1,000,000,000,000 elements in"),
    "more than is there": (lambda: declared("(2,)", data=bytes(8)), "EOF"),
    "objects": (pickled, "Object arrays cannot be loaded"),
    "code for a header": (lambda: npz(x=npy("__import__('os').getcwd()")), "malformed node"),
    "a deep header": (lambda: npz(x=npy("(" * 9000)), "not a complete npz archive"),
    "no array": (lambda: npz(x=b"text"), "magic string"),
    "a gigabyte of zeros": (lambda: bomb(2**20, claimed=2**30), "1,073,741,824 bytes when unpacked, more than"),
    "more than it says": (lambda: bomb(2**24, claimed=1000), "not a complete npz archive: Bad CRC"),
    "packed so that it cannot be bounded": (lambda: bomb(2**20, zipfile.ZIP_BZIP2), "another compression method"),
}


@pytest.mark.parametrize("name", HOSTILE_ARRAYS)
def test_hostile_arrays_are_a_value_error_of_the_package(name):
    make, words = HOSTILE_ARRAYS[name]
    with pytest.raises(ValueError, match=words):
        files.arrays(make())


# --- tensors


def header(words: str, data: bytes = b"") -> bytes:
    return len(words).to_bytes(8, "little") + words.encode() + data


def entry(shape: object, end: int, kind: str = "F32") -> str:
    return json.dumps({"x": {"dtype": kind, "shape": shape, "data_offsets": [0, end]}})


def test_tensors_come_with_their_notes():
    saved = {"a": torch.randn(2, 3), "none": torch.empty(0, 3), "short": torch.ones(2, dtype=torch.bfloat16)}
    loaded, notes = files.tensors(serialize(saved, {"note": "é"}))
    assert notes == {"note": "é"}
    assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.items())
    assert files.tensors(serialize({}))[1] == {}


HOSTILE_TENSORS = {
    "empty": b"",
    "a header of 2^60 bytes": (2**60).to_bytes(8, "little") + b"{}",
    "a header of 99 MB that is not there": (99_000_000).to_bytes(8, "little") + bytes(100),
    "a large header": header(json.dumps({"__metadata__": {"x": "y" * 2**24}})),
    "a deep header": header("[" * 10**5),
    "a list": header("[]"),
    "notes that are a list": header('{"__metadata__": []}'),
    "a hundred thousand names": header(json.dumps(dict.fromkeys(map(str, range(10**5))))),
    "a name twice": header('{"x": 1, "x": 2}'),
    "a shape that overflows": header(entry([2**62, 2**62], 4), bytes(4)),
    "a shape below zero": header(entry([-1], 4), bytes(4)),
    "more than is there": header(entry([2**40], 2**42), bytes(4)),
    "an unknown type": header(entry([1], 4, "F99"), bytes(4)),
    "a byte too many": header(entry([1], 4), bytes(5)),
}


@pytest.mark.parametrize("name", HOSTILE_TENSORS)
def test_hostile_tensors_are_a_value_error_of_the_package(name):
    with pytest.raises(ValueError, match=r"not a complete file of tensors|its JSON"):
        files.tensors(HOSTILE_TENSORS[name])


# --- files that may be opened


@posix
def test_a_pipe_or_a_device_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", type(tmp_path)("/dev/zero"), type(tmp_path)("/dev/tty")):
        if path.exists():
            with pytest.raises(ValueError, match="is a pipe or a device, not a file"):
                files.content(path, 10)
    with pytest.raises(IsADirectoryError):
        files.content(tmp_path, 10)


@posix
def test_a_file_is_checked_before_memory_is_allocated(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="sparse has 1,099,511,627,776 bytes, more than the limit of 4,294,967,296"):
        files.content(tmp_path / "sparse", files.TENSOR_BYTES)


# --- written files


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("before")
    half = files.replacing(tmp_path / "a")
    half.__enter__().write(b"half")
    half.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (tmp_path / "a").read_text() == "before"
    with files.replacing(tmp_path / "a", text=True) as file:
        file.write("after \udcff\n")
    assert (tmp_path / "a").read_bytes() == b"after \\udcff\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_its_mode_is_the_users_own(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with files.replacing(tmp_path / "a"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@posix
def test_no_link_leads_it_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    with files.replacing(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "a").is_symlink()
    guessed = tmp_path / ".guessed.part"
    guessed.symlink_to(tmp_path / "precious")
    monkeypatch.setattr(files, "unguessable", lambda path: guessed)
    with pytest.raises(FileExistsError), files.replacing(tmp_path / "b"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "b").exists()


# --- printed text


def test_control_codes_do_not_reach_the_terminal():
    for code in [*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2066, 0xD800, 0xDFFF, 0x2028]:
        assert printable(f"a{chr(code)}b").isprintable()
    assert printable("\x1b[31mred") == r"\x1b[31mred"
    assert printable("né\tα – 字 שלום\n") == "né\tα – 字 שלום\n"
    assert printable("a\nb\tc", line=True) == r"a\nb\tc"
    assert str(AmfsError("\x1b]0;title\x07")) == r"\x1b]0;title\x07"
    assert len(str(AmfsError("x" * 10**6))) < 6000


def test_what_is_written_to_a_terminal_is_printable_but_for_the_moves_of_a_bar():
    from amfs_lab.cli.streams import Output

    for bars, shown in ((False, r"\rx\x1b[A\x1b[2J" + "\n"), (True, "\rx\x1b[A" + r"\x1b[2J" + "\n")):
        stream = io.StringIO()
        assert Output(stream, bars).write("\rx\x1b[A\x1b[2J\n") == 10
        assert stream.getvalue() == shown
    assert sys.stdout is not None


# --- tar archives


def tar(*members: tuple[str, bytes], mode: str = "w:gz", head: bytes = b"") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def read_tar(path, data: bytes, most: int = 2**20, largest: int = 2**20, wanted=lambda name: True):
    path.write_bytes(data)
    return list(files.tar_members(path, most, largest, wanted))


MEMBERS = [("a", b"1" * 512), ("b/c", b"22"), ("x" * 300, b"3" * 1500), ("b/c", b"again")]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_of_a_tar_come_in_its_order(tmp_path, mode):
    assert read_tar(tmp_path / "x.tar", tar(*MEMBERS, mode=mode)) == MEMBERS
    wanted = read_tar(tmp_path / "x.tar", tar(*MEMBERS, mode=mode), largest=5, wanted=lambda name: name == "b/c")
    assert wanted == [MEMBERS[1], MEMBERS[3]]


def claims(size: int, kind: bytes = tarfile.REGTYPE, name: str = "a") -> bytes:
    """The header of a member that claims another size than it has."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


HOSTILE_TARS = {
    "a claim of gigabytes": (lambda: claims(2**33), "more than 1,048,576 bytes when unpacked"),
    "a long member": (lambda: tar(("a", bytes(2**19))), "'a' has 524,288 bytes, more than the limit of 65,536"),
    "a bomb": (lambda: tar(*[(str(n), bytes(60_000)) for n in range(20)]), "more than 1,048,576 bytes when unpacked"),
    "a name of gigabytes": (
        lambda: gzip.compress(claims(2**31, tarfile.GNUTYPE_LONGNAME) + bytes(3 * 2**20), 1),
        "headers of more than a megabyte",
    ),
    "a link": (lambda: claims(0, tarfile.SYMTYPE), "'a' is a link or a device"),
    "a device": (lambda: claims(0, tarfile.CHRTYPE), "'a' is a link or a device"),
    "a sparse file": (lambda: claims(0, tarfile.GNUTYPE_SPARSE), "a link or a device|not a complete archive"),
    "cut in a member": (lambda: tar(("a", b"1" * 5000), mode="w")[:3000], "not a complete archive"),
    "cut in the stream": (lambda: tar(("a", bytes(range(256)) * 9))[:-30], "not a complete archive"),
    "no archive": (lambda: b"<html>" * 200, "not a complete archive"),
    "no stream": (lambda: b"\x1f\x8b" + b"x" * 2000, "not a complete archive|compression method"),
}


@pytest.mark.parametrize("kind", HOSTILE_TARS)
def test_hostile_tars_are_a_value_error(tmp_path, kind):
    make, words = HOSTILE_TARS[kind]
    with pytest.raises((ValueError, OSError), match=words):
        read_tar(tmp_path / "x.tar", make(), largest=2**16)
