"""The mail store answers after its time, any number at once, and is not hurt by who leaves."""

import socket
import time
from collections.abc import Iterator

import pytest

from labs import mail_store
from labs.load import ask, connections, drive
from labs.serving import Server, serving


@pytest.fixture(scope="module")
def store() -> Iterator[Server]:
    with serving(mail_store.serve, 0.05) as made:
        yield made


def test_it_answers_with_the_e_mail_of_that_number_after_its_time(store: Server) -> None:
    with socket.create_connection(store.address) as client:
        begun = time.monotonic()
        assert ask(client, b"7\n") == mail_store.email(7)
        assert time.monotonic() - begun >= 0.05


def test_who_asks_at_the_same_time_does_not_wait_for_the_others(store: Server) -> None:
    with connections(store.address, 200) as clients:
        outcome = drive(clients, [b"7\n"], 20, each=1)
    assert outcome.served == 200
    assert outcome.seconds < 200 * 0.05


def test_several_questions_in_one_piece_are_answered_in_order(store: Server) -> None:
    with socket.create_connection(store.address) as client:
        client.sendall(b"1\n2\n3\n")
        with client.makefile("rb") as answers:
            assert [answers.readline() for _ in range(3)] == [mail_store.email(number) for number in (1, 2, 3)]


def test_who_leaves_before_its_answer_does_not_disturb_the_next(store: Server) -> None:
    """The next client may have the same descriptor by then, and must not get what another one has asked for."""
    with socket.create_connection(store.address) as client:
        client.sendall(b"1\n")
    with socket.create_connection(store.address) as client:
        assert ask(client, b"2\n") == mail_store.email(2)
