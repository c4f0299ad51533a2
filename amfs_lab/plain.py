"""Plain data from a file, held against the dataclass that it is to become."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

SHOWN = 60  # characters of a wrong value in a sentence


def wrong_field(kind: type, plain: object, place: str = "", exact: bool = True) -> str | None:
    """The first field of `plain` that does not fit the dataclass `kind`, in words; None where all fit.

    Numbers, strings, None, sequences of them and nested dataclasses are looked at; a field of any other type is the
    business of who builds it.

    Args:
        place: where `plain` stands, for the words. exact: whether an unknown field is wrong, too.
    """
    if not isinstance(plain, Mapping):
        return f"{shown(plain)}{f' for {place}' if place else ''}, which is no object of named fields"
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for name in plain if exact else ():
        if name not in fields:
            return f"an unknown field {shown(f'{place}.{name}' if place else name)}"
    for name, field in fields.items():
        path = f"{place}.{name}" if place else name
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if name not in plain:
            if required:
                return f"no field {path!r}"
            continue
        if wrong := _wrong_value(hints.get(name, Any), plain[name], path):
            return wrong
    return None


def shown(value: object) -> str:
    """`repr`, cut to a length that fits into a sentence."""
    words = repr(value)
    return words if len(words) <= SHOWN else words[:SHOWN] + "..."


def _hints(kind: type) -> dict[str, Any]:
    """The types of the fields; none where they cannot be told (of a class within a function, say)."""
    try:
        return get_type_hints(kind)
    except Exception:
        return {}


def _wrong_value(hint: Any, value: object, path: str) -> str | None:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return None if isinstance(value, hint) else wrong_field(hint, value, path)
    if get_origin(hint) in (Union, types.UnionType):
        found = [_wrong_value(option, value, path) for option in get_args(hint)]
        if None in found:
            return None
        deep = [said for said in found if said and f"{path}." in said]  # of the option that it was meant to be
        return deep[0] if deep else found[0]
    return None if _fits(hint, value) else f"{shown(value)} for {path}"


def _fits(hint: Any, value: object) -> bool:
    if hint is None or hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is dict:
        return isinstance(value, dict)
    if hint is str:
        return isinstance(value, str)
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (tuple, list):
        return isinstance(value, list | tuple) and all(_fits(get_args(hint)[0], each) for each in value)
    return True
