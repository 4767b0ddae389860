"""The x-ray's JSON: the contract with the page and the terminal. Members are added, never changed in meaning.

Times are seconds, monotonic: only differences and ages mean anything. `id` is text everywhere: a connection's number
(`"17"`), a stream's behind its connection's (`"17/5"`), `listener:5` for what has none. A state is its table's name for
it. Figures may be null where nobody knows.

    GET /snapshot.json
    {"version": 1, "now": 5123.4, "consistent": true, "pid": 4711, "serving": "...", "uptime": 61.0,
     "loop": {"lag": 0.0002, "pause": 0.002, "turns": 8123, "blocked": null},
     "banners": [{"kind": "capacity", "level": "warning", "text": "...", "connections": ["17"], "seconds": null}],
     "bounds": {"slots": 992, "descriptors": 1024, "open_descriptors": 20},
     "upstreams": [{"name": "127.0.0.1:9000", "state": "UP", "since": 61.0, "answered": 9, "failed": 0, "failure": "",
                    "failed_ago": null, "in_flight": 1, "waiting": 0, "p50": 0.01, "p99": 0.2, "is_up": true,
                    "may_be_asked": true}],
     "totals": {"accepted": 93, "requests": 1200, "bytes_in": 1, "bytes_out": 1, "statuses": {"200": 1190, ...},
                "ends": [{"cause": "client", "state": "AWAITING_REQUEST", "count": 12}]},
     "machines": {"connection": {"total": 93, "states": {"AWAITING_REQUEST": 90, ...every state...},
                                 "oldest": {"AWAITING_REQUEST": 12.1, ...seconds in it, of states that are held...}}},
     "edges": {"connection": [120, 0, ...transitions, in the order of /machines.json's rows...]},
     "dwell": {"connection": {"AWAITING_REQUEST": {"count": 9, "p50": 0.1, "p99": 2.0}, ...}},
     "rows": [...every machine that is no connection: Row...],
     "workers": [...of a supervisor: Worker...]}

With `buckets=1` each of `dwell` has its `buckets`, too: stays of less than 2**n microseconds.

`loop.blocked` is, when the loop does not answer (then `consistent` is false):
    {"seconds": 3.2, "id": "17", "why": "GET /slow QUERYING_BACKEND 3.2 s of 75 s <- the handler runs",
     "stack": [{"file": "app.py", "line": 12, "function": "slow", "code": "time.sleep(10)"}, ...innermost last...]}

A supervisor's x-ray speaks for all its workers: counts are sums, ids are `2:17`, and each Row, Ended and banner has its
`worker` and `generation`.
    Worker
    {"worker": 2, "generation": 1, "pid": 4712, "state": "RETIRING", "seconds": 3.1, "age": 600.0, "heard": 0.4,
     "answers": true, "blocked": null or 3.2, "connections": 1, "requests": 90210, "memory": 41000000,
     "waits_for": ["2:17: GET /export SENDING_RESPONSE 3.1 s of 75 s <- client writable", ...]}

`heard` is how many seconds ago it was last heard. `answers` is null where it was not asked: it starts, or has ended but
for its process. `waits_for` are the connections for which one that retires is still there.

    GET /connections.json?kind=&state=&older=&peer=&path=&sort=&limit=&offset=&group=
    {"now": 5123.4, "consistent": true, "total": 93, "matched": 90, "offset": 0, "groups": null, "rows": [Row, ...]}

With `group=state` or `group=peer` (without the port): `"groups": [{"key": "...", "count": 3, "oldest": 12.1}, ...]`.

    Row
    {"id": "17", "kind": "connection", "descriptor": 12, "peer": "127.0.0.1:5000", "state": "QUERYING_BACKEND",
     "waits_for": "the application", "true_while": "the handler runs or waits for an operation", "seconds": 1.2,
     "deadline": {"name": "backend", "by": "time", "seconds": 30.0, "remaining": 28.8, "idle": null, "rate": null},
     "request": "GET /emails/7", "request_id": "17-3", "status": null, "bytes_in": 120, "bytes_out": 0, "requests": 3,
     "age": 62.0, "chain": ["work#1 RUNNING find 1.2 s"],
     "why": "GET /emails/7 QUERYING_BACKEND 1.2 s of 75 s <- work#1 RUNNING find 1.2 s"}

`deadline` is null where the state has none. `by` says which clock runs out first: `time` in the state, `idle` (no byte
moved) or `rate` (too few). `request` hides its query (`?...`). `requests` are the heads received, this one included.

    GET /connections/{id}
    Row and {"now": ..., "ended": null, "truncated": false, "tls": "TLSv1.3, TLS_AES_256_GCM_SHA384",
     "spent": {"READING_HEAD": 0.1, ...in this exchange...},
     "stack": [{"file": "app.py", "line": 12, "function": "slow", "code": "await fetch()"}, ...innermost last...],
     "fields": [["user-agent", "curl/8"], ["cookie", "(redacted)"]], "path": [Transition, ...oldest first...],
     "received": ["GET /emails/7?... HTTP/1.1", ...lines...], "sent": ["HTTP/1.1 200 OK", ...lines...]}

`stack` is where an application's coroutines wait for one another; empty where there is none.
`received` and `sent` are how the last heads began that came and that went (contract.EXCERPT bytes of each, more of what
was refused), redacted (server.xray.serve.redaction); `...` stands last where it was cut.

    Transition
    {"at": 5061.0, "age": 62.4, "source": "AWAITING_REQUEST", "trigger": "HEAD_RECEIVED", "dest": "QUERYING_BACKEND",
     "way": "HAPPY", "row": 0, "stayed": 0.8}

Of one that has ended: Ended and {"now": ..., "ended": {"cause": "deadline", "state": "READING_HEAD", "ago": 3.0},
"received": [...], "sent": [...]}.
With `?format=text`, `mermaid`, `perfetto` or `recording`, of either: an export (server.xray.exports.exports).

`stayed` is how long it had been in `source`; null for the first that is remembered. `row` is the row's number in
/machines.json. `truncated` says that older transitions are forgotten.

    GET /machines.json
    {"machines": [{"name": "connection", "initial": "AWAITING_REQUEST",
      "states": [{"name": "...", "words": "waiting for a request", "waits_for": "readable", "true_while": "...",
                  "final": false,
                  "deadline": {"name": "keep-alive", "option": "keep_alive_timeout", "seconds": 15.0, "why": "...",
                               "min_rate": 0, "idle": false} or null, "unbounded": null or "why it may last forever"}],
      "rows": [{"source": "...", "trigger": "...", "dest": "...", "guard": "", "action": "call_handler",
                "way": "HAPPY", "ends": null or "client"}]}]}

A deadline that is `idle` counts from the last byte that moved, any other from the entry into the state.

    GET /ended.json
    {"now": ..., "abnormal": [Ended, ...newest first...], "normal": [...]}
    Ended
    {"id": "16", "kind": "connection", "peer": "...", "accepted_at": ..., "ended_at": ..., "age": 3.0, "lasted": 12.0,
     "cause": "deadline", "state": "READING_HEAD", "trigger": "DEADLINE_PASSED", "way": "FAULT", "request": "",
     "requests": 0, "bytes_in": 3, "bytes_out": 0, "truncated": false, "why": "...", "path": [Transition, ...]}

    GET /events   text/event-stream, about once a second: `event: beat`, `data:` as /snapshot.json without `rows` and
    `dwell`, and with `"rates": {"connection": [12.0, ...transitions a second, by row...]}`.

    POST /connections/{id}/close           {"closed": ["17"], "failed": []}
    POST /close?state=&older=&peer=&path=  {"dry_run": true, "would_close": 3, "rows": [Row, ...]}
    POST /close?...&confirm=1              {"dry_run": false, "closed": ["17", ...], "failed": ["18"]}

At least one of the four says which to close; a
dry run lists the first 100. `failed` had ended before, or the loop is blocked and closes them when it runs again.

    POST /session   {"session": "..."}: for the key of a link, or the token, as `Authorization: Bearer ...`
    POST /key       {"key": "..."}: for a link to the page, `/#key:...`, which opens one session

Everything takes the token, or a session: as `X-Clerestory-Token`, or as `Authorization: Bearer`. Open to all are the
page's files and these (server.xray.serve.guard):

    GET /healthz   200 `ok`           GET /readyz   200 `ready`, 503 while draining or blocked: text, for probes
    GET /metrics   server.xray.exports.metrics
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from clerestory.server.xray.exports.exports import headline, request_of
from clerestory.server.xray.observe.cut import Blocked, Cut, frame_of
from clerestory.server.xray.observe.figures import Dwell, quantile
from clerestory.server.xray.observe.recorder import Recording
from clerestory.server.xray.observe.snapshot import Row, identity_of, row
from clerestory.statemachines.contract import Deadline, Table, Unbounded
from clerestory.statemachines.engine import Edge, Engine
from clerestory.statemachines.words import words_of

JSON = dict[str, Any]


def row_text(one: Row) -> str:
    """Row, as text. It is written out by hand, since there may be ten thousand; an encoder takes twice as long."""
    deadline, age = one.deadline, one.age
    due = (
        "null"
        if deadline is None
        else f'{{"name":{quote(deadline.name)},"by":"{deadline.by}","seconds":{deadline.seconds!r},'
        f'"remaining":{deadline.remaining:.3f},"idle":{_number(deadline.idle)},"rate":{_number(deadline.rate)}}}'
    )
    return (
        f'{{"id":{quote(one.id)},"kind":{quote(one.kind)},"descriptor":{one.descriptor},"peer":{quote(one.peer)},'
        f'"state":"{one.state}","waits_for":"{one.waits_for}","true_while":{quote(one.true_while)},'
        f'"seconds":{one.seconds:.4f},"deadline":{due},"request":{quote(one.request)},"request_id":"{one.request_id}",'
        f'"status":{"null" if one.status is None else one.status},"bytes_in":{one.bytes_in},'
        f'"bytes_out":{one.bytes_out},"requests":{one.requests},"age":{"null" if age is None else f"{age:.3f}"},'
        f'"chain":[{",".join(map(quote, one.chain))}],"why":{quote(one.why)}}}'
    )


def _number(value: float | None) -> str:
    return "null" if value is None else f"{value:.3f}"


def row_json(one: Row) -> JSON:
    """Row, as an object."""
    row: JSON = json.loads(row_text(one))
    return row


def blocked_json(cut: Cut, blocked: Blocked | None) -> JSON | None:
    """`loop.blocked`."""
    if blocked is None:
        return None
    seen = next((seen for seen in cut.seen if seen[0] is blocked.machine), None)
    return {
        "seconds": blocked.seconds,
        "id": identity_of(seen) if seen is not None else None,
        "why": row(seen, cut.now).why if seen is not None else "",
        "stack": [asdict(frame) for frame in blocked.stack],
    }


def dwell_json(dwell: Dwell, *, buckets: bool = False) -> JSON:
    """Stays in one state."""
    found: JSON = {"count": sum(dwell), "p50": quantile(dwell, 0.5), "p99": quantile(dwell, 0.99)}
    return found | {"buckets": dwell} if buckets else found


def stack_json(machine: Any, operation: Any) -> list[JSON]:
    """Where Python code waits on behalf of a machine: its own, or the operation's that it waits for."""
    for one in (machine, operation):
        stack = getattr(one, "stack", None)
        if stack is not None:
            return [asdict(frame_of(*place)) for place in stack()]
    return []


