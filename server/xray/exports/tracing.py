"""OpenTelemetry: one span a request, with the connection's states as its events.

The span begins with the request's first byte and ends when its response has been sent, or its connection. The trace is
the caller's, where it sends one (W3C Trace Context: `traceparent`, `tracestate`), and our span takes the caller's place
in the request's fields: so an application's own spans, and those of the next server, are below ours.

What is exported, where to and how much of it, the SDK's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER ...). A span is made on the loop's thread and put into a bounded queue; a thread
of the SDK's sends it. What a full queue or a collector that is away costs is spans, never a request.
"""

import threading
import time
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from clerestory.handlers.api.messages import Request
from clerestory.handlers.asgi.scope import address
from clerestory.server.logging.redaction import without_query
from clerestory.server.observer import Answered, Carrier
from clerestory.server.xray.observe.shares import STATES
from clerestory.statemachines.connection import State as S

CONTEXT = frozenset({b"traceparent", b"tracestate"})
"""The fields of W3C Trace Context."""

ANSWER_TIMEOUT = 2.0
"""Seconds that the end of the process waits for the last spans to be sent."""

MOST = 16
"""Things waited for that are told of one request: those that took longest."""


class Tracing:
    """Traces the requests of one service. `processor` takes the spans that have ended; it must not wait."""

    def __init__(self, processor: SpanProcessor | None = None, *, queries: bool = False) -> None:
        self._provider = TracerProvider(resource=Resource.create(), shutdown_on_exit=False)
        self._provider.add_span_processor(processor if processor is not None else _exporting())
        self._tracer = self._provider.get_tracer("clerestory")
        self._format = TraceContextTextMapPropagator()
        self._queries = queries

    def begin(self, request: Request, begun: float, now: float) -> None:
        """As server.observer.Tracing.begin."""
        offset = time.time_ns() - int(now * 1e9)
        given = [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.fields if name in CONTEXT]
        caller = dict(given)
        # W3C Trace Context, section 3.2: more than one traceparent is none.
        known = len(caller) == len(given)
        parent = self._format.extract(caller, Context()) if known else Context()
        span = self._tracer.start_span(request.method, parent, SpanKind.SERVER, start_time=offset + int(begun * 1e9))
        ours: dict[str, str] = {}
        self._format.inject(ours, set_span_in_context(span, Context()))
        fields = [field for field in request.fields if field[0] not in CONTEXT]
        request.fields = (*fields, *((name.encode("ascii"), value.encode("latin-1")) for name, value in ours.items()))
        request.span = (span, offset)

    def end(self, carrier: Carrier, exchange: Answered, end: str | None, now: float) -> None:
        """As server.observer.Tracing.end."""
        request = exchange.request
        if request is None or request.span is None:
            return
        (span, offset), request.span = request.span, None
        if span.is_recording():
            status = exchange.response.status if exchange.response is not None and exchange.head is not None else None
            if request.route:
                span.update_name(f"{request.method} {request.route}")
            span.set_attributes(self._attributes(carrier, exchange, request, status))
            _add_states(span, carrier, offset)
            failure = str(status) if status is not None and status >= 500 else end
            if failure is not None:
                span.set_attribute("error.type", failure)
                span.set_status(StatusCode.ERROR, end)
        span.end(offset + int(now * 1e9))

    def _attributes(self, carrier: Carrier, exchange: Answered, request: Request, status: int | None) -> dict[str, Any]:
        """By OpenTelemetry's semantic conventions for HTTP servers; and what is only ours."""
        target = request.target if self._queries else without_query(request.target)
        path, _, query = target.partition("?")
        found: dict[str, Any] = {
            "http.request.method": request.method,
            "url.scheme": request.scheme,
            "url.path": path,
            "network.protocol.version": "1.1" if request.minor else "1.0",
            "clerestory.request_id": request.id,
            "clerestory.connection": carrier.number,
        }
        if self._queries and query:
            found["url.query"] = query
        if request.route:
            found["http.route"] = request.base + request.route
        if status is not None:
            found["http.response.status_code"] = status
        peer = address(carrier.peer)
        if peer is not None:
            found["client.address"], found["client.port"] = peer
        host = request.authority.decode("latin-1")
        if host:
            found["server.address"] = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if exchange.waits is not None:
            longest = sorted(exchange.waits.of.items(), key=lambda one: -one[1])[:MOST]
            found["clerestory.waited_for"] = [
                f"{STATES[place]} {whom} {seconds:.6f} s" for (place, whom), seconds in longest
            ]
        return found

    def close(self) -> None:
        """Send what is left, for ANSWER_TIMEOUT seconds at most."""
        last = threading.Thread(target=self._provider.shutdown, name="tracing-end", daemon=True)
        last.start()
        last.join(ANSWER_TIMEOUT)


def _add_states(span: Any, carrier: Carrier, offset: int) -> None:
    """The transitions since the request began, as events; of a long one the last that are remembered."""
    history = carrier.history
    begun = max((at for at, (_, edge) in enumerate(history) if edge.source.state is S.AWAITING_REQUEST), default=0)
    for entered, edge in history[begun:]:
        span.add_event(str(edge.dest.state), {"clerestory.trigger": str(edge.trigger)}, offset + int(entered * 1e9))


def _exporting() -> SpanProcessor:
    """By OTLP over HTTP, in batches, from a thread of its own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter())
