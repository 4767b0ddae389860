"""Listening sockets: what is accepted, what happens when nothing can be, and that nothing ever spins.

Most listen on a Unix socket: whoever has connected is in the queue at once."""

import errno
import os
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.connection import Connection
from clerestory.server.connection.room import IDLE_ENOUGH, connections
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.addresses import Address
from clerestory.server.net.listener import EXHAUSTED, LOST, SHARE, TIME, Listener
from clerestory.server.net.sockets import Listening, listen, open_one
from clerestory.statemachines.connection import State as ConnectionState
from clerestory.statemachines.connection import Trigger as ConnectionTrigger
from clerestory.statemachines.contract import Interest
from clerestory.statemachines.listener import State as S
from clerestory.statemachines.listener import Trigger as T
from tests.server.support import DATE, EVERY_POLLER, GET, HELLO, PATIENCE, Bench, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

APOLOGY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 1\r\n"
    + DATE
    + b"content-length: 58\r\nconnection: close\r\n\r\n503 Service Unavailable: Too many connections are open.\n"
)
APOLOGY = APOLOGY.replace(b"58", b"%d" % len(APOLOGY.partition(b"\r\n\r\n")[2]))


class Scripted(socket.socket):
    """A listening socket whose accept(2) fails as it is told to, before it does what it does."""

    script: list[OSError]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.script:
            raise self.script.pop(0)
        return super().accept()


