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
    """Shows a box instead of the traceback of an interrupt. The argument `words` is the text of the box.

    The exception stays the same.
    The kernel still reports an error, and this error ends "Run All". IPython calls `_render_traceback_` of the
    exception instead of making its own traceback. `page.css` hides the line "Stopped.", which remains beside the box.
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

    One `sleep(0)` is one turn of the event loop. A message needs five turns from the socket to the widget. On Windows
    another thread receives the message, which needs real time.
    """
    await asyncio.sleep(0.001)
    for _ in range(4):
        await asyncio.sleep(0)


def acknowledged(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A wrapper of a message handler, which calls `acknowledge` after the handler, also after an error."""

    @functools.wraps(handler)
    def handled(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        finally:
            acknowledge()

    return handled


def acknowledge() -> None:
    """Tells the page that its message was handled, if a cell runs an `await` at this time.

    ipykernel 7.4 sends no status for a message that is handled during an `await`. This function sends this status.
    ipywidgets waits for the status `idle` before it sends the next value of the same widget. So, without this function,
    a user could move a slider only once during a run. (JupyterLab avoids this problem with a subshell for widget
    messages, but it makes the subshell only after the first widget message.)
    """
    if not _awaiting or threading.current_thread() is not threading.main_thread():
        return
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None and kernel.get_parent().get("header", {}).get("msg_type") == "comm_msg":
        kernel.send_response(kernel.iopub_socket, "status", {"execution_state": "idle"}, ident=b"status")
