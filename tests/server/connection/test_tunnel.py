"""The near end of a tunnel: a client's connection, a proxy on the same loop, and an upstream played by hand."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from clerestory.handlers.backends.upstream.connection import UpstreamConnection
from clerestory.handlers.backends.upstream.upstream import Upstream
from clerestory.handlers.proxy.proxy import Proxy
from clerestory.handlers.proxy.tunnel import READABLE, WRITABLE
from clerestory.server.xray.observe.snapshot import row
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Cause
from tests.server.support import EVERY_POLLER, PATIENCE, Bench, Client, bench_of
from tests.support.waiting import eventually

ASKED = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
AGREED = b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s\r\n\r\n"
RESET_ON_CLOSE = b"\x01\x00\x00\x00\x00\x00\x00\x00"


class Stage:
    """A client, the bench with the proxy, and the upstream's socket."""

    def __init__(self, bench: Bench, listener: socket.socket) -> None:
        self.bench = bench
        self.listener = listener
        self.client = bench.connect(tcp=True, buffer=1 << 16)

    def ask(self, data: bytes = ASKED) -> socket.socket:
        """The upstream, once it has been asked."""
        self.client.far.sendall(data)
        self.bench.settle()
        far, _ = self.listener.accept()
        self.far = far
        far.settimeout(PATIENCE)
        self.bench.settle()
        return far

    def agree(self, late: bytes = b"") -> Client:
        """A tunnel."""
        far = self.ask()
        self.head = far.recv(65536)
        far.sendall(AGREED + late)
        far.setblocking(False)
        self.bench.settle()
        return self.client

    def upstream(self) -> UpstreamConnection:
        (found,) = [one for one in self.bench.loop.machines.values() if isinstance(one, UpstreamConnection)]
        return found

    def heard(self) -> bytes:
        """What the upstream has got; END and RESET stand for these."""
        self.bench.settle()
        data = b""
        try:
            while piece := self.far.recv(1 << 16):
                data += piece
            data += b"END"
        except BlockingIOError:
            pass
        except ConnectionResetError:
            data += b"RESET"
        return data

    def reset(self, one: socket.socket) -> None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        one.close()
        self.bench.settle()

    def fill(self) -> int:
        """Let the upstream send until nothing is taken any more, since the client does not read. How much it was."""
        size = 0
        try:
            while True:
                size += self.far.send(b"x" * 65536)
                self.bench.settle()
        except BlockingIOError:
            return size

    def read(self, enough: Callable[[bytes], bool]) -> bytes:
        """What the client receives, until it is enough. Its window is small: the kernel takes its time."""
        data = bytearray()

        def read_on() -> bool:
            data.extend(self.client.read_all())
            return enough(bytes(data))

        eventually(read_on)
        return bytes(data)

    def why(self, machine: Any) -> str:
        now = self.bench.clock.now
        return row((machine, machine.node, machine.since, machine.facts()), now).why


