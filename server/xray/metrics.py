"""Prometheus' text exposition (format 0.0.4) of what the machines count. Pure but for the watch it is given.

The names begin with `clerestory_`; units are seconds and bytes; what only grows ends in `_total`. A histogram has no
`_sum`: the engine counts stays by their length and does not add them up, which would cost every passage. Quantiles come
from the buckets, each four times as wide as the one before it.
"""

import platform
from collections.abc import Iterable, Iterator
from itertools import accumulate

from server.xray.cut import Cut
from server.xray.figures import Dwell
from server.xray.snapshot import counts
from server.xray.watch import Watch
from statemachines.contract import Deadline
from statemachines.tables import TABLES

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

BUCKETS = range(6, 28, 2)
"""Powers of two of microseconds: 64 us to 67 s."""

Labels = dict[str, str]
Sample = tuple[Labels, float]


def metrics(watch: Watch, cut: Cut) -> str:
    """The whole page."""
    return "".join(line + "\n" for part in _parts(watch, cut) for line in part)


def _parts(watch: Watch, cut: Cut) -> Iterator[Iterable[str]]:
    standing, edges = counts(cut), watch.figures.edges()
    yield _metric("connections", "gauge", "Open client connections by state.", _connections(standing))
    others = (
        ({"machine": kind, "state": state}, count)
        for kind, states in standing.items()
        if kind != "connection"
        for state, count in states.items()
    )
    yield _metric("machines", "gauge", "Machines of other kinds by state.", others)
    yield _metric("transitions_total", "counter", "Passages by row of the machine's table.", _transitions(edges))
    yield _metric("deadlines_total", "counter", "Deadlines that fired, by the state they ended.", _deadlines(edges))
    dwell = (
        ({"machine": kind, "state": state}, stays)
        for kind, states in watch.figures.dwell().items()
        for state, stays in states.items()
    )
    yield _histogram("dwell_seconds", "Finished stays in a state.", dwell)
    yield _histogram("loop_lag_seconds", "How late the loop's sweeps were.", [({}, watch.service.loop.lags)])
    yield from _process(watch, cut)


def _connections(standing: dict[str, dict[str, int]]) -> Iterator[Sample]:
    states = standing.get("connection") or {spec.state: 0 for spec in TABLES["connection"].specs}
    for state, count in states.items():
        yield {"state": state}, count


def _transitions(edges: dict[str, list[int]]) -> Iterator[Sample]:
    for kind, passages in edges.items():
        for row, count in zip(TABLES[kind].rows, passages, strict=True):
            labels = {"source": row.source, "trigger": row.trigger, "dest": row.dest, "guard": row.guard}
            yield {"machine": kind, **labels}, count


def _deadlines(edges: dict[str, list[int]]) -> Iterator[Sample]:
    for kind, passages in edges.items():
        fired: dict[str, int] = {}
        for row, count in zip(TABLES[kind].rows, passages, strict=True):
            if row.trigger == "DEADLINE_PASSED":
                fired[row.source] = fired.get(row.source, 0) + count
        for spec in TABLES[kind].specs:
            if spec.state in fired and isinstance(spec.deadline, Deadline):
                yield {"machine": kind, "state": spec.state, "deadline": spec.deadline.name}, fired[spec.state]


def _process(watch: Watch, cut: Cut) -> Iterator[Iterable[str]]:
    """What is of the whole process."""
    totals, bounds, service = watch.totals(cut), watch.bounds(), watch.service
    ends = (({"cause": one["cause"], "state": one["state"]}, one["count"]) for one in totals["ends"])
    yield _metric("ends_total", "counter", "Ended connections by who ended them, and in which state.", ends)
    classes = {f"{number}xx": 0 for number in range(2, 6)}
    for status, count in totals["statuses"].items():
        classes[f"{status[0]}xx"] += count
    answers: list[Sample] = [({"class": name}, count) for name, count in classes.items()]
    yield _metric("requests_total", "counter", "Answers begun, by class of status.", answers)
    moved: list[Sample] = [
        ({"direction": "in"}, totals["bytes_in"]),
        ({"direction": "out"}, totals["bytes_out"]),
    ]
    yield _metric("bytes_total", "counter", "Bytes read from and written to clients.", moved)
    blocked = cut.blocked.seconds if cut.blocked is not None else 0
    singles: list[tuple[str, str, str, float]] = [
        ("accepted_total", "counter", "Connections accepted.", totals["accepted"]),
        ("requests_missed_total", "counter", "Requests that came after an idle close.", service.recorder.missed.count),
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
    info = {"python": platform.python_version(), "poller": service.loop.poller.name}
    yield _metric("info", "gauge", "What serves.", [(info | {"parser": service.codec.name}, 1)])


# --- the format


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP clerestory_{name} {text}"
    yield f"# TYPE clerestory_{name} {kind}"
    for labels, value in samples:
        yield f"clerestory_{name}{_labels(labels)} {value}"


def _histogram(name: str, text: str, samples: Iterable[tuple[Labels, Dwell]]) -> Iterator[str]:
    yield f"# HELP clerestory_{name} {text}"
    yield f"# TYPE clerestory_{name} histogram"
    for labels, stays in samples:
        seen = list(accumulate(stays))
        for bucket in BUCKETS:
            yield f"clerestory_{name}_bucket{_labels(labels | {'le': str(2**bucket / 1e6)})} {seen[bucket]}"
        yield f"clerestory_{name}_bucket{_labels(labels | {'le': '+Inf'})} {seen[-1]}"
        yield f"clerestory_{name}_count{_labels(labels)} {seen[-1]}"


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"
