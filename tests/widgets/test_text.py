"""Numbers as text in sentences."""

import pytest

from amfs_lab.widgets.text import count, percent, plus_or_minus, short, signed


def test_percent_never_rounds_to_0_or_100():
    words = ["0 %", "less than 0.1 %", "60.7 %", "more than 99.9 %", "100 %"]
    assert [percent(share) for share in (0.0, 1e-9, 0.6065, 1 - 1e-9, 1.0)] == words


def test_a_number_has_a_real_minus_and_zero_has_none():
    assert [signed(number) for number in (-1, -0.001, 0, 1.005)] == ["−1.00", "0.00", "0.00", "1.00"]
    assert [plus_or_minus(number) for number in (-1, 0.256, -7e-5, -0.0)] == ["−1", "+0.26", "−7e−05", "+0"]


def test_a_count_of_one_has_a_singular_noun():
    assert [count(n, "point") for n in (0, 1, 2)] == ["0 points", "1 point", "2 points"]


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0%"),
        (1, "100%"),
        (1e-9, "<1%"),
        (0.004, "<1%"),
        (0.006, "1%"),
        (0.5, "50%"),
        (0.994, "99%"),
        (0.9999, ">99%"),
    ],
)
def test_a_share_on_a_bar_is_0_or_100_only_if_exact(share, words):
    assert short(share) == words
