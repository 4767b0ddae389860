"""Spans: one a request, its states as events, in the caller's trace, and passed on."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from clerestory.handlers.api.messages import Request, Response, text_response
from clerestory.handlers.router import Router
from clerestory.server.connection.names import RequestNames
from clerestory.server.xray.exports.tracing import Tracing
from tests.server.support import Bench, Pending, bench_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"traceparent: 00-{TRACE}-{PARENT}-01\r\n"
pending: list[Pending] = []


def site() -> Router:
    router = Router()
    router.get("/fields/{n:int}")(lambda request, n: text_response(str(request.get(b"traceparent") or b"", "ascii")))
    router.get("/fails")(fails)
    router.get("/waits")(waits)
    router.get("/state")(lambda request: text_response(str(request.get(b"tracestate") or b"", "ascii")))
    return router


def fails(_: Request) -> Response:
    raise ValueError("secret")


async def waits(_: Request) -> Response:
    pending.append(Pending())
    return await pending[-1]  # type: ignore[no-any-return]


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def bench(memory: InMemorySpanExporter) -> Iterator[Bench]:
    with bench_of(site()) as bench:
        bench.service.names = RequestNames("run")
        bench.service.tracing = Tracing(SimpleSpanProcessor(memory))
        yield bench
        bench.service.tracing.close()


def ask(bench: Bench, target: str, *lines: str, then: str = "") -> str:
    head = f"GET {target} HTTP/1.1\r\nHost: a.example:80\r\n{''.join(lines)}\r\n"
    return bench.connect().send(head.encode()).sent.decode().partition("\r\n\r\n")[2]


def only(memory: InMemorySpanExporter) -> Any:
    [span] = memory.get_finished_spans()
    return span


def test_a_request_is_a_span_with_its_states_as_events(bench: Bench, memory: InMemorySpanExporter) -> None:
    ask(bench, "/fields/7?secret=1")
    span = only(memory)
    assert (span.name, span.kind, span.parent) == ("GET /fields/{n}", SpanKind.SERVER, None)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/fields/{n}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/fields/7",
        "network.protocol.version": "1.1",
        "server.address": "a.example",
        "clerestory.request_id": "run-1-1",
        "clerestory.connection": 1,
    }
    assert [event.name for event in span.events] == ["QUERYING_BACKEND", "SENDING_RESPONSE", "AWAITING_REQUEST"]
    times = [span.start_time, *(event.timestamp for event in span.events), span.end_time]
    assert times == sorted(times)
    assert span.status.status_code is StatusCode.UNSET


def test_the_callers_trace_goes_on_and_our_span_takes_its_place(bench: Bench, memory: InMemorySpanExporter) -> None:
    body = ask(bench, "/fields/7", CALLER)
    span = only(memory)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert body == f"00-{TRACE}-{span.context.span_id:016x}-01"


def test_the_callers_state_goes_on(bench: Bench) -> None:
    assert ask(bench, "/state", CALLER, "tracestate: vendor=1\r\n") == "vendor=1"


@pytest.mark.parametrize(
    "lines",
    [
        f"traceparent: 00-{'0' * 32}-{PARENT}-01\r\n",
        f"traceparent: 00-{TRACE}\r\n",
        "traceparent: \xff\r\n",
        CALLER + CALLER.replace("b7", "b8"),
        "tracestate: vendor=1\r\n",
    ],
)
def test_what_is_no_trace_begins_one(bench: Bench, memory: InMemorySpanExporter, lines: str) -> None:
    head = f"GET /state HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1")
    assert bench.connect().send(head).sent.endswith(b"\r\n\r\n")
    span = only(memory)
    assert span.parent is None
    assert f"{span.context.trace_id:032x}" != TRACE


def test_a_trace_that_is_not_sampled_is_passed_on_and_not_exported(bench: Bench, memory: InMemorySpanExporter) -> None:
    body = ask(bench, "/fields/7", CALLER.replace("-01\r", "-00\r"))
    assert body.startswith(f"00-{TRACE}-")
    assert body.endswith("-00")
    assert memory.get_finished_spans() == ()


def test_what_failed_is_an_error(bench: Bench, memory: InMemorySpanExporter) -> None:
    ask(bench, "/fails")
    span = only(memory)
    assert (span.attributes["error.type"], span.attributes["http.response.status_code"]) == ("500", 500)
    assert span.status.status_code is StatusCode.ERROR


def test_what_was_waited_for_is_told_and_a_client_that_leaves_ends_the_span(
    bench: Bench, memory: InMemorySpanExporter
) -> None:
    client = bench.connect()
    client.send(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
    assert memory.get_finished_spans() == ()
    bench.clock.now += 2.0
    client.leave()
    span = only(memory)
    [waited] = span.attributes["clerestory.waited_for"]
    assert waited.startswith("QUERYING_BACKEND ")
    assert waited.endswith(" 2.000000 s")
    assert span.attributes["error.type"] == "client in QUERYING_BACKEND"
    assert span.end_time - span.start_time == pytest.approx(2e9, abs=1e6)
    assert span.events[-1].name == "CLOSED"


def test_requests_of_one_connection_are_spans_of_their_own(bench: Bench, memory: InMemorySpanExporter) -> None:
    client = bench.connect()
    for _ in range(2):
        client.send(b"GET /state HTTP/1.1\r\nHost: a\r\n\r\n")
    first, second = memory.get_finished_spans()
    assert first.context.trace_id != second.context.trace_id
    assert len(second.events) == 3
