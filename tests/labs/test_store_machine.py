"""The machine of the mail store's client: its table is sound, and its shell tells what comes of a question."""

import socket
from collections.abc import Iterator

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.operations import Operation
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.checks import CHECKS, methods
from clerestory.statemachines.engine import Machine
from labs import store_machine
from labs.store_machine import MailStore, Query, State, Trigger


@pytest.mark.parametrize("law", CHECKS)
def test_the_table_keeps_every_law(law: str) -> None:
    assert CHECKS[law](store_machine.TABLE) == []


def test_the_shell_has_what_the_table_names() -> None:
    assert [name for name in methods(store_machine.TABLE) if not hasattr(Query, name)] == []


def fail(machine: Machine, error: BaseException) -> None:
    raise AssertionError(f"{machine} has crashed") from error


class Asking:
    """An executor of one question, its loop, and a store that a test plays."""

    def __init__(self) -> None:
        self.loop = Loop(open_poller(), fail)
        self.store = socket.create_server(("127.0.0.1", 0))
        self.ended: list[object] = []
        self.find = MailStore(self.store.getsockname()).find(7)

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        assert operation is self.find
        self.ended.append(error or result)

    def ask(self) -> socket.socket:
        """Let the question reach the store; the store's end of it."""
        self.find.start(self)
        answering, _ = self.store.accept()
        self.loop.turn(5)
        assert answering.recv(16) == b"7\n"
        return answering

    def states(self) -> list[State]:
        return [State(machine.state) for machine in self.loop.machines.values() if isinstance(machine, Query)]


@pytest.fixture
def asking() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.loop.close()
    made.store.close()


def test_an_email_is_read_in_pieces_and_ends_the_machine(asking: Asking) -> None:
    with asking.ask() as answering:
        assert asking.states() == [State.AWAITING_EMAIL]
        assert asking.find.describe().startswith("store AWAITING_EMAIL <- fd ")
        answering.send(b"hel")
        asking.loop.turn(5)
        assert asking.ended == []
        answering.send(b"lo\n")
        asking.loop.turn(5)
    assert asking.ended == [b"hello\n"]
    assert asking.states() == []


def test_a_store_that_closes_is_a_502(asking: Asking) -> None:
    asking.ask().close()
    asking.loop.turn(5)
    (error,) = asking.ended
    assert isinstance(error, HTTPError)
    assert error.status == 502


def test_whoever_leaves_takes_the_machine_along_and_is_told_nothing(asking: Asking) -> None:
    with asking.ask():
        asking.find.cancel()
        assert asking.states() == []
    assert asking.ended == []


@pytest.mark.parametrize("trigger", [Trigger.DEADLINE_PASSED, Trigger.CLOSE_ORDERED])
def test_an_end_from_outside_is_told(asking: Asking, trigger: Trigger) -> None:
    with asking.ask():
        (query,) = [machine for machine in asking.loop.machines.values() if isinstance(machine, Query)]
        asking.loop.fire(query, trigger)
    (error,) = asking.ended
    assert isinstance(error, HTTPError)


def test_a_store_that_is_not_there_is_a_502() -> None:
    asking = Asking()
    asking.store.close()
    try:
        asking.find.start(asking)
        asking.loop.turn(5)
        (error,) = asking.ended
        assert isinstance(error, HTTPError)
        assert error.status == 502
    finally:
        asking.loop.close()
