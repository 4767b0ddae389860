"""The tunnel between two ends, played by hand: what is read when, what the poller is asked, and who hears of an end."""

from enum import auto
from typing import Any

import pytest

from clerestory.handlers.proxy.tunnel import BROKEN, READABLE, WRITABLE, GoneError, Tunnel
from clerestory.statemachines.contract import HUNG_UP, Name
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.tunnel import State as S

HUP = 0x010


class T(Name):
    GONE = auto()
    OVER = auto()
    BROKEN = auto()


class Played:
    """An end whose socket the test plays: `coming` is what is read from it, `room` how much it takes."""

    descriptor = 5
    state = "TUNNELLING"
    gone, over, broken = T.GONE, T.OVER, T.BROKEN

    def __init__(self, name: str) -> None:
        self.name = name
        self.coming: list[bytes | None] = []
        self.room = 1 << 20
        self.taken = b""
        self.finished = False
        self.dead = False

    def take(self) -> bytes | None:
        if self.dead:
            raise GoneError(self)
        return self.coming.pop(0) if self.coming else None

    def put(self, data: bytes | memoryview) -> int:
        if self.dead:
            raise GoneError(self)
        sent = bytes(data[: self.room])
        self.taken += sent
        self.room -= len(sent)
        return len(sent)

    def finish(self) -> None:
        if self.dead:
            raise GoneError(self)
        self.finished = True

    def title(self) -> str:
        return self.name


OVER = [("connection#1 c", T.OVER), ("upstream#1 u", T.OVER)]


class Board:
    """A loop that notes what it is asked for, and two ends."""

    def __init__(self, late: bytes = b"") -> None:
        self.near, self.far = Played("connection#1 c"), Played("upstream#1 u")
        self.asked: dict[str, int | None] = {}
        self.fired: list[tuple[str, Name]] = []
        self.left = 0
        self.limits: dict[str, float] = {}
        self.registry: dict[object, Any] = {}
        self.dispatch = Dispatch.COMPILED
        self.tunnel = Tunnel(self.far, self, b"websocket", late, self._leave)  # type: ignore[arg-type]

    def _leave(self) -> None:
        self.left += 1

    def set_interest(self, machine: Any, interest: int | None) -> None:
        assert self.asked.get(machine.name, "nothing") != interest, "what is asked already is not asked again"
        self.asked[machine.name] = interest

    def add(self, machine: Any) -> None:
        assert machine.descriptor < 0

    def clock(self) -> float:
        return 0.0

    def tell(self, machine: Any, trigger: Name) -> None:
        if isinstance(machine, Played):
            self.fired.append((machine.name, trigger))
        elif machine.accepts(trigger):
            machine.engine.fire(machine, trigger)

    @property
    def state(self) -> Name:
        return self.tunnel.course.state

    def join(self, early: bytes = b"") -> Name | None:
        return self.tunnel.join(self.near, early)

    def interests(self) -> tuple[int | None, int | None]:
        return self.asked[self.near.name], self.asked[self.far.name]


def finished(end: Played) -> bool:
    return end.finished


@pytest.fixture
def board() -> Board:
    board = Board()
    assert board.asked == {"upstream#1 u": 0}, "before there is a client's end nothing is read"
    assert board.join() is None
    assert board.interests() == (READABLE, READABLE)
    return board


def test_bytes_pass_both_ways(board: Board) -> None:
    board.near.coming = [b"hello"]
    assert board.tunnel.pass_on(board.near, READABLE) is None
    board.far.coming = [b"world"]
    assert board.tunnel.pass_on(board.far, READABLE) is None
    assert (board.far.taken, board.near.taken) == (b"hello", b"world")
    assert board.interests() == (READABLE, READABLE)


def test_what_came_before_the_tunnel_goes_through_it_first() -> None:
    board = Board(late=b"from the upstream")
    board.near.coming = [b", and more"]
    assert board.join(b"from the client") is None
    assert (board.far.taken, board.near.taken) == (b"from the client, and more", b"from the upstream")


def test_one_read_is_all_that_waits_for_a_slow_sink(board: Board) -> None:
    board.far.room = 2
    board.near.coming = [b"hello", b"world"]
    board.tunnel.pass_on(board.near, READABLE)
    assert board.interests() == (0, READABLE | WRITABLE), "the source is not read, but the other way goes on"
    board.tunnel.pass_on(board.near, READABLE)
    assert board.near.coming == [b"world"]
    board.far.coming = [b"back"]
    board.tunnel.pass_on(board.far, READABLE)
    assert board.near.taken == b"back"
    board.far.room = 3
    board.tunnel.pass_on(board.far, WRITABLE)
    assert board.far.taken == b"hello"
    assert board.interests() == (READABLE, READABLE)


