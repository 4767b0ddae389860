"""The live view, with a fake client and a screen that keeps what it is shown."""

import io
from collections.abc import Iterable
from typing import Any, cast

import pytest

from clerestory.server.xray.terminal.arguments import UsageError
from clerestory.server.xray.terminal.client import Client, XRayError
from clerestory.server.xray.terminal.screen import Screen
from clerestory.server.xray.terminal.streams import Streams
from clerestory.server.xray.terminal.top import Top, top
from clerestory.server.xray.terminal.view import View
from tests.server.xray.terminal.samples import FakeClient, idle, listed, one, row, snapshot


class FakeScreen:
    """Types what it is given, one item for each wait (an empty one is the interval), then `q`."""

    def __init__(self, typed: Iterable[list[str]]) -> None:
        self.typed = iter([*typed, ["q"]])
        self.shown: list[list[str]] = []
        self.changed: Any = None

    def size(self) -> tuple[int, int]:
        return 100, 30

    def draw(self, lines: list[str]) -> None:
        self.shown.append(lines)

    def keys(self) -> list[str]:
        return next(self.typed)


ROWS = listed(row(), idle(1), idle(2))


def run(answers: dict[str, Any], *typed: list[str]) -> tuple[FakeScreen, FakeClient, Top]:
    client, screen = FakeClient({"/connections.json": ROWS} | answers), FakeScreen(typed)
    this = Top(cast(Client, client), View(), cast(Screen, screen), False)
    this.begin()
    this.run()
    return screen, client, this


def posts(client: FakeClient) -> list[tuple[str, dict[str, object]]]:
    return [(path, parameters) for method, path, parameters in client.asked if method == "POST"]


def test_it_looks_draws_and_looks_again() -> None:
    screen, client, _ = run({"/snapshot.json": [snapshot(now=100.0), snapshot(now=101.0), snapshot(now=102.0)]}, [], [])
    assert len(screen.shown) == 3
    assert [path for _, path, _ in client.asked].count("/snapshot.json") == 3
    assert client.asked[-1][2] == {"sort": "wait", "limit": 200}


def test_looks_too_close_together_make_no_rates() -> None:
    moments = [snapshot(now=now) for now in (100.0, 101.0, 101.1, 101.2)]
    _, _, this = run({"/snapshot.json": moments}, [], ["s"], ["s"])
    assert this.sight.before is not None
    assert this.sight.snapshot is not None
    assert (this.sight.before["now"], this.sight.snapshot["now"]) == (100.0, 101.2)


def test_held_still_it_does_not_look() -> None:
    _, client, _ = run({}, [" "], [], [])
    assert [path for _, path, _ in client.asked].count("/snapshot.json") == 1


def test_keys_change_what_is_asked_for() -> None:
    _, client, _ = run({}, ["s"], ["r"], ["f"])
    asked = [parameters for _, path, parameters in client.asked if path == "/connections.json"]
    assert asked[1:] == [
        {"sort": "seconds", "limit": 200},
        {"sort": "-seconds", "limit": 200},
        {"state": "AWAITING_REQUEST", "sort": "-seconds", "limit": 200},
    ]


def test_one_is_opened_and_left_when_it_has_gone() -> None:
    screen, _, _ = run({"/connections/17": one()}, ["down"], ["enter"])
    assert screen.shown[-1][0].startswith("17  GET /emails/7 QUERYING_BACKEND 1.2 s of 30 s")
    screen, _, _ = run({}, ["down", "enter"])
    assert screen.shown[-1][-1] == "There is no /connections/17."


def test_one_is_closed_after_a_yes() -> None:
    screen, client, _ = run({"/connections/17/close": {"closed": ["17"], "failed": []}}, ["down"], ["c"], ["y"])
    assert posts(client) == [("/connections/17/close", {})]
    assert screen.shown[-2][-1].endswith("[y/N]")
    assert screen.shown[-1][-1] == "1 connection closed"


def test_all_of_a_filter_are_counted_asked_about_and_closed() -> None:
    would = {"dry_run": True, "would_close": 2, "rows": []}
    done = {"closed": ["1"], "failed": ["2"]}
    screen, client, _ = run({"/close": [would, done]}, ["f"], ["C"], ["y"])
    state = {"state": "AWAITING_REQUEST"}
    assert posts(client) == [("/close", state), ("/close", state | {"confirm": 1})]
    assert screen.shown[-2][-1] == "close 2 connections with state=AWAITING_REQUEST? [y/N]"
    assert screen.shown[-1][-1] == "1 connection closed, 1 had already ended, or the loop is blocked"


def test_a_server_that_goes_is_said_and_looked_for_again() -> None:
    answers = [snapshot(), XRayError("a:1: Connection refused: is the server running?"), snapshot(now=103.0)]
    screen, _, _ = run({"/snapshot.json": answers}, [], ["x"], [])
    assert screen.shown[1][-1] == "a:1: Connection refused: is the server running?"
    assert screen.shown[-1][-1].startswith("arrows choose")


def test_a_refused_order_is_said() -> None:
    screen, _, _ = run({"/close": XRayError("set CLERESTORY_TOKEN")}, ["f"], ["C"])
    assert screen.shown[-1][-1] == "set CLERESTORY_TOKEN"


def test_it_wants_a_terminal() -> None:
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    with pytest.raises(UsageError, match="top needs a terminal: ps prints the same once"):
        top(cast(Client, FakeClient({})), {}, 1.0, streams)


def test_a_server_that_is_not_there_at_the_beginning_is_an_error_before_the_screen_is_taken() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 0

    streams = Streams(Terminal(), io.StringIO(), Terminal())
    client = FakeClient({"/machines.json": XRayError("nobody there")})
    with pytest.raises(XRayError, match="nobody there"):
        top(cast(Client, client), {}, 1.0, streams)
