"""Messages and interrupts of the Jupyter kernel in which a live explorer runs."""

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
    """Shows a box with `words` instead of the traceback of an interrupt. The exception stays the same.

    The kernel still reports an error, and that error ends Run All. IPython calls the exception's `_render_traceback_`
    instead of making its own traceback. `page.css` hides the line that remains beside the box.
    """
    if get_ipython() is not None:
        display(Box("stopped", words))
    interrupt._render_traceback_ = lambda: ["Stopped."]  # type: ignore[attr-defined]


@contextmanager
def awaiting() -> Iterator[None]:
    """A context for the time in which a cell runs an `await`. Messages from the page are handled in this time."""
    global _awaiting
    _awaiting += 1
    try:
        yield
    finally:
        _awaiting -= 1


async def yield_to_kernel() -> None:
    """Gives the kernel time to deliver messages from the page.

    One `sleep(0)` is one turn of the event loop. A message needs five turns to go from the socket, through
    its dispatch, to the widget. On Windows the message comes through another thread, which needs real time.
    """
    await asyncio.sleep(0.001)
    for _ in range(4):
        await asyncio.sleep(0)


def acknowledged(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper of a message handler: after the handler returns, the page gets an acknowledgement."""

    @functools.wraps(handler)
    def handled(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        finally:
            acknowledge()

    return handled


def acknowledge() -> None:
    """Sends the page the acknowledgement that its message was handled, because ipykernel does not send it.

    A message that arrives while a cell runs an `await` is handled at that time on the main thread. ipykernel 7.4 sends
    no status for such a message. ipywidgets waits for an `idle` status before it sends the same widget's next value.
    Without this function, a slider that was moved once during a run would never move again. (JupyterLab avoids this
    with a subshell for widget messages. It makes the subshell after the first widget message.)
    """
    if not _awaiting or threading.current_thread() is not threading.main_thread():
        return
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None and kernel.get_parent().get("header", {}).get("msg_type") == "comm_msg":
        kernel.send_response(kernel.iopub_socket, "status", {"execution_state": "idle"}, ident=b"status")
