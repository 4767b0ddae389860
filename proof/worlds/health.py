"""breaker x probe x calls to upstreams: which upstream is asked, and what its answers and its health checks say of it.

Of each caller `i`, and of the connection `u` that it has for a call:

    ask     its call: 0 there is none, 1 nothing has come, 2 the head has come, 3 it failed and may be sent elsewhere
    on      which upstream was asked: 0 none
    tried   which one was asked before that

Of each upstream `k`, of which the first one has a probe `p`, whose connection is `q`:

    fails   failures in a row; more than trip the breaker are not counted
    missed  health checks failed in a row
    closed  the pool is closed: nobody asks any more
    unasked probes that there may still be no descriptor for
"""

from clerestory.statemachines import breaker, probe, upstream
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders

FAILURES, PROBES = 2, 2
"""Failures, and failed health checks, that are not forgiven; the server forgives one failure more."""


def health(callers: int = 1, upstreams: int = 1) -> World:
    """`callers` callers with one call at a time each; every call has a connection of its own."""
    asking, asked = range(callers), range(1, upstreams + 1)
    variables = {f"{name}{i}": 0 for i in asking for name in ("ask", "on", "tried")}
    variables |= {f"fails{k}": 0 for k in asked} | {"missed": 0, "closed": 0, "unasked": 1}
    return World(
        "health",
        "circuit breakers x a probe x its connection x connections of calls",
        [
            *(_connection(i, upstreams) for i in asking),
            *(Part(f"b{k}", breaker.TABLE) for k in asked),
            _probe(),
            _probes_connection(),
        ],
        variables,
        [*(event for i in asking for event in _caller(i, callers, upstreams)), _end(upstreams)],
        _always(callers, upstreams),
        [
            *(Eventually(f"a call ends ({i})", f"ask{i} > 0", f"ask{i} == 0") for i in asking),
            *(Eventually(f"a pause ends ({k})", f"at(b{k}, DOWN)", f"not at(b{k}, DOWN)") for k in asked),
            Eventually("a probe ends", "at(p, ASKING)", "not at(p, ASKING)"),
            Eventually(
                "one that has failed its checks is checked again",
                "at(b1, UNHEALTHY)",
                "at(p, ASKING) or not at(b1, UNHEALTHY)",
            ),
        ],
        [
            f"{callers} caller(s) with one call at a time, {upstreams} upstream(s), of which one has a probe",
            f"{FAILURES} failures in a row trip a breaker, and {PROBES} failed health checks",
            "once at most there is no descriptor for a probe",
            "each call has a connection of its own, and no body; it is sent to each upstream once at most",
        ],
    )


def _always(callers: int, upstreams: int) -> list[Always]:
    found = []
    for k in range(1, upstreams + 1):
        found += [
            Always(f"one that fails again and again is not in use ({k})", f"fails{k} < {FAILURES} or not at(b{k}, UP)"),
            Always(
                f"one that is left alone or tried can recover ({k})",
                f"not at(b{k}, DOWN, TRYING) or fails{k} == {FAILURES}",
            ),
        ]
    for i in range(callers):
        found += [
            Always(f"a call has a connection ({i})", f"ask{i} == 0 or ask{i} == 3 or alive(u{i})"),
            Always(f"a connection is a call's ({i})", f"not alive(u{i}) or ask{i} == 1 or ask{i} == 2"),
        ]
    return [
        *found,
        *closable("p", "q", *(f"u{i}" for i in range(callers))),
        Always("one that fails its checks is not in use", f"missed < {PROBES} or not alive(b1) or at(b1, UNHEALTHY)"),
        Always("one that is kept out by its checks has failed them", f"not at(b1, UNHEALTHY) or missed == {PROBES}"),
        Always("a probe that asks has a connection", "not at(p, ASKING) or alive(q)"),
        Always("a probe's connection ends with it", "not alive(q) or at(p, ASKING)"),
        Always(
            "a pool that is closed watches nothing",
            f"not closed or not (alive(p) or {' or '.join(f'alive(b{k})' for k in range(1, upstreams + 1))})",
        ),
    ]


def _answered(k: str) -> str:
    """Health.succeeded."""
    return f"if fails{k} > 0:\n    fails{k} = 0\n    offer(b{k}, RECOVERED)\n"


def _failed(k: str) -> str:
    """Health.failed."""
    return f"if fails{k} < {FAILURES}:\n    fails{k} += 1\nif fails{k} == {FAILURES}:\n    offer(b{k}, TRIPPED)\n"


def _of(i: int, upstreams: int, what: str) -> str:
    """`what`, in which # is the number of the upstream that caller `i` has asked."""
    text = ""
    for k in range(1, upstreams + 1):
        body = "\n".join(f"    {line}" for line in what.replace("#", str(k)).splitlines())
        text += f"{'el' * (k > 1)}if on{i} == {k}:\n{body}\n"
    return text


