"""Safe reading of pickles that contain only numpy arrays, bytes, lists, dicts, integers and strings.

Python's own unpickler calls functions that a file names, so a file can start any program. This module is a small
interpreter of the opcodes. It calls no function that a file names, and imports nothing. It only compares the names of
functions with the names in `_KNOWN`, which old and new versions of numpy write for an array.
"""

import math
import pickletools
import re
from typing import Any, NamedTuple, NoReturn

import numpy as np

from amfs_lab.errors import DataError

MOST_OPCODES = 4_000_000  # CIFAR-100 has about 300,000; each opcode may make an object
ADMITTED = (int, str, bytes, list, dict, np.ndarray)
_TYPES = re.compile(r"[biu][1248]|f[248]")  # of an array's elements
_ENDIAN = ("<", ">", "=", "|")
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


class _Name(NamedTuple):
    """The name of a function or class in a file. The function or class itself is never imported."""

    name: str


_ARRAY, _DTYPE, _ENCODE = _Name("numpy.ndarray"), _Name("numpy.dtype"), _Name("_codecs.encode")
_EMPTY, _BUFFER = _Name("_reconstruct"), _Name("_frombuffer")
_KNOWN = {
    "numpy ndarray": _ARRAY,
    "numpy dtype": _DTYPE,
    "_codecs encode": _ENCODE,  # bytes, as Python 3 writes them for Python 2
    "numpy.core.multiarray _reconstruct": _EMPTY,
    "numpy._core.multiarray _reconstruct": _EMPTY,
    "numpy.core.numeric _frombuffer": _BUFFER,
    "numpy._core.numeric _frombuffer": _BUFFER,
}


