"""The x-ray's own thread: its own loop, its own listener, its own service. It answers while the main loop does not.

It shares with the server that it looks at nothing but the interpreter and the log. What it needs to answer it has
before: its socket is bound at the start, a few descriptors are held in reserve for the day when there are none left,
and the page is in memory.
"""

import copy
import os
import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import asdict

from server.config import Limits
from server.connection import Connection
from server.http import codec_for
from server.listener import Listener, listen
from server.logs import Logs
from server.loop import Loop
from server.poller import open_poller
from server.service import Service
from server.xray.site import site
from server.xray.watch import Watch
from statemachines.contract import Name
from statemachines.engine import Machine

DEFAULT = "127.0.0.1:8001"

LIMITS = Limits(max_connections=32, max_body=16 * 1024, keep_alive_timeout=60.0, max_requests=100_000)
"""Few people look at a time; a page asks once a second, and for hours."""

RESERVE = 4
"""Descriptors held for those who look when the process has none left."""

PATIENCE = 2.0
"""Seconds that the end of the process waits for the x-ray to end."""


class AddressError(Exception):
    """The x-ray's address can not be used; the message says why and what to do."""


class XRay:
    """The x-ray of `main`: `start` binds and begins, `close` ends it."""

    def __init__(self, main: Service, logs: Logs, description: str = "") -> None:
        quiet = copy.copy(logs)
        quiet.access = quiet.debug_enabled = False
        self.loop = Loop(open_poller("auto"), self._crashed, limits=asdict(LIMITS))
        self.logs = logs
        self.token = secrets.token_urlsafe(24)
        self.watch = Watch(main, self.loop, description)
        self._service = Service(_not_yet, self.loop, LIMITS, quiet, codec_for("auto"), Connection)
        self._thread = threading.Thread(target=self._run, name="x-ray", daemon=True)
        self.url = ""

    def start(self, host: str, port: int) -> None:
        """Listen there and answer. Raises OSError."""
        listener = ReservingListener(self._service, listen(host, port))
        self._service.application = site(self.watch, self.token)
        self._service.on_connection_closed = listener.refill
        self.loop.add(listener)
        self.url = f"http://{listener.address}/"
        self._thread.start()

    def close(self) -> None:
        """End the thread and give everything back. A thread that does not end is left behind: it is a daemon."""
        if self._thread.is_alive():
            self.loop.call_from_thread(self.loop.stop)
            self._thread.join(PATIENCE)
        if not self._thread.is_alive():
            self.loop.close()

    def _run(self) -> None:
        try:
            self.loop.run()
        except Exception as error:  # the server goes on without its x-ray
            self.logs.error("xray_failed", exc_info=error)

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.logs.error("xray_crashed", exc_info=error, machine=repr(machine))


def _not_yet(_: object) -> None:
    raise AssertionError("the x-ray has not been started")


class ReservingListener(Listener):
    """A listener that has descriptors put by: when there are none it gives up one of these and accepts all the same."""

    __slots__ = ("_kept",)

    def __init__(self, service: Service, listening: socket.socket) -> None:
        super().__init__(service, listening)
        self._kept: list[int] = []
        self.refill()

    def refill(self) -> None:
        """Put descriptors by, as many as are missing and can be had."""
        with suppress(OSError):
            while len(self._kept) < RESERVE:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def accept(self, ready: int) -> Name | None:
        """As Listener.accept."""
        while (fact := super().accept(ready)) == "DESCRIPTORS_EXHAUSTED" and self._kept:
            os.close(self._kept.pop())
        return fact

    def close(self) -> None:
        """Give the socket and everything put by back."""
        super().close()
        while self._kept:
            os.close(self._kept.pop())
