"""The process: signals come through a socket, a drain finishes what is in flight, and the end is logged."""

import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, cast

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.process.process import Process
from clerestory.server.process.signals import Signals
from clerestory.server.xray.inspector import Inspector
from clerestory.statemachines.connection import State as C
from clerestory.statemachines.engine import Machine
from clerestory.statemachines.listener import State as L
from clerestory.statemachines.listener import Trigger as ListenerTrigger
from clerestory.statemachines.process import LAST
from clerestory.statemachines.process import State as S
from clerestory.statemachines.process import Trigger as T
from tests.server.support import (
    EVERY_POLLER,
    FAREWELL,
    GET,
    HELLO,
    PATIENCE,
    Bench,
    Client,
    Pending,
    hello,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

TERM, INT, USR1, CHLD = (int(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD))


class House:
    """A process on a bench, with one listening socket; the test writes the signals."""

    def __init__(self, poller: str = "auto", **limits: Any) -> None:
        self.pendings: list[Pending] = []
        self.bench = Bench(self.application, poller=poller, **limits)
        self.signals_come = Signals()
        self.process = Process(self.bench.service, self.signals_come, "a test", Inspector())
        self.bench.loop.add(self.process)
        self.process.bind("127.0.0.1:0")
        (self.listener,) = self.process._listeners

    async def application(self, request: Request) -> Response:
        if request.target == "/stream":
            return Response(self.stream())
        if request.target == "/wait":
            self.pendings.append(Pending())
            return Response(await self.pendings[-1])
        return hello(request)

    async def stream(self) -> AsyncIterator[bytes]:
        yield b"first"
        self.pendings.append(Pending())
        await self.pendings[-1]

    def has_cut(self) -> bool:
        """Whether a connection was closed by an operator, as at the end of a drain."""
        return any(edge.count for edge in self.bench.service.engine.edges if edge.trigger == "CLOSE_ORDERED")

    def serve(self) -> "House":
        if self.is_in(S.STARTING):
            self.bench.loop.fire(self.process, T.LISTENING)
            self.bench.settle()
            self.bench.logs.events.clear()
        return self

    def waiting(self) -> Client:
        """A client whose request is being answered."""
        client = self.bench.connect()
        client.send(GET.replace(b"/ ", b"/wait "))
        assert client.connection.state is C.QUERYING_BACKEND
        return client

    def come(self, *numbers: int) -> None:
        """Let signals come, as the kernel and Python do."""
        for number in numbers:
            os.write(self.signals_come.wakes(), bytes([number]))
            self.signals_come.note(number)

    def signals(self, *numbers: int) -> None:
        self.come(*numbers)
        self.bench.settle()

    def last_requests(self) -> None:
        """Let the time pass in which a last request may come."""
        self.bench.after(LAST.seconds)

    def is_in(self, state: S) -> bool:
        return self.process.state is state

    def logged(self) -> list[str]:
        return [str(event["event"]) for event in self.bench.logs.events]

    def close(self) -> None:
        self.bench.close()
        assert self.signals_come.fileno() >= 0, "a signal might still be written to it"
        self.signals_come.close()


@pytest.fixture
def house() -> Iterator[House]:
    yield from lived_in(House())


def lived_in(house: House) -> Iterator[House]:
    yield house
    house.close()
    assert house.bench.crashes == []


@pytest.fixture(params=EVERY_POLLER)
def any_house(request: pytest.FixtureRequest) -> Iterator[House]:
    yield from lived_in(House(request.param))


# --- the drain, case by case


def test_where_it_listens_is_told_once_that_is_true(house: House) -> None:
    assert house.logged() == []
    house.bench.loop.fire(house.process, T.LISTENING)
    (event,) = house.bench.logs.events
    assert event == {
        "event": "listening",
        "level": "info",
        "url": f"http://{house.listener.address}/",
        "serving": "a test",
    }


@pytest.mark.parametrize("number", [TERM, INT])
def test_a_signal_ends_a_process_without_connections(any_house: House, number: int) -> None:
    any_house.serve().signals(number)
    assert any_house.is_in(S.STOPPED)
    assert any_house.listener.state is L.CLOSED
    assert any_house.logged() == ["draining"]
    assert not any_house.has_cut()


def test_a_signal_before_it_serves_ends_it(house: House) -> None:
    house.signals(TERM)
    assert house.is_in(S.STOPPED)


def test_the_loop_runs_until_the_process_has_stopped(house: House) -> None:
    house.serve().come(TERM)
    house.bench.loop.run()
    assert house.is_in(S.STOPPED)


def test_connections_without_a_request_may_send_one_more_for_a_while_and_are_then_closed(any_house: House) -> None:
    """A request that is on its way when the signal comes is answered, whether the connection is kept or fresh; the
    others are half-closed, so that not even one that comes later is reset."""
    kept, fresh, silent, asked_before = (any_house.serve().bench.connect() for _ in range(4))
    for client in (kept, asked_before):
        assert client.send(GET).sent == HELLO
    any_house.bench.logs.events.clear()
    any_house.signals(TERM)
    assert any_house.is_in(S.AWAITING_LAST_REQUESTS)
    assert any_house.bench.logs.events[0]["connections"] == 4
    any_house.bench.after(LAST.seconds - 0.25)
    for client in (kept, fresh):
        assert client.send(GET).sent == FAREWELL
        client.half_close()
        assert client.is_closed
    any_house.bench.after(0.25)
    assert any_house.is_in(S.DRAINING)
    for client in (silent, asked_before):
        assert client.connection.state is C.LINGERING
        assert client.received() == b""
        assert client.at_end
        client.half_close()
        assert client.transport.done == ["shut down", "close"]
    assert any_house.is_in(S.STOPPED)
    assert not any_house.has_cut()


def test_a_request_that_comes_after_the_farewell_is_not_answered_and_not_reset(house: House) -> None:
    client = house.serve().bench.connect(tcp=True)
    house.signals(TERM)
    house.last_requests()
    client.send(GET)
    assert (client.connection.state, client.was_reset) == (C.LINGERING, False)
    assert "request_missed" not in house.logged()
    house.bench.after(2)
    house.bench.settle()
    assert house.is_in(S.STOPPED)


def test_a_request_that_lies_in_the_kernel_when_the_time_for_it_ends_is_answered(house: House) -> None:
    client = house.serve().bench.connect()
    house.signals(TERM)
    client.far.sendall(GET)
    house.bench.clock.now += LAST.seconds
    house.bench.poller.script = [[]]
    house.bench.settle()
    assert client.received() == FAREWELL


def test_without_a_connection_a_signal_does_not_wait_for_last_requests(any_house: House) -> None:
    any_house.serve().signals(TERM)
    assert any_house.is_in(S.STOPPED)


def test_what_is_in_flight_is_finished(any_house: House) -> None:
    client, idle = any_house.serve().waiting(), any_house.bench.connect()
    any_house.signals(TERM)
    any_house.last_requests()
    idle.half_close()
    assert any_house.is_in(S.DRAINING)
    assert idle.is_closed
    any_house.pendings[0].finish(b"hello")
    assert client.settle().sent == FAREWELL
    assert any_house.is_in(S.DRAINING)
    client.half_close()
    assert any_house.is_in(S.STOPPED)
    assert not any_house.has_cut()


class Walked(dict[int, Machine]):
    """A map of machines that counts how often it is gone through."""

    walks = 0

    def values(self) -> Any:
        self.walks += 1
        return super().values()

    def __iter__(self) -> Iterator[int]:
        self.walks += 1
        return super().__iter__()


def test_a_connection_that_ends_in_a_drain_does_not_make_it_look_at_all_others(house: House) -> None:
    clients = [house.serve().waiting() for _ in range(30)]
    house.signals(TERM)
    house.last_requests()
    loop = house.bench.loop
    machines = Walked(loop.machines)
    loop.machines = machines
    for pending in house.pendings:
        pending.finish(b"hello")
    for client in clients:
        client.far.shutdown(socket.SHUT_WR)
    house.bench.settle()
    assert house.is_in(S.STOPPED)
    assert machines.walks == 0


def test_a_client_whose_answer_did_not_say_close_may_ask_once_more_though_the_drain_began_before_its_end(
    house: House,
) -> None:
    """What the head has said holds: the next request may be on its way."""
    asked = house.serve().bench.connect()
    silent = house.bench.connect()
    for client in (asked, silent):
        client.far.sendall(GET.replace(b"/ ", b"/stream "))
        house.bench.settle()
    heads = [client.received() for client in (asked, silent)]
    assert all(b"connection: close" not in head for head in heads)
    house.signals(TERM)
    house.last_requests()
    for pending in house.pendings:
        pending.finish(b"")
    house.bench.settle()
    assert asked.connection.state is C.AWAITING_REQUEST
    asked.received()
    assert asked.send(GET).sent == FAREWELL
    house.last_requests()
    assert silent.connection.state is C.LINGERING
    for client in (asked, silent):
        client.half_close()
    assert house.is_in(S.STOPPED)


def test_a_request_that_came_before_the_signal_is_answered_in_whatever_order_they_are_reported(
    any_house: House,
) -> None:
    clients = [any_house.serve().bench.connect() for _ in range(3)]
    any_house.come(TERM)
    for client in clients:
        client.far.sendall(GET)
    any_house.bench.settle()
    assert [client.received() for client in clients] == [FAREWELL] * 3


def test_clients_in_the_backlog_are_served_before_the_door_is_closed(house: House) -> None:
    house.serve()
    host, port = house.listener.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as client:
        client.sendall(GET)
        house.come(TERM)
        house.bench.poller.script = [[(house.process.descriptor, 1)]]
        house.bench.settle()
        client.settimeout(PATIENCE)
        assert client.recv(1000) == FAREWELL
    house.bench.settle()
    assert house.is_in(S.STOPPED)


def test_a_second_signal_cuts_what_is_left_and_tells_of_each(house: House) -> None:
    clients = [house.serve().waiting() for _ in range(2)]
    house.signals(TERM)
    house.bench.after(1.5)
    house.bench.logs.events.clear()
    house.signals(INT)
    assert house.is_in(S.STOPPED)
    assert house.has_cut()
    cuts = [event for event in house.bench.logs.events if event["event"] == "connection_cut"]
    assert cuts == [
        {
            "event": "connection_cut",
            "level": "warning",
            "id": number,
            "peer": "client",
            "state": C.QUERYING_BACKEND,
            "age": 1.5,
        }
        for number in (1, 2)
    ]
    for client, pending in zip(clients, house.pendings, strict=True):
        assert client.transport.done == ["reset", "close"]
        assert pending.cancelled == 1


def test_two_signals_at_once_are_two(house: House) -> None:
    client = house.serve().waiting()
    house.signals(INT, INT)
    assert house.is_in(S.STOPPED)
    assert client.is_closed
    assert house.has_cut()


def test_two_signals_at_once_are_enough_for_a_process_that_has_nothing_to_finish(house: House) -> None:
    house.serve().signals(INT, TERM, INT)
    assert house.is_in(S.STOPPED)
    assert not house.has_cut()


def test_who_is_accepted_from_the_backlog_is_cut_by_the_second_of_two_signals_at_once(house: House) -> None:
    """The backlog is taken before the second signal counts: nobody is accepted behind it, and closed with the loop."""
    house.serve()
    host, port = house.listener.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))):
        house.come(TERM, INT)
        house.bench.poller.script = [[(house.process.descriptor, 1)]]
        house.bench.settle()
        assert house.is_in(S.STOPPED)
        assert house.has_cut()