class _Type:
    """The type of an array's elements."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _TYPES.fullmatch(code):
            _refuse(f"an array with elements of type {code if isinstance(code, str) else type(code).__name__!r:.40}")
        self.dtype = np.dtype(code)

    def build(self, state: tuple[Any, ...]) -> None:
        _, order, *rest = state
        if order not in _ENDIAN or rest not in ([None, None, None, -1, -1, 0], [None, None, None, -1, -1]):
            _refuse("an array with an unusual type of elements")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array. Its shape and values are unknown before `build` or `fill`."""

    array: np.ndarray | None = None

    def build(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, column_major, data = state
        self.fill(data, kind, shape, "F" if column_major else "C")

    def fill(self, data: object, kind: object, shape: object, order: object) -> None:
        sizes: Any = shape if isinstance(shape, tuple) else (shape,)
        if not isinstance(kind, _Type) or not isinstance(data, bytes) or order not in ("C", "F"):
            _refuse("an array without bytes or a type")
        if any(type(size) is not int or size < 0 for size in sizes):
            _refuse("an array with an impossible shape")
        if math.prod(sizes) * kind.dtype.itemsize != len(data):
            _refuse(f"an array of shape {sizes!r:.60} in {len(data):,} bytes")
        self.array = np.frombuffer(data, kind.dtype).reshape(sizes, order=order)


def load(data: bytes) -> Any:
    """The content of a pickle of protocol 0 to 5. Strings of Python 2 become `str`, with one character for each byte.

    Raises DataError for objects that are not arrays of numbers, bytes, lists, dicts, integers or strings. Also raises
    DataError for a truncated pickle, and for more than `MOST_OPCODES` opcodes. No function of the file is ever called.
    """
    try:
        return _Machine(len(data)).run(data)
    except DataError:
        raise
    except Exception as error:  # pickletools and the opcodes of a damaged file may raise nearly any type
        _refuse(f"a damaged or truncated file ({type(error).__name__})")


def _refuse(got: str) -> NoReturn:
    raise DataError(
        "Expected a pickle of arrays, bytes, lists, dicts, integers and strings, and nothing else. "
        f"Got {got}. Do not open this file with another program: it may run code. Restore the official file."
    )


class _Machine:
    """The interpreter: its stack, marks in the stack, and memo (stored objects by number).

    `left` is the number of characters that the interpreter may still encode.
    """

    def __init__(self, characters: int) -> None:
        self.left = characters
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST_OPCODES:
                _refuse(f"more than {MOST_OPCODES:,} opcodes")
            if opcode.name == "STOP":
                return _admitted(self.stack.pop())
            self._step(opcode.name, argument)
        raise ValueError("no STOP")

    def _step(self, name: str, argument: Any) -> None:
        stack, memo = self.stack, self.memo
        match name:
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "NONE":  # this and the next two opcodes occur only in the states of arrays
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(self._popped(len(stack) - int(name[-1])))
            case "EMPTY_TUPLE":
                stack.append(())
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(self._popped())
            case "LIST":
                stack.append([*map(_admitted, self._popped())])
            case "DICT":
                stack.append(_pairs(self._popped()))
            case "APPEND" | "APPENDS":
                items = self._popped(len(stack) - 1 if name == "APPEND" else None)
                self._last(list).extend(map(_admitted, items))
            case "SETITEM" | "SETITEMS":
                items = self._popped(len(stack) - 2 if name == "SETITEM" else None)
                self._last(dict).update(_pairs(items))
            case "POP" | "POP_MARK":
                self._popped(len(stack) - 1 if name == "POP" else None)
            case "GLOBAL":
                stack.append(_known(argument))
            case "STACK_GLOBAL":
                stack.append(_known(" ".join(self._popped(len(stack) - 2))))
            case "REDUCE":
                stack.append(self._made(*self._popped(len(stack) - 2)))
            case "BUILD":
                (state,) = self._popped(len(stack) - 1)
                if not isinstance(stack[-1], _Type | _Array) or type(state) is not tuple:
                    _refuse("a state for an object that is no array")
                stack[-1].build(tuple(map(self._bytes, state)) if isinstance(stack[-1], _Array) else state)
            case _ if name in _LITERALS:
                stack.append(bytes(argument) if name == "BYTEARRAY8" else argument)
            case "PROTO" | "FRAME":
                pass
            case _:
                _refuse(f"the opcode {name}, which may call functions or make other objects")

    def _popped(self, start: int | None = None) -> tuple[Any, ...]:
        """Removes and returns the objects of the stack from index `start` on, by default from the last mark on."""
        start = self.marks.pop() if start is None else start
        if start < 0:
            raise IndexError("the stack is empty")
        items = tuple(self.stack[start:])
        del self.stack[start:]
        return items

    def _made(self, function: object, arguments: tuple[Any, ...]) -> object:
        """The value that numpy's function would return for the arguments. The function is not called."""
        if function is _DTYPE:
            return _Type(*arguments)
        if function is _EMPTY and arguments[0] is _ARRAY:
            return _Array()
        if function is _BUFFER:
            array = _Array()
            array.fill(*arguments)
            return array
        if function is _ENCODE and arguments[1:] == ("latin1",):
            return self._bytes(arguments[0])
        _refuse("a call that makes no array")

    def _bytes(self, value: Any) -> Any:
        """A string as bytes, with one byte for each character. Other values are returned unchanged."""
        if not isinstance(value, str):
            return value
        self.left -= len(value)
        if self.left < 0:  # the same string again and again, to fill the memory
            _refuse("more bytes than the file has")
        return value.encode("latin-1")

    def _last(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            _refuse(f"items for an object that is no {kind.__name__}")
        return self.stack[-1]


def _known(name: str) -> _Name:
    if name not in _KNOWN:
        _refuse(f"a reference to {name.replace(' ', '.')!r:.80}")
    return _KNOWN[name]


def _pairs(items: tuple[Any, ...]) -> dict[str | bytes, Any]:
    if any(type(key) not in (str, bytes) for key in items[::2]):  # integers can be chosen so that a dict is very slow
        _refuse("a key that is no string or bytes")
    return {key: _admitted(value) for key, value in zip(items[::2], items[1::2], strict=True)}


def _admitted(value: Any) -> Any:
    """The value, with an `_Array` converted to a numpy array. Raises DataError if its type is not in `ADMITTED`.

    Types, names and tuples are allowed only as parts of arrays.
    """
    found = value.array if isinstance(value, _Array) else value
    if type(found) not in ADMITTED:
        _refuse(f"an object of type {type(found).__name__.strip('_')}")
    return found
