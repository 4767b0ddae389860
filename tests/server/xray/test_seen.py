"""What was seen of the machines: at once where they stand and what they do; a moment later who idles."""

import gc

from server.xray.seen import COUNTS, Seens
from statemachines.contract import Facts
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
        assert len(glance) == COUNTS
        assert Facts(*glance).request is None


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
