"""Every model does the same work: the table compares ways of serving, and nothing else."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from clerestory.statemachines.checks import CHECKS, methods
from clerestory.statemachines.contract import Table
from labs import mail_store
from labs.load import ask
from labs.mail_store import email
from labs.models import MODELS, Model
from labs.models.blocking import POOL, serve_one, serve_pool
from labs.models.machines import CLIENT, ENTRANCE, STORE, Client, Entrance, Store
from labs.serving import Server, serving

Open = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def store() -> Iterator[Server]:
    with serving(mail_store.serve) as made:
        yield made


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.name)
def model(request: pytest.FixtureRequest) -> Model:
    found: Model = request.param
    return found


@pytest.fixture(scope="module")
def server(model: Model, store: Server) -> Iterator[Server]:
    with serving(model.serve, *store.address) as made:
        yield made


@pytest.fixture
def client(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(server.address, timeout=30) as made:
        yield made


def test_an_echo_and_an_e_mail_are_answered_with_a_line(client: socket.socket) -> None:
    assert ask(client, b"echo hello\n") == b"hello\n"
    assert ask(client, b"email 7\n") == email(7)
    assert ask(client, b"echo again\n") == b"again\n"


def test_a_request_may_come_in_pieces(client: socket.socket) -> None:
    client.sendall(b"ec")
    client.sendall(b"ho hel")
    assert ask(client, b"lo\n") == b"hello\n"


def test_a_client_that_leaves_in_the_middle_does_not_disturb_the_next(server: Server) -> None:
    for unfinished in (b"", b"echo hel", b"email 7\n"):
        with socket.create_connection(server.address) as leaving:
            leaving.sendall(unfinished)
        with socket.create_connection(server.address, timeout=30) as client:
            assert ask(client, b"email 8\n") == email(8)


def test_clients_are_held_at_the_same_time(model: Model, server: Server) -> None:
    held = 1 if model.serve is serve_one else min(20, POOL) if model.serve is serve_pool else 20
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(server.address, timeout=30)) for _ in range(held)]
        for number, client in enumerate(clients):
            client.sendall(b"email %d\n" % number)
        for number, client in enumerate(clients):
            assert ask(client, b"") == email(number)


@pytest.mark.parametrize(("table", "model"), [(CLIENT, Client), (STORE, Store), (ENTRANCE, Entrance)])
def test_the_tables_of_the_machines_keep_what_a_table_promises(table: Table, model: type) -> None:
    assert {name: broken for name, law in CHECKS.items() if (broken := law(table))} == {}
    assert [name for name in methods(table) if not hasattr(model, name)] == []
