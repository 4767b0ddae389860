"""Our server in a lab: its loop and its shells on a socket that listens, without the process, the log and the x-ray
that `clerestory` puts around them. What serves is the code that is shipped.
"""

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final, NoReturn

from clerestory.handlers.api.messages import Application
from clerestory.server.config import Limits
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.service import Service
from clerestory.server.http import codec_for
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.listener import Listener
from clerestory.statemachines import connection
from clerestory.statemachines.engine import Edge, Engine, Machine

Observer = Callable[[Machine, Edge], None]

PATIENT: Final = Limits(keep_alive_timeout=3600.0, head_timeout=3600.0, body_timeout=3600.0, max_requests=1 << 30)
"""Idle clients are what is measured: they are not sent away."""


def host(
    listener: socket.socket,
    application: Application,
    poller: str = "auto",
    *,
    clock: Callable[[], float] = time.monotonic,
    observer: Observer | None = None,
) -> Service:
    """`application` on `listener`, on a loop of its own, which is `loop` of what is handed back and has yet to be run.

    `observer` is told of each passage of a client's connection.
    """
    loop = Loop(open_poller(poller), crashed, clock=clock, limits=asdict(PATIENT))
    service = Service(application, loop, PATIENT, Faults(), codec_for(), Connection)
    if observer is not None:
        service.engine = Engine(connection.TABLE, Connection, clock, loop.limits, observer=observer)
    listener.setblocking(False)
    loop.add(Listener(service, listener))
    return service


class Faults(Logs):
    """A log that only tells of what a lab must not have. The shipped one has a thread that writes."""

    def __init__(self) -> None:
        self.access = self.debug_enabled = self.queries = self.terminal = False
        self.debug = self.info = self.always = self._forget
        self.warning = self.error = self._tell

    def _forget(self, event: str, **fields: Any) -> None:
        """What goes as it should."""

    def _tell(self, event: str, **fields: Any) -> None:
        print(event, fields, file=sys.stderr)


def crashed(machine: Machine, error: BaseException) -> NoReturn:
    """A lab does not go on with a machine that has crashed."""
    raise RuntimeError(f"{machine} has crashed") from error