@contextmanager
def stage_of(**options: Any) -> Iterator[Stage]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        upstream = Upstream(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with bench_of(Proxy(upstream), **options) as bench:
            stage = Stage(bench, listener)
            yield stage
            if hasattr(stage, "far"):
                stage.far.close()


@pytest.fixture(params=EVERY_POLLER)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with stage_of(poller=request.param) as stage:
        yield stage


def ended(stage: Stage) -> tuple[str, Cause | None]:
    """How the client's connection ended: the state in which, and who it was."""
    assert stage.client.connection.state is S.CLOSED
    edge = stage.client.connection.ending()
    return edge.source.state, edge.row.ends


def test_an_upgrade_goes_on_and_becomes_a_tunnel(stage: Stage) -> None:
    client = stage.agree()
    assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in stage.head
    assert b"\r\nsec-websocket-key: k\r\n" in stage.head
    answer = client.read_all()
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s\r\nvia: ")
    assert answer.endswith(b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert client.connection.state is S.TUNNELLING
    client.send(b"\x00not HTTP\r\n")
    assert stage.heard() == b"\x00not HTTP\r\n"
    stage.far.sendall(b"\xffneither")
    assert client.read_all() == b"\xffneither"


def test_what_comes_with_the_request_and_with_the_101_goes_through(stage: Stage) -> None:
    far = stage.ask(ASKED + b"early")
    assert far.recv(65536).endswith(b"\r\n\r\n"), "not before it is agreed upon"
    far.sendall(AGREED + b"late")
    far.setblocking(False)
    assert stage.heard() == b"early"
    assert stage.client.read_all().endswith(b"\r\n\r\nlate")


def test_of_the_two_interests_only_that_is_registered_which_can_be_used(stage: Stage) -> None:
    client = stage.agree()
    near, far, interests = client.connection, stage.upstream(), stage.bench.poller.interests
    assert (interests[near.descriptor], interests[far.descriptor]) == (READABLE, READABLE)
    size = stage.fill()
    assert (interests[near.descriptor], interests[far.descriptor]) == (READABLE | WRITABLE, 0)
    client.far.sendall(b"the other way goes on")
    assert stage.heard() == b"the other way goes on"
    assert stage.read(lambda received: received.count(b"x") >= size)
    assert (interests[near.descriptor], interests[far.descriptor]) == (READABLE, READABLE)


def test_each_end_says_on_whom_it_waits(stage: Stage) -> None:
    client = stage.agree()
    near, far = client.connection, stage.upstream()
    stage.bench.clock.now += 3
    assert stage.why(near) == (
        f"GET /chat TUNNELLING 3.0 s, tunnel idle deadline in 297.0 s <- {far.title()} TUNNELLING "
        f"<- fd {far.descriptor} readable"
    )
    assert stage.why(far) == (
        f"TUNNELLING 3.0 s, tunnel idle deadline in 297.0 s <- connection#1 client TUNNELLING "
        f"<- fd {near.descriptor} readable"
    )


def test_a_half_close_goes_through_each_way_and_both_together_are_the_end(stage: Stage) -> None:
    client = stage.agree()
    client.read_all()
    client.half_close()
    assert stage.heard() == b"END"
    stage.far.sendall(b"last words")
    assert client.read_all() == b"last words"
    assert client.connection.state is S.TUNNELLING
    stage.far.shutdown(socket.SHUT_WR)
    stage.bench.settle()
    assert (client.received(), client.at_end, client.was_reset) == (b"", True, False)
    assert ended(stage) == (S.TUNNELLING, Cause.CLIENT)
    assert not [one for one in stage.bench.loop.machines.values() if isinstance(one, UpstreamConnection)]
    (told,) = [event for event in stage.bench.logs.events if event["event"] == "request"]
    assert (told["status"], told["end"]) == (101, None)


def test_an_upstream_that_ends_first_is_said_to_have(stage: Stage) -> None:
    client = stage.agree()
    client.read_all()
    stage.far.shutdown(socket.SHUT_WR)
    stage.bench.settle()
    client.received()
    assert client.at_end
    client.half_close()
    assert ended(stage) == (S.TUNNELLING, Cause.UPSTREAM)


def test_a_reset_of_the_client_is_a_reset_at_the_upstream(stage: Stage) -> None:
    client = stage.agree()
    client.read_all()
    stage.reset(client.far)
    assert stage.heard() == b"RESET"
    assert ended(stage) == (S.TUNNELLING, Cause.CLIENT)


def test_a_reset_of_the_upstream_is_a_reset_at_the_client(stage: Stage) -> None:
    client = stage.agree()
    client.read_all()
    stage.reset(stage.far)
    client.received()
    assert client.was_reset
    assert ended(stage) == (S.TUNNELLING, Cause.UPSTREAM)


def test_a_reset_is_noticed_while_nothing_is_read(stage: Stage) -> None:
    """The client does not read, so the upstream is not read from either; that it has gone is seen all the same."""
    client = stage.agree()
    stage.fill()
    stage.reset(stage.far)
    stage.bench.settle()
    assert client.connection.state is S.CLOSED


def test_a_byte_either_way_puts_the_deadline_off(stage: Stage) -> None:
    client = stage.agree()
    client.read_all()
    stage.bench.after(299)
    client.send(b"ping")
    assert stage.heard() == b"ping"
    stage.bench.after(299)
    stage.far.sendall(b"pong")
    assert client.read_all() == b"pong"
    stage.bench.after(299.5)
    assert client.connection.state is S.TUNNELLING
    stage.bench.after(0.5)
    assert ended(stage) == (S.TUNNELLING, Cause.DEADLINE)
    client.received()
    assert client.was_reset
    assert stage.heard() == b"RESET"


def test_an_order_to_close_either_end_closes_both(stage: Stage) -> None:
    stage.agree()
    stage.bench.loop.fire(stage.upstream(), stage.upstream().engine.table.triggers["CLOSE_ORDERED"])
    assert ended(stage) == (S.TUNNELLING, Cause.UPSTREAM)
    assert stage.heard() == b"RESET"


def test_a_hang_up_that_nobody_can_act_upon_does_not_spin(stage: Stage) -> None:
    """Both directions are shut at the upstream's socket; what it sent last waits for a client that does not read."""
    client = stage.agree()
    client.read_all()
    sent = stage.fill()
    stage.far.shutdown(socket.SHUT_WR)
    client.far.shutdown(socket.SHUT_WR)
    stage.bench.settle()  # the loop does not spin
    assert len(stage.read(lambda _: client.at_end)) == sent
    assert client.connection.state is S.CLOSED


def test_a_client_that_resets_before_the_upgrade_is_agreed_upon_leaves_nothing(stage: Stage) -> None:
    far = stage.ask()
    far.recv(65536)
    far.setblocking(False)
    stage.reset(stage.client.far)
    assert stage.heard() == b"RESET"
    assert stage.client.connection.state is S.CLOSED


def test_a_refused_upgrade_is_an_answer_like_any_other(stage: Stage) -> None:
    far = stage.ask()
    far.recv(65536)
    far.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    stage.bench.settle()
    assert stage.client.read_all().endswith(b"\r\n\r\nno")
    assert stage.client.connection.state is S.AWAITING_REQUEST
