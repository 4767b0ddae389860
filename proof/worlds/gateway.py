"""connection x exchange x slot x upstream connection: a reverse proxy with one connection to its upstream.

Of each client `i`:

    ask     its call is under way: 0 no, 1 nothing has come, 2 the head has come, 3 the answer has ended, 4 it failed
    got     a piece of the answer waits for its reader
    want    the upstream wants a piece of the request's body
    sent    a part of the request has been sent
    safe    it may be sent again though it was sent
    tries   how often it may still be asked

Of the upstream's connection `u`:

    owner   whose call it carries: 0 nobody's, else the number of the client
    wire    whose request was last sent on it, and whose answer comes
    rest    pieces of the request's body that were not handed over
    room    room for a piece of the answer
    stray   bytes have come that answer no request
    used    it has carried a request before
    back    whose call was returned, since the connection was not usable
"""

from collections.abc import Sequence

from clerestory.statemachines import slot, upstream
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import OWNS, TOLD, WAITS, Backend, Client, choose, client, indent, notify


def gateway(clients: int = 2, body: int = 1, tries: int = 1, secret: bool = False, strays: int = 1) -> World:
    """`clients` clients with one request each; the request of the first has `body` pieces."""
    made = [client(i, _backend(i), body=body if i == 0 else 0) for i in range(clients)]
    return World(
        "gateway",
        "connections x exchanges x slots x a connection to an upstream",
        _parts(made, secret=secret),
        _variables(made, tries, strays),
        [_LIES],
        _always(made),
        _eventually(made),
        [
            f"{clients} clients, one request each, the first with up to {body} piece(s) of body",
            "one connection to the upstream at a time; at most one piece of an answer waits",
            f"asked again at most {tries} time(s); at most {strays} time(s) something unasked for",
        ],
    )


def proxying(clients: int, bodies: Sequence[int]) -> World:
    """The same for traces: so many clients at once, with as many requests as they like, of so many pieces; pieces of an
    answer may wait in any number."""
    made = [
        client(i, _backend(i, many=True), requests=0, bodies=bodies, born=False, ended=f"left{i} = 0")
        for i in range(clients)
    ]
    connects = choose(clients, "not alive(c#)", f"begin(c#)\nleft# = {ENDLESS}")
    room = " or ".join(f"not alive(c{i})" for i in range(clients))
    return World(
        "gateway",
        "connections x exchanges x slots x a connection to an upstream",
        _parts(made, secret=False, many=True),
        _variables(made, ENDLESS, 1) | {"line": 0} | {f"place{i}": 0 for i in range(clients)},
        [_LIES, Event("peers", room, connects, name="a client connects"), *map(_drain, range(clients))],
        _always(made),
    )


def _drain(i: int) -> Event:
    return Event("operator", f"heeds(c{i}, DRAIN_STARTED)", "", f"c{i}", "DRAIN_STARTED", f"c{i}: the process drains")


ENDLESS = 1_000_000

_LIES = Event(
    "peers",
    "strays > 0 and not stray and at(u, IDLE, SENDING_REQUEST)",
    "strays -= 1\nstray = 1",
    name="u: says what answers nothing",
)


def _parts(made: Sequence[Client], *, secret: bool, many: bool = False) -> list[Part]:
    clients = len(made)
    return [
        *(one.part for one in made),
        *(_slot(i) for i in range(clients)),
        _upstream(clients, secret, many),
    ]


def _variables(made: Sequence[Client], tries: int, strays: int) -> dict[str, int]:
    found = {name: value for one in made for name, value in one.variables.items()}
    for i in range(len(made)):
        found |= {f"ask{i}": 0, f"got{i}": 0, f"want{i}": 0, f"sent{i}": 0, f"safe{i}": 0, f"tries{i}": tries}
    return found | {"owner": 0, "wire": 0, "rest": 0, "stray": 0, "strays": strays, "used": 0, "back": 0}


def _always(made: Sequence[Client]) -> list[Always]:
    found = [one for each in made for one in each.always]
    for i in range(len(made)):
        told = f"owner == {i + 1} or alive(s{i}) or {_over(i)}"
        begun = f"owner != {i + 1} or ask{i} != 2 or at(u, READING_BODY, HOLDING_BODY, EXCHANGING)"
        found += [
            Always(f"who holds a connection has a call ({i})", f"owner != {i + 1} or ask{i} > 0"),
            Always(f"who waits for a slot has a call ({i})", f"not alive(s{i}) or ask{i} == 1"),
            Always(f"no client has two ({i})", f"not (alive(s{i}) and owner == {i + 1})"),
            Always(f"a call ends with its exchange ({i})", f"acc{i} or ask{i} == 0"),
            Always(f"who waits for a call will be told ({i})", f"not op{i} or {told}"),
            Always(f"an answer has begun where its call says so ({i})", begun),
            Always(f"no client waits while the pool is idle ({i})", f"not alive(s{i}) or alive(u)"),
        ]
        found += [
            Always(
                f"an answer that has begun is known to its call ({i})",
                f"owner != {i + 1} or not at(u, READING_BODY, HOLDING_BODY, EXCHANGING) or ask{i} == 2",
            ),
            Always(
                f"a call knows that its next piece is awaited ({i})",
                f"owner != {i + 1} or not at(u, AWAITING_PIECE) or want{i}",
            ),
            *closable(f"s{i}"),
        ]
    return [
        *found,
        *closable("u"),
        Always("a connection in the pool has no owner", "not at(u, IDLE) or owner == 0"),
        Always("a connection that is used is somebody's", "not alive(u) or at(u, IDLE) or owner > 0"),
        Always("what is not there has no owner", "alive(u) or owner == 0"),
    ]


