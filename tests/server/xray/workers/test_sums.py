"""Documents of several x-rays as of one: what the live tests (test_site) cannot bring about at will."""

from typing import Any, cast

import pytest

from clerestory.server.xray.serve.filters import ORDERS
from clerestory.server.xray.workers import sums
from clerestory.server.xray.workers.member import Member
from tests.server.xray.terminal.samples import idle, row


class Somebody:
    """What is asked of a worker here."""

    def __init__(self, number: int, generation: int = 1) -> None:
        self.number, self.generation = number, generation


def member(number: int, generation: int = 1) -> Member:
    return Member(cast("Any", Somebody(number, generation)), "READY", 1.0, 2.0, 0.5, {})


def lists(*rows: dict[str, Any], groups: Any = None) -> dict[str, Any]:
    found = {"now": 1.0, "consistent": True, "total": len(rows), "matched": len(rows), "offset": 0}
    return found | {"groups": groups, "rows": list(rows)}


def upstream(**changes: Any) -> dict[str, Any]:
    made = {"name": "a:1", "state": "UP", "since": 61.0, "answered": 9, "failed": 1, "failure": "refused"}
    made |= {"failed_ago": 9.0, "in_flight": 1, "waiting": 2, "p50": 0.1, "p99": None, "is_up": True}
    return made | {"may_be_asked": True} | changes


def test_an_upstream_is_as_bad_as_the_worker_knows_that_knows_it_worst() -> None:
    down = upstream(state="DOWN", is_up=False, since=3.0, p50=0.4, p99=0.5, failed_ago=2.0, failure="timed out")
    found = sums._upstreams([[upstream()], [down], [upstream(name="b:1")]])
    assert [one["name"] for one in found] == ["a:1", "b:1"]
    one = found[0]
    assert (one["state"], one["is_up"], one["since"], one["may_be_asked"]) == ("DOWN", False, 3.0, True)
    assert (one["answered"], one["failed"], one["in_flight"], one["waiting"]) == (18, 2, 2, 4)
    assert (one["p50"], one["p99"], one["failure"], one["failed_ago"]) == (0.4, 0.5, "timed out", 2.0)


def test_rows_are_merged_in_every_order_that_there_is() -> None:
    assert set(sums.KEYS) == set(ORDERS)
    first = row(id="1", seconds=1.0, age=5.0, bytes_in=1, peer="b")
    second = row(id="2", seconds=3.0, age=None, bytes_in=9, peer="a", deadline=None)
    third = idle(3, seconds=100.0, bytes_in=5)
    said = [(member(1), lists(first, third)), (member(2, 2), lists(second))]
    for sort, expected in {
        "wait": ["2:2", "1:1", "1:3"],
        "-wait": ["1:3", "1:1", "2:2"],
        "seconds": ["1:3", "2:2", "1:1"],
        "bytes_in": ["2:2", "1:3", "1:1"],
        "peer": ["1:3", "2:2", "1:1"],
        "remaining": ["1:3", "1:1", "2:2"],
        "id": ["1:1", "1:3", "2:2"],
        "-id": ["2:2", "1:3", "1:1"],
    }.items():
        members, rows = sums.listed(lists(), said, sort, 100, 0)
        assert [one["id"] for one in rows] == expected, sort
        assert members["matched"] == 3
    _, rows = sums.listed(lists(), said, "id", 1, 1)
    assert [one["id"] for one in rows] == ["1:3"]
    assert rows[0]["generation"] == 1


def test_streams_stand_behind_their_connection() -> None:
    streams = [row(id=f"41/{number}", kind="h2_stream", seconds=float(number)) for number in (3, 13, 5)]
    carrier = row(id="41", kind="h2_connection", state="AWAITING_REQUEST", seconds=99.0)
    said = [(member(1), lists(*streams, carrier)), (member(2, 2), lists(row(id="41", seconds=9.0)))]
    for sort, expected in {
        "wait": ["1:41", "1:41/13", "1:41/5", "1:41/3", "2:41"],
        "id": ["1:41", "1:41/3", "1:41/5", "1:41/13", "2:41"],
    }.items():
        assert [one["id"] for one in sums.listed(lists(), said, sort, 100, 0)[1]] == expected, sort


@pytest.mark.parametrize("sort", ["age", "bytes_out", "requests", "state"])
def test_no_order_minds_what_is_missing(sort: str) -> None:
    said = [(member(1), lists(row(id="listener:5", age=None, deadline=None, kind="listener")))]
    assert len(sums.listed(lists(row(id="worker:1")), said, sort, 100, 0)[1]) == 2


def test_another_versions_table_is_left_out() -> None:
    assert sums._edges([{"a": [1, 2]}, {"a": [1, 2, 3], "b": [4]}, {"a": [10, 20]}]) == {"a": [11, 22], "b": [4]}


def test_stays_are_added_up_by_their_buckets() -> None:
    stays = {"connection": {"READING_HEAD": {"count": 2, "p50": 1, "p99": 1, "buckets": [0, 2, 0]}}}
    long = {"connection": {"READING_HEAD": {"count": 3, "p50": 1, "p99": 1, "buckets": [0, 0, 3]}}}
    found = sums._dwell([stays, long])["connection"]["READING_HEAD"]
    assert found == {"count": 5, "p50": 4e-6, "p99": 4e-6}
