"""WebSocket x connection x application: from the handshake's request to the end of the application's task.

Of the call of the application `a`:

    ask     0 there is none, 1 it has not answered, 2 it has accepted, 3 it has answered otherwise, or ended
    turned  the response is the 101: the client's exchange ends with the WebSocket
    awaits  a `send()` waits for room

Of the WebSocket `w`:

    near    the client has been told, and bytes pass; `lost` the connection is over
    queued  messages that wait for the application: there is room for two
    kept    bytes that are not decoded while that is so: 0 none, 1 a message, 2 the close, 3 what is no message
    over    nothing of the client is wanted any more; `closing` we have said close; `shut` nothing is sent any more
    unsent  frames wait for the socket; `fin` the client has ended its side
    bytes   how often bytes may still come
"""

from dataclasses import replace

from clerestory.statemachines import application, websocket
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import Backend, Client, client, indent, notify

OPEN = "OPEN, AWAITING_PONG, AWAITING_ROOM, AWAITING_APPLICATION"
VARIABLES = ("ask", "turned", "awaits", "near", "lost", "queued", "kept", "over", "closing", "shut", "unsent", "fin")

SAY_CLOSE = """
if not closing and not over:
    closing = 1
    unsent = 1
    queued = 0
    kept = 0
    shut = 1
    awaits = 0
    offer(w, CLOSE_SENT)
"""
"""Session.say_close."""

LOST = """
if not lost:
    lost = 1
    over = 1
    kept = 0
    shut = 1
    awaits = 0
    offer(w, CONNECTION_ENDED)
"""
"""Link.cancel, and Session.lost."""

DECODE = """
if kept > 0 and queued < 2 and not over:
    if kept == 1 and not closing:
        queued += 1
        if queued == 2:
            offer(w, QUEUE_FILLED)
    elif kept > 1:
        over = 1
        unsent = 1
        shut = 1
        awaits = 0
        if kept == 2:
            offer(w, CLOSE_RECEIVED)
        else:
            offer(w, PROTOCOL_BROKEN)
    kept = 0
"""
"""Session._decode, of what was kept."""

TAKE = f"""
queued -= 1
if queued == 1:
    offer(w, QUEUE_TAKEN)
{indent(DECODE)}
if not queued:
    offer(w, ALL_TAKEN)
"""
"""Session.take."""

STILL = "if awaits:\n    offer(w, ROOM_WANTED)\n"
"""Session.moved, where the socket has not taken enough for a `send()` to go on."""

CUT = "shut = 1\nawaits = 0\nif near and not lost:\n    offer(c0, TUNNEL_BROKEN)"


def conversations(reads: int = 2) -> World:
    """One client, who asks for a WebSocket, and then sends something `reads` times."""
    near = _near()
    passes = f"at(w, {OPEN})"
    return World(
        "conversations",
        "a connection x a WebSocket x the application's task",
        [near.part, _task(), _websocket()],
        near.variables | dict.fromkeys(VARIABLES, 0) | {"bytes": reads},
        _acts(),
        [
            *near.always,
            *closable("w"),
            *closable("a", unless="at(a, CANCELLING)"),
            Always(
                "a connection has become a WebSocket's", "not at(c0, TUNNELLING) or alive(w) and not at(w, UNTAKEN)"
            ),
            Always("messages pass on a connection", f"not {passes} or at(c0, TUNNELLING)"),
            Always("a task that converses has a WebSocket", "not at(a, CONVERSING) or alive(w)"),
            Always("a send() that waits is told", "not awaits or at(w, OPENING, AWAITING_ROOM)"),
            Always("who has no room is known to have none", "not at(w, AWAITING_ROOM) or awaits"),
            Always("what is not read is not said to be awaited", "queued < 2 or not at(w, OPEN, AWAITING_PONG)"),
            Always("who does not take what came is known", "not at(w, AWAITING_APPLICATION) or queued == 2"),
            Always("behind a close no message is awaited", f"not (over or closing) or not {passes}"),
            Always("who waits for an answer will have one", "not op0 or ask > 0"),
        ],
        [
            *near.eventually,
            Eventually("a WebSocket that is closed ends", "alive(w) and (over or closing)", "not alive(w)"),
            Eventually("a task ends once its client has left", "at(a, LEAVING, CANCELLING)", "not alive(a)"),
        ],
        [
            f"one client, who sends {reads} time(s)",
            "room for two messages that are not taken, and one more in the bytes read",
        ],
    )


