"""The metrics, read by Prometheus' own parser."""

import math
import socket
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.net.listener import Listener
from clerestory.server.xray.exports.metrics import _labels, classes_of, metrics
from clerestory.server.xray.observe.figures import total
from clerestory.server.xray.observe.seen import Seens
from clerestory.server.xray.observe.watch import Watch
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.engine import BUCKETS, Engine, Machine
from clerestory.statemachines.tables import TABLES
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import cut_of, live, waiting, watch_of
from tests.support.client import Client

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(page: str) -> Samples:
    """Every sample of a page, as the official parser reads it; none is there twice, and each name is a metric once."""
    families = list(text_string_to_metric_families(page))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation and family.type != "unknown" for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): float(sample.value) for sample in samples}
    assert len(found) == len(samples)
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples["clerestory_" + name, frozenset(labels.items())]


async def mixed(request: Request) -> Response:
    if request.path == "/wait":
        return await waiting()(request)  # type: ignore[no-any-return]
    return Response(b"hello", 404 if request.path == "/missing" else 200)


def served() -> tuple[Samples, Watch]:
    """The metrics of a bench on which some of everything has happened."""
    with bench_of(mixed, head_timeout=10.0) as bench:
        watch = watch_of(bench)
        client = bench.connect()
        for target in (b"/", b"/", b"/missing"):
            client.send(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % target)
        client.half_close()
        bench.connect().send(b"GET / HT")
        bench.after(10)
        ordered = bench.connect()
        ordered.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.loop.fire(ordered.connection, T.CLOSE_ORDERED)
        bench.connect().send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.connect()
        bench.loop.lags = [0] * len(bench.loop.lags)
        bench.loop.lags[13] = 2
        return read(metrics(watch, cut_of(bench))), watch


def test_connections_by_state() -> None:
    samples, _ = served()
    here = {
        dict(labels)["state"]: count for (name, labels), count in samples.items() if name == "clerestory_connections"
    }
    assert {state: count for state, count in here.items() if count} == {
        "AWAITING_REQUEST": 1,
        "QUERYING_BACKEND": 1,
        "LINGERING": 1,
    }
    assert set(here) == set(TABLES["connection"].states.__members__)
    assert value(samples, "machines", machine="wakeup", state="WATCHING") == 1


def test_transitions_by_edge() -> None:
    samples, _ = served()
    edge = {"machine": "connection", "source": "QUERYING_BACKEND", "trigger": "CLOSE_ORDERED", "dest": "CLOSED"}
    assert value(samples, "transitions_total", **edge, guard="") == 1
    rows = sum(len(table.rows) for table in TABLES.values())
    assert sum(name == "clerestory_transitions_total" for name, _ in samples) == rows


def test_ends_by_cause_and_deadlines() -> None:
    samples, _ = served()
    assert value(samples, "ends_total", cause="client", state="AWAITING_REQUEST") == 1
    assert value(samples, "ends_total", cause="operator", state="QUERYING_BACKEND") == 1
    assert value(samples, "deadlines_total", machine="connection", state="READING_HEAD", deadline="head") == 1
    assert value(samples, "deadlines_total", machine="connection", state="LINGERING", deadline="linger") == 0


def test_answers_by_class_and_bytes() -> None:
    samples, watch = served()
    classes = {f"{number}xx": value(samples, "requests_total", **{"class": f"{number}xx"}) for number in range(1, 6)}
    assert classes == {"1xx": 0, "2xx": 2, "3xx": 0, "4xx": 2, "5xx": 0}
    assert value(samples, "bytes_total", direction="in") > 3 * len(GET)
    assert value(samples, "bytes_total", direction="out") > 100
    assert value(samples, "slots") == watch.service.max_connections


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        ({}, {}),
        ({"101": 2, "103": 1}, {"1xx": 3}),
        ({"200": 1, "299": 1, "599": 1}, {"2xx": 2, "5xx": 1}),
        ({"0": 1, "99": 1, "600": 2, "999": 1}, {"other": 5}),
    ],
)
def test_every_status_has_a_class(statuses: dict[str, int], found: dict[str, int]) -> None:
    assert {name: count for name, count in classes_of(statuses).items() if count} == found


