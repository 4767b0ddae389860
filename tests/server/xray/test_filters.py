"""Which machines are wanted: a table of queries against one crowd, and of queries that are refused."""

from collections.abc import Iterator

import pytest

from handlers.errors import HTTPError
from server.xray.cut import Cut
from server.xray.filters import MOST, Filter, named, parse
from server.xray.snapshot import identity_of
from tests.server.support import bench_of
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
        ("limit=many", f"limit=many: write a whole number up to {MOST}"),
        (f"limit={MOST + 1}", "write a whole number"),
        ("limit=-1", "write a whole number"),
        ("offset=1e3", "offset=1e3: write a whole number"),
        ("limit=%D9%A3", "write a whole number"),
        ("path=/emails/2%3Fx", "path= is compared with the path alone"),
        ("&".join("state=x" for _ in range(33)), "can not be read"),
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
