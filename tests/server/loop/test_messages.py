"""What machines have to tell each other is told in order, to those that are still there."""

from collections.abc import Iterator

import pytest

from clerestory.server.loop.messages import Messages
from tests.server.yard import S, T, Toy, Yard

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


@pytest.fixture
def yard() -> Iterator[Yard]:
    yard = Yard("auto")
    yield yard
    yard.loop.close()


def noting(yard: Yard, name: str, notes: list[str]) -> Toy:
    """A machine that notes what it is told."""
    toy = yard.toy(ready=False)
    toy.acts.extend([lambda: notes.append(f"{name} {toy.payload}")] * 9)
    return toy


def test_messages_are_told_in_the_order_in_which_they_were_said_and_once(yard: Yard) -> None:
    messages, notes = Messages(), list[str]()
    first, second = noting(yard, "first", notes), noting(yard, "second", notes)
    messages.add(second, T.WRITE_WANTED, "a")
    messages.add(first, T.WRITE_WANTED, "b")
    messages.add(second, T.READ_WANTED, "c")
    messages.deliver(yard.loop)
    assert notes == ["second a", "first b", "second c"]
    assert (first.payload, second.payload) == (None, None)
    messages.deliver(yard.loop)
    assert len(notes) == 3


def test_what_is_said_while_they_are_told_is_told_behind_them_and_never_within_them(yard: Yard) -> None:
    messages, notes = Messages(), list[str]()
    first, second = yard.toy(ready=False), noting(yard, "second", notes)

    def say() -> None:
        messages.add(second, T.READ_WANTED, "late")
        messages.deliver(yard.loop)
        notes.append("first")

    first.acts.append(say)
    messages.add(first, T.WRITE_WANTED, None)
    messages.add(second, T.WRITE_WANTED, "early")
    messages.deliver(yard.loop)
    assert notes == ["first", "second early", "second late"]


def test_what_is_for_the_next_turn_is_told_then_and_keeps_the_loop_from_waiting(yard: Yard) -> None:
    notes: list[str] = []
    toy = yard.toy(ready=False)

    def again() -> None:
        notes.append("told")
        yard.loop.tell_later(toy, T.READ_WANTED if len(notes) % 2 else T.WRITE_WANTED)

    toy.acts.extend([again] * 3)
    yard.loop.tell_later(toy, T.WRITE_WANTED)
    assert notes == []
    for count in range(1, 4):
        assert yard.loop.poll_timeout() == 0
        yard.loop.turn(0)
        assert notes == ["told"] * count


def test_who_has_gone_is_not_told_and_a_message_without_a_row_is_dropped(yard: Yard) -> None:
    messages, notes = Messages(), list[str]()
    first, second = noting(yard, "first", notes), noting(yard, "second", notes)
    yard.loop.fire(first, T.CLOSE_ORDERED)
    messages.add(first, T.WRITE_WANTED, None)
    messages.add(second, T.READ_WANTED, None)
    messages.add(second, T.WRITE_WANTED, "news")
    messages.deliver(yard.loop)
    assert (notes, second.state, yard.crashes) == (["second news"], S.WRITING, [])


def test_a_machine_is_told_at_once_where_no_other_is_in_a_step_and_else_when_that_rests(yard: Yard) -> None:
    notes: list[str] = []
    other = noting(yard, "other", notes)
    yard.loop.tell(other, T.WRITE_WANTED)
    assert notes == ["other None"]
    toy = yard.toy(T.WRITE_WANTED)

    def tell() -> None:
        yard.loop.tell(other, T.READ_WANTED)
        notes.append("toy")

    toy.acts.append(tell)
    yard.turn()
    assert notes == ["other None", "toy", "other None"]
