"""A connection that begins with the PROXY protocol, on a loop: over socket pairs, and in the listener."""

import socket
import struct
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.room import connections
from clerestory.server.net.listener import Listener
from clerestory.server.net.proxy_protocol import Preamble, Senders
from clerestory.server.net.sockets import listen
from clerestory.statemachines.contract import Name
from clerestory.statemachines.proxy_protocol import State as S
from tests.server.support import EVERY_POLLER, GET, HELLO, PATIENCE, Bench, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 80\r\n"


class Proxied:
    """A connection whose header is awaited, on a bench; `far` is the proxy's end."""

    def __init__(self, poller: str = "auto", **limits: Any) -> None:
        self.peers: list[str] = []
        self.bench = Bench(self.answer, poller=poller, **limits)
        self.far, near = socket.socketpair()
        near.setblocking(False)
        self.far.settimeout(PATIENCE)
        self.listener = Listener(self.bench.service, listen("127.0.0.1", 0), Senders(["127.0.0.0/8"]))
        self.preamble = Preamble(self.bench.service, near, "unix", self.listener.take)
        self.bench.loop.add(self.preamble)

    def answer(self, request: Request) -> Response:
        self.peers.append(request.peer)
        return hello(request)

    def send(self, data: bytes) -> None:
        self.far.sendall(data)
        self.bench.settle()

    def events(self, name: str) -> list[Any]:
        return [event for event in self.bench.logs.events if event["event"] == name]

    def state(self) -> Name:
        return self.preamble.state

    def end(self) -> None:
        self.far.close()
        self.listener.close()
        self.bench.close()


@pytest.fixture
def proxied() -> Any:
    one = Proxied()
    yield one
    one.end()


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_the_client_is_whom_the_header_names(poller: str) -> None:
    one = Proxied(poller)
    one.send(LINE + GET)
    assert one.far.recv(1000) == HELLO
    assert (one.state(), one.peers) == (S.HANDED_ON, ["192.0.2.1:4711"])
    (connection,) = connections(one.bench.service)
    assert connection.ends() == ("192.0.2.1:4711", ("198.51.100.2", 80))
    one.end()


def test_a_header_that_comes_byte_by_byte_is_read_and_the_loop_rests_in_between(proxied: Proxied) -> None:
    for at in range(len(LINE)):
        assert proxied.state() is S.AWAITING_HEADER
        proxied.send(LINE[at : at + 1])  # settle() fails on a loop that spins
    assert proxied.state() is S.HANDED_ON
    proxied.send(GET)
    assert proxied.far.recv(1000) == HELLO


def test_a_header_that_names_nobody_leaves_the_peer_as_it_is(proxied: Proxied) -> None:
    proxied.send(b"PROXY UNKNOWN\r\n" + GET)
    assert proxied.far.recv(1000) == HELLO
    assert proxied.peers == ["unix"]


def test_what_is_no_header_is_refused_and_logged(proxied: Proxied) -> None:
    proxied.send(GET)
    assert proxied.state() is S.CLOSED
    with pytest.raises(ConnectionResetError):  # a Unix socket's, with what was not read in it
        proxied.far.recv(1000)
    (event,) = proxied.events("proxy_header_refused")
    assert event["reason"] == "it begins with neither PROXY nor the signature of version 2"
    assert proxied.bench.service.open_connections() == 0


@pytest.mark.parametrize("count", [0, 5])
def test_a_proxy_that_leaves_before_the_headers_end_is_forgotten(count: int) -> None:
    one = Proxied()
    one.far.sendall(LINE[:count])
    one.far.shutdown(socket.SHUT_WR)
    one.bench.settle()
    assert (one.state(), one.bench.service.open_connections()) == (S.CLOSED, 0)
    one.end()


def test_a_header_has_a_deadline_of_its_own(proxied: Proxied) -> None:
    proxied.send(LINE[:20])
    proxied.bench.after(4.9)
    assert proxied.state() is S.AWAITING_HEADER
    proxied.bench.after(0.7)
    assert proxied.state() is S.CLOSED
    (event,) = proxied.events("proxy_header_late")
    assert (event["seconds"], event["received"]) == (5.0, 20)


def test_a_header_that_is_awaited_counts_as_an_open_connection(proxied: Proxied) -> None:
    """So that a flood of them meets the bound, and a drain waits for them."""
    service = proxied.bench.service
    assert service.open_connections() == 1
    proxied.send(LINE)
    assert service.open_connections() == 1
    proxied.far.close()
    proxied.bench.settle()
    assert service.open_connections() == 0


@pytest.mark.parametrize(
    ("names", "address", "trusted"),
    [
        (["10.0.0.0/8"], ("10.1.2.3", 1), True),
        (["10.0.0.0/8"], ("11.1.2.3", 1), False),
        (["10.0.0.0/8"], ("::ffff:10.1.2.3", 1, 0, 0), True),
        (["fe80::/10"], ("fe80::1%lo", 1, 0, 1), True),
        (["::1"], ("::1", 1, 0, 0), True),
        (["::1"], ("127.0.0.1", 1), False),
        (["unix"], "", True),
        (["unix"], ("127.0.0.1", 1), False),
        (["127.0.0.1"], "", False),
    ],
)
def test_only_those_who_are_named_may_send_it(names: list[str], address: object, trusted: bool) -> None:
    assert (address in Senders(names)) is trusted


@pytest.mark.parametrize(("network", "served"), [("127.0.0.0/8", True), ("10.0.0.0/8", False)])
def test_a_listener_takes_headers_from_those_alone_and_closes_all_others(network: str, served: bool) -> None:
    bench = Bench(hello)
    listening = listen("127.0.0.1", 0)
    listener = Listener(bench.service, listening, Senders([network]))
    bench.loop.add(listener)
    with socket.create_connection(listening.getsockname()) as client:
        client.settimeout(PATIENCE)
        client.sendall(LINE + GET)
        got = b""
        while not got and not (bench.logs.events and not served):
            bench.loop.poller.wait(0.01)
            bench.settle()
            if served and bench.service.statuses[200]:
                got = client.recv(1000)
        assert got == (HELLO if served else b"")
        if not served:
            (event,) = bench.logs.events
            assert (event["event"], event["clients"]) == ("proxy_sender_refused", 1)
            with pytest.raises(ConnectionResetError):
                client.recv(1000)
    bench.close()


def test_a_reset_before_the_header_is_no_fault(proxied: Proxied) -> None:
    listening = listen("127.0.0.1", 0)
    far = socket.create_connection(listening.getsockname())
    listening.setblocking(True)
    near, _ = listening.accept()
    near.setblocking(False)
    preamble = Preamble(proxied.bench.service, near, "x", proxied.listener.take)
    proxied.bench.loop.add(preamble)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    proxied.bench.loop.poller.wait(PATIENCE)
    proxied.bench.settle()
    assert preamble.state is S.CLOSED
    assert proxied.bench.crashes == []
    listening.close()