@pytest.mark.parametrize(("waited", "state"), [(29.75, S.DRAINING), (30.0, S.STOPPED)])
def test_the_drains_deadline_cuts_what_is_left(waited: float, state: S) -> None:
    for house in lived_in(House(backend_timeout=100.0)):
        house.serve().waiting()
        house.signals(TERM)
        house.last_requests()
        house.bench.after(waited)
        assert house.is_in(state)
        assert house.has_cut() is (state is S.STOPPED)


def test_a_drain_and_a_connection_whose_deadlines_pass_together_are_each_ended_once() -> None:
    for house in lived_in(House(backend_timeout=31.0)):
        client = house.serve().waiting()
        house.signals(TERM)
        house.last_requests()
        house.bench.after(30)
        assert house.is_in(S.STOPPED)
        assert house.logged().count("request") == 1
        assert client.transport.done.count("close") == 1


def test_a_connection_whose_close_fails_does_not_keep_the_drain_from_its_end(house: House) -> None:
    client = house.serve().waiting()
    house.signals(TERM)
    close = client.transport.close

    def failing() -> None:
        close()
        raise OSError(errno.EBADF, "Bad file descriptor")

    client.transport.close = failing  # type: ignore[method-assign]
    client.leave()
    assert house.is_in(S.STOPPED)
    assert [type(error) for error in house.bench.crashes] == [OSError]
    house.bench.crashes.clear()


