"""Serving, the whole of it, with real signals: it starts, serves, and gives everything back."""

import errno
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.config import Limits
from clerestory.server.net.sockets import OpenError, listen
from clerestory.server.options import Options
from clerestory.server.process.assignment import Assignment
from clerestory.server.process.channel import pair
from clerestory.server.process.process import Process
from clerestory.server.process.serving import serve
from clerestory.server.xray.inspector import Inspector
from tests.server.support import EVERY_POLLER, GET, PATIENCE, RecordingLogs, hello

pytestmark = pytest.mark.usefixtures("every_descriptor_back")

TERM, INT, USR1 = (int(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1))


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
    with listen("127.0.0.1", 0) as taken, pytest.raises(OpenError, match="in use") as raised:
        serve(hello, Options(port=taken.getsockname()[1]), RecordingLogs())
    assert (raised.value.address.host, raised.value.cause.errno) == ("127.0.0.1", errno.EADDRINUSE)  # type: ignore[union-attr]
    assert handlers_of_signals() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_fault_of_the_process_itself_is_logged_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read_signals = Process.read_signals
    faults = [LookupError("broken")]

    def broken(self: Process, ready: int) -> Any:
        if faults:
            raise faults.pop()
        return read_signals(self, ready)

    monkeypatch.setattr(Process, "read_signals", broken)
    logs = Listening(lambda port: os.kill(os.getpid(), signal.SIGTERM))
    assert serve(hello, Options(port=0, limits=Limits()), logs) == 0
    logs.threads[0].join()
    assert [event["event"] for event in logs.events] == [
        *["descriptor_limit_raised"] * (logs.events[0]["event"] == "descriptor_limit_raised"),
        "listening",
        "machine_crashed",
        "draining",
        "stopped",
    ]


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
    assert serve(hello, Options(port=0, xray=at), logs, inspector=Inspector()) == 0
    logs.threads[0].join()
    assert logs.events[-1]["event"] == "stopped"
    assert "x-ray" not in [thread.name for thread in threading.enumerate()]


def test_a_worker_serves_on_sockets_that_it_is_given_and_leaves_them_open() -> None:
    """It says so to its supervisor instead of the log, and retires when it is told to."""
    ours, theirs = pair()
    with listen("127.0.0.1", 0) as listening:
        inherited = os.dup(listening.fileno())
        assignment = Assignment(1, 1, theirs.detach(), (inherited,))
        got: list[bytes] = []

        def client() -> None:
            with socket.create_connection(listening.getsockname(), PATIENCE) as far:
                far.sendall(GET)
                got.append(far.recv(1000))
            ours.tell({"order": "retire"})

        thread = threading.Thread(target=client)
        thread.start()
        logs = RecordingLogs()
        assert serve(hello, Options(port=0), logs, assignment=assignment) == 0
        thread.join()
        assert got[0].startswith(b"HTTP/1.1 200 OK")
        assert {"say": "ready"} in ours.read()[0]
        assert "listening" not in [event["event"] for event in logs.events]
        with socket.create_connection(listening.getsockname(), PATIENCE), listening.accept()[0]:
            pass  # it was not shut down, and takes who comes
    ours.close()