def path_json(engine: Engine, history: Iterable[tuple[float, Edge]], now: float) -> list[JSON]:
    """Transitions, the oldest first."""
    before: float | None = None
    found = []
    for at, edge in history:
        found.append(
            {
                "at": at,
                "age": now - at,
                "source": edge.source.state,
                "trigger": edge.trigger,
                "dest": edge.dest.state,
                "way": edge.row.way.name,
                "row": engine.edges.index(edge),
                "stayed": at - before if before is not None else None,
            }
        )
        before = at
    return found


def ended_json(one: Recording, now: float, *, secrets: bool = False) -> JSON:
    """Ended."""
    edge, ended_at = one.edge, one.ended_at
    assert edge is not None
    assert ended_at is not None
    return {
        "id": one.id,
        "kind": one.engine.table.name,
        "peer": one.peer,
        "accepted_at": one.born,
        "ended_at": ended_at,
        "age": now - ended_at,
        "lasted": ended_at - one.born,
        "cause": edge.row.ends,
        "state": edge.source.state,
        "trigger": edge.trigger,
        "way": edge.row.way.name,
        "request": request_of(one, secrets=secrets),
        "requests": one.requests,
        "bytes_in": one.bytes_in,
        "bytes_out": one.bytes_out,
        "truncated": not one.whole,
        "why": headline(one, secrets=secrets),
        "path": path_json(one.engine, one.path, now),
    }


