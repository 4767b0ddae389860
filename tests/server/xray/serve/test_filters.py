"""Which machines are wanted: a table of queries against one crowd, and of queries that are refused."""

from collections.abc import Iterator

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.snapshot import identity_of, row
from clerestory.server.xray.serve.filters import MOST, Filter, named, parse
from tests.server.http2.support import Peer, head, speaking
from tests.server.support import Pending, bench_of
from tests.server.xray.support import cut_of, waiting


@pytest.fixture
def cut() -> Iterator[Cut]:
    """Five connections, one a second: two idle, three that wait for a backend; the latest is 0 seconds in its state."""
    with bench_of(waiting()) as bench:
        for number, target in enumerate((b"", b"/emails/1", b"/emails/2?x", b"", b"/about")):
            client = bench.connect()
            client.connection.peer = f"10.0.{number % 2}.1:{50_000 - number}"
            if target:
                client.send(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % target)
            client.connection.bytes_out = number * 10
            if number < 4:
                bench.clock.now += 1
        yield cut_of(bench)


def ids(cut: Cut, query: str) -> list[str]:
    wanted, _ = parse(query)
    return [identity_of(cut.seen[position]) for position in wanted.page(wanted.select(cut))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["2", "3", "5", "1", "4"]),
        ("sort=wait", ["2", "3", "5", "1", "4"]),
        ("sort=-wait", ["4", "1", "5", "3", "2"]),
        ("sort=seconds", ["1", "2", "3", "4", "5"]),
        ("sort=-seconds", ["5", "4", "3", "2", "1"]),
        ("state=AWAITING_REQUEST", ["1", "4"]),
        ("state=awaiting-request", ["1", "4"]),
        ("state=awaiting_request,querying_backend", ["2", "3", "5", "1", "4"]),
        ("state=awaiting_request&state=lingering", ["1", "4"]),
        ("older=3", ["2", "1"]),
        ("older=2.5s", ["2", "1"]),
        ("older=1m", []),
        ("older=1h", []),
        ("peer=10.0.0.", ["3", "5", "1"]),
        ("path=/emails", ["2", "3"]),
        ("path=/emails/2", ["3"]),
        ("path=/emails&older=3", ["2"]),
        ("sort=id", ["1", "2", "3", "4", "5"]),
        ("sort=-id", ["5", "4", "3", "2", "1"]),
        ("sort=age", ["1", "2", "3", "4", "5"]),
        ("sort=remaining", ["1", "4", "2", "3", "5"]),
        ("sort=bytes_out&limit=2", ["5", "4"]),
        ("sort=bytes_in&limit=1", ["3"]),
        ("sort=requests&limit=1", ["2"]),
        ("sort=peer&limit=3", ["5", "3", "1"]),
        ("sort=state&limit=2", ["1", "4"]),
        ("limit=2&offset=1", ["3", "5"]),
        ("limit=0", []),
        ("offset=9", []),
        ("kind=wakeup", ["wakeup:{wakeup}"]),
        ("kind=*&sort=seconds&limit=1", ["wakeup:{wakeup}"]),
        ("kind=listener", []),
        ("kind=*&state=watching", ["wakeup:{wakeup}"]),
    ],
)
def test_a_query_selects_and_orders(cut: Cut, query: str, found: list[str]) -> None:
    wakeup = str(cut.seen[0][0].descriptor)
    assert ids(cut, query) == [one.replace("{wakeup}", wakeup) for one in found]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("stat=x", "no parameter stat; there are kind, state, older"),
        ("state=SLEEPING", "state=SLEEPING: there is no such state; there are AWAITING_REQUEST"),
        ("state=accepting", "no such state"),
        ("kind=cat", "kind=cat: there is no such machine; there are connection, "),
        ("sort=beauty", "sort=beauty: rows are sorted by wait, seconds, age"),
        ("older=long", "older=long: write seconds, such as 30, or 5m, or 2h"),
        ("older=-1", "older=-1: write seconds"),
        ("older=1.2.3", "write seconds"),
        ("older=m", "older=m: write seconds"),
        ("limit=many", f"limit=many: write an integer up to {MOST}"),
        (f"limit={MOST + 1}", "write an integer"),
        ("limit=-1", "write an integer"),
        ("offset=1e3", "offset=1e3: write an integer"),
        ("limit=%D9%A3", "write an integer"),
        ("path=/emails/2%3Fx", "path= is compared with the path only"),
        ("&".join("state=x" for _ in range(33)), "cannot be read"),
    ],
)
def test_a_query_that_means_nothing_is_refused_in_words(query: str, words: str) -> None:
    with pytest.raises(HTTPError) as refused:
        parse(query)
    assert refused.value.status == 400
    assert words in refused.value.detail


