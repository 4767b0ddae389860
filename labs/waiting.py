"""Many requests that wait for the mail store at the same time, all in this very thread: clients and server."""

import socket
import threading
import tracemalloc
from collections.abc import Callable
from typing import Final

from clerestory.handlers.api.messages import Application
from clerestory.server.connection.room import connections
from clerestory.server.connection.service import Service
from clerestory.statemachines.connection import State as S
from labs import mail_store
from labs.hosting import host
from labs.mail_store import email
from labs.serving import raise_descriptor_limit, serving
from labs.store_machine import MailStore

REQUEST: Final = b"GET /emails/%d HTTP/1.1\r\nHost: lab\r\n\r\n"
DELAY: Final = 0.5
"""Seconds that the store takes where many wait for it: so long that they all wait at once."""


def turn_until(service: Service, state: S, count: int = 1) -> None:
    """Let the loop turn until `count` connections are in `state`."""
    while sum(connection.state is state for connection in connections(service)) < count:
        service.loop.turn(1)


def wait_together(application: Callable[[MailStore], Application], count: int) -> tuple[int, float, int, int]:
    """`count` clients ask at once: how many waited at the same time, the memory of one that waits, how many had the
    right answer, and how many threads there were."""
    raise_descriptor_limit()
    with serving(mail_store.serve, DELAY) as backend, socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        service = host(listener, application(MailStore(backend.address)))
        clients = [socket.create_connection(listener.getsockname()) for _ in range(count)]
        turn_until(service, S.AWAITING_REQUEST, count)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number, client in enumerate(clients):
            client.sendall(REQUEST % number)
        most, held, threads = 0, 0.0, 0
        others = threading.active_count() - 1
        while any(connection.requests == 0 or connection.exchange for connection in connections(service)):
            service.loop.turn(1)
            waiting = sum(connection.state is S.QUERYING_BACKEND for connection in connections(service))
            if waiting > most:
                most, held = waiting, (tracemalloc.get_traced_memory()[0] - before) / waiting
                threads = threading.active_count() - others
        tracemalloc.stop()
        right = sum(client.recv(4096).endswith(email(number)) for number, client in enumerate(clients))
        for client in clients:
            client.close()
        service.loop.close()
    return most, held, right, threads