class Door:
    """A listener on a bench, and its clients."""

    def __init__(self, poller: str = "auto", **limits: Any) -> None:
        self.bench = Bench(hello, poller=poller, **limits)
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "s")
        self.listening = Scripted(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.script = []
        self.listening.bind(self.path)
        self.listening.listen(200)
        self.listening.setblocking(False)
        self.listener = Listener(self.bench.service, self.listening)
        self.bench.loop.add(self.listener)
        self.clients: list[socket.socket] = []

    def client(self, sends: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(PATIENCE)
        client.connect(self.path)
        client.sendall(sends)
        self.clients.append(client)
        return client

    def busy(self, count: int) -> list[socket.socket]:
        """Clients that have begun a request: their connections make no room."""
        return [self.client(GET[:5]) for _ in range(count)]

    def fails(self, *numbers: int) -> None:
        self.listening.script.extend(OSError(number, os.strerror(number)) for number in numbers)

    def is_in(self, state: S) -> bool:
        return self.listener.state is state

    @property
    def open(self) -> int:
        return len(connections(self.bench.service))

    def interest(self) -> int:
        return self.bench.poller.interests[self.listener.descriptor]

    def settle(self) -> list[str]:
        """Come to rest, and tell what was logged of connections that come."""
        self.bench.settle()
        return [line for line in self.bench.logs.take() if line[0].isalpha()]

    def end_one(self) -> None:
        """One connection ends, and the process tells the listener."""
        self.bench.loop.fire(connections(self.bench.service)[0], ConnectionTrigger.CLOSE_ORDERED)
        self.bench.turn()
        self.bench.loop.fire(self.listener, T.CONNECTION_ENDED)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.bench.close()
        self.listening.close()
        shutil.rmtree(self.folder)


@pytest.fixture(params=EVERY_POLLER)
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    yield from opened(Door(request.param, max_accepts=3, max_connections=4))


@pytest.fixture
def wide() -> Iterator[Door]:
    """A door without a bound that matters."""
    yield from opened(Door(max_connections=1000))


def opened(door: Door) -> Iterator[Door]:
    yield door
    door.close()
    assert door.bench.crashes == []


# --- what can be accepted


def test_a_client_that_comes_is_answered(wide: Door) -> None:
    client = wide.client(GET)
    wide.bench.settle()
    assert client.recv(1000) == HELLO.replace(b"\r\n\r\n", b"\r\n\r\n")
    (connection,) = connections(wide.bench.service)
    assert (connection.peer, connection.number) == ("unix", 1)


def test_connections_are_numbered_as_they_come(wide: Door) -> None:
    for _ in range(3):
        wide.client()
    wide.bench.settle()
    assert [connection.number for connection in connections(wide.bench.service)] == [1, 2, 3]


def test_a_bounded_number_is_accepted_in_a_turn(door: Door) -> None:
    for _ in range(4):
        door.client()
    door.bench.turn()
    assert door.open == 3
    door.bench.turn()
    assert door.open == 4


def test_accepting_is_bounded_by_time_so_that_others_get_their_turn(wide: Door) -> None:
    """And where a turn takes seconds, by a share of that: new clients do not starve."""
    accept = wide.listening.accept

    def slowly() -> tuple[socket.socket, Any]:
        wide.bench.clock.now += TIME / 4
        return accept()

    wide.listening.accept = slowly  # type: ignore[method-assign]
    for _ in range(60):
        wide.client()
    wide.bench.turn()
    assert wide.open == 4
    wide.bench.loop.busy = 10 * TIME / SHARE
    wide.bench.turn()
    assert wide.open == 4 + 40


def test_accepting_costs_one_call_of_the_poller_for_each_client(wide: Door) -> None:
    wide.bench.poller.calls.clear()
    for _ in range(3):
        wide.client(GET)
    wide.bench.settle()
    assert [name for name, _, _ in wide.bench.poller.calls] == ["register"] * 3


# --- as many as there may be


def test_as_many_as_there_may_be_are_served_and_the_next_one_waits(door: Door) -> None:
    door.busy(4)
    assert door.settle() == []
    assert (door.open, door.is_in(S.ACCEPTING)) == (4, True)
    waiting = door.client(GET)
    assert door.settle() == ["capacity_reached"]
    assert (door.open, door.is_in(S.PAUSED), door.interest()) == (4, True, 0)
    door.end_one()
    door.settle()
    assert (door.open, door.is_in(S.ACCEPTING)) == (4, True)
    assert waiting.recv(1000) == HELLO


@pytest.mark.parametrize("bound", [1, 2])
def test_a_bound_of_one_is_one(bound: int) -> None:
    for door in opened(Door(max_connections=bound)):
        clients = [door.client(GET) for _ in range(bound + 1)]
        door.settle()
        assert door.open == bound
        assert clients[0].recv(1000) == HELLO


def test_a_listener_that_pauses_costs_nothing(door: Door) -> None:
    for _ in range(6):
        door.client()
    door.settle()
    before = door.bench.loop.turns
    for _ in range(20):
        door.bench.turn()
        assert door.bench.poller.events == []
    assert door.bench.loop.turns == before + 20
    assert door.bench.logs.events == []


def test_clients_that_have_waited_through_the_pause_are_told_503_and_the_served_are_served_on(door: Door) -> None:
    clients = door.busy(4)
    door.settle()
    waiting = [door.client(GET), door.client()]
    door.settle()
    door.bench.after(0.75)
    waiting[0].settimeout(0)
    with pytest.raises(BlockingIOError):
        waiting[0].recv(1)
    waiting[0].settimeout(PATIENCE)
    door.bench.after(0.25)
    for client in waiting:
        assert client.recv(1000) == APOLOGY
        assert client.recv(1) == b""
    assert [event["clients"] for event in door.bench.logs.events if event["event"] == "turned_away"] == [2]
    assert door.is_in(S.REFUSING)
    clients[0].sendall(GET[5:])
    door.settle()
    assert clients[0].recv(1000) == HELLO


def test_a_pause_in_which_nobody_waits_turns_nobody_away(door: Door) -> None:
    door.busy(4)
    gone = door.client()
    door.settle()
    gone.close()
    door.bench.after(1)
    door.settle()
    door.bench.after(1)
    assert set(door.settle()) <= {"turned_away"}  # the one that had gone is in the queue all the same
    assert door.is_in(S.REFUSING)


def test_clients_are_refused_at_once_however_many_they_are_when_others_have_waited_through_a_pause(door: Door) -> None:
    door.busy(4)
    waiting = [door.client(GET) for _ in range(100)]
    door.settle()
    door.bench.after(1)
    late = [door.client(GET) for _ in range(50)]
    door.settle()
    assert {client.recv(1000) for client in waiting + late} == {APOLOGY}
    assert door.is_in(S.REFUSING)
    door.bench.after(1)
    turned_away = [event["clients"] for event in door.bench.logs.events if event["event"] == "turned_away"]
    assert sum(turned_away) <= 150
    assert door.bench.clock.now == 1026.0


def test_refusing_is_bounded_by_time_so_that_others_get_their_turn(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.busy(4)
    for _ in range(20):
        door.client(GET)
    door.settle()
    apologise = door.listener._send_unavailable

    def slowly(client: socket.socket) -> None:
        door.bench.clock.now += TIME / 4
        apologise(client)

    monkeypatch.setattr(Listener, "_send_unavailable", lambda _, client: slowly(client))
    door.bench.clock.now += 1
    door.bench.turn()
    assert door.listener._untold + sum(
        event["clients"] for event in door.bench.logs.events if event["event"] == "turned_away"
    ) in range(4, 9)


def test_a_place_that_is_taken_at_once_does_not_make_those_behind_wait_through_another_pause(door: Door) -> None:
    busy = door.busy(4)
    first, second = door.client(GET[:5]), door.client(GET)
    door.settle()
    door.bench.clock.now += 0.75
    busy[0].close()
    door.settle()
    door.bench.loop.fire(door.listener, T.CONNECTION_ENDED)
    door.settle()
    assert (door.open, door.is_in(S.PAUSED)) == (4, True)
    door.bench.clock.now += 0.5
    busy[1].close()
    third = door.client(GET)
    door.bench.settle()
    door.bench.loop.fire(door.listener, T.CONNECTION_ENDED)
    door.settle()
    assert second.recv(1000) == HELLO
    del first, third


def test_a_pause_ends_by_itself_when_there_is_room_again(door: Door) -> None:
    door.busy(5)
    door.settle()
    door.bench.loop.fire(connections(door.bench.service)[0], ConnectionTrigger.CLOSE_ORDERED)
    door.bench.after(1)
    assert door.is_in(S.ACCEPTING)
    assert door.interest() == Interest.READABLE
    door.settle()
    assert door.open == 4


# --- idle connections make room


def test_at_capacity_the_connections_that_have_been_idle_longest_make_room(door: Door) -> None:
    """They are closed in order, never one whose request has come, nor one that has only just become idle."""
    clients = [door.client(GET) for _ in range(4)]
    door.settle()
    for client in clients:
        assert client.recv(1000) == HELLO
    door.bench.clock.now += IDLE_ENOUGH
    clients[3].sendall(GET)
    door.bench.poller.script = [[(door.listener.descriptor, 1)]]
    new = door.client(GET)
    assert "room_made" in door.settle()
    assert new.recv(1000) == HELLO
    assert clients[3].recv(1000) == HELLO
    assert [client.recv(1) for client in clients[:3]] == [b""] * 3
    assert door.is_in(S.ACCEPTING)


def test_connections_that_are_between_two_requests_make_no_room(door: Door) -> None:
    clients = [door.client(GET) for _ in range(4)]
    door.settle()
    door.client(GET)
    assert door.settle() == ["capacity_reached"]
    assert door.open == 4
    del clients


def test_idle_connections_make_room_too_where_descriptors_have_run_out(door: Door) -> None:
    idle = [door.client(), door.client()]
    door.settle()
    door.bench.clock.now += 1
    new = door.client(GET)
    door.fails(errno.EMFILE)
    assert door.settle() == ["room_made"]
    assert new.recv(1000) == HELLO
    assert [client.recv(1) for client in idle] == [b"", b""]


def test_a_listener_that_refuses_stops_it_when_connections_have_become_idle(door: Door) -> None:
    clients = door.busy(4)
    door.client()
    door.settle()
    door.bench.after(1)
    assert door.is_in(S.REFUSING)
    clients[0].sendall(GET[5:])
    door.settle()
    door.bench.clock.now += IDLE_ENOUGH
    new = door.client(GET)
    door.settle()
    assert new.recv(1000) == HELLO


# --- nothing to accept with


@pytest.mark.parametrize("number", sorted(EXHAUSTED), ids=errno.errorcode.get)
def test_without_a_descriptor_the_listener_pauses_and_does_not_spin(door: Door, number: int) -> None:
    client = door.client(GET)
    door.fails(number)
    assert door.settle() == ["descriptors_exhausted"]
    assert (door.open, door.is_in(S.PAUSED), door.interest()) == (0, True, 0)
    door.bench.after(0.75)
    assert door.is_in(S.PAUSED)
    door.bench.after(0.25)
    assert door.is_in(S.ACCEPTING)
    door.settle()
    assert client.recv(1000) == HELLO


def test_without_a_descriptor_whoever_waits_is_told_so_on_the_reserve(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = door.client(GET)
    door.fails(errno.EMFILE)
    door.settle()

    def exhausted(*_: Any, **__: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", exhausted)
        door.bench.after(1)
        assert client.recv(1000) == APOLOGY
        assert door.listener._reserve is None
        another = door.client()
        door.bench.after(1)
        assert another.recv(1000) == APOLOGY


def test_the_reserve_is_taken_back_after_it_has_been_used(door: Door) -> None:
    door.busy(5)
    door.settle()
    door.bench.after(1)
    assert door.listener._reserve is not None
    os.fstat(door.listener._reserve)


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH])
def test_a_client_that_has_gone_again_is_passed_over(wide: Door, number: int) -> None:
    client = wide.client(GET)
    wide.fails(number, number)
    assert wide.settle() == []
    assert client.recv(1000) == HELLO


def test_clients_that_have_gone_again_do_not_keep_the_others_from_their_turn(wide: Door) -> None:
    wide.bench.service.limits = replace(wide.bench.service.limits, max_accepts=150)
    wide.client()
    wide.fails(*[errno.ECONNABORTED] * 200)
    wide.bench.turn()
    assert len(wide.listening.script) == 200 - 150
    wide.settle()
    assert wide.open == 1


def test_a_client_that_has_gone_again_does_not_end_a_round_of_503(door: Door) -> None:
    door.busy(4)
    door.settle()
    client = door.client(GET)
    door.settle()
    door.fails(errno.ECONNABORTED)
    door.bench.after(1)
    assert client.recv(1000) == APOLOGY


@pytest.mark.parametrize("number", sorted(LOST), ids=errno.errorcode.get)
def test_a_socket_that_is_none_any_more_is_given_up(wide: Door, number: int) -> None:
    wide.client()
    wide.fails(number)
    assert wide.settle() == ["listener_lost"]
    assert wide.is_in(S.CLOSED)
    assert wide.listener.descriptor not in wide.bench.loop.machines


@pytest.mark.parametrize("poller", [name for name in EVERY_POLLER if name != "select"])
@pytest.mark.parametrize("paused", [False, True])
def test_a_socket_that_somebody_else_has_shut_down_is_given_up_and_does_not_spin(paused: bool, poller: str) -> None:
    bench = Bench(hello, poller=poller)
    listening = listen("127.0.0.1", 0)
    listener = Listener(bench.service, listening)
    bench.loop.add(listener)
    if paused:
        bench.loop.fire(listener, T.CAPACITY_REACHED)
    listening.shutdown(socket.SHUT_RDWR)
    bench.settle()
    bench.settle()
    assert listener.state is S.CLOSED
    assert bench.logs.take() == ["listener_lost"]
    bench.close()


@pytest.mark.parametrize("error", [ValueError("too high"), OSError(errno.ENOSPC, "No space left")])
def test_a_client_that_the_poller_can_not_hold_is_closed_and_told_of(
    wide: Door, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    client = wide.client(GET)
    with monkeypatch.context() as patch:
        patch.setattr(wide.bench.poller, "register", refuse)
        assert wide.settle() == ["connection_not_taken"]
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert (wide.open, wide.is_in(S.ACCEPTING)) == (0, True)


def test_a_client_that_the_poller_could_not_hold_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError

    for door in opened(Door(max_connections=1)):
        door.client()
        with monkeypatch.context() as patch:
            patch.setattr(door.bench.poller, "register", refuse)
            door.settle()
        client = door.client(GET)
        door.settle()
        assert client.recv(1000) == HELLO


@pytest.mark.parametrize("error", [ValueError("too high"), OSError(errno.ENOSPC, "No space left")])
def test_clients_that_the_poller_can_not_hold_end_behind_the_drain_that_accepted_them(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener's own walk is under way then: none of theirs runs inside it."""
    ends: list[object] = []
    closes = Connection.close

    def refuse(*_: Any) -> None:
        raise error

    def close(connection: Connection) -> None:
        ends.append((connection.state, connection.ending().trigger))
        closes(connection)

    for door in opened(Door(max_connections=1000)):
        clients = [door.client(GET) for _ in range(3)]
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "close", close)
            patch.setattr(door.bench.poller, "register", refuse)
            door.bench.loop.fire(door.listener, T.DRAIN_STARTED)
            door.bench.settle()
        assert ends == [(ConnectionState.CLOSED, ConnectionTrigger.CLOSE_ORDERED)] * 3
        ends.clear()
        assert door.listener.state is S.CLOSED
        assert door.open == 0
        for client in clients:
            with pytest.raises(ConnectionResetError):
                client.recv(1)


# --- the end


def test_a_drain_takes_the_whole_backlog_since_closing_would_reset_it() -> None:
    for door in opened(Door(max_accepts=3, max_connections=1000)):
        clients = [door.client(GET) for _ in range(100)]
        door.bench.loop.fire(door.listener, T.DRAIN_STARTED)
        door.bench.settle()
        assert door.is_in(S.CLOSED)
        assert {client.recv(1000) for client in clients} == {HELLO}


def test_a_drain_takes_no_more_than_there_is_room_for(door: Door) -> None:
    for _ in range(6):
        door.client()
    door.bench.loop.fire(door.listener, T.DRAIN_STARTED)
    assert (door.open, door.is_in(S.CLOSED)) == (4, True)
    door.bench.turn()
    assert door.listening.fileno() == -1


def test_a_drain_in_a_pause_closes_the_listener(door: Door) -> None:
    for _ in range(5):
        door.client()
    door.settle()
    door.bench.loop.fire(door.listener, T.DRAIN_STARTED)
    door.bench.turn()
    assert door.listening.fileno() == -1


# --- sockets


def test_a_listener_that_closes_ends_the_socket_that_a_forked_process_holds_too(wide: Door) -> None:
    held = wide.listening.dup()
    wide.bench.loop.fire(wide.listener, T.DRAIN_STARTED)
    wide.bench.settle()
    with held, socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(wide.path)


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_what_comes_by_tcp_is_answered_without_delay_and_by_its_name(poller: str) -> None:
    peers: list[str] = []

    def tell(request: Request) -> Response:
        peers.append(request.peer)
        return hello(request)

    bench = Bench(tell, poller=poller)
    listening = listen("127.0.0.1", 0)
    bench.loop.add(Listener(bench.service, listening))
    with socket.create_connection(listening.getsockname()) as client:
        client.sendall(GET)
        while not peers:
            bench.loop.poller.wait(PATIENCE)
            bench.settle()
        client.settimeout(PATIENCE)
        assert client.recv(1000) == HELLO
        assert peers == [f"127.0.0.1:{client.getsockname()[1]}"]
        (connection,) = connections(bench.service)
        transport: Any = connection.transport
        assert transport._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    bench.close()


def test_clients_that_reset_before_they_are_accepted_leave_nothing_behind() -> None:
    bench = Bench(hello)
    listening = listen("127.0.0.1", 0)
    bench.loop.add(Listener(bench.service, listening))
    watch = open_poller("poll")
    watch.register(listening.fileno(), Interest.READABLE)
    for _ in range(20):
        with socket.create_connection(listening.getsockname()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        watch.wait(PATIENCE)
        bench.settle()
    while connections(bench.service):
        bench.settle()
    assert (bench.service.accepted, bench.crashes) == (20, [])
    assert len(bench.loop.machines) == 2
    bench.close()


def test_a_listener_tells_an_operator_its_address(wide: Door) -> None:
    assert wide.listener.facts() == (0, f"unix:{wide.path}")
    assert wide.listener.url == f"unix:{wide.path}"


def test_a_socket_that_is_shared_on_purpose_goes_on_for_the_others() -> None:
    """Its other holders accept whom we have not: it is neither shut down nor filtered."""
    bench = Bench(hello)
    theirs = listen("127.0.0.1", 0)
    with theirs:
        listener = Listener(bench.service, Listening(theirs.dup(), "shared", label="http", shared=True))
        bench.loop.add(listener)
        with socket.create_connection(theirs.getsockname()) as early:
            bench.loop.fire(listener, T.DRAIN_STARTED)
            bench.settle()
            early.sendall(GET)
            early.settimeout(PATIENCE)
            while not bench.service.statuses[200]:
                bench.loop.poller.wait(PATIENCE)
                bench.settle()
            assert early.recv(1000) == HELLO
        with socket.create_connection(theirs.getsockname(), PATIENCE):
            theirs.setblocking(True)
            theirs.settimeout(PATIENCE)
            theirs.accept()[0].close()
        assert listener.label == "http"
    bench.close()


def test_a_unix_sockets_file_goes_before_the_last_are_accepted(tmp_path: Path) -> None:
    """From then on nobody can connect, and who has connected is answered."""
    bench = Bench(hello)
    (listening,) = open_one(Address(path=str(tmp_path / "s")))
    listener = Listener(bench.service, listening)
    bench.loop.add(listener)
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(str(tmp_path / "s"))
        early.sendall(GET)
        early.settimeout(PATIENCE)
        bench.loop.fire(listener, T.DRAIN_STARTED)
        assert not (tmp_path / "s").exists()
        bench.settle()
        assert early.recv(1000) == HELLO
        with pytest.raises(FileNotFoundError):
            late.connect(str(tmp_path / "s"))
    bench.close()
