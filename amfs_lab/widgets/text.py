"""Numbers as text; a share that rounds to 0 % or 100 % is written as a bound."""

from amfs_lab.widgets.controls import Number


def percent(share: Number) -> str:
    """A share in percent: "60.7 %"; near the ends "less than 0.1 %" or "more than 99.9 %", unless it is 0 or 1."""
    if share <= 0:
        return "0 %"
    if share < 0.001:
        return "less than 0.1 %"
    if 0.999 < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.3g} %"


def short(share: Number) -> str:
    """A share on a bar: "61%"; near the ends "<1%" or ">99%", unless it is exactly 0 or 1."""
    rounded = f"{share:.0%}"
    return "<1%" if share > 0 and rounded == "0%" else ">99%" if share < 1 and rounded == "100%" else rounded


def signed(number: Number) -> str:
    """A number with two decimals and a real minus sign; zero has no minus."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def plus_or_minus(number: Number) -> str:
    """A number with a sign and two digits, and with a real minus sign: "+0.25", "−7e−05", and "+0" for −0."""
    return f"{number + 0.0:+.2g}".replace("-", "−")


def count(n: int, thing: str) -> str:
    """A number with its noun: "1 point", "2 points"."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def duration(seconds: Number) -> str:
    """A duration: "45 s", "3 min", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