def test_a_connection_that_was_closed_in_the_turn_of_the_signal_is_not_waited_for(house: House) -> None:
    client = house.serve().bench.connect()
    client.far.close()
    house.come(TERM)
    house.bench.poller.script = [[(client.connection.descriptor, 1), (house.process.descriptor, 1)]]
    house.bench.settle()
    assert house.is_in(S.STOPPED)


def test_a_paused_listener_goes_on_when_a_connection_has_ended(house: House) -> None:
    client = house.serve().bench.connect()
    house.bench.loop.fire(house.listener, ListenerTrigger.CAPACITY_REACHED)
    client.half_close()
    assert house.listener.state is L.ACCEPTING


def test_the_loops_end_with_a_paused_listener_is_no_fault(house: House) -> None:
    house.serve().bench.connect()
    house.bench.loop.fire(house.listener, ListenerTrigger.CAPACITY_REACHED)


# --- other signals


def test_a_signal_that_is_not_for_us_is_passed_over(house: House) -> None:
    """An application may have a handler for a signal of its own, of which a byte tells us too."""
    os.write(house.serve().signals_come.wakes(), bytes([signal.SIGCHLD]))
    house.bench.settle()
    assert house.is_in(S.SERVING)
    assert house.logged() == []


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGALRM, signal.SIGHUP])
def test_a_signal_that_would_have_ended_the_process_is_told_of_and_ends_nothing(house: House, number: int) -> None:
    house.process._hangs_up = False
    client = house.serve().waiting()
    house.signals(number)
    assert house.is_in(S.SERVING)
    (event,) = house.bench.logs.events
    assert (event["event"], event["signal"]) == ("signal_ignored", signal.Signals(number).name)
    assert not client.is_closed


