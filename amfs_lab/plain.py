"""Checks of plain data from a file against a dataclass, and differences between two configurations."""

import dataclasses
import json
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

SHOWN = 60  # characters of a wrong value in a message


def wrong_field(kind: type, plain: object, place: str = "", exact: bool = True) -> str | None:
    """A description of the first field of `plain` that does not fit the dataclass `kind`; None if all fields fit.

    The function checks numbers, strings, None, sequences of these values, and nested dataclasses. It accepts any value
    for a field of another type.

    Args:
        place: the path of `plain` in the file, for the description. exact: if True, an unknown field is wrong, too.
    """
    if not isinstance(plain, Mapping):
        return f"{shown(plain)}{f' for {place}' if place else ''}, which is not an object with named fields"
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for name in plain if exact else ():
        if name not in fields:
            return f"an unknown field {shown(f'{place}.{name}' if place else name)}"
    for name, field in fields.items():
        path = f"{place}.{name}" if place else name
        if name in plain:
            if wrong := _wrong_value(hints.get(name, Any), plain[name], path):
                return wrong
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"no field {path!r}"
    return None


def shown(value: object) -> str:
    """The `repr` of a value, shortened to fit into a sentence."""
    words = repr(value)
    return words if len(words) <= SHOWN else words[:SHOWN] + "..."


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The settings in which two configurations differ, such as `inner.lam (0.1 there, 0.2 here)`.

    "there" is the value in `theirs`, and "here" is the value in `ours`.
    """
    there, here = (_flat(json.loads(json.dumps(each))) for each in (theirs, ours))  # tuples become lists
    return [
        f"{name} ({there.get(name)!r} there, {here.get(name)!r} here)"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The nested settings as one flat dictionary: `{"inner": {"lam": 0.1}}` becomes `{"inner.lam": 0.1}`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _hints(kind: type) -> dict[str, Any]:
    """The types of the fields of a class.

    The result is empty if the types cannot be resolved, for example for a class within a function.
    """
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
        deep = [each for each in found if each and f"{path}." in each]  # from the option that was probably meant
        return deep[0] if deep else found[0]
    return None if _fits(hint, value) else f"{shown(value)} for {path}"


def _fits(hint: Any, value: object) -> bool:
    if hint is None or hint is type(None):
        return value is None
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) in (tuple, list):
        return isinstance(value, list | tuple) and all(_fits(get_args(hint)[0], each) for each in value)
    if hint in (int, float):
        return isinstance(value, int | float if hint is float else int) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (bool, dict, str) else True