def _eventually(made: Sequence[Client]) -> list[Eventually]:
    found = [one for each in made for one in each.eventually]
    for i in range(len(made)):
        found += [
            Eventually(f"the connection is given back ({i})", f"owner == {i + 1}", f"owner != {i + 1}"),
            Eventually(f"the waiting for a slot ends ({i})", f"alive(s{i})", f"not alive(s{i})"),
        ]
    return found


def _over(i: int) -> str:
    return f"ask{i} == 3 or ask{i} == 4 or got{i} or back == {i + 1}"


def _leave(i: int) -> str:
    return f"""
ask{i} = 0
got{i} = 0
want{i} = 0
sent{i} = 0
safe{i} = 0
if back == {i + 1}:
    back = 0
if owner == {i + 1}:
    owner = 0
    tell(u, CALLER_LEFT)
offer(s{i}, CALLER_LEFT)
"""


def _begin(i: int, many: bool) -> str:
    """Pool.begin: an idle connection, or a new one, or a place in the queue, whose last one is `line`."""
    return (
        f"""
assert not sent{i} or safe{i}
op{i} = 1
ask{i} = 1
got{i} = 0
if at(u, IDLE) and owner == 0:
    owner = {i + 1}
    rest = body{i}
    tell(u, REQUEST_GIVEN)
elif not alive(u):
    begin(u)
    owner = {i + 1}
    rest = body{i}
    wire = 0
    stray = 0
    used = 0
else:
    begin(s{i})
"""
        + f"    line += 1\n    place{i} = line\n" * many
    )


def _backend(i: int, *, many: bool = False) -> Backend:
    start = []
    for safe in (0, 1):
        fed = f"fed{i} = body{i} > 0\nsafe{i} = {safe}\n"
        start.append(
            Way("", fed + _begin(i, many), f"not alive(s{i}) and begun{i} == 0 and acc{i} == 1 and ask{i} == 0")
        )
    ask = f"ask{i}"
    wait = Way("", f"op{i} = 1", f"{ask} == 2 and got{i} == 0" + f" and begun{i} == 1" * (not many))
    take = f"""
got{i} = 0
if owner == {i + 1}:
    offer(u, PIECE_REQUESTED)
"""
    again = f"tries{i} -= 1\nfed{i} = 0\n" + _begin(i, many)
    resumed = []
    for keep in (0, 1):
        begin = f"begun{i} = 1\nkeep{i} = {keep}\n"
        resumed += [
            Way("OUTPUT_READY", f"{begin}more{i} = 1\n{take}", f"begun{i} == 0 and {ask} == 2"),
            Way("OUTPUT_READY", f"{begin}more{i} = 0\ngot{i} = 0", f"begun{i} == 0 and {ask} == 3"),
            Way("OUTPUT_READY", f"{begin}more{i} = 0", f"begun{i} == 0 and {ask} == 4"),
        ]
    pieces = [
        Way("OUTPUT_READY", take, f"begun{i} == 1 and got{i} == 1"),
        *([Way("OUTPUT_READY", f"{take}got{i} = 1", f"begun{i} == 1 and got{i} == 1")] * many),
        Way("OUTPUT_READY", f"more{i} = 0", f"begun{i} == 1 and {ask} == 3 and got{i} == 0"),
        Way("BACKEND_FAILED", "", f"begun{i} == 1 and {ask} == 4 and got{i} == 0"),
        wait,
    ]
    retry = Way(
        "",
        again,
        f"begun{i} == 0 and {ask} == 4 and tries{i} > 0 and (not sent{i} or safe{i}) and not (fed{i} or alive(s{i}))",
    )
    given = f"""
if want{i}:
    want{i} = 0
    if owner == {i + 1} and rest > 0:
        rest = rest - 1
        assert heeds(u, PIECE_GIVEN)
        tell(u, PIECE_GIVEN)
"""
    return Backend(start, _leave(i), [*resumed, *pieces, retry], given, [*pieces, Way("DEADLINE_PASSED")])


def _slot(i: int) -> Part:
    refused = f"ask{i} = 4\n{notify(i)}"
    return Part(
        f"s{i}", slot.UPSTREAM, False, {"refuse": [Way("", refused)], "withdraw": [Way()]}, outside=(orders(f"s{i}"),)
    )


def _told(clients: int, text: str) -> str:
    """The owner is told: an answer that comes is the answer to its own request."""
    return f"assert wire == owner\nassert not stray\n{choose(clients, OWNS, text + TOLD)}"