def _near() -> Client:
    leave = f"""
if turned:
    turned = 0
{indent(LOST)}
elif ask > 0:
{indent(f"if alive(w):{chr(10)}{indent(LOST)}")}
    offer(a, CLIENT_LEFT)
ask = 0
"""
    began = "begun0 = 1\nmore0 = 0\n"
    resumed = [
        Way("OUTPUT_READY", f"{began}keep0 = 0\nturned = 1\n", "begun0 == 0 and ask == 2"),
        *(Way("OUTPUT_READY", f"{began}keep0 = {keep}", "begun0 == 0 and ask == 3") for keep in (0, 1)),
    ]
    call = Way("", "op0 = 1\nask = 1\nbegin(a)", "ask == 0 and begun0 == 0 and not alive(a)")
    made = client(0, Backend([call], leave, resumed))
    joins = "near = 1\noffer(w, SWITCHED)\n"
    gone = "lost or not alive(w)"
    begins = [Way("TUNNEL_BROKEN", "", gone)]
    begins += [
        Way(way.hands, joins + way.do, f"not ({gone}) and ({way.when})")
        for way in (Way("", STILL), *_reads(), *_writes())
    ]
    passes = [Way("PEER_RESET"), *_reads(), *_writes()]
    ways = {**made.part.ways, "begin_tunnel": begins, "pass_on": passes}
    guards = {**made.part.guards, "has_switched": "turned == 1", "is_hosted": "True"}
    return made._replace(part=replace(made.part, ways=ways, guards=guards))


def _reads() -> list[Way]:
    """Link.pass_on, where something is read."""
    may = "bytes > 0 and not fin and (over or queued < 2)"
    heard = "bytes -= 1\nif at(w, AWAITING_PONG):\n    offer(w, CLIENT_HEARD)\n"
    found = []
    for first in (1, 2, 3):
        for second in (0, 1, 2, 3) if first == 1 else (0,):
            after = f"if queued == 2 and not over:\n    kept = {second}\n" if second else ""
            found.append(Way("", f"{heard}if not over:\n    kept = {first}\n{indent(DECODE)}{after}{STILL}", may))
    found.append(Way("", f"{heard}{STILL}", may))
    ended = "fin = 1\nif not over:\n    over = 1\n    shut = 1\n    awaits = 0\n"
    reads = "not fin and (over or queued < 2)"
    return [
        *found,
        Way("TUNNEL_ENDED", ended, f"{reads} and not unsent"),
        Way("", f"{ended}    offer(w, PROTOCOL_BROKEN)\n", f"{reads} and unsent"),
    ]


def _writes() -> list[Way]:
    """Link._go_on: the socket takes all that waits, or not enough of it for a `send()` to go on."""
    made = "unsent = 0\nif awaits:\n    awaits = 0\n    offer(w, ROOM_MADE)\n"
    return [
        Way("TUNNEL_ENDED", made, "unsent and fin"),
        Way("", made, "unsent and not fin"),
        Way("", STILL, "unsent and awaits"),
    ]


def _acts() -> list[Event]:
    """What the application does."""
    answered = "ask = {}\n" + notify(0)
    accepts = f"begin(w)\n{answered.format(2)}tell(a, WEBSOCKET_ACCEPTED)"
    talks = "at(a, CONVERSING) and alive(w)"
    ends = f"""
if alive(w):
{indent(SAY_CLOSE)}
    queued = 0
    offer(w, APPLICATION_ENDED)
if ask == 1:
{indent(answered.format(3))}
tell(a, TASK_ENDED)
"""
    waits = "unsent = 1\nawaits = 1\noffer(w, ROOM_WANTED)"
    sends = f"{talks} and not shut and not awaits"
    return [
        Event("peers", "at(a, RUNNING) and ask == 1 and not alive(w)", accepts, name="a: accepts"),
        Event("peers", "alive(a)", ends, name="a: ends"),
        Event("peers", sends, "unsent = 1", name="a: sends"),
        Event("peers", sends, waits, name="a: waits"),
        Event("peers", f"{talks} and not awaits", f"{SAY_CLOSE}tell(a, ANSWER_ENDED)", name="a: closes"),
        Event("peers", "alive(a) and alive(w) and queued > 0", TAKE, name="a: takes a message"),
    ]


def _task() -> Part:
    told = f"if alive(w):\n{indent(SAY_CLOSE)}"
    late = f"{told}if ask == 1:\n{indent('ask = 3' + chr(10) + notify(0))}"
    ways: Ways = {"tell_leaving": [Way("", told)], "refuse_late": [Way("", late)], "cancel": [Way("", told)]}
    drain = Event("operator", "heeds(a, DRAIN_STARTED)", "", "a", "DRAIN_STARTED", "a: the server ends")
    ended = f"if alive(w):\n{indent('queued = 0' + chr(10) + 'offer(w, APPLICATION_ENDED)')}"
    return Part("a", application.TABLE, False, ways, {}, ended, outside=(orders("a"), drain))


def _websocket() -> Part:
    gives_up = "over = 1\nshut = 1\nawaits = 0\nunsent = 1\n"
    forgotten = "".join(f"{name} = 0\n" for name in VARIABLES[2:] if name != "lost")
    ways: Ways = {
        "send_ping": [Way("", "unsent = 1")],
        "give_up_silent": [Way("", gives_up)],
        "give_up_stalled": [Way("", gives_up)],
        "cut": [Way("", CUT)],
        "cut_slow": [Way("", CUT)],
    }
    guards = {"has_untaken": "queued > 0 and alive(a)", "is_full": "queued == 2"}
    ended = f"{forgotten}lost = 1\noffer(a, CLIENT_LEFT)"
    return Part("w", websocket.TABLE, False, ways, guards, ended, outside=(orders("w"),))
