"""A fleet: documents of several x-rays as one, and whose a machine is."""

import io
from pathlib import Path
from typing import Any, cast

import pytest

from clerestory.server.xray.terminal.client import JSON, Client, GoneError, XRayError
from clerestory.server.xray.terminal.fleet import Fleet, Server, servers_of
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.top import top
from clerestory.server.xray.terminal.waits import Waits
from tests.server.xray.terminal.samples import FakeClient, idle, listed, one, row, snapshot

LOOP = {"lag": 0.002, "pause": 0.001, "turns": 7, "blocked": None}
STATES = {"AWAITING_REQUEST": {"count": 1, "buckets": [0, 1], "p50": 0.1, "p99": 0.1}}
TOTALS = {"accepted": 2, "requests": 100, "bytes_in": 1, "bytes_out": 5, "statuses": {"200": 100}, "ends": []}


def summary(**changes: Any) -> JSON:
    """A whole one: with what is added up."""
    parts = {"loop": LOOP, "totals": TOTALS, "dwell": {"connection": STATES}, "consistent": True, "upstreams": []}
    return snapshot(**(parts | changes))


def fleet_of(*answers: dict[str, Any]) -> tuple[Fleet, list[FakeClient]]:
    """Servers called web1, web2, ... that answer so."""
    fakes = [FakeClient({"/snapshot.json": summary()} | answer) for answer in answers]
    servers = [Server(f"web{number}", cast("Client", fake)) for number, fake in enumerate(fakes, 1)]
    return Fleet(servers, Waits()), fakes


def test_what_is_counted_is_added_up_and_what_is_said_is_said_of_its_server() -> None:
    banner = {"kind": "silent", "level": "critical", "text": "Worker 2 is mute", "connections": ["2:1"], "seconds": 3.0}
    blocked = LOOP | {"blocked": {"seconds": 3.2, "id": "17", "why": "", "stack": []}}
    fleet, _ = fleet_of(
        {},
        {"/snapshot.json": summary(loop=blocked, banners=[banner], workers=[{"worker": 2, "state": "READY"}])},
    )
    found = fleet.get("/snapshot.json")
    assert found["totals"]["requests"] == 200
    assert found["machines"]["connection"]["total"] == 4
    assert found["dwell"]["connection"]["AWAITING_REQUEST"]["count"] == 2
    assert found["loop"]["blocked"]["id"] == "web2:17"
    assert [(one["text"], one["connections"]) for one in found["banners"]] == [("web2: Worker 2 is mute", ["web2:2:1"])]
    assert [one["worker"] for one in found["workers"]] == ["web2:2"]


def test_rows_are_of_all_in_one_order_and_no_more_than_wanted() -> None:
    fleet, fakes = fleet_of(
        {"/connections.json": listed(row(id="17", seconds=1.0), idle(3), total=2, matched=2)},
        {"/connections.json": listed(row(id="2:5", seconds=9.0), total=7, matched=1)},
    )
    found = fleet.get("/connections.json", {"sort": "wait", "limit": 2, "offset": 0})
    assert [(one["id"], one["server"]) for one in found["rows"]] == [("web2:2:5", "web2"), ("web1:17", "web1")]
    assert (found["total"], found["matched"]) == (9, 3)
    assert [fake.asked[0][2]["limit"] for fake in fakes] == [2, 2]


def test_one_is_asked_of_its_server_by_the_name_it_has_there() -> None:
    fleet, fakes = fleet_of(
        {}, {"/connections/2:5": one(id="2:5"), "/connections/2:5/close": {"closed": ["2:5"], "failed": []}}
    )
    assert fleet.one("web2:2:5", secrets=True)["id"] == "web2:2:5"
    assert fleet.post("/connections/web2%3A2%3A5/close") == {"closed": ["web2:2:5"], "failed": []}
    assert fakes[0].asked == []
    with pytest.raises(GoneError, match="write the server's name, a colon, and the id; the servers are web1, web2"):
        fleet.one("2:5")


def test_an_order_that_does_not_reach_all_is_an_error() -> None:
    done = {"dry_run": False, "closed": ["17"], "failed": []}
    fleet, _ = fleet_of({"/close": done}, {"/close": XRayError("it is gone")})
    with pytest.raises(XRayError, match="web2: it is gone"):
        fleet.post("/close", {"confirm": 1})


def test_a_fleet_has_no_page() -> None:
    fleet, _ = fleet_of({})
    with pytest.raises(XRayError, match="a page shows one server"):
        fleet.post("/key")


def test_a_mistake_of_ours_is_no_endless_wait() -> None:
    fleet, _ = fleet_of({"/connections.json": KeyError("ours")})
    with pytest.raises(KeyError):
        fleet.get("/connections.json")


def test_names_are_hosts_unless_these_are_the_same(tmp_path: Path) -> None:
    def names(text: str) -> list[str]:
        return [server.key for server in servers_of(text)]

    assert names("10.0.0.1:8001,web2:8001") == ["10.0.0.1", "web2"]
    assert names("127.0.0.1:8001,http://127.0.0.1:8002/") == ["127.0.0.1:8001", "127.0.0.1:8002"]
    assert names("unix:/run/shop.sock,unix:/run/mail.sock") == ["shop.sock", "mail.sock"]
    assert names("10.0.0.1:8001") == ["10.0.0.1"]
    (tmp_path / "fleet").write_text("a 10.0.0.1:8001\n10.0.0.2:8001 # unnamed\n")
    assert names(str(tmp_path / "fleet")) == ["a", "10.0.0.2"]
    with pytest.raises(XRayError, match="is not the address of an x-ray"):
        names("nonsense")


def test_the_live_view_needs_a_terminal_as_for_one() -> None:
    fleet, _ = fleet_of({}, {})
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO(), Waits())
    with pytest.raises(Exception, match="terminal"):
        top(fleet, {}, 1.0, streams)
