"""Who has the connections to an upstream, in a real process: many clients, streams, a greedy address; and one that is
down."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.conftest import Start
from tests.support.client import Client, request
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

MANY = 600

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"


class Upstream:
    """Answers /fast at once and /hold never; /events is an event stream that falls silent after its first event."""

    def __init__(self, port: int = 0) -> None:
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.held = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, sock=self.listener))
        self.loop.run_forever()
        self.server.close()
        for _ in range(5):  # a connection that has been accepted gets its task, which closes it when it is cancelled
            self.loop.run_until_complete(asyncio.sleep(0))
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1]
                if path == b"/fast":
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfast\n")
                    continue
                self.held += 1
                if path == b"/events":
                    writer.write(STREAM)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def proxy(upstream: Upstream, start: Start) -> ServerProcess:  # in this order: the proxy ends first
    return start(target=upstream.url)


def is_served(server: ServerProcess) -> bool:
    """Whether somebody at another address is answered."""
    with Client(server.address, own=True) as client:
        return client.get("/fast").body == b"fast\n"


@pytest.mark.many
def test_ordinary_concurrency_is_not_refused(proxy: ServerProcess) -> None:
    """Many more requests at once than there are connections to the upstream all get their answer."""
    clients = [Client(proxy.address) for _ in range(MANY)]
    for _ in range(2):
        for client in clients:
            client.send(request("/fast"))
        assert {client.answer().status for client in clients} == {200}
    for client in clients:
        client.close()


def test_open_event_streams_leave_the_connections_to_the_others(proxy: ServerProcess, upstream: Upstream) -> None:
    clients = []
    for count in range(1, 81):
        client = Client(proxy.address, own=True)
        client.send(request("/events"))
        clients.append(client)
        eventually(lambda count=count: upstream.held == count)  # type: ignore[misc]
    assert is_served(proxy)
    for client in clients:
        client.reset()


def test_no_address_can_hold_every_connection(proxy: ServerProcess, upstream: Upstream) -> None:
    """Where one has all that it may have, another one is answered at once, again and again."""
    clients = [Client(proxy.address, data=request("/hold")) for _ in range(70)]
    eventually(lambda: upstream.held >= 48)
    for _ in range(20):
        assert is_served(proxy)
    assert upstream.held == 48
    for client in clients:
        client.reset()


def test_the_log_says_when_an_upstream_goes_down_and_when_it_is_back(start: Start) -> None:
    gone = Upstream()
    server = start("--upstream-down-timeout", "0.1", target=gone.url)
    assert is_served(server)
    gone.close()

    def fails() -> bool:
        with Client(server.address) as client:
            return client.get("/fast").status == 502

    eventually(lambda: fails() and server.events("upstream_down"))
    (down,) = server.events("upstream_down")
    assert (down["level"], down["upstream"], down["reason"]) == ("warning", gone.url.removeprefix("http://"), "refused")
    back = Upstream(gone.port)
    eventually(lambda: is_served(server) if not server.events("upstream_up") else True)
    up = server.wait_for("upstream_up")
    assert up["upstream"] == down["upstream"]
    back.close()
