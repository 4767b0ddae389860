"""Whose turn it is: a piece of each, those first that have not begun."""

from typing import Any

from clerestory.server.http2.turns import PIECE, Turns
from clerestory.statemachines.h2_stream import Trigger as T


class Node:
    def __init__(self, final: bool) -> None:
        self.final = final


class Stream:
    """Has so many pieces; without `room` its window is used up."""

    def __init__(
        self,
        id: int,  # noqa: A002
        pieces: int,
        *,
        fresh: bool = False,
    ) -> None:
        self.id = id
        self.pieces = pieces
        self.fresh = fresh
        self.over = False
        self.sent = 0
        self.room = True

    @property
    def node(self) -> Node:
        return Node(self.over)

    def is_fresh(self) -> bool:
        return self.fresh

    def emit(self, codec: Any, most: int) -> T | None:
        if not self.room:
            return T.WINDOW_EXHAUSTED
        self.pieces -= 1
        self.sent += most
        return None if self.pieces else T.OUTPUT_FLUSHED


class Codec:
    def __init__(self, room: int = 0) -> None:
        self.room = room

    def connection_window(self) -> int:
        return self.room

    def window(self, stream: int) -> int:
        return self.room


class Bounds:
    def __init__(self) -> None:
        self.bytes = 0

    def sent(self, size: int) -> None:
        self.bytes += size


def order(turns: Turns) -> list[int]:
    found = []
    while (had := turns.next(Codec(), Bounds())) is not None:  # type: ignore[arg-type]
        found.append(had[0].id)
    return found


def turns_of(*streams: Any) -> Turns:
    turns = Turns()
    for stream in streams:
        turns.add(stream)
    return turns


def test_a_piece_of_each_one_after_the_other() -> None:
    assert order(turns_of(Stream(1, 3), Stream(3, 2), Stream(5, 1))) == [1, 3, 5, 1, 3, 1]


def test_those_first_that_have_not_begun_and_these_in_order() -> None:
    assert order(turns_of(Stream(1, 2), Stream(3, 2, fresh=True), Stream(5, 1, fresh=True))) == [3, 5, 1, 3, 1]


def test_one_that_has_ended_is_passed_over() -> None:
    ended = Stream(1, 3)
    ended.over = True
    turns = turns_of(ended, Stream(3, 1))
    assert turns
    assert order(turns) == [3]
    assert not turns


def test_what_was_sent_is_counted() -> None:
    bounds = Bounds()
    turns = turns_of(Stream(1, 2))
    turns.next(Codec(), bounds)  # type: ignore[arg-type]
    assert bounds.bytes == PIECE


def test_one_without_a_window_waits_until_it_is_opened() -> None:
    blocked = Stream(1, 1)
    blocked.room = False
    turns = turns_of(blocked)
    assert order(turns) == [1]
    assert turns.opened(Codec(0)) == []  # type: ignore[arg-type]
    assert turns.opened(Codec(1)) == [blocked]  # type: ignore[arg-type,comparison-overlap]
    assert turns.opened(Codec(1)) == []  # type: ignore[arg-type]


def test_no_more_go_on_than_the_connection_s_window_has_room_for() -> None:
    streams = [Stream(number, 1) for number in (1, 3, 5)]
    for stream in streams:
        stream.room = False
    turns = turns_of(*streams)
    order(turns)
    assert [stream.id for stream in turns.opened(Codec(PIECE + 1))] == [1, 3]  # type: ignore[arg-type]
    turns.remove(streams[2])  # type: ignore[arg-type]
    assert turns.opened(Codec(PIECE)) == []  # type: ignore[arg-type]
