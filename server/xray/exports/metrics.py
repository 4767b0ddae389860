"""Prometheus' text exposition (format 0.0.4) of what the machines count. Pure but for the watch it is given.

The names begin with `clerestory_`, but for those of the process, which every dashboard knows
(server.xray.observe.usage). Units are seconds and bytes; what only grows ends in `_total`. The `_sum` of a histogram
is an estimate: the engine counts stays by their length, and does not add them up, which would cost every transition. It
counts them in classes that double, so a sum is at most half too large or a quarter too small. Quantiles come from the
buckets, each four times as wide as the one before it.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from clerestory.server.xray.observe.cut import Cut
from clerestory.server.xray.observe.figures import Dwell, total
from clerestory.server.xray.observe.shares import longest_of
from clerestory.server.xray.observe.snapshot import counts
from clerestory.server.xray.observe.upstreams import upstreams
from clerestory.server.xray.observe.usage import figures
from clerestory.server.xray.observe.watch import Watch
from clerestory.statemachines.contract import Deadline, Table
from clerestory.statemachines.tables import TABLES

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

BUCKETS = range(6, 28, 2)
"""Powers of two of microseconds: 64 us to 67 s."""

DURATIONS = tuple(2.0**power for power in range(-12, 8, 2))
"""Seconds, from a quarter of a millisecond to 64 s: the limits of a request's buckets. Few, since routes are many."""

Labels = dict[str, str]
Sample = tuple[Labels, float]


def metrics(watch: Watch, cut: Cut) -> str:
    """The whole page."""
    return "".join(line + "\n" for part in _parts(watch, cut) for line in part)


def _parts(watch: Watch, cut: Cut) -> Iterator[Iterable[str]]:
    standing, edges, tables = counts(cut), watch.figures.edges(), watch.figures.tables()
    yield _metric("connections", "gauge", "Open client connections by state.", _connections(standing))
    others = (
        ({"machine": kind, "state": state}, count)
        for kind, states in standing.items()
        if kind != "connection"
        for state, count in states.items()
    )
    yield _metric("machines", "gauge", "Machines of other kinds by state.", others)
    yield _metric(
        "transitions_total", "counter", "Transitions by row of the machine's table.", _transitions(edges, tables)
    )
    yield _metric(
        "deadlines_total", "counter", "Deadlines that fired, by the state they ended.", _deadlines(edges, tables)
    )
    dwell = (
        ({"machine": kind, "state": state}, stays)
        for kind, states in watch.figures.dwell().items()
        for state, stays in states.items()
    )
    yield _histogram("dwell_seconds", "Finished stays in a state.", dwell)
    yield _histogram("loop_lag_seconds", "How late the loop's sweeps were.", [({}, watch.service.loop.lags)])
    yield _durations(watch)
    yield from _upstreams(watch, cut)
    yield from _process(watch, cut)


def _upstreams(watch: Watch, cut: Cut) -> Iterator[Iterable[str]]:
    """By upstream: whether it is up, and what became of what it was asked."""
    found = upstreams(cut, watch.profile.upstreams)
    up: list[Sample] = [({"upstream": one.name}, int(one.is_up)) for one in found]
    yield _metric("upstream_up", "gauge", "1 while the upstream may be asked.", up)
    results: list[Sample] = []
    for one in found:
        results += [({"upstream": one.name, "result": "answered"}, one.answered)]
        results += [({"upstream": one.name, "result": "failed"}, one.failed)]
    yield _metric("upstream_requests_total", "counter", "Requests to the upstream by what became of them.", results)
    busy: list[Sample] = [({"upstream": one.name}, one.in_flight) for one in found]
    yield _metric("upstream_in_flight", "gauge", "Connections to the upstream that are in use.", busy)
    waiting: list[Sample] = [({"upstream": one.name}, one.waiting) for one in found]
    yield _metric("upstream_waiting", "gauge", "Requests that wait for a connection to the upstream.", waiting)


def _durations(watch: Watch) -> Iterator[str]:
    """How long requests took, by route and class of status, from their first byte to the response's last."""
    name = "clerestory_request_duration_seconds"
    yield f"# HELP {name} Duration of requests, from the first byte of the head to the last of the response."
    yield f"# TYPE {name} histogram"
    for route in watch.profile.all():
        counts, sums = route.totals()
        for number in sorted(sums):
            labels = {"route": route.name, "status": f"{number}xx" if number else "none"}
            found = sorted((longest_of(key), count) for key, count in counts.items() if key & 7 == number)
            for limit in DURATIONS:
                below = sum(count for longest, count in found if longest <= limit)
                yield f"{name}_bucket{_labels(labels | {'le': str(limit)})} {below}"
            total = sum(count for _, count in found)
            yield f"{name}_bucket{_labels(labels | {'le': '+Inf'})} {total}"
            yield f"{name}_sum{_labels(labels)} {sums[number]}"
            yield f"{name}_count{_labels(labels)} {total}"


def _connections(standing: dict[str, dict[str, int]]) -> Iterator[Sample]:
    states = standing.get("connection") or {spec.state: 0 for spec in TABLES["connection"].specs}
    for state, count in states.items():
        yield {"state": state}, count


