"""Live display of a long run in a notebook: the curves grow, the controls react, and the Stop button ends the run."""

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

NEXT = "Go on below with what was learned so far, or run the cell again to start from the beginning."


class LiveExplorer(Explorer):
    """An explorer that displays a run: it stores the items that `live` passes to it, and it has a Stop button.

    For the method `compute`, `state.history` is a mapping from the name of a run to the tuple of its items.
    `state.status` is `"idle"`, `"running"`, `"stopped"`, `"finished"` or `"failed"`.
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
        """Stops the run after its current step. The Stop button calls this method."""
        self.stopped = True
        self.stop_button.disabled = True

    def name_of(self, item: Any) -> str:
        """The name of the run (and of its curve) to which an item belongs."""
        return getattr(item, "method", "run")

    def begin(self) -> None:
        """Starts a run. Records of earlier runs are kept, so that you can run several methods one after the other."""
        self.stopped = False
        self.stop_button.disabled = False
        self.set(status="running")

    def push(self, item: Any) -> None:
        """Adds one item to the record of its run, without drawing.

        If the step of the item is not after the last recorded step, the old record is deleted first.
        """
        record = self._record.setdefault(self.name_of(item), [])
        if record and getattr(item, "step", len(record)) <= getattr(record[-1], "step", -1):
            record.clear()
        record.append(item)

    def recorded(self) -> dict[str, Any]:
        """The parts of the state that hold recorded data."""
        return {"history": {name: tuple(record) for name, record in self._record.items()}}

    def refresh(self) -> None:
        """Draws all recorded data."""
        self.set(**self.recorded())

    def finish(self, status: str) -> None:
        self.stop_button.disabled = True
        self.set(status=status, **self.recorded())
        renew(self)


async def live(runs: Iterator[Any] | Mapping[str, Iterator[Any]], explorer: LiveExplorer, every: float = 0.25) -> Any:
    """Runs an iterator and draws its items until the end or a click on Stop: `await live(trainer.run(), explorer)`.

    Between two steps, the kernel has time for messages from the page. In a plain `for` loop, a click on Stop may have
    no effect until the end of the loop. The next step is always a step of the run that has used the least time. So with
    several runs, all curves reach about the same number of seconds.

    The interrupt button of the notebook stops the run, and also the cells after this cell. All runs are then closed,
    and a run with a folder saves a checkpoint. Recorded data are kept, and the interrupt is raised again.

    Args:
        runs: one run, or several runs by name.
        every: seconds between two drawings.
    Returns:
        the last item of the run (None for an empty run); for several runs, a dict of the last items by name.
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
    except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit) as interrupt:  # or a cancelled cell
        status = "stopped"
        stopped(interrupt, NEXT)
        raise
    except Exception as error:
        failure = error
        raise
    finally:
        try:
            with contextlib.ExitStack() as closing:  # closes all runs, even if one of them raises
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
