"""`GET /waits.json`: what it answers, and what it hides."""

from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Request, Response
from clerestory.server.xray.observe.breakdown import Part
from clerestory.server.xray.observe.watch import Watch
from clerestory.server.xray.serve.waits import example_json, waits_asked, waits_json, whom_of, words
from tests.server.connection.test_waiting import Named
from tests.server.support import bench_of
from tests.server.xray.support import Live, live, watch_of
from tests.support.client import Client
from tests.support.waiting import eventually


def slow(count: int = 1, target: str = "/orders/7?secret=abc") -> tuple[Watch, dict[str, Any]]:
    """A watch on a bench that has answered so many requests of two seconds, and /waits.json."""
    operations: list[Named] = []

    async def handler(request: Request) -> Response:
        operations.append(Named("a database"))
        await operations[-1]
        return Response(b"done")

    with bench_of(handler) as bench:
        watch = watch_of(bench)
        bench.service.on_exchange_ended = watch.profile.add
        client = bench.connect()
        for _ in range(count):
            client.send(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            bench.after(2)
            operations[-1].finish()
            bench.settle()
        return watch, waits_json(watch)


def test_a_route_is_told_with_where_its_time_went_and_its_slow_requests() -> None:
    _, document = slow(3)
    (route,) = document["routes"]
    assert (route["route"], route["requests"], route["failed"]) == ("GET /orders/{n}", 3, 0)
    assert route["p50"] == pytest.approx(2, abs=0.01)
    for parts in ("typical", "slow", "whole"):
        assert [(part["state"], part["whom"], round(part["share"], 2)) for part in route[parts]][:1] == [
            ("QUERYING_BACKEND", "a database", 1.0)
        ]
    assert [one["request"] for one in route["examples"]] == ["GET /orders/7?..."] * 3
    assert route["examples"][0]["why"].startswith("2.00 s a database")


def test_routes_are_chosen_by_a_part_of_their_name() -> None:
    watch, _ = slow()
    assert [one["route"] for one in waits_json(watch, "orders")["routes"]] == ["GET /orders/{n}"]
    assert waits_json(watch, "emails")["routes"] == []


def test_an_example_is_told_with_its_path_and_its_query_only_to_who_asks_for_secrets() -> None:
    watch, document = slow()
    id = document["routes"][0]["examples"][0]["id"]  # noqa: A001
    one = example_json(watch, id)
    assert one["request"] == "GET /orders/7?..."
    assert [passage["dest"] for passage in one["path"]] == [
        "QUERYING_BACKEND",
        "QUERYING_BACKEND",
        "SENDING_RESPONSE",
        "AWAITING_REQUEST",
    ]
    assert one["parts"][0]["whom"] == "a database"
    assert example_json(watch, id, secrets=True)["request"] == "GET /orders/7?secret=abc"
    with pytest.raises(HTTPError, match="is not among the examples"):
        example_json(watch, "99-1")


def test_a_long_target_is_cut() -> None:
    _, document = slow(target="/" + "x" * 2000)
    assert len(document["routes"][0]["examples"][0]["request"]) < 300


@pytest.mark.parametrize("query", ["wanted=1", "&".join(f"route={n}" for n in range(9))])
def test_what_is_unknown_or_too_much_is_refused(query: str) -> None:
    with pytest.raises(HTTPError) as refused:
        waits_asked(query)
    assert refused.value.status == 400


def test_the_query_is_read() -> None:
    assert waits_asked("") == ("", "", False)
    assert waits_asked("route=%2Forders&example=17-3&secrets=1") == ("/orders", "17-3", True)


def test_parts_in_words() -> None:
    part = Part("QUERYING_BACKEND", "thread find", "db.py:4 find", 0.4, 1.0)
    assert whom_of(part) == "thread find at db.py:4 find"
    assert words([part, Part("", "other waits", "", 0.001, 0.0)]) == (
        "400 ms thread find at db.py:4 find, 1.00 ms other waits"
    )


def test_a_live_server_answers_it_and_counts_its_own_requests_only(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with live(lambda request: Response(b"hello")) as server:
        served(server)
        # The client has its response before the server has counted it.
        eventually(lambda: requests(server.json("/waits.json?route=hello")) == [("GET /hello", 2)])
        assert [one["route"] for one in server.json("/waits.json")["routes"]] == ["GET /hello"]


def requests(document: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["route"], one["requests"]) for one in document["routes"]]


def served(server: Live) -> None:
    with Client(server.address) as client:
        for _ in range(2):
            assert client.get("/hello").status == 200
