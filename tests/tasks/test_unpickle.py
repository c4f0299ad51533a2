"""Pickles give plain data and arrays. Nothing that a pickle names is called."""

import contextlib
import copyreg
import os
import pickle
import struct

import numpy as np
import pytest

from amfs_lab.errors import DataError
from amfs_lab.tasks import unpickle

PLAIN = {
    "data": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">i4"),
    b"list": [0, 255, 65535, -1, 2**40, 2**70, "\u00e9", b"\xff\x00", [[]], {}],
    "outer": {"inner": {b"x": 1}},
}


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_is_what_python_reads(protocol):
    data = pickle.dumps(PLAIN, protocol)
    assert same(unpickle.load(data), pickle.loads(data))


def test_old_names_of_numpy_and_strings_of_python_2():
    """As in the official CIFAR-100: protocol 2 of Python 2, with strings of bytes."""
    data = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\xfd\xfe\xfftbU\x0bfine_labelsq\x08]q\t(K\x13K\x1deu."
    )
    found = unpickle.load(data)
    assert found["fine_labels"] == [19, 29]
    assert found["data"].tolist() == [[0, 1, 2], [253, 254, 255]]
    assert same(found, pickle.loads(data, encoding="latin1"))


# --- payloads


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments) -> None:
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def array_state(dtype: bytes, data: bytes, shape: bytes = b"K\x01\x85") -> bytes:
    """A pickle of an array of this type, as Python 2 writes it; `dtype` and `data` are opcodes."""
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    state = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return start + b"(K\x01" + shape + b"cnumpy\ndtype\n" + dtype + b"K\x00K\x01\x87R" + state + b"\x89" + data + b"tb."


