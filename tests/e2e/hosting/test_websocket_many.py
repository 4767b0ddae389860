"""Many WebSockets at once: what they cost, and that those that do not read hold up nobody else."""

import socket
from contextlib import ExitStack

from tests.e2e.hosting.test_websocket_rules import Raw, dial, seen
from tests.support.server import serving
from tests.support.waiting import PATIENCE, eventually

TARGET = "tests.e2e.hosting.applications.websocket_rules:app"
MANY = 500
SLOW = 250
KIB = 1024


def test_an_idle_websocket_costs_some_kibibytes() -> None:
    """Measured: 16 KiB, with the application's task; 32 and more would be a window that is kept."""
    with serving("--no-xray", "--websocket-compression", target=TARGET) as server, ExitStack() as stack:
        stack.enter_context(Raw(server, "echo"))
        before = server.memory()
        for _ in range(MANY):
            stack.enter_context(Raw(server, "echo"))
        assert (server.memory() - before) / MANY < 32 * KIB


def test_those_that_do_not_read_are_bounded_and_hold_up_nobody() -> None:
    """Each may have 64 KiB unsent, and one message more; the application sends 10,000 bytes at a time."""
    with serving("--no-xray", target=TARGET) as server, ExitStack() as stack:
        before = server.memory()
        for _ in range(SLOW):
            raw = stack.enter_context(Raw(server, "floods"))
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        talk = stack.enter_context(dial(server, "echo"))

        def stands() -> bool:
            number = seen(server, "floods")
            talk.send("a")
            assert talk.recv(PATIENCE) == "a"
            return bool(number == seen(server, "floods"))

        eventually(stands, what="all of them wait for room")
        assert (server.memory() - before) / SLOW < 200 * KIB
