"""The watch: the documents, and the invariant that they add up."""

import os
from pathlib import Path

import pytest

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.connection import REFUSED
from clerestory.server.xray.observe.watch import open_descriptors
from clerestory.server.xray.serve.filters import parse
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import EXCERPT
from clerestory.statemachines.tables import TABLES
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import cut_of, live, waiting, watch_of
from tests.support.client import Client, clients
from tests.support.waiting import eventually


def test_the_summary_adds_up() -> None:
    with bench_of(waiting()) as bench:
        watch = watch_of(bench)
        for number in range(5):
            client = bench.connect()
            if number % 2:
                client.send(GET)
            bench.clock.now += 1
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        cut = cut_of(bench)
        found = watch.summary(cut)
        here = found["machines"]["connection"]
        assert here["total"] == sum(here["states"].values()) == 4
        assert here["oldest"] == {"AWAITING_REQUEST": 5.0, "QUERYING_BACKEND": 4.0}
        assert set(found["machines"]) == set(found["edges"]) == set(TABLES)
        assert found["machines"]["listener"] == {
            "total": 0,
            "states": {"ACCEPTING": 0, "PAUSED": 0, "REFUSING": 0, "CLOSED": 0},
            "oldest": {},
        }
        assert found["pid"] == os.getpid()
        assert [one["kind"] for one in found["rows"]] == ["wakeup"]
        assert "rows" not in watch.summary(cut, rows=False)


def test_the_totals_are_of_the_open_and_of_the_ended() -> None:
    with bench_of(hello) as bench:
        watch = watch_of(bench)
        for _ in range(2):
            client = bench.connect()
            client.send(GET)
            client.send(GET)
        client.half_close()
        bench.service.accepted = 2
        found = watch.totals(cut_of(bench))
        assert found["requests"] == 4
        assert found["bytes_in"] == 4 * len(GET)
        assert found["statuses"] == {"200": 4}
        assert found["ends"] == [{"cause": "client", "state": "AWAITING_REQUEST", "count": 1}]


