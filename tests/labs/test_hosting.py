"""Our server in a lab: it is the shipped one, and what must not happen is told."""

import socket

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.room import connections
from clerestory.server.connection.service import Service
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.engine import Edge, Machine
from labs.hosting import crashed, host


def hello(request: Request) -> Response:
    return Response(b"hello\n")


def broken(request: Request) -> Response:
    raise ZeroDivisionError


def ask(service: Service, listener: socket.socket) -> bytes:
    """One request, and its answer, in this very thread."""
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        while not any(one.requests and one.exchange is None for one in connections(service)):
            service.loop.turn(1)
        return client.recv(4096)


def test_an_application_is_served_and_every_passage_is_observed() -> None:
    seen: list[str] = []

    def observe(machine: Machine, edge: Edge) -> None:
        assert isinstance(machine, Connection)
        seen.append(edge.dest.state)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = host(listener, hello, observer=observe)
        assert ask(service, listener).endswith(b"\r\n\r\nhello\n")
        service.loop.close()
    assert seen == [S.QUERYING_BACKEND, S.SENDING_RESPONSE, S.AWAITING_REQUEST]


def test_a_handler_s_fault_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        service = host(listener, broken)
        assert ask(service, listener).startswith(b"HTTP/1.1 500 ")
        service.loop.close()
    assert capsys.readouterr().err.startswith("handler_failed {'exc_info': ZeroDivisionError()")


def test_a_lab_does_not_go_on_with_a_machine_that_has_crashed() -> None:
    with pytest.raises(RuntimeError, match="has crashed"):
        crashed("a machine", ZeroDivisionError())  # type: ignore[arg-type]
