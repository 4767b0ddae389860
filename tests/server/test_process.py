"""The process: signals come through a socket, a drain finishes what is in flight, and the end is logged."""

import errno
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.messages import Request, Response
from server.config import Limits
from server.listener import listen
from server.options import Options
from server.process import Process, serve
from statemachines.connection import State as C
from statemachines.listener import State as L
from statemachines.listener import Trigger as ListenerTrigger
from statemachines.process import State as S
from statemachines.process import Trigger as T
from tests.server.support import (
    EVERY_POLLER,
    FAREWELL,
    GET,
    PATIENCE,
    Bench,
    Client,
    Pending,
    RecordingLogs,
    hello,
)

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

TERM, INT, USR1, CHLD = (int(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD))


class House:
    """A process on a bench, with one listening socket; the test writes the signals."""

    def __init__(self, poller: str = "auto", **limits: Any) -> None:
        self.pendings: list[Pending] = []
        self.bench = Bench(self.application, poller=poller, **limits)
        self.kernel, self.ours = socket.socketpair()
        self.ours.setblocking(False)
        self.process = Process(self.bench.service, self.ours, "a test")
        self.bench.loop.add(self.process)
        self.process.bind("127.0.0.1", 0)
        (self.listener,) = self.process._listeners

    async def application(self, request: Request) -> Response:
        if request.target == "/wait":
            self.pendings.append(Pending())
            return Response(await self.pendings[-1])
        return hello(request)

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

    def signals(self, *numbers: int) -> None:
        self.kernel.send(bytes(numbers))
        self.bench.settle()

    def is_in(self, state: S) -> bool:
        return self.process.state is state

    def logged(self) -> list[str]:
        return [str(event["event"]) for event in self.bench.logs.events]

    def close(self) -> None:
        self.bench.close()
        assert self.ours.fileno() >= 0, "a signal might still be written to it"
        self.kernel.close()
        self.ours.close()


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
    assert not any_house.process.forced


def test_a_signal_before_it_serves_ends_it(house: House) -> None:
    house.signals(TERM)
    assert house.is_in(S.STOPPED)


def test_the_loop_runs_until_the_process_has_stopped(house: House) -> None:
    house.serve().kernel.send(bytes([TERM]))
    house.bench.loop.run()
    assert house.is_in(S.STOPPED)


def test_idle_connections_are_closed_and_then_it_ends(any_house: House) -> None:
    clients = [any_house.serve().bench.connect() for _ in range(5)]
    clients[0].send(GET)
    any_house.bench.logs.events.clear()
    any_house.signals(TERM)
    assert any_house.is_in(S.STOPPED)
    assert all(client.is_closed for client in clients)
    assert any_house.logged() == ["draining"]
    assert any_house.bench.logs.events[0]["connections"] == 5


def test_what_is_in_flight_is_finished(any_house: House) -> None:
    client, idle = any_house.serve().waiting(), any_house.bench.connect()
    any_house.signals(TERM)
    assert any_house.is_in(S.DRAINING)
    assert idle.is_closed
    any_house.pendings[0].finish(b"hello")
    assert client.settle().sent == FAREWELL
    assert any_house.is_in(S.DRAINING)
    client.half_close()
    assert any_house.is_in(S.STOPPED)
    assert not any_house.process.forced


def test_a_request_that_came_before_the_signal_is_answered_in_whatever_order_they_are_reported(
    any_house: House,
) -> None:
    clients = [any_house.serve().bench.connect() for _ in range(3)]
    any_house.kernel.send(bytes([TERM]))
    for client in clients:
        client.far.sendall(GET)
    any_house.bench.settle()
    assert [client.received() for client in clients] == [FAREWELL] * 3


def test_a_request_that_is_reported_together_with_the_wake_up_of_the_drain_is_answered(house: House) -> None:
    client = house.serve().bench.connect()
    house.kernel.send(bytes([TERM]))
    house.bench.turn()
    client.far.sendall(GET)
    house.bench.poller.script = [[(house.bench.loop.wake_up.descriptor, 1), (client.connection.descriptor, 1)]]
    house.bench.settle()
    assert client.received() == FAREWELL


def test_clients_in_the_backlog_are_served_before_the_door_is_closed(house: House) -> None:
    house.serve()
    host, port = house.listener.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as client:
        client.sendall(GET)
        house.kernel.send(bytes([TERM]))
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
    assert house.process.forced
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
    assert house.process.forced


