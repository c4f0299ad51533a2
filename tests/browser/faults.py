"""Errors behind the page, found in the kernel's messages, the page's console and the page's requests."""

import json
import re
import struct
from itertools import pairwise
from typing import Any

from playwright.sync_api import ConsoleMessage, Error, Page, Request, WebSocket

# JupyterLab asks every new kernel for its widgets. A kernel that has not imported ipywidgets yet complains on stderr
# about this request and about the following messages of the same comm.
CONTROL = "jupyter.widget.control"

# Messages of JupyterLab in the browser's console that are no fault, each with the reason. There are none at present.
NOISE: tuple[str, ...] = ()

TRACEBACK = 4  # number of last entries of a traceback that are shown


class Faults(list[str]):
    """All errors so far, as texts. No cell shows an error of a callback, but the kernel's websocket carries it."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.heard: set[str] = set()
        self.asked: set[str] = set()  # the comms that asked for the widgets
        self.expected: tuple[str, ...] = ()  # errors of the page that a test expects
        self.came: list[str] = []  # the expected errors that occurred
        page.on("websocket", self._opened)
        page.on("console", self._said)
        page.on("pageerror", self._failed)
        page.on("request", self._requested)

    def _opened(self, socket: WebSocket) -> None:
        if "/api/kernels/" in socket.url:
            socket.on("framesent", self._sent)
            socket.on("framereceived", self._received)

    def _sent(self, frame: bytes | str) -> None:
        content = unpack(frame)["content"]
        if content.get("target_name") == CONTROL:
            self.asked.add(content["comm_id"])

    def _received(self, frame: bytes | str) -> None:
        message = unpack(frame)
        header, content = message["header"], message["content"]
        if header["msg_id"] in self.heard:
            return
        self.heard.add(header["msg_id"])
        match header["msg_type"]:
            case "error":
                source = "a callback" if message["parent_header"].get("msg_type") == "comm_msg" else "a cell"
                traceback = plain("\n".join(content["traceback"][-TRACEBACK:]))
                self.append(f"{source} raised {content['ename']}: {content['evalue']}\n{traceback}")
            case "stream" if content["name"] == "stderr":
                lines = [line for line in content["text"].splitlines() if line.strip() and not self._is_early(line)]
                self.extend(f"the kernel complained: {line}" for line in lines)
            case "status" if content["execution_state"] in ("dead", "restarting", "autorestarting"):
                self.append(f"the kernel is {content['execution_state']}")

    def _is_early(self, line: str) -> bool:
        known = (f"No such comm target registered: {CONTROL}", *(f"No such comm: {each}" for each in self.asked))
        return line.endswith(known)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(noise in message.text for noise in NOISE):
            self.append(f"the page's console: {message.text[:1000]} ({message.location.get('url', '')})")

    def _failed(self, error: Error) -> None:
        known = any(words in str(error) for words in self.expected)
        (self.came if known else self).append(f"the page met an error: {error}")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
            self.append(f"the page asked for {request.url}: a lesson works offline")


def unpack(frame: bytes | str) -> dict[str, Any]:
    """A message of a kernel's websocket: JSON, or JupyterLab's binary form (offsets, channel, then the JSON parts)."""
    if isinstance(frame, str):
        return json.loads(frame)
    (count,) = struct.unpack_from("<Q", frame)
    parts = [frame[begin:end] for begin, end in pairwise(struct.unpack_from(f"<{count}Q", frame, 8))]
    names = ("header", "parent_header", "metadata", "content")
    return {name: json.loads(part) for name, part in zip(names, parts[1:5], strict=True)}


def plain(text: str) -> str:
    """The text without the colour codes of a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
