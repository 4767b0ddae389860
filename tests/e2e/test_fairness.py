"""No client takes the others' share: a probe is answered in time whatever the one beside it does."""

import hashlib
import statistics
import time
from typing import NamedTuple

import pytest

from tests.conftest import Start
from tests.support.applications import pattern
from tests.support.client import Client, CutShort, request
from tests.support.crowd import crowd
from tests.support.figures import figure
from tests.support.server import ServerProcess

PROBES = 300

BOUND = 0.1
"""Seconds that half of the probes wait at most; and seconds that the server works, for whomever, while 99 of 100 wait.
The latter is the rule in a form that holds on a machine with other things to do: what counts is how much is put before
a probe, not when the server is let run. The waits themselves are printed."""


class Probed(NamedTuple):
    """Of many probes: the median of the waits, their 99th percentile, and that of the server's work meanwhile."""

    median: float
    p99: float
    work: float


def probe(server: ServerProcess) -> Probed:
    """Ask many times."""
    waits, works = [], []
    with Client(server.address) as client:
        for number in range(PROBES):
            work, begun = server.loop_cpu(), time.perf_counter()
            assert client.get(f"/hello?{number}").status == 200
            waits.append(time.perf_counter() - begun)
            works.append(server.loop_cpu() - work)
    return Probed(statistics.median(waits), percentile(waits), percentile(works))


def percentile(seconds: list[float]) -> float:
    """The 99th."""
    return statistics.quantiles(seconds, n=100)[98]


@pytest.mark.parametrize("kind", ["upload", "download"])
def test_a_firehose_does_not_starve_a_probe(start: Start, kind: str) -> None:
    server = start("--no-access-log", "--max-requests", "1000000")
    alone = probe(server)
    with crowd(kind, server.address) as first, crowd(kind, server.address) as second:
        moved = int(first.line()), int(second.line())
        beside = probe(server)
        # Nor does the probe starve the fire-hose.
        assert int(first.line()) > moved[0]
        assert int(second.line()) > moved[1]
    figure(
        f"a probe beside two fire-hoses ({kind}): median {beside.median * 1e3:.2f} ms, p99 {beside.p99 * 1e3:.2f} ms, "
        f"of work {beside.work * 1e3:.2f} ms; alone {alone.median * 1e3:.2f} and {alone.p99 * 1e3:.2f} ms"
    )
    assert beside.median < BOUND
    assert beside.work < BOUND


def test_a_client_that_takes_one_byte_at_a_time_gets_every_byte_and_costs_no_memory(start: Start) -> None:
    server = start("--no-access-log")
    size = 300_000
    with Client(server.address) as other:
        other.get("/hello")
        memory = server.memory()
        with Client(
            server.address, data=request(f"/stream/async/{size // 1000}/1000", "Connection: close"), window=1
        ) as client:
            received = bytearray()
            while byte := client.socket.recv(1):
                received += byte
                if len(received) % 50_000 == 0:
                    assert other.get("/hello").status == 200
            client.buffer = bytes(received)
            body = client.answer().body
        assert hashlib.sha256(body).digest() == hashlib.sha256(pattern(1000) * (size // 1000)).digest()
        assert server.memory() < memory + 2 * 1024 * 1024


def test_a_hundred_slow_readers_of_a_large_file_cost_little_memory(start: Start) -> None:
    """Each has asked for 5 MB in pieces: half a gigabyte, were it held."""
    server = start("--no-access-log")
    with Client(server.address) as other:
        other.get("/hello")
        memory = server.memory()
        slow = [Client(server.address, data=request("/stream/sync/50/100000"), window=4096) for _ in range(100)]
        for client in slow:
            client.take(1000)
        assert other.get("/hello").status == 200
        # At most a piece, and what the bound on output adds to it, for each.
        assert server.memory() < memory + 100 * 400_000
        assert slow[0].answer().body == pattern(100_000) * 50
        for client in slow:
            client.close()


def test_a_slow_upload_is_read_as_it_comes_and_not_held(start: Start) -> None:
    server = start("--no-access-log")
    data = pattern(20_000_000)
    with Client(server.address) as client, Client(server.address) as other:
        other.get("/hello")
        memory = server.memory()
        client.send(request("/sink", f"Content-Length: {len(data)}", method="POST"))
        for at in range(0, len(data), 1_000_000):
            client.send(data[at : at + 1_000_000])
            assert other.get("/hello").status == 200
        assert hashlib.sha256(data).hexdigest() in client.answer().text
        assert server.memory() < memory + 2 * 1024 * 1024


def test_an_echo_that_is_not_read_stops_taking(start: Start) -> None:
    """The answer waits for the socket, so nothing more is read of the request: the client's sending stops."""
    server = start("--no-access-log", "--send-timeout", "2")
    with Client(server.address, window=4096) as client, Client(server.address) as other:
        other.get("/hello")
        memory = server.memory()
        client.send(request("/echo", f"Content-Length: {1 << 34}", method="POST"))
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.send(b"x" * 50_000_000)
        assert server.memory() < memory + 2 * 1024 * 1024
        assert other.get("/hello").status == 200
        assert server.wait_for("connection_ended")["state"] == "SENDING_RESPONSE"
        client.socket.settimeout(20)
        with pytest.raises(CutShort):
            client.answer()