def _next(clients: int, many: bool, give: str = "") -> str:
    """The connection goes to the call that waits first, if one does. Of two clients one alone can wait."""
    first = "".join(f" and (not alive(s{i}) or place{i} >= place#)" for i in range(clients)) if many else ""
    return choose(clients, WAITS + first, f"owner = @\nrest = body#\n{give}tell(s#, SLOT_FREED)")


def _upstream(clients: int, secret: bool, many: bool) -> Part:
    waiting = " or ".join(f"alive(s{i})" for i in range(clients))
    quiet = "not stray"
    ours = "wire == owner"
    unsent = "wire != owner"
    first = choose(clients, OWNS, "sent# = 1")
    ends = [Way("ANSWER_REFUSED"), Way("UPSTREAM_CLOSED"), Way("UPSTREAM_RESET")]
    early = [Way("HEAD_RECEIVED", "", f"{quiet} and {ours}"), Way("ANSWER_ENDED", "", f"{quiet} and {ours}"), *ends]
    room = "True" if many else " and ".join(f"(owner != {i + 1} or got{i} == 0)" for i in range(clients))
    lost = choose(clients, OWNS, f"ask# = 4\nowner = 0\n{TOLD}")
    end = _told(clients, "ask# = 3\n") + "owner = 0\n"
    last = _told(clients, "if ask# == 2:\n    got# = 1\nask# = 3\n") + "owner = 0\n"
    pooled = f"used = 1\n{_next(clients, many)}"
    handed_back = f"assert {unsent}\nback = owner\nowner = 0\n"
    asked = choose(clients, OWNS, "want# = 1\nif fed#:\n    offer(c#, BODY_REQUESTED)")
    again = choose(clients, "back == @", "begin(u)\nowner = @\nrest = body#")
    following = indent(_next(clients, many, "begin(u)\n"))
    gone = f"wire = 0\nstray = 0\nused = 0\n{again}else:\n{following}back = 0\n"
    head = "assert ask# == 1\nask# = 2\n"
    ways: Ways = {
        "finish_connect": [Way("CONNECTED"), Way("CONNECT_FAILED")],
        "send_request": [Way("", "wire = 0")],
        "write": [
            Way("CONNECTION_STALE", "", f"{unsent} and stray and used"),
            Way("ANSWER_REFUSED", "", f"{unsent} and stray and not used"),
            Way("UPSTREAM_RESET", first),
            Way("OUTPUT_FLUSHED", f"wire = owner\n{first}", quiet),
            Way("", f"wire = owner\n{first}", quiet),
            Way("UPSTREAM_RESET", "", f"{ours} and stray"),
            *early,
        ],
        "send_piece": [Way("OUTPUT_FLUSHED"), Way(), *early],
        "read_early": early,
        "read_continue": [Way("CONTINUE_RECEIVED"), *early],
        "read_head": [Way("UPGRADED", "", "False"), *early],
        "look_at_input": [Way(), *early],
        "exchange": [
            Way("PIECE_RECEIVED", "", room),
            Way("ANSWER_ENDED"),
            Way("OUTPUT_FLUSHED"),
            Way("SENDING_FAILED"),
            *ends,
        ],
        "send_beside": [Way("OUTPUT_FLUSHED"), Way("SENDING_FAILED"), Way()],
        "read_body": [Way("PIECE_RECEIVED", "", room), Way("ANSWER_ENDED"), *ends],
        "notice_end": [
            Way("UPSTREAM_CLOSED", "", quiet),
            Way("UPSTREAM_RESET"),
            Way("UNEXPECTED_BYTES_RECEIVED", "", "stray == 1"),
        ],
        "ask_for_piece": [Way("", asked)],
        "ask_beside": [Way("", asked)],
        "deliver_head": [Way("", _told(clients, head))],
        "deliver_early": [Way("", _told(clients, head))],
        "stop_sending": [Way("", _told(clients, f"{head}want# = 0\n"))],
        "read_on": [Way("", choose(clients, OWNS, "want# = 0"))],
        "deliver_piece": [Way("", _told(clients, "got# = 1\n"))],
        "deliver_beside": [Way("", _told(clients, "got# = 1\n"))],
        "deliver_end": [Way("", end), Way("", last, room)],
        "return_to_pool": [
            Way("REQUEST_GIVEN", f"{end}{pooled}", waiting),
            Way("REQUEST_GIVEN", f"{last}{pooled}", f"({waiting}) and ({room})"),
            Way("", f"{end}used = 1\n", f"not ({waiting})"),
            Way("", f"{last}used = 1\n", f"not ({waiting}) and ({room})"),
        ],
        "hand_back": [Way("", handed_back)],
        "give_up": [Way("", lost)],
    }
    guards = {
        "is_secret": str(secret),
        "may_be_pooled": f"maybe rest == 0 and {quiet}",
        "has_more_request": "rest > 0",
    }
    if not many:
        guards["is_full"] = f"not ({room})"
    return Part("u", upstream.TABLE, False, ways, guards, gone, outside=(orders("u"),))
