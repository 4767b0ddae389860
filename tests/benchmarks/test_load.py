"""What wrk says is read rightly, and what it sends is what was meant."""

import contextlib
import socket
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.load import WORKLOADS, Fields, Workload
from benchmarks.processes import Server, ServerFailed, free_port

OUTPUT = """Running 7s test @ http://127.0.0.1:8000
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.18ms    0.31ms  11.16ms   97.31%
  20261 requests in 0.40s, 3.03MB read
load: requests=20261 microseconds=400123 bytes=3177134 p50=1180 p99=11160 connect=0 read=3 write=0 status=1 timeout=0
"""


def test_the_last_line_is_read() -> None:
    found = load.parse(OUTPUT)
    assert (found.requests, found.seconds, found.received) == (20261, 0.400123, 3177134)
    assert (found.p50, found.p99) == (0.00118, 0.01116)
    assert found.errors == {"read": 3, "status": 1}
    assert found.rate == pytest.approx(50636.9, abs=0.1)


def test_cost_is_cpu_by_completed_request() -> None:
    assert load.Outcome(2000, 1.0, 0, 0.0, 0.0, {}, cpu=0.05).cost == pytest.approx(25.0)


def test_wrks_own_words_are_told_when_it_measured_nothing() -> None:
    with pytest.raises(ServerFailed, match="unable to connect"):
        load.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


@pytest.mark.parametrize(
    ("got", "wanted", "same"),
    [
        (b"x", b"x", True),
        (b'{"id":42}', b'{"id": 42}', True),
        (b'{"id":43}', b'{"id": 42}', False),
        (b"", b"x", False),
        (b"\xff", b"x", False),
    ],
)
def test_bodies_are_compared_as_bytes_or_as_json(got: bytes, wanted: bytes, same: bool) -> None:
    assert load.is_same(got, wanted) is same


def test_the_load_measures_a_real_server(tmp_path: Path, data: Path, wrk: str) -> None:
    port = free_port()
    with Server([sys.executable, "-m", "benchmarks.floor", str(port)], port, tmp_path / "log") as server:
        load.verify(server, WORKLOADS["constant"], Fields.VARYING)
        found = load.run(server, WORKLOADS["constant"], Fields.VARYING, 0.5)
        closing = load.run(server, WORKLOADS["close"], Fields.REPEATED, 0.5)
    assert found.requests > 0
    assert found.errors == closing.errors == {}
    assert found.cpu > 0


def test_a_wrong_answer_is_refused(tmp_path: Path, data: Path) -> None:
    port = free_port()
    with (
        Server([sys.executable, "-m", "benchmarks.floor", str(port)], port, tmp_path / "log") as server,
        pytest.raises(ServerFailed, match="/emails/1: status 200, 30 bytes not as asked"),
    ):
        load.verify(server, WORKLOADS["sqlite"], Fields.REPEATED)


class Listener(Server):
    """Takes the load's requests and keeps them; no process."""

    def __init__(self) -> None:
        self.entrance = socket.create_server(("127.0.0.1", 0))
        self.port = self.entrance.getsockname()[1]
        self.requests: list[bytes] = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while not self.requests:  # wrk tries the address with a connection of its own first
            client, _ = self.entrance.accept()
            with client, contextlib.suppress(ConnectionResetError):
                while asked := client.recv(65536):
                    self.requests.append(asked)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self.thread.join(10)
        self.entrance.close()

    def cpu_seconds(self) -> float:
        return 0.0

    def check_alive(self) -> None:
        pass


@pytest.mark.parametrize("fields", list(Fields))
def test_no_two_requests_in_a_row_are_the_same(fields: Fields, wrk: str) -> None:
    listener = Listener()
    load.run(listener, Workload("echo", "", "/echo?n=%d", "POST", 10, distinct=3, connections=1), fields, 0.2)
    listener.close()
    heads = [request.split(b"\r\n")[:-3] for request in listener.requests[:4]]
    # wrk asks the script for one request before it begins, so the first that is sent is the second.
    assert [head[0] for head in heads] == [b"POST /echo?n=%d HTTP/1.1" % n for n in (2, 3, 1, 2)]
    assert all(request.endswith(b"\r\nContent-Length: 10\r\n\r\nxxxxxxxxxx") for request in listener.requests)
    blocks = {b"\r\n".join(head[1:]) for head in heads}
    assert len(blocks) == (3 if fields is Fields.VARYING else 1)
    assert all((b"X-Request-Id" in block) is (fields is Fields.VARYING) for block in blocks)


def test_a_server_that_answers_nothing_is_told(wrk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Listener()
    monkeypatch.setattr(load, "parse", lambda _: load.Outcome(0, 0.1, 0, 0, 0, {"timeout": 64}))
    with pytest.raises(ServerFailed, match="answered no request"):
        load.run(server, WORKLOADS["constant"], Fields.REPEATED, 0.1)
    server.close()
