"""Many at once, and more than is asked for: the server returns to what it was, and says what it has to say."""

import socket
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Start
from tests.support.client import RESET_ON_CLOSE, Client, CutShort, request
from tests.support.figures import figure
from tests.support.server import ServerProcess
from tests.support.waiting import eventually


def together(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in that many threads; raise what the first of them raised."""
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(work, number) for number in range(count)]:
            done.result()


def connect_and_reset(server: ServerProcess, data: bytes = b"") -> None:
    client = socket.socket()
    client.connect(server.address)
    if data:
        client.send(data)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    client.close()


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", request("/hello"), request("/read", "Content-Length: 9", method="POST") + b"x"]
)
def test_ten_thousand_that_connect_and_reset_leave_nothing_behind(start: Start, data: bytes) -> None:
    """waitress's CVE-2024-49769. A quarter of the ten thousand in each of the states in which a reset may come."""
    server = start("--no-access-log")
    memory = server.memory()
    for _ in range(2500):
        connect_and_reset(server, data)
    eventually(lambda: server.descriptors() <= server.base, what="the descriptors that there were")
    assert server.memory() < memory + 8 * 1024 * 1024
    assert server.load() < 0.05
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


def test_a_thousand_pipelined_requests_that_are_never_read_stop_the_parser(start: Start) -> None:
    server = start("--no-access-log")
    with Client(server.address) as other, Client(server.address, window=4096) as client:
        other.get("/bytes/100000")
        memory = server.memory()
        client.socket.setblocking(False)
        # 1,000 requests for 100,000 bytes each: 100 MB, if anything did not stop.
        assert client.socket.send(request("/bytes/100000") * 1000) > 0
        eventually(lambda: server.load(0.2) < 0.05, what="the parser's rest")
        assert server.memory() < memory + 4 * 1024 * 1024
        assert other.get("/hello").status == 200


def test_a_thousand_pipelined_requests_in_one_write_are_all_answered_in_order(start: Start) -> None:
    server = start("--max-requests", "2000", "--no-access-log")
    with Client(server.address) as client:
        client.send(b"".join(request(f"/bytes/{number}") for number in range(1000)))
        for number in range(1000):
            assert len(client.answer().body) == number
        assert client.is_open()


TEN_MEGABYTES = 10 * 1024 * 1024
UPLOAD = request("/read", f"Content-Length: {TEN_MEGABYTES}", method="POST")
CHUNKED_UPLOAD = request("/read", "Transfer-Encoding: chunked", method="POST")
BLOCK = b"x" * 262144
CHUNK = b"40000\r\n" + BLOCK + b"\r\n"


def upload_and_read(server: ServerProcess, head: bytes, block: bytes) -> None:
    """Send all that the server lets us send, and only then read."""
    with Client(server.address) as client:
        if client.try_send(head):
            for _ in range(TEN_MEGABYTES // len(block)):
                if not client.try_send(block):
                    break
        answer = client.answer()
        assert (answer.status, answer.reason, answer["connection"]) == (413, "Content Too Large", "close")


@pytest.mark.parametrize(("head", "block"), [(UPLOAD, BLOCK), (CHUNKED_UPLOAD, CHUNK)], ids=["sized", "chunked"])
def test_a_client_that_uploads_too_much_reads_413_each_of_a_thousand_times(
    start: Start, head: bytes, block: bytes
) -> None:
    server = start("--no-access-log")

    def work(number: int) -> None:
        for _ in range(100):
            upload_and_read(server, head, block)

    together(10, work)
    server.settle()


@pytest.mark.many
def test_a_thousand_attackers_of_each_kind_leave_the_server_to_others(start: Start) -> None:
    """Silence, half a head, half a body, an unread answer, and an idle connection: 200 of each, all at once."""
    server = start(
        *("--keep-alive-timeout", "3", "--head-timeout", "3", "--body-timeout", "3", "--send-timeout", "3"),
        *("--linger-timeout", "1", "--no-access-log"),
    )
    kinds = {
        "silence": b"",
        "head": b"GET /hello HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        "body": request("/read", "Content-Length: 10", method="POST") + b"1234",
        "unread": request("/firehose"),
        "idle": request("/hello"),
    }
    attackers = {
        name: [Client(server.address, data=raw, window=4096) for _ in range(200)] for name, raw in kinds.items()
    }
    try:
        waits, works = [], []
        with Client(server.address) as probe:
            while not server.events("connection_ended", state="SENDING_RESPONSE"):
                work, begun = server.loop_cpu(), time.monotonic()
                assert probe.get("/hello").status == 200
                waits.append(time.monotonic() - begun)
                works.append(server.loop_cpu() - work)
                time.sleep(0.01)  # a probe is no load of its own
        median, p99 = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
        # The first of them waits behind what 200 answers that nobody reads take until the buffers are full.
        filling, behind = works[0], statistics.quantiles(works[1:], n=100, method="inclusive")[98]
        figure(
            f"a probe beside a thousand attackers: median {median * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, "
            f"of work {behind * 1e3:.2f} ms"
        )
        # As in test_fairness: the server's work while a probe waits counts, not when the machine lets it work.
        assert behind < 0.1
        assert filling < 0.5
        for client in attackers["silence"]:
            assert client.end() == "closed"
        for client in attackers["head"]:
            assert client.answer().status == 408
        for client in attackers["body"]:
            assert client.answer().status == 408
        for client in attackers["idle"]:
            assert client.answer().status == 200
            assert client.end() == "closed"
        server.wait_for("connection_ended", 200, state="SENDING_RESPONSE")  # before we take anything of what waits
        for client in attackers["unread"]:
            with pytest.raises(CutShort):
                client.answer()
    finally:
        for client in [client for group in attackers.values() for client in group]:
            client.close()
    server.settle()
    server.wait_for("connection_ended", 600)
    ends = [(event["state"], event["trigger"]) for event in server.events("connection_ended")]
    assert {end: ends.count(end) for end in set(ends)} == {
        ("READING_HEAD", "DEADLINE_PASSED"): 200,
        ("READING_BODY", "DEADLINE_PASSED"): 200,
        ("SENDING_RESPONSE", "DEADLINE_PASSED"): 200,
    }
