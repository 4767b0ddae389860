"""The load of HTTP/2: what h2load says, frames, and a client over a socket that takes them in any pieces."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from benchmarks import h2
from benchmarks.processes import ServerFailed
from tests.support.waiting import PATIENCE

SAID = "requests: 900 total, 932 started, 900 done, 900 succeeded, 0 failed, 0 errored, 0 timeout\n"


def test_what_h2load_says_is_counted() -> None:
    assert h2.done(SAID) == 900


@pytest.mark.parametrize(
    "said", ["", SAID.replace("0 failed", "1 failed"), SAID.replace("900 succeeded", "0 succeeded")]
)
def test_a_load_that_went_wrong_is_no_figure(said: str) -> None:
    with pytest.raises(ServerFailed):
        h2.done(said)


def test_a_cost_is_that_of_one_request() -> None:
    assert h2.Load(requests=1000, seconds=2.0, cpu=0.5).cost == 500.0


def test_what_is_asked_is_well_formed() -> None:
    library = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    library.initiate_connection()
    events = library.receive_data(h2.asking(3, "/wait"))
    asked = [event for event in events if isinstance(event, RequestReceived)]
    assert [event.stream_id for event in asked] == [1, 3, 5]
    assert dict(asked[2].headers or ()) == {
        b":method": b"GET", b":scheme": b"http", b":path": b"/wait", b":authority": b"site",
    }  # fmt: skip
    assert library.outbound_flow_control_window > 1 << 30


@pytest.fixture
def port() -> Iterator[int]:
    """A server that answers each request at once, its frames a byte at a time, and `/reset` by a reset."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        near, _ = listening.accept()
        near.settimeout(PATIENCE)
        library = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        library.initiate_connection()
        with near, suppress(OSError):  # the client leaves in the middle of an answer
            while data := near.recv(65_536):
                for event in library.receive_data(data):
                    if isinstance(event, RequestReceived):
                        number = event.stream_id or 0
                        if (b":path", b"/reset") in (event.headers or ()):
                            library.reset_stream(number)
                        else:
                            library.send_headers(number, [(":status", "200")])
                            library.send_data(number, b"x" * 100, end_stream=True)
                for byte in library.data_to_send():
                    near.sendall(bytes((byte,)))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(listening.getsockname()[1])
    listening.close()
    thread.join(PATIENCE)


def test_each_request_is_timed_until_its_stream_has_ended(port: int) -> None:
    wire = h2.Wire(port, h2.beginning())
    wire.settle()
    times = h2.latencies(wire, 5, "/constant", "/large", 3)
    assert len(times) == 5
    assert min(times) > 0
    assert wire.next > 2 * (5 + 3), "a download that has ended is asked for again"
    wire.close()


def test_a_reset_ends_the_measurement(port: int) -> None:
    wire = h2.Wire(port, h2.beginning())
    with pytest.raises(ServerFailed, match="kind 3"):
        h2.latencies(wire, 1, "/reset")
    wire.close()