def test_sighup_loads_certificates_again_where_there_are_files(house: House) -> None:
    class Files:
        has_files = True
        loaded = 0

        def reload(self) -> bool:
            self.loaded += 1
            return True

    house.process._hangs_up = False
    house.serve()
    files = Files()
    house.bench.service.secure = cast("Any", files)
    house.signals(signal.SIGHUP)
    assert (files.loaded, house.logged()) == (1, [])
    files.has_files = False
    house.signals(signal.SIGHUP)
    assert (files.loaded, house.logged()) == (1, ["signal_ignored"])


def test_a_terminal_that_hangs_up_ends_the_server_in_order(house: House) -> None:
    house.process._hangs_up = True
    client = house.serve().waiting()
    house.signals(signal.SIGHUP)
    assert house.is_in(S.AWAITING_LAST_REQUESTS)
    house.pendings[0].finish(b"hello")
    assert client.settle().sent == FAREWELL


def test_a_flood_of_other_signals_loses_none_that_ends_the_server(house: House) -> None:
    """The socket that wakes the loop is full long before."""
    house.serve()
    with suppress(BlockingIOError):
        while True:
            house.come(USR1)
    house.signals_come.note(TERM)
    house.bench.settle()
    assert house.is_in(S.STOPPED)
    assert house.logged().count("xray_dump") == 1


def test_a_dump_that_fails_ends_nothing_and_no_signal_is_lost_by_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise LookupError("broken")

    monkeypatch.setattr("clerestory.server.xray.inspector.take", broken)
    house.serve().signals(USR1, TERM)
    assert "dump_failed" in house.logged()
    assert house.is_in(S.STOPPED)


def test_a_dump_tells_what_every_connection_waits_for_and_ends_nothing(house: House) -> None:
    house.serve().waiting()
    house.signals(USR1)
    assert house.is_in(S.SERVING)
    assert "xray_dump" in house.logged()


@pytest.mark.parametrize("fault", [ValueError(), SystemExit(3)])
def test_a_dump_of_an_operation_that_can_not_describe_itself_ends_nothing(house: House, fault: BaseException) -> None:
    house.serve().waiting()

    def describe() -> str:
        raise fault

    house.pendings[0].describe = describe  # type: ignore[method-assign]
    house.signals(USR1)
    assert house.is_in(S.SERVING)
