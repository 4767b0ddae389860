"""No descriptor, or no room, for a further connection: the listener pauses and does not spin, those who are there are
served, those who have waited too long get 503, and when there is room again it goes on.
"""

import time
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.support.client import Client, clients, request
from tests.support.waiting import eventually

REQUEST = request("/hello")
BEGUN, REST = REQUEST[:-2], REQUEST[-2:]
"""A request in two pieces: a connection on which the first has come is not idle, and makes no room for another."""

DESCRIPTORS = 64

SLOW = ("--head-timeout", "120")
"""No head is late, however long a busy machine takes to open a thousand connections."""


@pytest.mark.parametrize("reset", [False, True])
def test_out_of_descriptors_the_listener_pauses_serves_and_resumes(start: Start, reset: bool) -> None:
    server = start(*SLOW, "--pause-timeout", "60", "--max-connections", "1000", descriptors=DESCRIPTORS)
    with clients(server.address, 100, request("/hello")) as opened:
        event = server.wait_for("descriptors_exhausted")
        assert event["reason"] == "Too many open files"
        served, waiting = opened[: event["connections"]], opened[event["connections"] :]
        assert len(served) >= DESCRIPTORS - 20
        assert [client.answer().status for client in served] == [200] * len(served)
        # Nobody who is there is forgotten, and nobody spins.
        assert server.load(1) < 0.05
        assert [client.get("/json").status for client in served] == [200] * len(served)
        assert all(client.is_open() for client in waiting)
        for client in served:
            client.send(BEGUN)  # else they would make room
        # One leaves: one is let in.
        served[0].reset() if reset else served[0].close()
        assert waiting[0].answer().status == 200
        assert waiting[-1].is_open()
        for client in served:
            client.close()
        assert [client.answer().status for client in waiting[1:30]] == [200] * 29
    server.settle()
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


def test_those_who_wait_through_a_pause_get_503_and_when_to_come_again(start: Start) -> None:
    server = start(*SLOW, "--pause-timeout", "0.5", "--max-connections", "1000", descriptors=DESCRIPTORS)
    begun = time.monotonic()
    with clients(server.address, 100, BEGUN) as opened:
        event = server.wait_for("descriptors_exhausted")
        served, waiting = opened[: event["connections"]], opened[event["connections"] :]
        for client in waiting:
            answer = client.answer()
            assert time.monotonic() - begun >= 0.5
            assert (answer.status, answer.reason) == (503, "Service Unavailable")
            assert (answer["retry-after"], answer["connection"]) == ("1", "close")
            assert answer.text == "503 Service Unavailable: Too many connections are open.\n"
            assert client.end() == "closed"
        for client in served:
            client.send(REST)
            assert client.answer().status == 200
            assert client.get("/hello").status == 200
        assert server.wait_for("turned_away")["clients"] >= 1
    server.settle()
    with Client(server.address) as client:
        assert client.get("/hello").status == 200


def test_so_many_connections_are_open_and_no_more(start: Start) -> None:
    """N are served; N + 1 waits, and is served when one of the others has left."""
    server = start(*SLOW, "--max-connections", "10", "--pause-timeout", "60")
    with (
        clients(server.address, 10, BEGUN) as opened,
        Client(server.address, data=request("/json")) as last,
    ):
        assert server.wait_for("capacity_reached")["connections"] == 10
        for client in opened:
            client.send(REST + BEGUN)
            assert client.answer().status == 200
        assert last.is_open()
        opened[0].close()
        assert last.answer().body == b'{"hello": "world"}'
    server.settle()


def test_n_plus_one_connections_get_503_after_the_pause(start: Start) -> None:
    server = start(*SLOW, "--max-connections", "3", "--pause-timeout", "0.5")
    with (
        clients(server.address, 3, BEGUN) as opened,
        Client(server.address, data=request("/hello")) as last,
    ):
        answer = last.answer()
        assert (answer.status, answer["retry-after"]) == (503, "1")
        assert last.end() == "closed"
        for client in opened:
            client.send(REST)
        assert [client.answer().status for client in opened] == [200] * 3


def test_a_client_that_waits_and_leaves_costs_nothing(start: Start) -> None:
    server = start(*SLOW, "--max-connections", "3", "--pause-timeout", "0.5")
    with clients(server.address, 3, BEGUN) as opened:
        for _ in range(50):
            Client(server.address, data=request("/hello")).reset()
        for client in opened:
            client.send(REST)
        assert [client.answer().status for client in opened] == [200] * 3
    server.settle()
    with Client(server.address) as client:
        eventually(lambda: client.get("/hello").status == 200)


def test_a_file_that_can_not_be_opened_for_want_of_descriptors_is_503(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    server = start(
        *SLOW, "--max-connections", "1000", "--pause-timeout", "60", target=str(tmp_path), descriptors=DESCRIPTORS
    )
    with Client(server.address) as client:
        assert client.get("/file").body == b"content"
        with clients(server.address, 100, BEGUN):
            client.send(BEGUN.replace(b"/hello", b"/file"))
            server.wait_for("descriptors_exhausted")
            client.send(REST)
            answer = client.answer()
            assert (answer.status, answer.reason) == (503, "Service Unavailable")
            assert int(answer["retry-after"]) >= 1
            assert answer.get("connection") is None
        # Those who have left are still in the backlog, and take descriptors when they are accepted, a batch at a time.
        eventually(lambda: client.get("/file").body == b"content")


def test_a_drain_while_paused_ends_well(start: Start) -> None:
    server = start(*SLOW, "--max-connections", "3", "--pause-timeout", "60")
    with (
        clients(server.address, 3, BEGUN) as opened,
        Client(server.address, data=request("/hello")) as last,
    ):
        server.wait_for("capacity_reached")
        server.signal()
        assert last.answer().status == 503
        for client in opened:
            client.send(REST)
            assert client.answer()["connection"] == "close"
            assert client.end() == "closed"
            client.close()
    assert server.wait() == 0


def test_the_limit_of_select_turns_clients_away_instead_of_breaking(start: Start) -> None:
    """select(2) cannot hold a descriptor from 1,024: whatever the limits say, that is the end of the room."""
    server = start(*SLOW, "--poller", "select", "--max-connections", "5000", "--pause-timeout", "60")
    with clients(server.address, 1100, BEGUN) as opened:
        for client in opened[:900]:
            client.send(REST + BEGUN)
            assert client.answer().status == 200
        for client in opened[1:200]:
            client.close()
        with Client(server.address) as client:
            assert client.get("/hello").status == 200
    server.settle()
