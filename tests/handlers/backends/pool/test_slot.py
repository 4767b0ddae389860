"""The queue for a slot: its order, what ends the waiting, and what the x-ray shows of it. Of both kinds of pools."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.backends.pool.slot import Queue, Slot
from clerestory.handlers.backends.postgres.database import Database
from clerestory.handlers.backends.upstream.upstream import Bounds
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.server.xray.observe.cut import take
from clerestory.server.xray.observe.snapshot import Row, row
from clerestory.statemachines import slot
from clerestory.statemachines.engine import Dispatch
from clerestory.statemachines.slot import Trigger as T
from tests.handlers.backends.upstreams import Bench, Clock
from tests.support.postgres import Cluster, Runner


class Guest:
    """Whoever asks. `told` is why he waited in vain."""

    def __init__(self) -> None:
        self.slot: Slot[Any] | None = None
        self.in_queue = 0.0
        self.told: T | None = None


class House:
    """A pool of nothing, whose queue is on a loop of its own."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.clock = Clock()
        self.crashes: list[BaseException] = []
        self.loop = Loop(
            open_poller(), lambda _, error: self.crashes.append(error), clock=self.clock, dispatch=dispatch
        )
        limits = {"upstream_slot_timeout": 3.0}
        self.queue: Queue[Guest] = Queue(self, "the house", slot.UPSTREAM, self.loop, limits)

    def supply(self) -> str:
        return "2 tables"

    def refuse(self, caller: Guest, reason: T) -> None:
        caller.told = reason

    def come(self, client: str = "", held: int = 0) -> Guest:
        guest = Guest()
        self.queue.join(guest, client, held)
        return guest

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.loop.now = self.clock.now
        self.loop.sweep()

    def standing(self) -> list[Guest]:
        """Who waits; the map and the queue say the same."""
        waiting = [one.caller for one in self.queue.slots]
        assert waiting == [one.caller for one in self.loop.machines.values() if isinstance(one, Slot)]
        return waiting


@pytest.fixture(params=list(Dispatch))
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(request.param)
    yield house
    house.loop.close()
    assert house.crashes == []


def test_whoever_comes_first_is_served_first(house: House) -> None:
    guests = [house.come() for _ in range(3)]
    assert house.standing() == guests
    assert [house.queue.next() for _ in range(4)] == [*guests, None]
    assert house.standing() == []
    assert [(guest.slot, guest.told) for guest in guests] == [(None, None)] * 3


def test_the_clients_take_turns_and_each_is_served_in_its_order(house: House) -> None:
    """One that sends many requests makes another one wait for one of them, not for all."""
    many = [house.come("many") for _ in range(4)]
    few = [house.come("few") for _ in range(2)]
    one = house.come("one")
    served = [house.queue.next() for _ in range(7)]
    assert served == [many[0], few[0], one, many[1], few[1], many[2], many[3]]
    assert house.queue.lines == {}


def test_a_client_that_may_have_no_slot_is_passed_over_and_keeps_its_turn(house: House) -> None:
    greedy, other = [house.come("greedy") for _ in range(2)], house.come("other")
    assert house.queue.next(lambda client: client != "greedy") is other
    assert house.queue.next(lambda client: client != "greedy") is None
    assert house.queue.next() is greedy[0]
    assert house.standing() == greedy[1:]


def test_what_the_waiting_hold_is_known(house: House) -> None:
    first, second, third = (house.come("a", held) for held in (10, 20, 40))
    assert house.queue.held == 70
    assert house.queue.next() is first
    assert second.slot is not None
    second.slot.leave()
    assert house.queue.held == 40
    house.pass_time(3)
    assert third.told is T.DEADLINE_PASSED
    assert house.queue.held == 0


def test_who_leaves_is_not_served(house: House) -> None:
    gone, stays = house.come(), house.come()
    place = gone.slot
    assert place is not None
    place.leave()
    place.leave()
    assert (gone.slot, gone.told, house.standing()) == (None, None, [stays])


def test_so_long_he_waits_and_no_longer(house: House) -> None:
    first = house.come()
    house.pass_time(2)
    second = house.come()
    house.pass_time(0.99)
    assert house.standing() == [first, second]
    house.pass_time(0.01)
    assert (first.told, first.slot, house.standing()) == (T.DEADLINE_PASSED, None, [second])


