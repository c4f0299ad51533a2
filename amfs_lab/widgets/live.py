"""Long work in a notebook that stays live: curves grow, sliders answer, and Stop stops."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import ipywidgets as w

from amfs_lab.widgets.controls import HiddenState
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.jupyter import awaiting, stopped, yield_to_kernel
from amfs_lab.widgets.saved_picture import renew

NEXT = "Go on below with what was learned so far, or run the cell again to begin afresh."


class LiveExplorer(Explorer):
    """An explorer that watches a run: it keeps what `live` pushes, and has a Stop button.

    `compute` finds the record in `state.history` (a mapping from a run's name to a tuple of what it yielded) and the
    run's condition in `state.status`: `"idle"`, `"running"`, `"stopped"`, `"finished"` or `"failed"`.
    """

    empty = "Nothing has run yet. Run the next cell: the curves grow here."
    history = HiddenState({})
    status = HiddenState("idle")

    def __init__(self, preset: str | None = None, **start: Any) -> None:
        self.stopped = False
        self._record: dict[str, list[Any]] = {}
        self.stop_button = w.Button(
            description="Stop",
            icon="stop",
            button_style="danger",
            disabled=True,
            tooltip="End the run after the step it is in",
            layout=w.Layout(width="auto", min_width="96px"),
        )
        self.stop_button.add_class("amfs-stop")
        self.stop_button.on_click(lambda _: self.stop())
        super().__init__(preset, **start)
        self.guard(self.stop_button)

    def tools(self) -> list[w.Widget]:
        return [self.stop_button]

    def stop(self) -> None:
        """Stops the run; called by the Stop button."""
        self.stopped = True
        self.stop_button.disabled = True

    def name_of(self, item: Any) -> str:
        """To which curve an item belongs."""
        return getattr(item, "method", "run")

    def begin(self) -> None:
        """A run starts. What earlier runs recorded stays, so that methods can be run one after the other."""
        self.stopped = False
        self.stop_button.disabled = False
        self.set(status="running")

    def push(self, item: Any) -> None:
        """Records one item, without drawing. A step that begins again at or before the last one replaces that run."""
        record = self._record.setdefault(self.name_of(item), [])
        if record and getattr(item, "step", len(record)) <= getattr(record[-1], "step", -1):
            record.clear()
        record.append(item)

    def recorded(self) -> dict[str, Any]:
        """The parts of the state that hold what was recorded."""
        return {"history": {name: tuple(record) for name, record in self._record.items()}}

    def refresh(self) -> None:
        """Draws all that was recorded."""
        self.set(**self.recorded())

    def finish(self, status: str) -> None:
        self.stop_button.disabled = True
        self.set(status=status, **self.recorded())
        renew(self)


async def live(runs: Iterator[Any] | Mapping[str, Iterator[Any]], explorer: LiveExplorer, every: float = 0.25) -> Any:
    """Runs an iterator to its end, or until Stop, and draws it as it goes: `await live(trainer.run(), explorer)`.

    Between two steps the kernel is given time for what the page sends; in a plain `for` loop a click on Stop may wait
    until the loop has ended. Several runs, given by name, advance side by side: next is always the one that has used
    the least time, so that all are seen at equal seconds.

    The interrupt button stops it, too, and the cells after it: every run is closed, so that one with a folder saves
    what it needs to go on, what was recorded stays, and the interrupt is raised on.

    Args:
        every: seconds between two drawings.
    Returns:
        the last item of the run (None for an empty one); for several runs a dict of them, by name.
    """
    several = isinstance(runs, Mapping)
    waiting = dict(runs) if isinstance(runs, Mapping) else {"": runs}
    last: dict[str, Any] = dict.fromkeys(waiting)
    spent = dict.fromkeys(waiting, 0.0)
    status, drawn, failure = "failed", 0.0, None
    try:
        explorer.begin()
        while waiting and not explorer.stopped:
            name = min(waiting, key=lambda n: spent[n])
            began = time.perf_counter()
            try:
                item = last[name] = next(waiting[name])
            except StopIteration:
                del waiting[name]
                continue
            now = time.perf_counter()
            spent[name] = getattr(item, "seconds", spent[name] + now - began)
            explorer.push(item)
            if now - drawn >= every:
                explorer.refresh()
                drawn = time.perf_counter()
            with awaiting():
                await yield_to_kernel()
        status = "stopped" if explorer.stopped else "finished"
    except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit) as interrupt:  # a kernel cancels what it awaits
        status = "stopped"
        stopped(interrupt, NEXT)
        raise
    except Exception as error:
        failure = error
        raise
    finally:
        try:
            with contextlib.ExitStack() as closing:  # all of them, whatever one says
                for run in waiting.values():
                    closing.callback(getattr(run, "close", lambda: None))
        except Exception as error:
            status, failure = "failed", error
            raise
        finally:
            explorer.finish(status)
            if failure is not None:
                explorer.show_error(failure)
    return last if several else last[""]
