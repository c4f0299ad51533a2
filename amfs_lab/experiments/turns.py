"""Several trainings of equal length in one process."""

from collections.abc import Iterator, Mapping

from amfs_lab.runs.progress import Progress


def side_by_side(runs: Mapping[str, Iterator[Progress]]) -> dict[str, Progress]:
    """Runs all to their end, in turns; next is always the one that has used the least time, so that a machine that
    drifts drifts for all. Returns the last progress of each."""
    waiting, last, spent = dict(runs), {}, dict.fromkeys(runs, 0.0)
    while waiting:
        name = min(waiting, key=lambda each: spent[each])
        try:
            last[name] = next(waiting[name])
            spent[name] = last[name].seconds
        except StopIteration:
            del waiting[name]
    return last