def _caller(i: int, callers: int, upstreams: int) -> list[Event]:
    """Site.choose: one that is up and was not tried, else any of those that were not."""
    found = []
    for k in range(1, upstreams + 1):
        others = [other for other in range(1, upstreams + 1) if other != k]
        better = " or ".join(f"({_is_up(other, callers)} and tried{i} != {other})" for other in others) or "False"
        may = f"tried{i} != {k} and ({_is_up(k, callers)} or not ({better}))"
        asks = f"ask{i} = 1\non{i} = {k}\nbegin(u{i})"
        found += [
            Event("peers", f"not closed and ask{i} == 0 and ({may})", asks, name=f"caller {i} asks upstream {k}"),
            Event(
                f"caller {i}",
                f"not closed and ask{i} == 3 and ({may})",
                asks,
                name=f"caller {i} asks upstream {k} instead",
            ),
        ]
    over = f"ask{i} = 0\non{i} = 0\ntried{i} = 0"
    fails = f"ask{i} == 3 and (closed or {int(upstreams == 1)})"
    leaves = f"{over}\ntell(u{i}, CALLER_LEFT)"
    return [
        *found,
        Event(f"caller {i}", fails, over, name=f"caller {i} has failed"),
        Event("peers", f"ask{i} == 1 or ask{i} == 2", leaves, name=f"caller {i} leaves"),
    ]


def _is_up(k: int, callers: int) -> str:
    """Pool.is_up: one that is tried is asked by one call alone."""
    unused = " and ".join(f"on{i} != {k}" for i in range(callers))
    return f"(at(b{k}, UP) or (at(b{k}, TRYING) and {unused}))"


def _end(upstreams: int) -> Event:
    """Pool.close."""
    told = "".join(f"offer(b{k}, RETIRED)\n" for k in range(1, upstreams + 1))
    return Event("operator", "not closed", f"closed = 1\n{told}offer(p, POOL_CLOSED)", name="the pools are closed")


_ENDS = [Way("ANSWER_REFUSED"), Way("UPSTREAM_CLOSED"), Way("UPSTREAM_RESET")]
_GUARDS = {
    "is_secret": "False",
    "awaits_continue": "False",
    "has_more_request": "False",
    "goes_on_sending": "False",
    "may_be_pooled": "False",
    "is_full": "False",
}


def _exchange(head: str, end: str, given_up: list[Way]) -> Ways:
    """A connection that is used once: `head` is what the answer's beginning does, `end` its end."""
    early = [Way("HEAD_RECEIVED"), Way("ANSWER_ENDED", head), *_ENDS]
    return {
        "finish_connect": [Way("CONNECTED"), Way("CONNECT_FAILED")],
        "send_request": [Way()],
        "write": [Way("OUTPUT_FLUSHED"), Way(), *early],
        "look_at_input": [Way(), *early],
        "read_head": early,
        "read_body": [Way("PIECE_RECEIVED"), Way("ANSWER_ENDED"), *_ENDS],
        "deliver_head": [Way("", head)],
        "stop_sending": [Way("", head)],
        "deliver_piece": [Way()],
        "deliver_end": [Way("", end)],
        "give_up": given_up,
    }


def _connection(i: int, upstreams: int) -> Part:
    head = f"ask{i} = 2\n{_of(i, upstreams, _answered('#'))}"
    over = f"ask{i} = 0\non{i} = 0\ntried{i} = 0\n"
    again = f"assert ask{i} > 0\ntried{i} = on{i}\non{i} = 0\n"
    lost = f"if ask{i} == 1 and tried{i} == 0:\n    ask{i} = 3\n    {_line(again)}\nelse:\n    {_line(over)}"
    # An operator's order, and a caller that is slow, are no failures.
    given_up = [Way("", noted + lost) for noted in (_of(i, upstreams, _failed("#")), "")]
    ways = _exchange(head, over, given_up)
    return Part(f"u{i}", upstream.TABLE, False, ways, _GUARDS, outside=(orders(f"u{i}"),))


def _line(text: str) -> str:
    return text.strip().replace("\n", "\n    ")


def _probe() -> Part:
    leave = "if alive(q):\n    tell(q, CALLER_LEFT)\n"
    passed = "missed = 0\nfails1 = 0\noffer(b1, CHECK_PASSED)\n"
    missed = f"if missed < {PROBES}:\n    missed += 1\nif missed == {PROBES}:\n    offer(b1, CHECK_FAILED)\n"
    ways: Ways = {
        "ask": [Way("", "begin(q)"), Way("", "unasked -= 1\noffer(p, NOT_ASKED)", "unasked > 0")],
        "judge": [Way("", f"{leave}{passed}"), Way("", f"{leave}{missed}")],
        "count_failure": [Way("", missed)],
        "leave": [Way("", leave)],
        "leave_failed": [Way("", f"{leave}{missed}")],
    }
    return Part("p", probe.TABLE, True, ways, outside=(orders("p"),))


def _probes_connection() -> Part:
    """What comes on it is a sign of the upstream like any other, and ends the probe."""
    given_up = [
        Way("", f"{_failed('1')}offer(p, REFUSED)"),
        Way("", "offer(p, NOT_ASKED)"),
    ]
    head = f"{_answered('1')}offer(p, ANSWERED)"
    return Part("q", upstream.TABLE, False, _exchange(head, "", given_up), _GUARDS, outside=(orders("q"),))
