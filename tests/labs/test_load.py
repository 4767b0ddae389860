"""The load asks, waits, asks again; counts what was answered, and leaves no question open."""

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from labs import event_loop, one_at_a_time
from labs.load import Outcome, ask, connections, drive
from labs.serving import Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(event_loop.serve) as made:
        yield made


def test_every_client_has_as_many_answers_as_were_wanted(server: Server) -> None:
    with connections(server.address, 20) as clients:
        outcome = drive(clients, [b"one\n", b"two\n"], 20, each=3)
    assert outcome.answered == [3] * 20
    assert outcome.requests == 60
    assert outcome.served == 20


def test_latencies_and_rate_are_of_what_was_answered(server: Server) -> None:
    with connections(server.address, 5) as clients:
        outcome = drive(clients, [b"hello\n"], 0.1)
    assert outcome.requests == sum(outcome.answered) == len(outcome.latencies)
    assert 0 < outcome.latency(0.5) <= outcome.latency(0.99)
    assert outcome.rate == pytest.approx(outcome.requests / outcome.seconds)


def test_no_question_is_left_open(server: Server) -> None:
    """What was under way when the time was over is waited for: a later answer would be taken for another question's."""
    with connections(server.address, 10) as clients:
        drive(clients, [b"first\n"], 0.05)
        readable, _, _ = select.select(clients, [], [], 0)
        assert readable == []
        for client in clients:
            client.setblocking(True)
            assert ask(client, b"second\n") == b"second\n"


def test_who_is_not_served_is_no_error() -> None:
    with serving(one_at_a_time.serve) as server, connections(server.address, 3) as clients:
        outcome = drive(clients, [b"hello\n"], 20, each=1, patience=0.3)
    assert sorted(outcome.answered) == [0, 0, 1]
    assert outcome.served == 1


def test_a_server_that_closes_under_load_is_an_error() -> None:
    ours, theirs = socket.socketpair()

    def hear_and_leave() -> None:
        with theirs:
            theirs.recv(10)

    closing = threading.Thread(target=hear_and_leave)
    closing.start()
    with ours, pytest.raises(ConnectionError, match="closed a connection under load"):
        drive([ours], [b"hello\n"], 20)
    closing.join()


def test_asking_a_server_that_closes_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.send(b"half")
        theirs.shutdown(socket.SHUT_WR)
        with theirs, pytest.raises(ConnectionError, match="half"):
            ask(ours, b"hello\n")


def test_of_nothing_there_is_no_latency() -> None:
    assert Outcome().rate == 0
    with pytest.raises(ValueError, match="nothing was measured"):
        Outcome().latency(0.5)
