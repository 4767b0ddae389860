"""Spans as a collector gets them: by OTLP over HTTP, from a server and its upstream, in the caller's trace."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.conftest import Start
from tests.support.client import Client
from tests.support.server import ROOT
from tests.support.waiting import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"Traceparent: 00-{TRACE}-b7ad6b7169203331-01"


class Collector(ThreadingHTTPServer):
    """Takes spans as the OTLP specification says, and keeps them. With `stuck` it never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: list[tuple[str, Any]] = []
        self.stuck = False
        self.asked = threading.Event()
        self.release = threading.Event()
        self.variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{self.server_port}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    def of(self, service: str) -> list[Any]:
        return [span for name, span in list(self.spans) if name == service]


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.set()
        if self.server.stuck:
            self.server.release.wait()
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            [name] = [one.value.string_value for one in resource.resource.attributes if one.key == "service.name"]
            self.server.spans += [(name, span) for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.release.set()
        collector.shutdown()
        collector.server_close()


def test_a_proxy_and_its_upstream_are_two_spans_of_the_callers_trace(start: Start) -> None:
    with collecting() as collector:
        upstream = start("--otel", environment=collector.variables | {"OTEL_SERVICE_NAME": "shop"})
        proxy = start(
            "--otel", target=upstream.url.rstrip("/"), environment=collector.variables | {"OTEL_SERVICE_NAME": "edge"}
        )
        with Client(proxy.address) as client:
            assert client.get("/hello", CALLER).status == 200
            eventually(lambda: len(collector.of("shop")) == len(collector.of("edge")) == 1)
    [edge], [shop] = collector.of("edge"), collector.of("shop")
    assert edge.trace_id.hex() == shop.trace_id.hex() == TRACE
    assert edge.parent_span_id.hex() == "b7ad6b7169203331"
    assert shop.parent_span_id == edge.span_id
    assert [event.name for event in edge.events][:1] == ["QUERYING_BACKEND"]
    told = {one.key: one.value for one in edge.attributes}
    assert told["clerestory.waited_for"].array_value.values[0].string_value.startswith("QUERYING_BACKEND upstream ")


def test_a_collector_that_does_not_answer_holds_neither_requests_nor_the_end(start: Start) -> None:
    with collecting() as collector:
        collector.stuck = True
        server = start("--otel", environment=collector.variables)
        with Client(server.address) as client:
            for _ in range(3):
                assert client.get("/hello").status == 200
                assert collector.asked.wait(20)
            assert client.get("/hello").status == 200
        server.signal()
        assert server.wait() == 0
        assert collector.spans == []


def test_without_the_option_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; from clerestory.server.cli.main import main; import clerestory.server.xray.inspector, "
        "clerestory.server.process.serving; main(['check']); "
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