def payloads(marker: str) -> dict[str, tuple[bytes, str]]:
    """Pickles that would make the file `marker`, or objects that nobody asked for, and what is said of them."""
    command = f"touch {marker}"
    code = f"open({marker!r}, 'w').close()"
    system = Call(os.system, command)
    touch = b"cos\nsystem\nX" + struct.pack("<I", len(command)) + command.encode() + b"\x85R"
    name = r"'(posix|nt|os)\.system'"
    state = b"}(U\x08__code__K\x01u"
    return {
        "system": (pickle.dumps(system, 2), name),
        "system in protocol 0": (pickle.dumps(system, 0), name),
        "system by STACK_GLOBAL": (pickle.dumps(system, 4), name),
        "system in a list of data": (pickle.dumps({"data": [1, [system]]}, 2), name),
        "eval": (pickle.dumps(Call(eval, code), 2), r"'__builtin__\.eval'"),
        "eval in protocol 4": (pickle.dumps(Call(eval, code), 4), r"'builtins\.eval'"),
        "exec": (pickle.dumps(Call(exec, code), 4), r"'builtins\.exec'"),
        "getattr": (pickle.dumps(Call(getattr, 1, "real"), 2), r"\.getattr'"),
        "INST": (b"(X" + struct.pack("<I", len(command)) + command.encode() + b"ios\nsystem\n.", "the opcode INST"),
        "OBJ": (b"(cos\nsystem\nX" + struct.pack("<I", len(command)) + command.encode() + b"o.", r"'os\.system'"),
        "NEWOBJ": (b"\x80\x02cnumpy\nndarray\nK\x05\x85\x81.", "the opcode NEWOBJ"),
        "a persistent id": (b"\x80\x02U\x01xQ.", "the opcode BINPERSID"),
        "a persistent id in text": (b"Px\n.", "the opcode PERSID"),
        "an extension": (b"\x80\x02\x82\xf0)R.", "the opcode EXT1"),
        "a subclass of array": (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nmatrix\nK\x00\x85U\x01b\x87R.",
            r"'numpy\.matrix'",
        ),
        "a reconstructed type": (
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85U\x01b\x87R.",
            "a call that makes no array",
        ),
        "numpy's loads": (b"\x80\x02cnumpy.core.multiarray\nloads\nU\x01x\x85R.", r"'numpy\.core\.multiarray\.loads'"),
        "an array of objects": (array_state(b"U\x02O8", b"]" + touch + b"a"), "elements of type 'O8'"),
        "an array of objects by letter": (array_state(b"U\x01O", b"]" + touch + b"a"), "elements of type 'O'"),
        "an array of records": (array_state(b"U\x05u1,O8", b"U\x01x"), "elements of type 'u1,O8'"),
        "a type that is no string": (array_state(touch, b"U\x01x"), r"'os\.system'"),
        "a type from a list": (array_state(b"]U\x02u1a", b"U\x01x"), "elements of type 'list'"),
        "an array of text": (array_state(b"U\x02U9", b"U\x01x"), "elements of type 'U9'"),
        "bytes that run": (array_state(b"U\x02u1", touch), r"'os\.system'"),
        "an array without its bytes": (array_state(b"U\x02u1", b"U\x01x", b"J\xff\xff\xff\x7f\x85"), "in 1 bytes"),
        "a negative shape": (array_state(b"U\x02u1", b"U\x01x", b"J\xff\xff\xff\xff\x85"), "an impossible shape"),
        "a state for a function": (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n" + state + b"b.", "no array"),
        "a state for a class": (b"\x80\x02cnumpy\nndarray\nN" + state + b"\x86b.", "no array"),
        "a state for a dict": (b"\x80\x02}" + state + b"b.", "no array"),
        "a state of fields": (
            b"\x80\x02cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NU\x01a\x85}J\x08\x00\x00\x00K\x01K\x3ftb.",
            "an unusual type of elements",
        ),
        "a function alone": (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.", "an object of type Name"),
        "a tuple": (pickle.dumps([(1,)], 2), "an object of type tuple"),
        "None": (pickle.dumps([None], 2), "an object of type NoneType"),
        "a truth value": (pickle.dumps([True], 2), "an object of type bool"),
        "a float": (pickle.dumps([0.5], 2), "the opcode BINFLOAT"),
        "a set": (pickle.dumps({1}, 4), "the opcode EMPTY_SET"),
        "a key that is a tuple": (pickle.dumps({(1,): 1}, 2), "a key that is no string"),
        "a key that is an integer": (pickle.dumps({2**61 - 1: 1}, 2), "a key that is no string"),
        "an item for a string": (b"\x80\x02U\x01xK\x01a.", "items for an object that is no list"),
        "encoded with another name": (
            b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x05\x00\x00\x00rot13\x86R.",
            "a call that makes no array",
        ),
        "nothing": (b"", "damaged or truncated"),
        "no pickle": (b"hello", "damaged or truncated"),
        "an empty stack": (b"\x80\x02.", "damaged or truncated"),
        "too few for a tuple": (b"\x80\x02K\x01\x87.", "damaged or truncated"),
        "a length beyond the end": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f", "damaged or truncated"),
    }


@pytest.mark.parametrize("kind", payloads("x"))
def test_a_pickle_that_wants_more_is_refused_and_nothing_runs(kind, tmp_path):
    marker = tmp_path / "marker"
    copyreg.add_extension("os", "system", 0xF0)
    try:
        data, words = payloads(str(marker))[kind]
        with pytest.raises(DataError, match=rf"Expected a pickle of arrays, .* Got .*{words}.* Do not open this file"):
            unpickle.load(data)
    finally:
        copyreg.remove_extension("os", "system", 0xF0)
    assert not marker.exists()


def test_the_payloads_are_real(tmp_path):
    """Python's own unpickler runs them."""
    marker = tmp_path / "marker"
    for kind in ("system", "system by STACK_GLOBAL", "eval", "exec", "OBJ", "bytes that run"):
        marker.unlink(missing_ok=True)
        try:
            pickle.loads(payloads(str(marker))[kind][0])
        except Exception:
            assert kind == "bytes that run"
        assert marker.exists(), kind


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_truncated_pickle_is_refused_wherever_it_ends(protocol):
    data = pickle.dumps(PLAIN, protocol)
    for end in range(len(data) - 1):
        with pytest.raises(DataError, match="Expected a pickle"):
            unpickle.load(data[:end])


def test_a_damaged_byte_gives_plain_data_or_an_error():
    data = pickle.dumps(PLAIN, 2)
    for place in range(len(data)):
        for value in (0, 46, 98, 255, data[place] ^ 1):
            with contextlib.suppress(DataError):
                unpickle.load(data[:place] + bytes([value]) + data[place + 1 :])


def test_memory_is_bounded(monkeypatch):
    """By the number of opcodes, and by the bytes that strings are encoded to."""
    monkeypatch.setattr(unpickle, "MOST_OPCODES", 1000)
    with pytest.raises(DataError, match="more than 1,000 opcodes"):
        unpickle.load(b"\x80\x02" + b"]" * 2000 + b".")
    text = b"X" + struct.pack("<I", 500) + b"x" * 500
    again = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0"
    with pytest.raises(DataError, match="more bytes than the file has"):
        unpickle.load(b"\x80\x02" + text + b"q\x00" + again * 50 + b".")


def test_data_that_refers_to_itself_is_no_endless_work():
    """Thirty lists that hold the next one twice would be a thousand million objects if they were copied."""
    lists: list = [1]
    for _ in range(30):
        lists = [lists, lists]
    found = unpickle.load(pickle.dumps(lists, 2))
    assert found[0] is found[1]
