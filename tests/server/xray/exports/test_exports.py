"""Exports: what a recording becomes, each held against what reads it."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerestory.server.xray.exports.exports import EXPORTS, as_mermaid, as_perfetto, as_recording, as_text, headline
from clerestory.server.xray.observe.recorder import Recording, recording_of
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import Facts
from tests.server.support import GET, bench_of, hello
from tests.server.xray.support import waiting


@pytest.fixture
def ended() -> Iterator[Recording]:
    """A connection that was closed by an operator while it waited for its backend."""
    with bench_of(waiting()) as bench:
        client = bench.connect()
        client.connection.peer = "127.0.0.1:5000"
        bench.clock.now += 0.5
        client.send(b"GET /emails/7?token=abc HTTP/1.1\r\nhost: x\r\n\r\n")
        bench.clock.now += 1.25
        bench.loop.fire(client.connection, T.CLOSE_ORDERED)
        yield bench.recorder.abnormal[0]


@pytest.fixture
def unfinished() -> Iterator[Recording]:
    """An open connection that has been served once."""
    with bench_of(hello) as bench:
        client = bench.connect()
        client.send(GET)
        machine = client.connection
        yield recording_of(machine, Facts(*machine.facts()), machine.history, now=bench.clock.now + 2.5)


def test_as_text(ended: Recording) -> None:
    assert as_text(ended) == (
        "connection 1 from 127.0.0.1:5000, GET /emails/7?...: ended by operator in QUERYING_BACKEND after 1.8 s\n"
        "1 request, 45 bytes in, 0 bytes out\n"
        "     0.500 s   AWAITING_REQUEST     500.000 ms  HEAD_RECEIVED -> QUERYING_BACKEND\n"
        "     1.750 s ! QUERYING_BACKEND    1250.000 ms  CLOSE_ORDERED -> CLOSED\n"
        "the last head that came begins:\n"
        "    GET /emails/7?... HTTP/1.1\n"
        "    host: x\n"
    )


def test_as_text_of_what_is_not_whole(ended: Recording) -> None:
    text = as_text(replace(ended, path=ended.path[1:] * 32))
    assert "only the last 32 transitions are known" in text
    assert re.fullmatch(r" +1\.750 s ! QUERYING_BACKEND +\?  +CLOSE_ORDERED -> CLOSED", text.splitlines()[3])


def test_as_mermaid(ended: Recording) -> None:
    assert as_mermaid(ended).splitlines() == [
        "sequenceDiagram",
        "    accTitle: connection 1 from 127.0.0.1:5000, GET /emails/7?...: ended by operator in QUERYING_BACKEND "
        "after 1.8 s",
        "    participant P as 127.0.0.1:5000",
        "    participant M as connection 1",
        "    participant B as backend",
        "    P->>M: HEAD_RECEIVED after 500.000 ms",
        "    Note over M: QUERYING_BACKEND",
        "    M->>M: CLOSE_ORDERED after 1250.000 ms",
        "    Note over M: CLOSED",
        "    Note over P,M: came last: GET /emails/7?... HTTP/1.1",
        "    Note over P,B: ended by operator in QUERYING_BACKEND",
    ]


BEGAN = datetime(2026, 11, 30, 20, 33, 58, 761000, UTC)


def test_the_time_of_day_is_told_where_it_is_known(ended: Recording) -> None:
    epoch = BEGAN.timestamp() - ended.born
    lines = as_mermaid(ended, epoch=epoch).splitlines()
    assert lines[5] == "    Note over P,B: began 2026-11-30T20:33:58.761Z"
    assert lines[-1] == "    Note over P,B: ended by operator in QUERYING_BACKEND 2026-11-30T20:34:00.511Z"
    assert as_text(ended, epoch=epoch).splitlines()[1].endswith("; began 2026-11-30T20:33:58.761Z")
    assert json.loads(as_perfetto(ended, epoch=epoch))["otherData"]["began"] == "2026-11-30T20:33:58.761Z"
    assert all("2026" not in export(ended) for export, _ in EXPORTS.values())


MERMAID = re.compile(
    r"sequenceDiagram|    (accTitle: [^;#<>\"]+|participant [PMB] as [^;#<>\"]+|[PMB](-x|->>)[PMB]: [A-Z_]+( after "
    r"[0-9.]+ ms)?|Note over (M|P,B): [A-Za-z_ ]+( for [0-9.]+ ms so far)?( ?[0-9T:.-]+Z)?|"
    r"Note over P,M: (came|went) last: [^;#<>\"]+)"
)


def test_mermaids_lines_are_of_its_grammar(ended: Recording, unfinished: Recording) -> None:
    for one, epoch in ((ended, None), (unfinished, None), (ended, BEGAN.timestamp())):
        assert [line for line in as_mermaid(one, epoch=epoch).splitlines() if not MERMAID.fullmatch(line)] == []


def test_in_mermaid_who_spoke_is_who_was_waited_for(unfinished: Recording) -> None:
    arrows = [line.split(":")[0].strip() for line in as_mermaid(unfinished).splitlines() if ">>" in line]
    assert arrows == ["P->>M", "B->>M", "M->>P"]


def test_mermaid_can_not_be_given_lines_by_a_peer(ended: Recording) -> None:
    text = as_mermaid(replace(ended, request="GET /;%0a\nend<script>#"))
    assert len(text.splitlines()) == 11
    assert "<script>" not in text


def test_as_perfetto_is_of_chromes_trace_event_format(ended: Recording, unfinished: Recording) -> None:
    for one in (ended, unfinished):
        trace: dict[str, Any] = json.loads(as_perfetto(one))
        assert trace["displayTimeUnit"] == "ms"
        for event in trace["traceEvents"]:
            assert event["ph"] in ("M", "X", "i")
            assert isinstance(event["name"], str)
            assert isinstance(event["pid"], int)
            if event["ph"] == "M":
                assert event["name"] in ("process_name", "thread_name")
                assert isinstance(event["args"]["name"], str)
                continue
            assert isinstance(event["tid"], int)
            assert event["ts"] >= 0
            if event["ph"] == "X":
                assert event["dur"] >= 0
            else:
                assert event["s"] in ("t", "p", "g")


def test_a_trace_is_named_by_its_request_where_there_is_one(ended: Recording) -> None:
    def name(one: Recording) -> str:
        (found,) = [event for event in json.loads(as_perfetto(one))["traceEvents"] if event["name"] == "thread_name"]
        return str(found["args"]["name"])

    assert name(ended) == "GET /emails/7?..."
    assert name(replace(ended, request="")) == "connection"


def test_the_stays_of_a_trace_follow_each_other_without_a_gap(ended: Recording) -> None:
    stays = [event for event in json.loads(as_perfetto(ended))["traceEvents"] if event["ph"] == "X"]
    assert [(one["name"], one["ts"], one["dur"]) for one in stays] == [
        ("AWAITING_REQUEST", 0, 500_000),
        ("QUERYING_BACKEND", 500_000, 1_250_000),
    ]


def test_at_a_traces_end_stands_what_came_and_what_went_last(unfinished: Recording) -> None:
    (last,) = [event["args"] for event in json.loads(as_perfetto(unfinished))["traceEvents"][-1:]]
    assert last["machine"] == "connection 1 from client: open"
    assert last["last_received"] == ["GET / HTTP/1.1", "host: x"]
    assert last["last_sent"][0] == "HTTP/1.1 200 OK"
    assert "the last that went begins:\n    HTTP/1.1 200 OK\n    date: " in as_text(unfinished)
    assert "Note over P,M: went last: HTTP/1.1 200 OK" in as_mermaid(unfinished)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is not changed
@given(times=st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_no_stay_of_a_trace_overlaps_the_next_however_its_times_are_rounded(
    unfinished: Recording, times: list[float]
) -> None:
    path = tuple((unfinished.born + at, unfinished.engine.edges[0]) for at in sorted(times))
    one = replace(unfinished, path=path, seen_at=unfinished.born + max(times) + 1e-7)
    events = [event for event in json.loads(as_perfetto(one))["traceEvents"] if event["ph"] == "X"]
    for event, following in itertools.pairwise(events):
        assert round((event["ts"] + event["dur"]) * 1000) == round(following["ts"] * 1000)


def test_where_an_open_machine_stands_and_for_how_long_is_told(unfinished: Recording) -> None:
    assert "\n     2.500 s   AWAITING_REQUEST    2500.000 ms  so far\n" in as_text(unfinished)
    assert "    Note over M: AWAITING_REQUEST for 2500.000 ms so far" in as_mermaid(unfinished).splitlines()
    last = json.loads(as_perfetto(unfinished))["traceEvents"][-1]
    assert (last["ph"], last["name"], last["ts"], last["dur"]) == ("X", "AWAITING_REQUEST", 0, 2_500_000)
    assert json.loads(as_recording(unfinished))["seen_at"] == 2.5
    new = replace(unfinished, path=())
    assert as_text(new).splitlines()[2] == "     2.500 s   AWAITING_REQUEST    2500.000 ms  so far"


def test_as_recording(ended: Recording) -> None:
    assert json.loads(as_recording(ended)) == {
        "format": "clerestory recording",
        "version": 1,
        "machine": "connection",
        "id": "1",
        "peer": "127.0.0.1:5000",
        "request": "GET /emails/7?...",
        "requests": 1,
        "status": None,
        "bytes_in": 45,
        "bytes_out": 0,
        "received": ["GET /emails/7?... HTTP/1.1", "host: x"],
        "sent": [],
        "whole": True,
        "ended": True,
        "seen_at": None,
        "cause": "operator",
        "passages": [
            {
                "at": 0.5,
                "source": "AWAITING_REQUEST",
                "trigger": "HEAD_RECEIVED",
                "dest": "QUERYING_BACKEND",
                "guard": "",
            },
            {"at": 1.75, "source": "QUERYING_BACKEND", "trigger": "CLOSE_ORDERED", "dest": "CLOSED", "guard": ""},
        ],
    }


@pytest.mark.parametrize("name", EXPORTS)
def test_no_export_shows_a_query_unless_it_is_asked_for(ended: Recording, name: str) -> None:
    export, _ = EXPORTS[name]
    assert "token" not in export(ended)
    assert "token=abc" in export(ended, secrets=True).replace("#37;", "%")


def test_the_headline_of_an_open_machine_says_so(unfinished: Recording) -> None:
    assert headline(unfinished) == "connection 1 from client: open"
    assert TABLE.name == "connection"
