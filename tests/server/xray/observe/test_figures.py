"""Counts, rates and dwell times, from the tables of the machines that have been seen."""

import pytest

from clerestory.server.net.listener import Listener
from clerestory.server.net.sockets import listen
from clerestory.server.xray.observe.figures import Figures, quantile, rates
from clerestory.statemachines.engine import BUCKETS
from clerestory.statemachines.listener import Trigger as L
from clerestory.statemachines.tables import TABLES
from tests.server.support import GET, bench_of, hello


def test_passages_are_counted_by_row_of_every_table() -> None:
    with bench_of(hello) as bench:
        figures = Figures()
        figures.see(bench.service.engine)
        client = bench.connect()
        for _ in range(3):
            client.send(GET)
        edges = figures.edges()
        assert {name: len(counts) for name, counts in edges.items()} == {
            name: len(table.rows) for name, table in TABLES.items()
        }
        happy = {
            (row.source, row.trigger): count
            for row, count in zip(TABLES["connection"].rows, edges["connection"], strict=True)
            if count
        }
        assert happy == {
            ("AWAITING_REQUEST", "HEAD_RECEIVED"): 3,
            ("QUERYING_BACKEND", "OUTPUT_READY"): 3,
            ("SENDING_RESPONSE", "OUTPUT_FLUSHED"): 3,
        }
        assert sum(edges["listener"]) == 0


def test_the_engines_of_one_table_are_added_up_and_stay_when_their_machine_has_gone() -> None:
    with bench_of(hello) as bench:
        figures = Figures()
        for _ in range(2):
            listener = Listener(bench.service, listen("127.0.0.1", 0))
            bench.loop.add(listener)
            listener.engine.fire(listener, L.CAPACITY_REACHED)
            figures.see(*bench.loop.engines)
            bench.loop.fire(listener, L.DRAIN_STARTED)
        figures.see(*bench.loop.engines)
        assert sum(figures.edges()["listener"]) == 4
        assert sum(figures.dwell()["listener"]["PAUSED"]) == 2


def test_dwell_is_by_state_without_the_final_one() -> None:
    with bench_of(hello) as bench:
        figures = Figures()
        figures.see(bench.service.engine)
        client = bench.connect()
        bench.clock.now += 4
        client.send(GET)
        dwell = figures.dwell()["connection"]
        assert "CLOSED" not in dwell
        assert sum(dwell["AWAITING_REQUEST"]) == 1
        assert quantile(dwell["AWAITING_REQUEST"], 0.5) == pytest.approx(4, rel=1.0)


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 2e-6), (0.75, 2e-6), (0.76, 1024e-6), (1.0, 1024e-6)])
def test_a_quantile_is_the_bound_of_its_bucket(share: float, seconds: float) -> None:
    dwell = [0] * BUCKETS
    dwell[1], dwell[10] = 3, 1
    assert quantile(dwell, share) == seconds


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile([0] * BUCKETS, 0.5) is None


def test_rates_are_passages_a_second() -> None:
    assert rates({"a": [1, 2]}, {"a": [11, 2], "b": [4]}, 2.0) == {"a": [5.0, 0.0], "b": [2.0]}