def test_other_parameters_are_handed_back() -> None:
    wanted, rest = parse("state=lingering&confirm=1", ("confirm",))
    assert (sorted(wanted.states), rest) == (["LINGERING"], {"confirm": "1"})


@pytest.mark.parametrize(
    ("query", "narrow"),
    [("", False), ("kind=*", False), ("limit=1", False), ("state=lingering", True), ("older=1", True)],
)
def test_a_filter_knows_whether_it_leaves_anything_out(query: str, narrow: bool) -> None:
    assert parse(query)[0].narrow is narrow


def test_a_machine_is_found_by_its_name(cut: Cut) -> None:
    found = named(cut, "3")
    assert found is not None
    assert found[3][0] == 3
    assert named(cut, "33") is None
    assert Filter().kind == "connection"


# --- connections of HTTP/2, and their streams


@pytest.fixture
def carried() -> Iterator[Cut]:
    """Two connections of HTTP/2, the second with two streams, one of them behind its window; and one of HTTP/1.1."""

    async def handler(request: Request) -> Response:
        if request.path == "/big":
            return Response(bytes(100_000))
        await Pending()
        return Response(b"")

    with speaking(handler) as bench:
        Peer(bench)
        bench.clock.now += 1
        peer = Peer(bench, takes_all=False)
        peer.begin(head(b"GET", b"/big"))
        peer.begin(head(b"GET", b"/slow"))
        peer.flush()
        bench.connect().send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.clock.now += 1
        yield cut_of(bench)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["2", "2/1", "2/3", "3", "1"]),
        ("kind=h2_stream", ["2/1", "2/3"]),
        ("kind=h2_connection", ["2", "1"]),
        ("sort=id", ["1", "2", "2/1", "2/3", "3"]),
        ("path=/slow", ["2/3", "3"]),
        ("state=awaiting_window", ["2/1"]),
        ("state=awaiting_request", ["1"]),
    ],
)
def test_streams_are_behind_their_connection(carried: Cut, query: str, found: list[str]) -> None:
    assert ids(carried, query) == found


@pytest.mark.parametrize("identity", ["1", "2", "2/1", "2/3", "3"])
def test_each_is_found_by_its_name(carried: Cut, identity: str) -> None:
    seen = named(carried, identity)
    assert seen is not None
    assert identity_of(seen) == identity


@pytest.mark.parametrize("identity", ["2/5", "4", "2/", "/1", "2/1/1", "x/1", "2/-1"])
def test_what_is_not_there_is_not_found(carried: Cut, identity: str) -> None:
    assert named(carried, identity) is None


def test_a_stream_says_of_its_windows(carried: Cut) -> None:
    seen = named(carried, "2/1")
    assert seen is not None
    found = row(seen, carried.now)
    assert found.why == (
        "GET /big AWAITING_WINDOW 1.0 s, send idle deadline in 29.0 s <- WINDOW_UPDATE "
        "(the client's window is 0 of the stream, 0 of the connection)"
    )
    assert (found.request_id, found.kind, found.peer) == ("2/1", "h2_stream", "client")
    connection = named(carried, "2")
    assert connection is not None
    assert row(connection, carried.now).why == (
        "SERVING 1.0 s <- client readable (2 streams, the client's window is 0)"
    )
