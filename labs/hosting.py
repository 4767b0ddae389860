"""Our server in a lab: its loop and its shells on a socket that listens, without the process, the log and the x-ray
that `python -m server` puts around them. What serves is the code that is shipped.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final, NoReturn

from handlers.messages import Application
from server.config import Limits
from server.connection import Connection
from server.http import codec_for
from server.listener import Listener
from server.logs import create
from server.loop import Loop
from server.poller import open_poller
from server.service import Service
from statemachines import connection
from statemachines.engine import Edge, Engine, Machine

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

    `observer` is told of each passage of a client's connection. The log goes nowhere.
    """
    loop = Loop(open_poller(poller), crashed, clock=clock, limits=asdict(PATIENT))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        logs = create("json", "critical", nowhere, access=False)
    service = Service(application, loop, PATIENT, logs, codec_for(), Connection)
    if observer is not None:
        service.engine = Engine(connection.TABLE, Connection, clock, loop.limits, observer=observer)
    listener.setblocking(False)
    loop.add(Listener(service, listener))
    return service


def crashed(machine: Machine, error: BaseException) -> NoReturn:
    """A lab does not go on with a machine that has crashed."""
    raise RuntimeError(f"{machine} has crashed") from error