def test_two_signals_at_once_are_enough_for_a_process_that_has_nothing_to_finish(house: House) -> None:
    house.serve().signals(INT, TERM, INT)
    assert house.is_in(S.STOPPED)
    assert not house.process.forced


@pytest.mark.parametrize(("waited", "state"), [(29.75, S.DRAINING), (30.0, S.STOPPED)])
def test_the_drains_deadline_cuts_what_is_left(waited: float, state: S) -> None:
    for house in lived_in(House(backend_timeout=100.0)):
        house.serve().waiting()
        house.signals(TERM)
        house.bench.after(waited)
        assert house.is_in(state)
        assert house.process.forced is (state is S.STOPPED)


def test_a_drain_and_a_connection_whose_deadlines_pass_together_are_each_ended_once(house: House) -> None:
    client = house.serve().waiting()
    house.signals(TERM)
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
    house.kernel.send(bytes([TERM]))
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
    house.serve().signals(CHLD, int(signal.SIGWINCH))
    assert house.is_in(S.SERVING)
    assert house.logged() == []


def test_a_report_without_a_signal_is_no_fault(house: House) -> None:
    house.serve()
    house.bench.poller.script = [[(house.process.descriptor, 1)]]
    house.bench.settle()
    assert house.is_in(S.SERVING)


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


# --- the whole of it, with real signals


class Listening(RecordingLogs):
    """Starts the test's client once the server listens."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []
        info = self.always

        def and_start(event: str, **fields: Any) -> None:
            info(event, **fields)
            if event == "listening":
                port = int(fields["url"].rstrip("/").rsplit(":", 1)[1])
                self.threads.append(threading.Thread(target=client, args=(port,)))
                self.threads[-1].start()

        self.always = and_start


def handlers_of_signals() -> list[Any]:
    return [signal.getsignal(number) for number in (TERM, INT, USR1)]


@pytest.mark.parametrize("poller", EVERY_POLLER)
def test_a_request_whose_handler_ends_the_process_is_answered(poller: Any) -> None:
    got: list[bytes] = []

    def client(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as far:
            far.sendall(GET * 2)
            while data := far.recv(1000):
                got.append(data)

    def application(request: Request) -> Response:
        os.kill(os.getpid(), signal.SIGTERM)
        return hello(request)

    logs = Listening(client)
    before = handlers_of_signals()
    assert serve(application, Options(port=0, poller=poller, description="a test"), logs) == 0
    logs.threads[0].join()
    assert handlers_of_signals() == before
    assert signal.set_wakeup_fd(-1) == -1
    answered = b"".join(got)
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answered.endswith(b"hello")
    events = [event["event"] for event in logs.events]
    assert events[0] == "listening"
    assert events[-1] == "stopped"
    assert logs.events[-1]["connections_served"] == 1


def test_an_address_that_is_taken_is_the_error_that_is_raised_and_nothing_stays_open() -> None:
    before = handlers_of_signals()
    with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        serve(hello, Options(port=taken.getsockname()[1]), RecordingLogs())
    assert handlers_of_signals() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_fault_of_the_process_itself_is_logged_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Process, ready: int) -> None:
        raise LookupError("broken")

    monkeypatch.setattr(Process, "read_signals", broken)
    logs = Listening(lambda port: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(LookupError, match="broken"):
        serve(hello, Options(port=0, limits=Limits()), logs)
    logs.threads[0].join()
    assert [event["event"] for event in logs.events] == ["listening", "machine_crashed"]


def test_it_can_only_be_served_from_the_main_thread_and_says_so_without_leaving_anything_open() -> None:
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            serve(hello, Options(port=0), RecordingLogs())
        except ValueError as error:
            raised.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_the_x_ray_is_served_beside_it_and_closed_with_it(tmp_path: Path) -> None:
    at = f"unix:{os.path.relpath(tmp_path)}/x"
    logs = Listening(lambda port: os.kill(os.getpid(), signal.SIGTERM))
    assert serve(hello, Options(port=0, xray=at), logs) == 0
    logs.threads[0].join()
    assert logs.events[-1]["event"] == "stopped"
    assert "x-ray" not in [thread.name for thread in threading.enumerate()]