def test_where_no_slot_can_become_free_all_are_told(house: House) -> None:
    guests = [house.come() for _ in range(3)]
    house.queue.lose()
    assert [guest.told for guest in guests] == [T.BACKEND_LOST] * 3
    assert house.standing() == []


def test_who_leaves_within_a_step_is_not_served_behind_it(house: House) -> None:
    """The machine is told when the step has ended; the queue knows at once."""
    gone, stays = house.come(), house.come()
    place = gone.slot
    assert place is not None
    house.loop.stepping = house.loop.wake_up
    place.leave()
    assert house.queue.next() is stays
    house.loop.stepping = None
    house.loop.turn(0)
    assert (place.node.final, house.standing()) == (True, [])


def test_who_is_served_before_he_is_told_that_all_is_lost_is_not_told(house: House) -> None:
    served, lost = house.come(), house.come()
    house.loop.stepping = house.loop.wake_up
    house.queue.lose()
    assert house.queue.next() is served
    house.loop.stepping = None
    house.loop.turn(0)
    assert (served.told, served.slot, lost.told, house.standing()) == (None, None, T.BACKEND_LOST, [])


def test_an_operator_ends_the_waiting_of_one(house: House) -> None:
    ended, stays = house.come(), house.come()
    assert ended.slot is not None
    house.loop.fire(ended.slot, T.CLOSE_ORDERED)
    assert (ended.told, stays.told, house.standing()) == (T.CLOSE_ORDERED, None, [stays])


def test_it_says_where_he_stands_and_for_what(house: House) -> None:
    first, second = house.come(), house.come()
    assert first.slot is not None
    assert second.slot is not None
    house.pass_time(1.5)
    number = -second.slot.descriptor
    assert second.slot.describe() == f"upstream_slot#{number} WAITING 1.5 s of 3 s <- place 2 of 2 for 2 tables"
    served = first.slot
    house.queue.next()
    assert " <- place 1 of 1 for " in second.slot.describe()
    assert " <- no place for " in served.describe(), "whoever looks from another thread may come a moment late"


def seen(loop: Loop) -> list[Row]:
    """Who waits for a slot, as the x-ray shows it."""
    cut = take(loop)
    return [row(one, cut.now) for one in cut.seen if isinstance(one[0], Slot)]


def ended(loop: Loop, name: str) -> int:
    return sum(engine.ended() for engine in loop.engines if engine.table.name == name)


async def fetch(database: Database) -> Any:
    return await database.fetch("SELECT 1")


def test_who_waits_for_a_session_is_seen_and_gone_when_he_is_served(postgres: Cluster) -> None:
    runner, database = Runner(), Database(postgres.url(), postgres_sessions=1)
    task = runner.start(fetch(database))
    [told] = seen(runner.loop)
    number = -told.descriptor
    assert (told.id, told.kind, told.peer) == (f"postgres_slot:{number}", "postgres_slot", str(database.place))
    assert re.fullmatch(r"WAITING 0\.\d s of 5 s <- a free session", told.why)
    text = rf"postgres_slot#{number} WAITING 0\.\d s of 5 s <- place 1 of 1 for 1 session <- "
    assert re.match(text, task.describe())
    assert runner.outcome(task) == [(1,)]
    assert (seen(runner.loop), ended(runner.loop, "postgres_slot")) == ([], 1)
    runner.close()
    database.close()
    postgres.clear()


def test_who_waits_for_a_connection_is_seen_and_gone_when_he_is_served() -> None:
    bench = Bench(bounds=Bounds(max_connections=1, slot_timeout=7))
    first = bench.ask()
    assert seen(bench.loop) == [], "nobody waits who has not to"
    second = bench.ask()
    bench.pass_time(1.2)
    [told] = seen(bench.loop)
    number = -told.descriptor
    assert (told.id, told.kind, told.peer) == (f"upstream_slot:{number}", "upstream_slot", bench.pool.where)
    assert told.why == "WAITING 1.2 s of 7 s <- a free connection"
    assert second.operation is not None
    assert second.operation.describe() == (
        f"upstream_slot#{number} WAITING 1.2 s of 7 s <- place 1 of 1 for 1 connection to {bench.pool.where}"
    )
    far = bench.accept()
    bench.settle()
    for caller in (first, second):
        assert not caller.done
        far.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        assert caller.result.status == 200
    assert (seen(bench.loop), ended(bench.loop, "upstream_slot")) == ([], 1)
    bench.close()
