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
from pathlib import Path

from server.config import Limits
from server.connection import Connection
from server.http import codec_for
from server.listener import Listener
from server.logs import Logs
from server.loop import Loop
from server.options import Options
from server.poller import open_poller
from server.service import Service
from server.xray import runtime
from server.xray.address import USUAL, SocketFile, bind, bind_usual, is_local, parse, url_of
from server.xray.beats import Beats
from server.xray.events import Events
from server.xray.site import Site
from server.xray.watch import Watch
from statemachines.contract import Name
from statemachines.engine import Machine
from statemachines.listener import Trigger as T

LIMITS = Limits(max_connections=32, max_body=16 * 1024, keep_alive_timeout=60.0, max_requests=100_000)
"""Few people look at a time; a page asks once a second, and for hours."""

RESERVE = 4
"""Descriptors held for those who look when the process has none left."""

PATIENCE = 2.0
"""Seconds that the end of the process waits for the x-ray to end."""


def open_xray(options: Options, main: Service, logs: Logs) -> "XRay | None":
    """The x-ray that `options` ask for, listening and not yet started; None where none is wanted.

    Raises AddressError.
    """
    if not options.xray:
        return None
    usual = True
    if options.xray == "auto":
        listening, usual = bind_usual()
    else:
        listening = bind(parse(options.xray))
    xray = XRay(main, listening, logs, options.description, options.xray_token)
    if not usual:
        xray.notes["note"] = f"{USUAL} is taken, so this is a free port; --xray chooses one"
    return xray


class XRay:
    """The x-ray of `main`, on a socket that listens: `start` begins, `close` ends it.

    `token` is what changes take, and beyond loopback every request; one is made up where none is given.
    """

    def __init__(
        self, main: Service, listening: socket.socket, logs: Logs, description: str = "", token: str = ""
    ) -> None:
        quiet = copy.copy(logs)
        quiet.access = quiet.debug_enabled = False
        quiet.warning = logs.debug  # a page that was closed ends its connection like any client: no event of the server
        self.logs = logs
        self.token = token or secrets.token_urlsafe(24)
        self.url = url_of(listening)
        self.loop = loop = Loop(open_poller("auto"), self._crashed, limits=asdict(LIMITS))
        self.watch = Watch(main, loop, description)
        self.beats = Beats(main.loop, loop, logs)
        local, unix = is_local(listening), listening.family == socket.AF_UNIX
        self.events = Events(self.watch, self.beats)
        site = Site(self.watch, self.events, logs, self.token, local=local, unix=unix)
        service = Service(site.guard, loop, LIMITS, quiet, codec_for("auto"), Connection)
        self._listener = ReservingListener(service, listening)
        service.on_connection_closed = self._listener.connection_ended
        loop.add(self._listener)
        self._socket_file = SocketFile.of(listening) if unix else None
        self._file: Path | None = None
        self._given_back = False
        self.notes: dict[str, str] = {}
        """What the start-up line says besides the address."""
        self._remote = not local
        self._thread = threading.Thread(target=self._run, name="x-ray", daemon=True)

    def start(self) -> None:
        """Write the runtime file, and answer from now on."""
        pid = os.getpid()
        running = runtime.Running(pid, self.url, self.token, self.watch.description, runtime.born(pid))
        try:
            self._file = runtime.write(running)
        except runtime.RuntimeFileError as error:
            self.logs.warning("xray_not_found_by_itself", reason=str(error), hint="give ps and top --xray ADDRESS")
        if self._remote:
            self.notes["token"] = f"required; it is in {self._file}" if self._file is not None else "required"
        self.beats.begin()
        try:
            self._thread.start()
        except RuntimeError as error:  # no further thread can be had
            self._failed(error)
        else:
            self.logs.info("xray", url=self.url, **self.notes)

    def close(self) -> None:
        """End the thread and give everything back. A thread that does not end is left behind: it is a daemon."""
        if self._thread.is_alive():
            self.loop.call_from_thread(self.loop.stop)
            self._thread.join(PATIENCE)
        self._give_back(self._thread.is_alive())

    def _give_back(self, stuck: bool) -> None:
        """Take our names away, and close everything unless the thread is still in it."""
        if self._given_back:
            return
        self._given_back = True
        if self._file is not None:
            runtime.remove(self._file)
        if self._socket_file is not None:
            self._socket_file.remove()
        if not stuck:
            self.loop.close()

    def _run(self) -> None:
        try:
            self.loop.run()
        except Exception as error:  # noqa: BLE001 - the server goes on without its x-ray
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """The server goes on without its x-ray; whoever asks for it is refused at once, and does not wait for ever."""
        self.logs.error("xray_failed", exc_info=error)
        self._give_back(stuck=False)

    def _crashed(self, machine: Machine, error: BaseException) -> None:
        self.logs.error("xray_crashed", exc_info=error, machine=repr(machine))


class ReservingListener(Listener):
    """A listener that has descriptors put by: when there are none it gives up one of these and accepts all the same.

    accept(2) wants a descriptor before it looks whether anybody waits. So behind the last one who did, one is given up
    for nothing, and put by again: else the server would take it, and the reserve be gone with half of those it is for.
    """

    __slots__ = ("_kept",)

    def __init__(self, service: Service, listening: socket.socket) -> None:
        super().__init__(service, listening)
        self._kept: list[int] = []
        self._refill()

    def connection_ended(self) -> None:
        """A descriptor was given back: put it by, or go on accepting."""
        self._refill()
        if self.accepts(T.CONNECTION_ENDED):
            self._service.loop.fire(self, T.CONNECTION_ENDED)

    def _refill(self) -> None:
        with suppress(OSError):
            while len(self._kept) < RESERVE:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def accept(self, ready: int) -> Name | None:
        """As Listener.accept."""
        while (fact := super().accept(ready)) is T.DESCRIPTORS_EXHAUSTED and self._kept:
            os.close(self._kept.pop())
        self._refill()
        return fact

    def close(self) -> None:
        """Give the socket and everything put by back."""
        super().close()
        while self._kept:
            os.close(self._kept.pop())