def table_json(table: Table, limits: Mapping[str, float]) -> JSON:
    """One machine of /machines.json; `limits` are the deadlines in force."""
    return {
        "name": table.name,
        "initial": table.initial,
        "states": [
            {
                "name": spec.state,
                "words": words_of(table.name, spec.state),
                "waits_for": spec.phrase(),
                "true_while": spec.true_while,
                "final": spec.final,
                "deadline": _deadline_json(spec.deadline, limits),
                "unbounded": spec.deadline.why if isinstance(spec.deadline, Unbounded) else None,
            }
            for spec in table.specs
        ],
        "rows": [
            {
                "source": one.source,
                "trigger": one.trigger,
                "dest": one.dest,
                "guard": one.guard,
                "action": one.action,
                "way": one.way.name,
                "ends": one.ends,
            }
            for one in table.rows
        ],
    }


def _deadline_json(deadline: Deadline | Unbounded, limits: Mapping[str, float]) -> JSON | None:
    if isinstance(deadline, Unbounded):
        return None
    return {
        "name": deadline.name,
        "option": deadline.option,
        "seconds": limits.get(deadline.option, deadline.seconds),
        "why": deadline.why,
        "min_rate": deadline.min_rate,
        "idle": deadline.idle or bool(deadline.min_rate),
    }