def test_a_connection_that_was_upgraded_is_counted_and_metrics_go_on() -> None:
    """A page that failed once would fail for ever: counts do not go away."""
    with bench_of(hello) as bench:
        for status in (101, 103, 599):
            bench.service.statuses[status] += 1
        samples = read(metrics(watch_of(bench), cut_of(bench)))
        assert value(samples, "requests_total", **{"class": "1xx"}) == 2
        assert value(samples, "requests_total", **{"class": "5xx"}) == 1


def test_a_machine_of_a_table_that_is_not_among_ours_is_counted_too() -> None:
    """An application's own machine, or one of a later version, must not cost the whole page."""
    with bench_of(hello) as bench:
        bench.loop.engines.add(
            Engine(replace(TABLES["listener"], name="another"), Listener, bench.loop.clock, bench.loop.limits)
        )
        (engine,) = [one for one in bench.loop.engines if one.table.name == "another"]
        near, far = socket.socketpair()
        with near, far:
            machine = Machine(engine, near.fileno())
            watch, cut = watch_of(bench), cut_of(bench)
            watch.see_engines()
            cut = replace(cut, seen=Seens([*bench.loop.machines.values(), machine]))
            samples = read(metrics(watch, cut))
            assert value(samples, "machines", machine="another", state="ACCEPTING") == 1
            assert watch.summary(cut)["machines"]["another"]["total"] == 1


def test_the_sum_of_a_histogram_is_near_the_truth() -> None:
    stays = [0.0001, 0.0003, 0.002, 0.03, 0.03, 1.5, 20.0]
    for one in stays:
        assert total(dwell_of([one])) == pytest.approx(one, rel=0.5)
    assert total(dwell_of(stays)) == pytest.approx(sum(stays), rel=0.5)
    assert total([0] * BUCKETS) == 0
    samples, _ = served()
    half = value(samples, "dwell_seconds_sum", machine="connection", state="READING_HEAD")
    assert half == pytest.approx(10, rel=0.5)


def dwell_of(stays: list[float]) -> list[int]:
    """Stays by bucket, as the engine counts them."""
    found = [0] * BUCKETS
    for seconds in stays:
        found[int(seconds * 1e6).bit_length()] += 1
    return found


def test_every_histogram_grows_to_its_count() -> None:
    samples, _ = served()
    histograms: dict[tuple[str, frozenset[tuple[str, str]]], list[tuple[float, float]]] = {}
    for (name, labels), count in samples.items():
        if name.endswith("_bucket"):
            rest = frozenset(pair for pair in labels if pair[0] != "le")
            histograms.setdefault((name, rest), []).append((float(dict(labels)["le"]), count))
    assert histograms
    for (name, rest), buckets in histograms.items():
        bounds, counts = zip(*sorted(buckets), strict=True)
        assert bounds[-1] == math.inf
        assert list(counts) == sorted(counts)
        assert counts[-1] == samples[name.replace("_bucket", "_count"), rest]
        assert (samples[name.replace("_bucket", "_sum"), rest] > 0) is (counts[-1] > 0)
    assert value(samples, "dwell_seconds_count", machine="connection", state="READING_HEAD") == 1
    assert value(samples, "loop_lag_seconds_bucket", le="0.004096") == 0
    assert value(samples, "loop_lag_seconds_bucket", le="0.016384") == 2


def test_a_label_is_escaped() -> None:
    assert _labels({}) == ""
    text = f"# TYPE a gauge\na{_labels({'x': chr(34) + chr(92) + chr(10) + 'y'})} 1\n"
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"x": '"\\\ny'}


def test_the_page_of_a_server_that_runs() -> None:
    with live(mixed) as server, Client(server.address) as client:
        client.get("/")
        answer = server.x("/metrics")
        assert answer["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples = read(answer.text)
        assert value(samples, "connections", state="AWAITING_REQUEST") == 1
        assert value(samples, "loop_blocked_seconds") == 0
        assert value(samples, "accepted_total") == 1
        assert value(samples, "descriptors") > 5
        assert value(samples, "draining") == 0
        assert value(samples, "uptime_seconds") > 0
        assert any(name == "clerestory_info" for name, _ in samples)
        names = {name for name, _ in samples}
        assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names
