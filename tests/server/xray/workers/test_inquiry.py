"""An inquiry's shell: what it makes of an answer, and of none."""

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.net.door import Inside, door
from clerestory.server.xray.workers.inquiry import BRIEFLY, SILENT, Answer, Inquiries, Inquiry
from clerestory.server.xray.workers.member import Member
from clerestory.statemachines.inquiry import ANSWER
from tests.server.support import Clock

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


class Bench:
    """A loop with a fake clock, and workers behind doors that the test answers for."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.crashes: list[BaseException] = []
        self.loop = Loop(open_poller("auto"), lambda _, error: self.crashes.append(error), clock=self.clock)
        self.insides: dict[int, Inside] = {}
        self.outsides: list[Any] = []
        self.results: list[Any] = []

    def member(self, number: int, heard: float = 0.1) -> Member:
        outside, theirs = door()
        self.insides[number] = Inside.at(theirs.detach())
        self.outsides.append(outside)

        class Somebody:
            door = outside
            generation = 1

        Somebody.number = number  # type: ignore[attr-defined]
        return Member(cast("Any", Somebody), "READY", 1.0, 1.0, heard, {})

    def finished(self, operation: Any, result: object = None, error: BaseException | None = None) -> None:
        assert error is None
        self.results.append(result)

    def ask(self, *members: Member, **how: Any) -> Inquiries:
        operation = Inquiries(self.loop, members, "GET", "/x", **how)
        operation.start(cast("Any", self))
        self.settle()
        return operation

    def accept(self, number: int) -> socket.socket:
        theirs, _ = self.insides[number].accept()
        assert theirs.recv(65536).startswith(b"GET /x HTTP/1.1\r\nHost: localhost\r\n")
        return theirs

    def answer(self, number: int, *pieces: bytes) -> None:
        with self.accept(number) as theirs:
            for piece in pieces:
                theirs.send(piece)
                self.settle()
        self.settle()

    def settle(self) -> None:
        for _ in range(5):
            self.loop.turn(0)

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.settle()

    def close(self) -> None:
        self.loop.close()
        for inside in self.insides.values():
            inside.close()
        for outside in self.outsides:
            outside.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()
    assert made.crashes == []


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def test_an_answer_may_come_byte_by_byte(bench: Bench) -> None:
    bench.ask(bench.member(1))
    bench.answer(1, *(OK[at : at + 1] for at in range(len(OK))))
    assert bench.results == [{1: Answer(200, b"application/json", b"{}")}]


@pytest.mark.parametrize("wrong", [b"", OK[:-1], b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"])
def test_what_is_no_answer_is_none(bench: Bench, wrong: bytes) -> None:
    bench.ask(bench.member(1))
    bench.answer(1, wrong)
    assert bench.results == [{1: None}]


def test_all_are_asked_at_once_and_told_together(bench: Bench) -> None:
    bench.ask(bench.member(1), bench.member(2))
    bench.answer(2, OK)
    assert bench.results == []
    bench.answer(1, OK.replace(b"200", b"404"))
    ((found,),) = [bench.results]
    assert {number: one.status for number, one in found.items()} == {1: 404, 2: 200}


def test_who_does_not_answer_in_time_is_not_waited_for(bench: Bench) -> None:
    bench.ask(bench.member(1), bench.member(2))
    bench.answer(1, OK)
    bench.after(ANSWER.seconds - 0.3)
    assert bench.results == []
    bench.after(0.6)  # a sweep comes a few times a second
    assert bench.results == [{1: Answer(200, b"application/json", b"{}"), 2: None}]
    assert not [one for one in bench.loop.machines.values() if isinstance(one, Inquiry)]


def test_who_was_not_heard_for_long_has_little_time(bench: Bench) -> None:
    bench.ask(bench.member(1, heard=SILENT + 0.1))
    bench.after(BRIEFLY)
    assert bench.results == [{1: None}]
    bench.ask(bench.member(2, heard=SILENT))
    bench.after(BRIEFLY)
    assert len(bench.results) == 1


def test_who_has_gone_is_none_at_once(bench: Bench) -> None:
    gone = bench.member(1)
    bench.insides[1].close()
    bench.ask(gone)
    bench.after(0.0)
    assert bench.results == [{1: None}]


def test_one_answer_may_be_enough(bench: Bench) -> None:
    bench.ask(bench.member(1), bench.member(2), enough=lambda answer: answer.status == 200)
    bench.answer(2, OK)
    assert bench.results == [{1: None, 2: Answer(200, b"application/json", b"{}")}]
    with bench.accept(1) as theirs:
        assert theirs.recv(1) == b""


def test_what_nobody_waits_for_any_more_is_given_up(bench: Bench) -> None:
    operation = bench.ask(bench.member(1), bench.member(2))
    assert operation.describe() == "workers 1, 2"
    operation.cancel()
    bench.settle()
    assert bench.results == []
    assert not [one for one in bench.loop.machines.values() if isinstance(one, Inquiry)]
