"""`parsers`: what reading a request's head costs, with the gate in front and bare.

Two heads: the one that wrk sends (one field), and a browser's (thirteen). *Repeated*: only the target differs from
request to request. *Varying*: besides, one field does. The reader is `HeadReader`, one for the whole run, as a
connection has one; a bare parser is made anew for each head, as our codecs do. Bare parsers give their own events: what
a server must still do with these (lower case, strictness, host, framing, keep-alive) is in our rows and not in theirs.
"""

import time
from collections.abc import Callable, Sequence

import h11

from benchmarks.plot import Kind, Row, bars
from benchmarks.report import Report, Table
from benchmarks.suites.plan import Plan, in_turn
from benchmarks.summary import Spread, band, figure, spread
from clerestory.server.config import Limits
from clerestory.server.http import Codec, h11_codec
from clerestory.server.http.reading import HeadReader

try:
    import httptools

    from clerestory.server.http import httptools_codec
except ImportError:
    has_httptools = False
else:
    has_httptools = True

LEAD = """Microseconds to read one request's head, in one process: median of interleaved rounds. The small head is the
one that wrk sends, the browser's has thirteen fields. *Repeated*: only the target differs from request to request;
*varying*: one field besides. *Gate + parser* is all that the server does up to its `Request`; the bare parsers check
less, and leave more to do."""

SMALL = b"GET /constant?n=%d HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n%s\r\n"
BROWSER = (
    b"GET /constant?n=%d HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8000\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Referer: http://127.0.0.1:8000/\r\n"
    b"Cookie: session=4b7e5f0c2d9a4c0e8f6d1b3a5c7e9f01; theme=dark; seen=17\r\n"
    b"Connection: keep-alive\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"Priority: u=0, i\r\n"
    b"%s\r\n"
)
HEADS = {"small": SMALL, "browser": BROWSER}
DISTINCT = 500


def heads(template: bytes, *, varying: bool) -> list[bytes]:
    """Different heads of one kind."""
    field = b"X-Request-Id: %08x\r\n"
    return [template % (n, field % (n * 40503) if varying else b"") for n in range(DISTINCT)]


Read = Callable[[bytes], object]


def gated(codec: Codec) -> Read:
    """Our reading side with this codec: gate, parser, and what a connection repeats."""
    return HeadReader(Limits(), codec).read


def bare_h11(head: bytes) -> object:
    """h11 alone."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(head)
    return parser.next_event()


class _Events:
    """What httptools tells."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def bare_httptools(head: bytes) -> object:
    """httptools alone."""
    events = _Events()
    httptools.HttpRequestParser(events).feed_data(head)
    return events


def readers() -> dict[str, Read]:
    """Everything that is measured; without httptools only h11."""
    found: dict[str, Read] = {}
    if has_httptools:
        found["gate + httptools"] = gated(httptools_codec.CODEC)
    found["gate + h11"] = gated(h11_codec.CODEC)
    if has_httptools:
        found["bare httptools"] = bare_httptools
    found["bare h11"] = bare_h11
    return found


Key = tuple[str, str, str]
FIELDS = ("repeated", "varying")


def run(plan: Plan) -> Report:
    """Measure every reader on every kind of head."""
    chosen = {name: read for name, read in readers().items() if plan.wants(name)}
    if not chosen:
        raise LookupError(f"--only {','.join(plan.only)}: no reader has that in its name: {', '.join(readers())}")
    inputs = {(kind, fields): heads(HEADS[kind], varying=fields == "varying") for kind in HEADS for fields in FIELDS}
    cases: list[Key] = [(name, *key) for name in chosen for key in inputs]
    found: dict[Key, list[float]] = {case: [] for case in cases}
    rounds, seconds = plan.rounds_or(15, 5), plan.seconds_or(0.1, 0.03)
    plan.progress.expect(rounds)
    passes = {case: _passes(chosen[case[0]], inputs[case[1:]], seconds) for case in cases}
    for turn in range(rounds):
        for name, kind, fields in in_turn(cases, turn):
            case = (name, kind, fields)
            found[case].append(cost(chosen[name], inputs[kind, fields], passes[case]))
        plan.progress.step("all readers once")
    return make_report({case: spread(values) for case, values in found.items()})


def _passes(read: Read, data: Sequence[bytes], seconds: float) -> int:
    """How many passes over `data` take about so many seconds; warms up, too."""
    cost(read, data, 1)
    return max(1, round(seconds * 1e6 / max(cost(read, data, 1), 0.01) / len(data)))


def cost(read: Read, data: Sequence[bytes], passes: int) -> float:
    """Microseconds for one head."""
    begun = time.process_time()
    for _ in range(passes):
        for head in data:
            read(head)
    return (time.process_time() - begun) * 1e6 / (passes * len(data))


def make_report(found: dict[Key, Spread]) -> Report:
    """Tables and plot."""
    report = Report("parsers", "What reading a head costs", LEAD)
    names = list(dict.fromkeys(name for name, _, _ in found))
    for kind, template in HEADS.items():
        table = Table(
            f"The {kind} head, {len(template % (1, b''))} bytes",
            ("reader", "repeated, µs", "rounds", "varying, µs", "rounds "),
        )
        for name in names:
            repeated, varying = (found[name, kind, fields] for fields in FIELDS)
            table.rows.append((name, figure(repeated.median), band(repeated), figure(varying.median), band(varying)))
        report.tables.append(table)
    rows = [
        Row(f"{name}, {kind}", [found[name, kind, fields] for fields in FIELDS], _kind(name))
        for kind in HEADS
        for name in names
    ]
    lead = "Microseconds for one head. Less is better."
    report.plots["parsers"] = bars("Reading a request's head", lead, rows, ("fields repeated", "varying"), "µs")
    return report


def _kind(name: str) -> Kind:
    return Kind.OURS if name.startswith("gate") else Kind.PEER
