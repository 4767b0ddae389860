"""The load: wrk on its own CPU, sending requests of which no two in a row are the same.

`lua/load.lua` makes the requests beforehand and sends them in turn; the target always varies. With `Fields.REPEATED`
the field block is what wrk itself sends, the same each time; with `Fields.VARYING` it has one field more, which
differs from request to request, so that nobody can say that a memo of whole requests made a figure.
"""

import contextlib
import enum
import http.client
import json
import math
import re
import signal
import ssl
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import work
from benchmarks.machine import LOAD_CPU, pinned, tool
from benchmarks.processes import Server, ServerFailed

SCRIPT = Path(__file__).parent / "lua" / "load.lua"
INSTALL_WRK = "install wrk (Debian: apt-get install wrk)"


class Fields(enum.StrEnum):
    """Whether a connection's requests repeat their field block."""

    REPEATED = "repeated"
    VARYING = "varying"


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request. `target` has a `%d` for the request's number, of which there are `distinct`."""

    name: str
    title: str
    target: str
    method: str = "GET"
    body: int = 0
    distinct: int = 5000
    close: bool = False
    connections: int = 64
    size: int = 0
    """Bytes of the answer, where requests are counted by the bytes that came: few are whole when the load stops."""


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("constant", "constant JSON", "/constant?n=%d"),
        Workload("sqlite", "JSON from SQLite", "/emails/%d", distinct=work.EMAILS),
        Workload("echo", "1 KiB POST echo", "/echo?n=%d", method="POST", body=1024, distinct=1000),
        Workload("small-file", "16 KiB static file", f"/files/{work.SMALL_FILE}?n=%d"),
        Workload(
            "large-file",
            "100 MiB static file",
            f"/files/{work.LARGE_FILE}?n=%d",
            connections=4,
            size=work.FILES[work.LARGE_FILE],
        ),
        Workload("close", "constant JSON, a new connection for each request", "/constant?n=%d", close=True),
    )
}

DATABASES = {
    workload.name: workload
    for workload in (
        Workload("postgres", "JSON from PostgreSQL", "/emails/%d", distinct=work.EMAILS),
        Workload("sqlite-threads", "JSON from SQLite, through threads", "/emails/%d", distinct=work.EMAILS),
    )
}
OVERLOADS = {
    workload.name: workload
    for of in (WORKLOADS["constant"], DATABASES["sqlite-threads"])
    for count in (64, 256, 1000)
    for workload in (
        replace(of, name=f"{of.name}-{count}", title=f"{of.title}, {count:,} connections", connections=count),
    )
}
"""The same requests by ever more clients, each of which asks again as soon as it has its answer."""
HOSTING = {
    workload.name: workload
    for workload in (
        Workload("json", "constant JSON", "/constant?n=%d"),
        Workload("post-1k", "POST of 1 KiB, which is read", "/sink?n=%d", method="POST", body=1024, distinct=1000),
        Workload("post-1m", "POST of 1 MiB, which is read", "/sink?n=%d", method="POST", body=1 << 20, distinct=8),
        Workload("stream", "a streamed answer of 64 pieces", "/stream?n=%d"),
        Workload("item", "a route with a path parameter", "/items/%d"),
        Workload("row", "a row from PostgreSQL", "/emails/%d", distinct=work.EMAILS),
    )
}
EVERY = WORKLOADS | DATABASES | HOSTING | OVERLOADS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of the load saw. Latencies are seconds; `errors` counts them by kind, without those at 0."""

    requests: float
    seconds: float
    received: int
    p50: float
    p99: float
    errors: dict[str, int]
    cpu: float = 0.0
    """CPU seconds of the server's process tree meanwhile."""

    @property
    def rate(self) -> float:
        """Completed requests a second."""
        return self.requests / self.seconds

    @property
    def cost(self) -> float:
        """CPU microseconds of the server for one completed request."""
        return self.cpu * 1e6 / self.requests if self.requests else math.nan


def parse(output: str) -> Outcome:
    """Read the line that the script writes at the end. Raises ServerFailed with wrk's own words when there is none."""
    line = re.search(r"^load: (.+)$", output, re.MULTILINE)
    if line is None:
        raise ServerFailed(f"wrk measured nothing: {output.strip()[-300:] or 'no output'}")
    numbers = {name: int(value) for name, _, value in (pair.partition("=") for pair in line[1].split())}
    kinds = ("connect", "read", "write", "status", "timeout")
    return Outcome(
        requests=numbers["requests"],
        seconds=numbers["microseconds"] / 1e6,
        received=numbers["bytes"],
        p50=numbers["p50"] / 1e6,
        p99=numbers["p99"] / 1e6,
        errors={kind: numbers[kind] for kind in kinds if numbers[kind]},
    )


