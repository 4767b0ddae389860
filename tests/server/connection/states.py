"""Connections in each state, for the tests: an application, and clients that bring a connection there."""

import socket
from collections.abc import AsyncIterator

from clerestory.handlers.api.messages import Request, Response
from clerestory.statemachines.connection import State as S
from tests.server.support import GET, A, B, Bench, Client, H, L, O, P, Pending, Q, X, post


def in_state(bench: Bench, state: S, *, tcp: bool = False) -> Client:
    """A client whose connection rests in `state`."""
    client = bench.connect(tcp=tcp, buffer=4096 if state is O else 0)
    if state is H:
        client.far.sendall(GET[:5])
    elif state is B:
        client.far.sendall(post(b"a", length=10))
    elif state is Q:
        client.far.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
    elif state is P:
        client.far.sendall(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
    elif state is X:
        client.far.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.settle()
        client.far.shutdown(socket.SHUT_WR)
    elif state is O:
        client.far.sendall(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
    elif state is L:
        client.far.sendall(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\nmore"))
    bench.settle()
    assert client.connection.state is state
    client.received() if state is not O else None
    client.whole() if state is not O else None
    bench.logs.events.clear()
    client._told = len(client.connection.history)
    return client


async def stream() -> AsyncIterator[bytes]:
    yield b"one"
    await Pending()


async def every(request: Request) -> Response:
    if request.target == "/wait":
        await Pending()
    if request.target == "/stream":
        return Response(stream())
    if request.target == "/big":
        return Response(b"x" * 3_000_000)
    return Response(await request.read())


RESTING = [A, H, B, Q, P, X, O, L]
