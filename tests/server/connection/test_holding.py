"""What the operations of an exchange hold is given back at its end."""

from clerestory.server.connection.holding import HOLDING, Holding


class Lent:
    """Something that is held."""

    def __init__(self, *, is_over: bool = False) -> None:
        self.is_over = is_over
        self.left = 0

    def leave(self) -> None:
        self.left += 1


def test_what_is_not_over_is_given_back_and_what_is_over_is_left_alone() -> None:
    things = [Lent(), Lent(is_over=True), Lent()]
    holding = Holding(things[0])
    for thing in things[1:]:
        holding.keep(thing)
    holding.leave(lambda step: step())
    assert [thing.left for thing in things] == [1, 0, 1]


def test_each_is_given_back_through_the_guard_which_keeps_their_faults_apart() -> None:
    things = [Lent(), Lent()]
    holding = Holding(things[0])
    holding.keep(things[1])
    holding.leave(lambda step: None)
    assert [thing.left for thing in things] == [0, 0]


def test_the_same_thing_held_again_is_held_once() -> None:
    thing = Lent()
    holding = Holding(thing)
    holding.keep(thing)
    assert len(holding) == 1


def test_what_is_over_is_forgotten_when_there_are_many() -> None:
    first = Lent()
    holding = Holding(first)
    for _ in range(10 * HOLDING):
        holding.keep(Lent(is_over=True))
        assert len(holding) <= HOLDING
    assert first in holding.held


def test_what_is_not_over_is_never_forgotten_however_many_there_are() -> None:
    things = [Lent() for _ in range(3 * HOLDING)]
    holding = Holding(things[0])
    for thing in things[1:]:
        holding.keep(thing)
    holding.leave(lambda step: step())
    assert all(thing.left == 1 for thing in things)
