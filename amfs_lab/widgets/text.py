"""Numbers as text. If rounding would give 0 % or 100 %, the text is a bound, such as "<1%"."""

from amfs_lab.widgets.controls import Number


def percent(share: Number) -> str:
    """A share in percent, such as "60.7 %". Values close to 0 or 1 give "less than 0.1 %" or "more than 99.9 %"."""
    if share <= 0:
        return "0 %"
    if share < 0.001:
        return "less than 0.1 %"
    if 0.999 < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.3g} %"


def short(share: Number) -> str:
    """A share in percent as a short label, such as "61%". Values close to 0 or 1 give "<1%" or ">99%"."""
    rounded = f"{share:.0%}"
    return "<1%" if share > 0 and rounded == "0%" else ">99%" if share < 1 and rounded == "100%" else rounded


def signed(number: Number) -> str:
    """A number with two decimals and the minus sign "−". Zero has no minus sign."""
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def plus_or_minus(number: Number) -> str:
    """A number with its sign and at most two digits, such as "+0.25" or "−7e−05". The number −0 becomes "+0"."""
    return f"{number + 0.0:+.2g}".replace("-", "−")


def count(n: int, thing: str) -> str:
    """A number with its noun, such as "1 point" or "2 points"."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def duration(seconds: Number) -> str:
    """A duration, such as "45 s", "3 min" or "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