def run(server: Server, workload: Workload, fields: Fields, seconds: float) -> Outcome:
    """Load `server` for so many seconds and account its CPU time. Raises ServerFailed when nothing was answered, also
    not at the second try, thrice as long: on a busy machine wrk may not have begun before its time is over."""
    found = _run_once(server, workload, fields, seconds)
    if not found.requests:
        found = _run_once(server, workload, fields, seconds * 3)
    if not found.requests:
        raise ServerFailed(f"answered no request in {seconds * 3:g} s ({found.errors or 'no error'})")
    return found


def _run_once(server: Server, workload: Workload, fields: Fields, seconds: float) -> Outcome:
    wrk = tool("wrk")
    if wrk is None:
        raise ServerFailed(INSTALL_WRK)
    connection = "close" if workload.close else "keep-alive"
    command = [wrk, "-t1", f"-c{workload.connections}", f"-d{math.ceil(seconds) + 5}s", "--timeout=10s"]
    command += ["-s", str(SCRIPT), f"{server.scheme}://127.0.0.1:{server.port}", "--"]
    command += [workload.method, workload.target, str(workload.distinct), str(workload.body), fields, connection]
    before = server.cpu_seconds()
    with pinned(LOAD_CPU):
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(seconds)
        load.send_signal(signal.SIGINT)  # wrk takes whole seconds only; at SIGINT it stops and reports what it measured
        output, _ = load.communicate(timeout=30)
    finally:
        load.kill()
        load.wait()
    server.check_alive()
    found = parse(output)
    requests = found.received / workload.size if workload.size else found.requests
    cpu = server.cpu_seconds() - before
    return Outcome(requests, found.seconds, found.received, found.p50, found.p99, found.errors, cpu)


def connection_to(server: Server) -> http.client.HTTPConnection:
    """A client's connection, made when it is used; whose certificate the server shows is not looked at."""
    if server.scheme == "http":
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    context = ssl._create_unverified_context()  # noqa: SLF001 - its own documentation names it for this
    return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)


def expected(workload: Workload, number: int) -> bytes:
    """The body that request `number` of this workload must be answered with."""
    if workload.target.startswith("/emails/"):
        return work.email(number) or b""
    if workload.target.startswith("/items/"):
        return work.encode({"id": number}).encode()
    if workload.target.startswith("/sink"):
        return b"%d" % workload.body
    if workload.name == "stream":
        return work.STREAMED * work.PIECES
    if workload.name == "echo":
        return b"x" * workload.body
    if "file" in workload.name:
        path = work.data() / "files" / workload.target.partition("?")[0].rpartition("/")[2]
        return path.read_bytes()
    return work.constant()


def is_same(got: bytes, wanted: bytes) -> bool:
    """Whether the bodies are the same bytes, or the same JSON: servers in other languages space it differently."""
    if got == wanted:
        return True
    with contextlib.suppress(ValueError):
        return bool(json.loads(got) == json.loads(wanted))
    return False


def verify(server: Server, workload: Workload, fields: Fields) -> None:
    """Ask thrice on one connection (once for a large file) and compare status and body. Raises ServerFailed."""
    connection = connection_to(server)
    try:
        for number in (1,) if workload.name == "large-file" else (1, 2, 7):
            headers = {"X-Request-Id": f"check-{number}"} if fields is Fields.VARYING else {}
            headers |= {"Connection": "close"} if workload.close else {}
            body = b"x" * workload.body if workload.body else None
            connection.request(workload.method, workload.target % number, body, headers)
            answer = connection.getresponse()
            got = answer.read()
            if answer.status != 200 or not is_same(got, expected(workload, number)):
                raise ServerFailed(f"{workload.target % number}: status {answer.status}, {len(got)} bytes not as asked")
            if workload.close:
                connection.close()  # not every server says so in its answer
    except (OSError, http.client.HTTPException) as error:
        raise ServerFailed(f"{workload.target}: {error!r}{server.last_words()}") from error
    finally:
        connection.close()
