"""Who holds a shutdown, in words: those with a request under way, the longest wait first, with their queries hidden."""

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.room import connections
from clerestory.server.process.held import NAMED, held_by
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import Bench, Pending, bench_of


async def waits(request: Request) -> Response:
    await Pending()
    return Response(b"")


def asked(bench: Bench, count: int) -> None:
    for number in range(count):
        bench.connect().send(f"GET /export/{number}?secret=abc HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        bench.after(1)


def test_those_with_a_request_are_named_and_those_that_idle_are_not() -> None:
    with bench_of(waits) as bench:
        bench.connect()
        asked(bench, 2)
        bench.connect().send(b"GET / HT")
        found = held_by(connections(bench.service), queries=False)
        assert [line.split(" of ")[0] for line in found] == ["2-1 GET /export/0?...", "3-1 GET /export/1?...", "4-0"]
        assert [line.rpartition(" ")[2] for line in found] == ["QUERYING_BACKEND", "QUERYING_BACKEND", "READING_HEAD"]
        assert held_by(connections(bench.service), queries=True)[0].startswith("2-1 GET /export/0?secret=abc of ")


def test_a_few_are_named_and_the_others_counted() -> None:
    with bench_of(waits, backend_timeout=600.0, handler_total=600.0) as bench:
        asked(bench, NAMED)
        assert len(held_by(connections(bench.service), queries=False)) == NAMED
        asked(bench, 2)
        found = held_by(connections(bench.service), queries=False)
        assert len(found) == NAMED + 1
        assert found[-1] == "and 2 more"
        assert found[0].startswith("1-1 ")


def test_of_a_connection_of_http_2_its_streams_are_named() -> None:
    with speaking(waits) as bench:
        peer = Peer(bench)
        for path in (b"/a", b"/b"):
            peer.begin(head(b"GET", path))
        peer.flush()
        Peer(bench)
        assert held_by(connections(bench.service), queries=False) == [
            "1/1 GET /a of client QUERYING_BACKEND",
            "1/3 GET /b of client QUERYING_BACKEND",
        ]