def test_answers_are_counted_by_their_status() -> None:
    def boom(request: Request) -> Response:
        if request.path == "/":
            raise ValueError
        return Response(b"", 204)

    with bench_of(boom) as bench:
        watch = watch_of(bench)
        client = bench.connect()
        client.send(GET)
        client = bench.connect()
        client.send(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
        client.send(b"rubbish\r\n\r\n")
        assert watch.totals(cut_of(bench))["statuses"] == {"204": 1, "400": 1, "500": 1}


def test_the_rows_with_what_was_found_before_the_limit() -> None:
    with bench_of(waiting()) as bench:
        watch = watch_of(bench)
        for number in range(5):
            client = bench.connect()
            client.connection.peer = f"10.0.{number % 2}.1:{number}"
            if number < 3:
                client.send(GET)
            bench.clock.now += 1
        wanted, _ = parse("limit=1")
        members, rows = watch.rows(cut_of(bench), wanted, group="peer")
        assert (members["total"], members["matched"], members["offset"], len(rows)) == (5, 5, 0, 1)
        assert members["groups"] == [
            {"key": "10.0.0.1", "count": 3, "oldest": 5.0},
            {"key": "10.0.1.1", "count": 2, "oldest": 4.0},
        ]
        members, _ = watch.rows(cut_of(bench), parse("state=querying_backend")[0], group="state")
        assert members["groups"] == [{"key": "QUERYING_BACKEND", "count": 3, "oldest": 5.0}]
        assert members["matched"] == 3


def test_one_connection_with_its_path_and_its_fields() -> None:
    with bench_of(waiting()) as bench:
        watch = watch_of(bench)
        client = bench.connect()
        bench.clock.now += 1
        client.send(b"GET /a?b=1 HTTP/1.1\r\nhost: x\r\ncookie: a=b\r\nx-api-key: k\r\n\r\n")
        cut = cut_of(bench)
        found = watch.one(cut, cut.seen[1])
        assert found["fields"] == [("host", "x"), ("cookie", "(redacted)"), ("x-api-key", "(redacted)")]
        assert found["spent"] == {"AWAITING_REQUEST": 1.0}
        assert (found["ended"], found["truncated"], found["request"]) == (None, False, "GET /a?...")
        assert [one["trigger"] for one in found["path"]] == ["HEAD_RECEIVED"]
        shown = watch.one(cut, cut.seen[1], secrets=True)
        assert shown["fields"][1:] == [("cookie", "a=b"), ("x-api-key", "k")]
        assert shown["request"] == "GET /a?b=1"
        assert found["received"] == ["GET /a?... HTTP/1.1", "host: x", "cookie: (redacted)", "x-api-key: (redacted)"]
        assert shown["received"] == ["GET /a?b=1 HTTP/1.1", "host: x", "cookie: a=b", "x-api-key: k"]
        assert found["sent"] == []


def test_an_idle_connection_shows_what_came_and_what_went_last() -> None:
    with bench_of(hello) as bench:
        watch = watch_of(bench)
        bench.connect().send(b"GET /a?b=1 HTTP/1.1\r\nhost: x\r\n\r\n")
        cut = cut_of(bench)
        found = watch.one(cut, cut.seen[1])
        assert (found["state"], found["fields"]) == ("AWAITING_REQUEST", [])
        assert found["received"] == ["GET /a?... HTTP/1.1", "host: x"]
        assert found["sent"][0] == "HTTP/1.1 200 OK"
        assert found["sent"][1].startswith("date: ")


def test_a_head_that_does_not_come_to_its_end_is_shown_as_far_as_it_has_come() -> None:
    with bench_of(hello) as bench:
        watch = watch_of(bench)
        client = bench.connect()
        for piece in (b"GET /slow HT", b"TP/1.1\r\nVia: b\r\nX-C"):
            client.send(piece)
        cut = cut_of(bench)
        assert watch.one(cut, cut.seen[1])["received"] == [
            "GET /slow HTTP/1.1",
            "Via: b",
            "(3 bytes that are no field line)",
        ]


def test_of_one_that_was_refused_what_was_refused_is_kept() -> None:
    with bench_of(hello) as bench:
        watch = watch_of(bench)
        client = bench.connect()
        filler = b"X-Filler: " + b"y" * 300
        client.send(b"GET /a?b=1 HTTP/1.1\r\n" + filler + b"\r\nCookie : c=d\r\n\r\n")
        client.half_close()
        found = watch.gone(bench.recorder.abnormal[0], 0.0)
        assert found["why"].endswith(
            ", GET /a?...: ended by client in AWAITING_REQUEST after 0.0 s; "
            "White space in a field name, or before its colon"
        )
        assert found["received"][0] == "GET /a?... HTTP/1.1"
        assert found["received"][-2:] == ["(12 bytes that are no field line)", "..."]
        assert found["sent"][0] == "HTTP/1.1 400 Bad Request"
        shown = watch.gone(bench.recorder.abnormal[0], 0.0, secrets=True)
        assert "Cookie : c=d" in shown["received"]


def test_of_a_body_that_was_refused_what_was_refused_is_kept_and_hidden() -> None:
    async def reads(request: Request) -> Response:
        return Response(await request.read())

    with bench_of(reads) as bench:
        watch = watch_of(bench)
        client = bench.connect()
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        client.send(b"5 secret\r\n")
        client.half_close()
        recording = bench.recorder.abnormal[0]
        found, shown = watch.gone(recording, 0.0), watch.gone(recording, 0.0, secrets=True)
        assert found["request"] == "POST /"
        assert found["received"][1:] == [
            "host: x",
            "transfer-encoding: chunked",
            "(10 bytes of what follows the head)",
        ]
        assert shown["received"][-1] == "5 secret"


def test_what_is_kept_of_a_message_is_bounded() -> None:
    def large(request: Request) -> Response:
        return Response(b"", 200, ((b"x-large", b"y" * 5000),))

    with bench_of(large) as bench:
        client = bench.connect()
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-large: " + b"y" * 3000 + b"\r\n\r\n")
        assert [len(data) for data in client.connection.excerpts()] == [EXCERPT, EXCERPT]
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\nx-large: " + b"y" * 3000 + b"\r\nno field\r\n\r\n")
        assert len(client.connection.excerpts()[0]) == REFUSED


def test_a_recording_is_found_whether_its_machine_is_open_or_has_ended() -> None:
    with bench_of(hello) as bench:
        watch = watch_of(bench)
        bench.connect().half_close()
        bench.connect()
        cut = cut_of(bench)
        ended, unfinished = watch.recording(cut, "1"), watch.recording(cut, "2")
        assert ended is not None
        assert ended.ended_at is not None
        assert unfinished is not None
        assert unfinished.ended_at is None
        assert watch.recording(cut, "3") is None
        assert [one["id"] for one in watch.ended()["normal"]] == ["1"]


def test_without_a_descriptor_to_list_them_by_all_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folder: str) -> list[str]:
        raise OSError(24, "Too many open files")

    assert (open_descriptors(1000) or 0) > 2
    monkeypatch.setattr(os, "listdir", fails)
    assert open_descriptors(1000) == 1000

    def missing(folder: str) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", missing)
    assert open_descriptors(1000) is None


# --- the invariant


def sockets_between(port: int) -> int:
    """How many TCP sockets of this process are connected to `port` as their own: the kernel's own count."""
    wanted = f":{port:04X}"
    inodes = {
        f"socket:[{line.split()[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(wanted) and line.split()[3] != "0A"
    }
    found = 0
    for entry in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{entry}") in inodes
        except FileNotFoundError:
            continue
    return found


def test_under_load_the_sum_over_the_states_is_the_number_of_open_descriptors() -> None:
    """Every look adds up by itself; and when the load stands still, to what the kernel counts."""
    with live(hello) as server, clients(server.address, 40) as crowd:
        for round_ in range(30):
            for number, client in enumerate(crowd):
                client.send(GET if (number + round_) % 3 else GET[:10] if round_ == 29 else GET * 2)
            found = server.json("/snapshot.json")
            here = found["machines"]["connection"]
            assert here["total"] == sum(here["states"].values())
            for number, client in enumerate(crowd):
                for _ in range(1 if (number + round_) % 3 else 0 if round_ == 29 else 2):
                    assert client.answer().text == "hello"
        for client in crowd[:15]:
            client.close()
        eventually(lambda: server.json("/snapshot.json")["machines"]["connection"]["total"] == 25)
        eventually(lambda: sockets_between(server.address[1]) == 25)
        with Client(server.address):
            eventually(lambda: server.json("/snapshot.json")["machines"]["connection"]["total"] == 26)
            assert sockets_between(server.address[1]) == 26
