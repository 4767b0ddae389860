"""The queue for a slot: its order, what ends the waiting, and what the x-ray shows of it. Of both kinds of pools."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from handlers.backends.postgres import Database
from handlers.backends.slot import Queue, Slot
from handlers.backends.upstream import Bounds
from server.loop import Loop
from server.poller import open_poller
from server.xray.cut import take
from server.xray.snapshot import Row, row
from statemachines import slot
from statemachines.engine import Dispatch
from statemachines.slot import Trigger as T
from tests.handlers.backends.upstreams import Bench, Clock
from tests.support.postgres import Cluster, Runner


class Guest:
    """Whoever asks. `told` is why he waited in vain."""

    def __init__(self) -> None:
        self.slot: Slot[Any] | None = None
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

    def refuse(self, asker: Guest, reason: T) -> None:
        asker.told = reason

    def come(self) -> Guest:
        guest = Guest()
        self.queue.join(guest)
        return guest

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.loop.now = self.clock.now
        self.loop.sweep()

    def standing(self) -> list[Guest]:
        """Who waits; the map and the queue say the same."""
        waiting = [one.asker for one in self.queue.slots]
        assert waiting == [one.asker for one in self.loop.machines.values() if isinstance(one, Slot)]
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
    for asker in (first, second):
        assert not asker.done
        far.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        assert asker.result.status == 200
    assert (seen(bench.loop), ended(bench.loop, "upstream_slot")) == ([], 1)
    bench.close()
