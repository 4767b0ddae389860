"""Server-sent events: their form, that they move, and how many may listen."""

import json
from typing import Any

import pytest

from clerestory.server.xray.observe import beats
from clerestory.server.xray.observe.beats import LISTENERS
from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.seen import Seens
from clerestory.statemachines.engine import Machine
from tests.server.support import GET, hello
from tests.server.xray.support import Live, live
from tests.support.client import Client
from tests.support.waiting import eventually


class Listening(Client):
    """A client of `/events`."""

    def __init__(self, server: Live) -> None:
        super().__init__(server.xray_address)
        self.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{server.token}\r\n\r\n".encode())

    def lines(self) -> list[str]:
        """The lines of the next block, which an empty line ends. One block comes in one chunk."""
        size = int(self._line(), 16)
        block = self._exactly(size).decode()
        assert self._exactly(2) == b"\r\n"
        assert block.endswith("\n\n")
        return block.split("\n")[:-2]

    def event(self) -> dict[str, Any]:
        """The next event's document."""
        lines = [one for one in self.lines() if one and not one.startswith("retry: ")]
        assert [one.partition(": ")[0] for one in lines] == ["event", "id", "data"]
        assert lines[0] == "event: beat"
        found: dict[str, Any] = json.loads(lines[2].removeprefix("data: "))
        return found


def test_events_come_about_once_a_second_and_tell_what_has_moved() -> None:
    with live(hello) as server, Client(server.address) as client, Listening(server) as listening:
        head = listening._head()
        assert (head.status, head["content-type"]) == (200, "text/event-stream; charset=utf-8")
        first = listening.event()
        assert first["rates"] == {}
        assert first["machines"]["connection"]["total"] in (0, 1)
        client.get("/")
        found = [listening.event(), listening.event()]
        assert found[-1]["machines"]["connection"]["states"]["AWAITING_REQUEST"] == 1
        assert any(one["rates"]["connection"][0] > 0 for one in found)
        assert 0.5 < found[1]["now"] - found[0]["now"] < 20
        assert "rows" not in found[-1]
        assert found[-1]["totals"]["requests"] == 1


def test_one_more_listener_than_there_may_be_is_told_so_and_a_place_that_was_left_is_free() -> None:
    with live(hello) as server:
        listening = [Listening(server) for _ in range(LISTENERS)]
        for one in listening:
            assert one._head().status == 200
            one.lines()
        answer = server.x("/events")
        assert (answer.status, answer["retry-after"]) == (503, "5")
        assert answer.text.startswith("503 Service Unavailable: 8 listen already: close another page")
        listening.pop().close()
        eventually(lambda: server.xray.site.events.listeners() == LISTENERS - 1)
        with Listening(server) as again:
            assert again._head().status == 200
        for one in listening:
            one.close()
        eventually(lambda: server.xray.site.events.listeners() == 0)


def test_no_cut_is_kept_for_what_was_told() -> None:
    """A cut holds every connection that it saw, and every request: until somebody listens again, perhaps for days."""
    with live(hello) as server, Listening(server) as listening:
        listening._head()
        listening.event()
        made = vars(server.xray.site.events)
        assert [value for value in made.values() if isinstance(value, Cut | Seens)] == []


def test_who_does_not_take_its_events_is_kept_no_more_than_one_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "INTERVAL", 0.002)
    with live(hello) as server, Client(server.xray_address, window=1024) as slow, Listening(server) as other:
        slow.send(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{server.token}\r\n\r\n".encode())
        other._head()
        held = 0

        def sending() -> dict[Machine, float]:
            machines = list(server.xray.loop.machines.values())
            return {machine: machine.since for machine in machines if machine.state == "SENDING_RESPONSE"}

        def is_full() -> bool:
            """Whether somebody is still sending what they sent before the other had its event."""
            before = sending()
            other.event()
            return bool(before.items() & sending().items())

        eventually(is_full, patience=120.0)
        for _ in range(50):
            size = len(json.dumps(other.event()))
            held = max([held, *(len(one.output) + len(one.tail) for one in sending())])  # type: ignore[attr-defined]
        assert 0 < held < 2 * size


def test_all_who_listen_are_told_the_same() -> None:
    with live(hello) as server, Listening(server) as one, Listening(server) as other:
        one._head()
        other._head()
        first = [one.event()["now"] for _ in range(3)]
        second = [other.event()["now"] for _ in range(3)]
        assert set(first) & set(second)
        with Client(server.address) as client:
            client.send(GET)
            assert client.answer().text == "hello"
