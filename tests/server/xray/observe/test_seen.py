"""What was seen of the machines: at once where they stand and what they do; a moment later who idles."""

import asyncio
import gc
from typing import Any

import pytest

from clerestory.server.xray.observe.seen import Seens
from clerestory.statemachines.contract import Facts
from tests.handlers.asgi import bench as asgi
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import waiting


def test_a_copy_leaves_next_to_nothing_to_the_collector_of_cycles() -> None:
    """20,000 tuples would make it go through everything that lives, while nothing is served."""
    with bench_of(hello) as bench:
        for _ in range(100):
            bench.connect()
        machines = list(bench.loop.machines.values())
        gc.collect()
        gc.disable()
        try:
            before = gc.get_count()[0]
            seen = Seens(machines)
            assert len(seen) == 101
            assert gc.get_count()[0] - before < 20
            before = gc.get_count()[0]
            assert sum(1 for _ in seen) == 101
            assert gc.get_count()[0] - before < 20
        finally:
            gc.enable()


def test_who_does_something_is_asked_at_once_and_stays_what_it_was() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.send(GET)
        seen = Seens(bench.loop.machines.values())
        client.leave()
        machine, node, since, glance = seen[1]
        assert (machine, node.state, since) == (client.connection, "QUERYING_BACKEND", bench.clock.now)
        assert Facts(*glance).request.target == "/"


def test_who_idles_is_asked_later_and_tells_nothing_of_what_it_has_begun_since() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        born = bench.clock.now
        seen = Seens(bench.loop.machines.values())
        bench.clock.now += 1
        client.send(GET)
        machine, node, since, glance = seen[1]
        assert (machine, node.state, since) == (client.connection, "AWAITING_REQUEST", born)
        assert glance == (1, "client", born, len(GET), 0, 1)
        assert Facts(*glance).request is None


def test_of_who_idles_nothing_is_read_later_but_plain_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on meanwhile, on another thread: what it is asked then holds references that come and go."""
    with bench_of(waiting()) as bench:
        client = bench.connect()
        expected = client.connection.facts()[:6]
        seen = Seens([client.connection])
        monkeypatch.setattr(type(client.connection), "facts", lambda _: pytest.fail("the exchange was read"))
        assert seen[0][3] == expected == client.connection.counts()


def test_a_machine_that_begins_with_its_work_is_asked_at_once() -> None:
    """An application's call runs in its first state: it does not idle there."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    with asgi.bench_of(called) as bench:
        bench.ask()
        machine, node, _, glance = Seens(bench.runs)[0]
        assert node is machine.engine.initial
        assert Facts(*glance).request.target == "/"


def test_it_is_complete_when_it_is_said_to_be_and_does_not_change_after_that() -> None:
    with bench_of(waiting()) as bench:
        client = bench.connect()
        seen = Seens(bench.loop.machines.values())
        seen.complete()
        client.send(GET)
        assert seen[1][3] == (1, "client", bench.clock.now, 0, 0, 0)
        assert [machine for machine, _, _, _ in seen] == [bench.loop.wake_up, client.connection]


def test_of_no_machines_nothing_is_seen() -> None:
    assert list(Seens([])) == []
    assert len(Seens([])) == 0