def _transitions(edges: dict[str, list[int]], tables: Mapping[str, Table]) -> Iterator[Sample]:
    for kind, by_row in edges.items():
        for row, count in zip(tables[kind].rows, by_row, strict=True):
            labels = {"source": row.source, "trigger": row.trigger, "dest": row.dest, "guard": row.guard}
            yield {"machine": kind, **labels}, count


def _deadlines(edges: dict[str, list[int]], tables: Mapping[str, Table]) -> Iterator[Sample]:
    for kind, by_row in edges.items():
        fired: dict[str, int] = {}
        for row, count in zip(tables[kind].rows, by_row, strict=True):
            if row.trigger == "DEADLINE_PASSED":
                fired[row.source] = fired.get(row.source, 0) + count
        for spec in tables[kind].specs:
            if spec.state in fired and isinstance(spec.deadline, Deadline):
                yield {"machine": kind, "state": spec.state, "deadline": spec.deadline.name}, fired[spec.state]


def _process(watch: Watch, cut: Cut) -> Iterator[Iterable[str]]:
    """What is of the whole process."""
    totals, bounds, service = watch.totals(cut), watch.bounds(), watch.service
    ends = (({"cause": one["cause"], "state": one["state"]}, one["count"]) for one in totals["ends"])
    yield _metric("ends_total", "counter", "Ended connections by who ended them, and in which state.", ends)
    answers: list[Sample] = [({"class": name}, count) for name, count in classes_of(totals["statuses"]).items()]
    yield _metric("requests_total", "counter", "Answers begun, by class of status.", answers)
    moved: list[Sample] = [
        ({"direction": "in"}, totals["bytes_in"]),
        ({"direction": "out"}, totals["bytes_out"]),
    ]
    yield _metric("bytes_total", "counter", "Bytes read from and written to clients.", moved)
    blocked = cut.blocked.seconds if cut.blocked is not None else 0
    singles: list[tuple[str, str, str, float]] = [
        ("accepted_total", "counter", "Connections accepted.", totals["accepted"]),
        ("requests_missed_total", "counter", "Requests that came after an idle close.", watch.recorder.missed.count),
        ("slots", "gauge", "Connections that may be open at a time.", bounds.slots),
        ("descriptors", "gauge", "Open descriptors.", bounds.open_descriptors or 0),
        ("descriptors_limit", "gauge", "Descriptors that the process may have.", bounds.descriptors),
        ("loop_turns_total", "counter", "Turns of the loop.", cut.turns),
        ("loop_blocked_seconds", "gauge", "How long the loop has been blocked; 0 where it turns.", blocked),
        ("loop_answer_seconds", "gauge", "How long the loop took to answer for this page.", cut.lag),
        ("loop_pause_seconds", "gauge", "How long the loop stood still for this page.", cut.pause),
        ("draining", "gauge", "1 while the process finishes what is in flight.", int(service.draining)),
        ("uptime_seconds", "gauge", "Since the start.", cut.now - watch.started),
    ]
    for name, kind, text, value in singles:
        yield _metric(name, kind, text, [({}, value)])
    for figure in figures(bounds.open_descriptors, bounds.descriptors):
        yield _metric(figure.name, figure.kind, figure.text, [({}, figure.value)], prefix="")
    info = {"python": platform.python_version(), "poller": service.loop.poller.name}
    yield _metric("info", "gauge", "What serves.", [(info | {"parser": service.codec.name}, 1)])


def classes_of(statuses: Mapping[str, int]) -> dict[str, int]:
    """Answers by class of status: 1xx to 5xx, and `other` for a status that HTTP has no class for."""
    found = {f"{number}xx": 0 for number in range(1, 6)}
    for status, count in statuses.items():
        name = f"{int(status) // 100}xx"
        name = name if name in found else "other"
        found[name] = found.get(name, 0) + count
    return found


# --- the format


def _metric(
    name: str, kind: str, text: str, samples: Iterable[Sample], *, prefix: str = "clerestory_"
) -> Iterator[str]:
    yield f"# HELP {prefix}{name} {text}"
    yield f"# TYPE {prefix}{name} {kind}"
    for labels, value in samples:
        yield f"{prefix}{name}{_labels(labels)} {value}"


def _histogram(name: str, text: str, samples: Iterable[tuple[Labels, Dwell]]) -> Iterator[str]:
    yield f"# HELP clerestory_{name} {text}"
    yield f"# TYPE clerestory_{name} histogram"
    for labels, stays in samples:
        seen = list(accumulate(stays))
        for bucket in BUCKETS:
            yield f"clerestory_{name}_bucket{_labels(labels | {'le': str(2**bucket / 1e6)})} {seen[bucket]}"
        yield f"clerestory_{name}_bucket{_labels(labels | {'le': '+Inf'})} {seen[-1]}"
        yield f"clerestory_{name}_sum{_labels(labels)} {total(stays)}"
        yield f"clerestory_{name}_count{_labels(labels)} {seen[-1]}"


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"
