"""`clerestory waits`: what it prints, and how it ends."""

import io
import json
from typing import Any

import pytest

from clerestory.server.xray.terminal.arguments import UsageError, make_parser
from clerestory.server.xray.terminal.client import JSON
from clerestory.server.xray.terminal.routes import overview, percent, waits
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.text import Style
from tests.server.xray.terminal.samples import FakeClient, passage


def part(whom: str, share: float, line: str = "", state: str = "QUERYING_BACKEND") -> JSON:
    return {"state": state, "whom": whom, "line": line, "seconds": share, "share": share}


def route(name: str = "GET /orders/{id}", **changes: Any) -> JSON:
    made = {
        "route": name,
        "requests": 1203,
        "failed": 0,
        "p50": 0.026,
        "p99": 0.31,
        "longest": 0.5,
        "busy": 40.0,
        "typical": [part("thread find_order", 0.98, "shop/db.py:41 find_order"), part("the handler runs", 0.02)],
        "slow": [part("a free thread", 0.8), part("thread find_order", 0.195), part("other waits", 0.005, state="")],
        "whole": [],
        "examples": [
            {"id": "17-3", "request": "GET /orders/7?...", "status": 200, "seconds": 0.5, "age": 3.1, "why": "..."},
            {"id": "18-1", "request": "GET /orders/8", "status": None, "seconds": 0.4, "age": 3.1, "why": "..."},
        ],
    }
    return made | changes


def run(words: list[str], answer: JSON) -> tuple[int, str, str, FakeClient]:
    client, out, err = FakeClient({"/waits.json": answer}), io.StringIO(), io.StringIO()
    asked: Any = client
    status = waits(asked, make_parser("waits", "clerestory").parse_args(words), Streams(out, err, io.StringIO()))
    return status, out.getvalue(), err.getvalue(), client


def document(*routes: JSON) -> JSON:
    return {"now": 5.0, "seconds": 412.0, "routes": list(routes)}


def test_each_route_has_its_figures_and_where_the_time_of_its_requests_went() -> None:
    status, out, err, client = run([], document(route(), route("(no route)", requests=3, failed=2, busy=0.1)))
    assert status == 0
    assert out.splitlines() == [
        "ROUTE              REQUESTS  FAILED        P50        P99",
        "GET /orders/{id}      1,203       -    26.0 ms     310 ms",
        "  p50  98 % thread find_order at shop/db.py:41 find_order, 2 % the handler runs",
        "  p99  80 % a free thread, 20 % thread find_order, <1 % other waits",
        "(no route)                3       2    26.0 ms     310 ms",
        "  p50  98 % thread find_order at shop/db.py:41 find_order, 2 % the handler runs",
        "  p99  80 % a free thread, 20 % thread find_order, <1 % other waits",
    ]
    assert err == "Of the last 6 min 52 s. p50: the median request; p99: the slowest hundredth.\n"
    assert client.asked == [("GET", "/waits.json", {"route": "", "example": "", "secrets": ""})]


def test_of_one_route_every_part_is_told_and_its_slow_requests() -> None:
    status, out, _, client = run(["--route", "orders"], document(route()))
    assert status == 0
    assert out.splitlines()[2:] == [
        "  p50   98 %  ####################  thread find_order at shop/db.py:41 find_order",
        "         2 %                        the handler runs",
        "  p99   80 %  ################      a free thread",
        "        20 %  ####                  thread find_order",
        "        <1 %                        other waits",
        "  slow requests, for waits --request ID:",
        "    17-3         500 ms  GET /orders/7?... 200, 3.1 s ago",
        "    18-1         400 ms  GET /orders/8 no answer, 3.1 s ago",
    ]
    assert client.asked[0][2]["route"] == "orders"


@pytest.mark.parametrize(
    ("by", "first"), [("busy", "GET /a"), ("p99", "GET /b"), ("p50", "GET /c"), ("requests", "GET /d")]
)
def test_routes_are_sorted_by_what_is_asked_for(by: str, first: str) -> None:
    routes = [
        route("GET /a", busy=90.0),
        route("GET /b", p99=9.0),
        route("GET /c", p50=0.3),
        route("GET /d", requests=9000),
    ]
    _, out, _, _ = run(["--sort", by, "--limit", "1"], document(*routes))
    assert [line.split("  ")[0] for line in out.splitlines()][1:2] == [first]
    assert len(out.splitlines()) == 4


def test_where_nobody_has_asked_it_says_so() -> None:
    assert run([], document())[:3] == (1, "", "No route was asked for in the last 6 min 52 s.\n")
    status, out, err, _ = run(["--route", "/x"], document())
    assert (status, out, err) == (1, "", "No route with /x in its name was asked for in the last 6 min 52 s.\n")
    assert run(["--json"], document())[0] == 1


def test_json_is_the_x_ray_s_answer() -> None:
    status, out, err, _ = run(["--json"], document(route()))
    assert (status, json.loads(out), err) == (0, document(route()), "")


def test_one_request_is_told_with_its_path() -> None:
    one = {
        "now": 9.0,
        "peer": "127.0.0.1:5000",
        "id": "17-3",
        "request": "GET /orders/7?...",
        "status": 200,
        "seconds": 0.5,
        "age": 3.1,
        "why": "...",
        "parts": [part("thread find_order", 0.5)],
        "path": [passage()],
    }
    status, out, _, client = run(["--request", "17-3", "--secrets"], one)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "17-3  GET /orders/7?... from 127.0.0.1:5000: answered with 200 after 500 ms"
    assert lines[2] == "     500 ms  50 %  ##########            thread find_order"
    assert "HEAD_RECEIVED -> QUERYING_BACKEND" in out
    assert client.asked[0][2] == {"route": "", "example": "17-3", "secrets": "1"}
    assert "not answered after" in run(["--request", "17-3"], one | {"status": None})[1]


@pytest.mark.parametrize("width", [30, 60, 80, 140])
def test_lines_fit_the_terminal_and_hold_no_control_character(width: int) -> None:
    hostile = route("GET /\x1b[2J" + "x" * 200)
    for whole in (False, True):
        lines = overview([hostile], Style(width), whole=whole)
        assert max(map(len, lines)) <= width
        assert all(line.isprintable() for line in lines)


def test_shares_in_percent() -> None:
    assert [percent(share) for share in (0.0, 0.0099, 0.01, 0.5, 1.0)] == ["<1 %", "<1 %", "1 %", "50 %", "100 %"]


def test_a_wrong_word_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--sort"):
        make_parser("waits", "clerestory").parse_args(["--sort", "name"])