def test_a_half_close_goes_through_behind_what_was_sent_before_it(board: Board) -> None:
    board.far.room = 2
    board.near.coming = [b"hello", b""]
    board.tunnel.pass_on(board.near, READABLE)
    board.far.room = 3
    board.tunnel.pass_on(board.far, WRITABLE)
    assert finished(board.far) is False
    board.tunnel.pass_on(board.near, READABLE)
    assert finished(board.far) is True
    assert board.interests() == (0, READABLE), "nothing more comes from the client, but it still hears"
    board.far.coming = [b"last words", b""]
    assert board.tunnel.pass_on(board.far, READABLE) is None
    assert board.near.taken == b"last words"
    assert board.state is S.CLIENT_ENDED
    assert board.tunnel.pass_on(board.far, READABLE) is None
    assert (board.near.finished, board.fired) == (True, OVER)
    assert board.tunnel.client_ended_first()
    board.tunnel.cancel()
    assert board.left == 0, "it is over, and nobody is left"


def test_the_first_to_end_is_remembered(board: Board) -> None:
    board.far.coming = [b""]
    board.tunnel.pass_on(board.far, READABLE)
    assert board.near.finished
    assert board.state is S.UPSTREAM_ENDED
    board.near.coming = [b""]
    assert board.tunnel.pass_on(board.near, READABLE) is None
    assert not board.tunnel.client_ended_first()
    assert board.fired == OVER


def test_a_reset_is_told_by_its_own_end(board: Board) -> None:
    board.near.dead = True
    assert board.tunnel.pass_on(board.near, READABLE) is T.GONE
    assert board.tunnel.pass_on(board.far, HUNG_UP) is T.GONE
    assert board.fired == []


@pytest.mark.parametrize("data", [b"hello", b""])
def test_a_reset_that_is_met_by_writing_is_fired_at_the_end_that_it_belongs_to(board: Board, data: bytes) -> None:
    board.far.dead = True
    board.near.coming = [data]
    assert board.tunnel.pass_on(board.near, READABLE) is None
    assert board.fired == [("upstream#1 u", T.GONE)]


def test_what_breaks_on_one_side_is_broken_on_the_other(board: Board) -> None:
    board.tunnel.broke()
    assert board.fired == [("connection#1 c", T.BROKEN)]
    board.tunnel.broke()
    board.tunnel.cancel()
    assert (len(board.fired), board.left) == (1, 0)


def test_a_client_that_goes_lets_the_upstream_go(board: Board) -> None:
    board.tunnel.cancel()
    board.tunnel.cancel()
    assert board.left == 1


def test_an_upstream_that_is_gone_before_the_client_joins() -> None:
    board = Board()
    assert board.tunnel.pass_on(board.far, READABLE | HUP) is None
    assert board.tunnel.pass_on(board.far, BROKEN) is T.GONE
    board.tunnel.broke()
    assert board.join() is T.BROKEN
    assert board.fired == []


@pytest.mark.parametrize("dead", ["near", "far"])
def test_an_end_that_is_gone_as_the_client_joins(dead: str) -> None:
    board = Board()
    getattr(board, dead).dead = True
    assert board.join(b"early") is (T.GONE if dead == "near" else None)
    assert board.fired == ([] if dead == "near" else [("upstream#1 u", T.GONE)])


def test_a_hang_up_that_can_not_be_acted_upon_is_not_waited_for(board: Board) -> None:
    """The upstream has closed, and so have we towards it; what it sent last waits for a client that does not read."""
    board.near.room = 0
    board.far.coming = [b"last words", b""]
    board.near.coming = [b""]
    board.tunnel.pass_on(board.far, READABLE)
    board.tunnel.pass_on(board.near, READABLE)
    assert board.interests() == (WRITABLE, 0)
    board.tunnel.pass_on(board.far, HUP)
    assert board.interests() == (WRITABLE, None)
    board.near.room = 100
    board.tunnel.pass_on(board.near, WRITABLE)
    assert board.interests() == (0, READABLE), "there is room again for what may still lie in the kernel"
    assert board.tunnel.pass_on(board.far, READABLE | HUP) is None
    assert board.fired == OVER


def test_an_end_that_is_done_with_and_hangs_up_stays_unheard(board: Board) -> None:
    board.near.room = 0
    board.far.coming = [b"last words"]
    board.tunnel.pass_on(board.far, READABLE)
    board.near.coming = [b""]
    board.tunnel.pass_on(board.near, READABLE | HUP)
    board.near.room = 4
    board.tunnel.pass_on(board.near, WRITABLE)
    assert board.interests() == (WRITABLE, 0)
    board.tunnel.pass_on(board.far, HUP)
    board.near.room = 2
    board.tunnel.pass_on(board.near, WRITABLE)
    assert board.interests() == (WRITABLE, None)


def test_it_says_what_each_end_waits_for(board: Board) -> None:
    assert board.tunnel.describe() == "upstream#1 u TUNNELLING <- fd 5 readable"
    assert board.tunnel.near is not None
    board.far.room = 0
    board.near.coming = [b"hello"]
    board.tunnel.pass_on(board.near, READABLE)
    assert board.tunnel.describe() == "upstream#1 u TUNNELLING <- fd 5 readable or writable"
    assert board.tunnel.near.describe() == "connection#1 c TUNNELLING <- fd 5 nothing but a disconnect"


def test_it_is_no_operation_to_be_awaited(board: Board) -> None:
    with pytest.raises(TypeError):
        board.tunnel.start(None)  # type: ignore[arg-type]
