"""DESIGN's law 4: no walk runs inside a walk, and the stack is no deeper however many machines work for a request.

That no walk runs inside a walk is asserted in every test (tests/conftest.py). Here real requests are answered whose
handlers ask one backend after another: all on one loop, by real sockets, sessions and threads.
"""

import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.backends import sqlite
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.backends.upstream.upstream import Upstream
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Engine, Machine
from tests.server.support import bench_of
from tests.support.nesting import is_compiled
from tests.support.postgres import Cluster
from tests.support.waiting import eventually

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
ROUNDS = 20

Ask = Callable[[], Awaitable[object]]


def depth() -> int:
    """How many frames of ours, of the loop's turn and what it calls, are on the stack."""
    frame: FrameType | None = sys._getframe(1)
    count = 0
    while frame is not None and frame.f_code.co_name != "turn":
        frame, count = frame.f_back, count + 1
    assert frame is not None, "it is called by the loop"
    return count


@pytest.fixture
def origin() -> Iterator[str]:
    """An upstream that answers whatever it is asked, on as many connections as it gets."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client:
            while client.recv(65536):
                client.sendall(ANSWER)

    def accept() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    accepting.join()


class Backends:
    """What a handler may ask, and how it is closed."""

    def __init__(self, origin: str, postgres: Cluster) -> None:
        self.upstream = Upstream(origin)
        self.postgres = Database(postgres.url(), postgres_sessions=1)
        self.sqlite = sqlite.Database("sqlite:///:memory:")
        self.threads = ThreadPool(1)

    async def ask_upstream(self) -> object:
        answer = await self.upstream.request("GET", "/")
        return await answer.read() if answer.complete is None else answer.complete

    async def ask_postgres(self) -> object:
        return await self.postgres.fetch("SELECT 1")

    async def ask_sqlite(self) -> object:
        return await self.sqlite.read_once(lambda connection: connection.execute("SELECT 1").fetchone())

    async def ask_thread(self) -> object:
        return await self.threads.call(int)

    def close(self) -> None:
        self.upstream.close()
        self.postgres.close()
        self.sqlite.close(5)
        self.threads.close(5)


def walked(monkeypatch: pytest.MonkeyPatch, application: Callable[[Request], Any], clients: int) -> list[int]:
    """The depth at which each walk begins while `clients` ask once each."""
    depths: list[int] = []
    walk = Engine.walk

    def measuring(engine: Engine, machine: Machine, trigger: Name | None) -> None:
        depths.append(depth())
        walk(engine, machine, trigger)

    monkeypatch.setattr(Engine, "walk", measuring)
    with bench_of(application) as bench:
        found = {bench.connect(tcp=True): b"" for _ in range(clients)}
        for client in found:
            client.far.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        def all_are_answered() -> bool:
            bench.loop.turn(0.01)
            for client in found:
                found[client] += client.received()
            return all(data.endswith(b"done") for data in found.values())

        eventually(all_are_answered)
        begun = list(depths)
        monkeypatch.setattr(Engine, "walk", walk)
    return begun


@pytest.mark.skipif(is_compiled(), reason="a compiled engine cannot be watched, nor have its frames counted")
@pytest.mark.parametrize("name", ["upstream", "postgres", "sqlite", "thread"])
def test_the_stack_is_no_deeper_however_often_a_backend_is_asked(
    origin: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The handler goes on at the same depth after its first and after its last answer, and no walk begins deeper for
    many requests than for one."""
    deepest: list[int] = []
    for clients in (1, 8):
        backends = Backends(origin, postgres)
        ask: Ask = getattr(backends, f"ask_{name}")
        resumed: list[int] = []

        async def handler(request: Request, ask: Ask = ask, resumed: list[int] = resumed) -> Response:
            for _ in range(ROUNDS):
                await ask()
                resumed.append(depth())
            return Response(b"done")

        try:
            depths = walked(monkeypatch, handler, clients)
        finally:
            backends.close()
        assert len(resumed) == clients * ROUNDS
        assert len(depths) > 2 * clients * ROUNDS
        deepest.append(max(depths))
        assert len(set(resumed)) == 1
    assert deepest[0] == deepest[1]
