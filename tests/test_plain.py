"""Plain data against a dataclass: the first field that does not fit is named."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from amfs_lab.plain import wrong_field


@dataclass
class Inner:
    share: float
    note: str | None = None


@dataclass
class Outer:
    count: int
    kind: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()
    on: bool = False
    table: dict = field(default_factory=dict)
    inner: Inner | None = None


WHOLE = {"count": 3, "kind": "b", "names": ["x"], "on": True, "table": {}, "inner": {"share": 1, "note": None}}


def test_data_that_fit_give_none():
    assert wrong_field(Outer, WHOLE) is None
    assert wrong_field(Outer, {"count": 0, "inner": None}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": "3"}, "'3' for count"),
        ({"count": True}, "True for count"),
        ({"count": 3.0}, "3.0 for count"),
        ({"count": None}, "None for count"),
        ({"kind": "c"}, "'c' for kind"),
        ({"names": ["x", 1]}, "['x', 1] for names"),
        ({"names": "x"}, "'x' for names"),
        ({"on": 1}, "1 for on"),
        ({"table": []}, "[] for table"),
        ({"inner": 7}, "7 for inner, which is not an object with named fields"),
        ({"inner": {"share": "much"}}, "'much' for inner.share"),
        ({"inner": {}}, "no field 'inner.share'"),
        ({"more": 1}, "an unknown field 'more'"),
    ],
)
def test_the_first_field_that_does_not_fit_is_named(change, words):
    assert wrong_field(Outer, WHOLE | change) == words


def test_other_json_is_no_object():
    assert wrong_field(Outer, [1, 2]) == "[1, 2], which is not an object with named fields"
    assert wrong_field(Outer, {"kind": "a"}) == "no field 'count'"
    assert wrong_field(Outer, WHOLE | {"more": 1}, exact=False) is None


def test_a_long_value_is_cut():
    said = wrong_field(Outer, WHOLE | {"count": "x" * 500})
    assert said is not None
    assert len(said) < 100


def test_types_that_cannot_be_checked_are_accepted():
    class Hidden:
        pass

    @dataclass
    class Local:
        value: "Hidden"

    assert wrong_field(Local, {"value": 3}) is None
