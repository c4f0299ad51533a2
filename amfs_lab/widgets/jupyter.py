"""The Jupyter kernel that a live explorer runs in: its messages and its interrupts."""

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from amfs_lab.widgets.box import Box

_awaiting = 0


def stopped(interrupt: BaseException, words: str) -> None:
    """Says in a box what the interrupt button has stopped, in place of a traceback; it stays the exception it is.

    The kernel still reports an error, which is what ends Run All. IPython asks an exception for `_render_traceback_`
    before it makes a traceback of its own, and `page.css` hides that one line beside the box.
    """
    if get_ipython() is not None:
        display(Box("stopped", words))
    interrupt._render_traceback_ = lambda: ["Stopped."]  # type: ignore[attr-defined]


@contextmanager
def awaiting() -> Iterator[None]:
    """Marks the time in which a cell awaits, so that messages are handled beside it."""
    global _awaiting
    _awaiting += 1
    try:
        yield
    finally:
        _awaiting -= 1


async def yield_to_kernel() -> None:
    """Lets the kernel deliver what the page has sent.

    One `sleep(0)` is one turn of the event loop, and a message needs five: from the socket, through its dispatch, to
    the widget. On Windows it comes through another thread, which needs real time.
    """
    await asyncio.sleep(0.001)
    for _ in range(4):
        await asyncio.sleep(0)


def acknowledged(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The same handler of a message; when it is done, the page is told."""

    @functools.wraps(handler)
    def handled(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        finally:
            acknowledge()

    return handled


def acknowledge() -> None:
    """Tells the page that its message was handled, where ipykernel does not.

    A message that arrives while a cell awaits is handled beside it, on the main thread, and ipykernel 7.4 sends no
    status for it. ipywidgets waits for an `idle` before it sends the same widget's next value, so without this one a
    slider that was moved once during a run would never move again. (JupyterLab avoids that way once it has a subshell
    for widget messages, which it makes after the first of them.)
    """
    if not _awaiting or threading.current_thread() is not threading.main_thread():
        return
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None and kernel.get_parent().get("header", {}).get("msg_type") == "comm_msg":
        kernel.send_response(kernel.iopub_socket, "status", {"execution_state": "idle"}, ident=b"status")
