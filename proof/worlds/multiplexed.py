"""HTTP/2: a connection x its streams x their exchanges.

Of the connection `h`:

    acked   the client has acknowledged our settings
    leaves  the client has sent GOAWAY; `said` we have; `ordered` the process drains
    broken  what came is no HTTP/2
    out     frames of the connection's own wait to be sent
    opens   requests that the client may still send; `taken` requests that have come, up to as many as there may be

Of each stream `x#`:

    body    pieces of the request's body that are still to come; `come` those that were not taken
    begun   the response has begun; `more` pieces of it to come
    op      the handler waits for an operation; `news` that has ended, and the handler has not gone on
    fed     the operation takes the request's body
    turn    bytes wait for the stream's turn; `held` they wait for the client's window
"""

from collections.abc import Callable, Sequence
from itertools import product

from clerestory.statemachines import h2_connection, h2_stream
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import choose, indent

OWN = ("body", "come", "begun", "more", "op", "news", "fed", "turn", "held")
SEND = "offer(h, OUTPUT_READY)\n"
"""Connection.wants_send."""


def multiplexed(streams: int = 2, opens: int = 2, body: int = 1, most: int = 2) -> World:
    """A connection with `streams` streams at once, of `opens` requests in all, some with `body` pieces of a body; after
    `most` requests it takes no more."""
    everyone = range(streams)
    variables = {f"{name}{i}": 0 for i in everyone for name in OWN}
    variables |= dict.fromkeys(("acked", "leaves", "said", "ordered", "broken", "out", "taken"), 0) | {"opens": opens}
    return World(
        "multiplexed",
        "a connection of HTTP/2 x its streams",
        [_connection(streams, body, most), *(_stream(i, streams) for i in everyone)],
        variables,
        [_ends(i) for i in everyone] + [_wants(i) for i in everyone],
        _always(streams),
        [
            *(Eventually(f"a request is answered, or cut ({i})", f"alive(x{i})", f"not alive(x{i})") for i in everyone),
            Eventually("a drain ends", "ordered", "not alive(h)"),
        ],
        [
            f"{opens} request(s), at most {streams} at once, {body} piece(s) of body; a connection has {most}",
            "a response has at most two pieces; windows are open, or not",
        ],
    )


def _always(streams: int) -> list[Always]:
    there, turns = _there(streams), " or ".join(f"turn{i}" for i in range(streams))
    found = [
        *closable("h", *(f"x{i}" for i in range(streams))),
        Always("a stream is a connection's", f"not ({there}) or at(h, NEGOTIATING, SERVING, SENDING, DRAINING)"),
        Always("what is to be sent is being sent", f"not (out or {turns}) or at(h, SENDING)"),
        Always("a connection that serves has a stream", f"not at(h, SERVING, DRAINING) or {there}"),
        Always("who leaves, or was told to, opens none", "not (leaves or said) or not at(h, NEGOTIATING, SERVING)"),
        Always("what was acknowledged is not awaited", "not acked or not at(h, NEGOTIATING)"),
    ]
    for i in range(streams):
        found += [
            Always(f"who waits for its turn has one ({i})", f"not at(x{i}, SENDING_RESPONSE) or turn{i}"),
            Always(f"who waits for a window is known ({i})", f"not at(x{i}, AWAITING_WINDOW) or held{i}"),
            Always(f"a request is taken in its turn ({i})", f"not at(x{i}, IDLE)"),
            Always(f"what has come is taken ({i})", f"not at(x{i}, READING_BODY) or come{i} == 0"),
        ]
    return found


def _there(streams: int) -> str:
    return "(" + " or ".join(f"alive(x{i})" for i in range(streams)) + ")"


def _ends(i: int) -> Event:
    do = f"op{i} = 0\nnews{i} = 1\noffer(x{i}, BACKEND_ANSWERED)"
    return Event("peers", f"op{i} == 1", do, name=f"x{i}: its operation ends")


def _wants(i: int) -> Event:
    return Event("peers", f"fed{i} == 1", f"offer(x{i}, BODY_REQUESTED)", name=f"x{i}: its operation takes a piece")


# --- the connection


def _connection(streams: int, body: int, most: int) -> Part:
    everyone = range(streams)
    there = _there(streams)
    full = f"taken >= {most} and not said"
    waits = "(out or " + " or ".join(f"turn{i}" for i in everyone) + ")"
    nobody = f"not {there}"

    def going(state: str, *told: tuple[str, str], do: str = "") -> list[Way]:
        """Connection.go_on, behind `do`, which makes of each first text of `told` the second."""
        asked = [("PROTOCOL_VIOLATED", "broken")]
        asked += [("STREAM_OPENED", there)] * (state == "AWAITING_REQUEST")
        asked += [("STREAMS_EXHAUSTED", full)] * (state in ("NEGOTIATING", "SERVING", "SENDING"))
        if state != "SENDING":
            asked.append(("OUTPUT_READY", waits))
            asked += [("SETTINGS_ACKNOWLEDGED", "acked")] * (state == "NEGOTIATING")
            asked += [("GOAWAY_RECEIVED", "leaves")] * (state != "DRAINING")
            asked += [("STREAMS_ENDED", nobody)] * (state in ("SERVING", "DRAINING"))
        found, denied = [], "True"
        for trigger, when in [*asked, ("", "True")]:
            for old, new in told:
                when = when.replace(old, new)
            found.append(Way(trigger, do, f"({denied}) and ({when})"))
            denied += f" and not ({when})"
        return found

    ways: dict[str | tuple[str, str], Sequence[Way]] = {
        "read_and_write": [*_written(streams), *_read(streams, body, "SENDING", going), *_GONE],
        "say_goodbye": [Way(hands, _goodbye(streams)) for hands in ("", "PEER_RESET")],
        "discard": [Way("PEER_CLOSED"), Way("PEER_RESET"), Way("LINGER_EXHAUSTED")],
    }
    begun = [Way("PREFACE_RECEIVED"), Way("PROTOCOL_VIOLATED", "broken = 1"), *_GONE]
    early = "opens -= 1\ntaken += 1\n" + _opened(0, body, "HEAD_RECEIVED")
    begun.append(Way("PREFACE_RECEIVED", early, "opens > 0"))
    ways[("AWAITING_PREFACE", "read")] = begun
    silenced = ("not said", "False")
    for state in ("NEGOTIATING", "AWAITING_REQUEST", "SERVING", "DRAINING"):
        ways[(state, "read")] = [*_read(streams, body, state, going), *_GONE]
        ways[(state, "go_on")] = going(state)
        ways[(state, "send_goaway")] = going(state, ("out", "1"), silenced, do="said = 1\nout = 1")
    ways[("SENDING", "send_goaway")] = going("SENDING", silenced, do="said = 1\nout = 1")
    guards = {
        "is_draining": "leaves or said",
        "awaits_settings": "not acked",
        "has_streams": there,
        "client_leaves": "leaves == 1",
        "is_ordered": "ordered == 1",
    }
    drain = Event("operator", "heeds(h, DRAIN_STARTED)", "ordered = 1", "h", "DRAIN_STARTED", "h: the process drains")
    room = Event("operator", "heeds(h, ROOM_WANTED)", "", "h", "ROOM_WANTED", "h: makes room")
    ended = "out = 0\n" + "".join(f"offer(x{i}, PEER_RESET)\n" for i in everyone)
    outside = (orders("h"), drain, room)
    return Part("h", h2_connection.TABLE, True, ways, guards, ended, outside=outside)


_GONE = [Way("PEER_CLOSED"), Way("PEER_RESET")]


def _goodbye(streams: int) -> str:
    return "said = 1\nout = 0\n" + "".join(f"offer(x{i}, PEER_RESET)\n" for i in range(streams))


def _opened(i: int | str, body: int, fact: str) -> str:
    return f"begin(x{i})\nbody{i} = {body}\ntell(x{i}, {fact})\n"


def _read(streams: int, body: int, state: str, going: Callable[..., list[Way]]) -> list[Way]:
    """Connection.read: one frame, and what that is for the streams and for the connection."""
    found: list[Way] = []

    def may(when: str, ways: list[Way]) -> None:
        found.extend(Way(way.hands, way.do, f"({when}) and ({way.when})") for way in ways)

    may("not acked", going(state, ("acked", "1"), do="acked = 1"))
    may("not leaves", going(state, ("leaves", "1"), do="leaves = 1"))
    may("True", going(state, ("broken", "1"), do="broken = 1"))
    may("not out", going(state, ("out", "1"), do="out = 1"))
    news = (_there(streams), "1"), ("taken >=", "taken + 1 >=")
    for size, fact in ((0, "HEAD_RECEIVED"), (body, "HEAD_RECEIVED"), (0, "HEAD_REFUSED")):
        opened = choose(streams, "not alive(x#)", _opened("#", size, fact))
        free = " or ".join(f"not alive(x{i})" for i in range(streams))
        may(f"opens > 0 and not said and ({free})", going(state, *news, do=f"opens -= 1\ntaken += 1\n{opened}"))
    may("opens > 0 and said", going(state, ("out", "1"), do="opens -= 1\nout = 1"))
    for i in range(streams):
        there = f"alive(x{i})"
        takes = f"(at(x{i}, READING_BODY) or (at(x{i}, EXCHANGING) and fed{i}))"
        came = f"body{i} -= 1\n"
        for fact in ("BODY_RECEIVED", "BODY_REFUSED"):
            taken = f"{came}out = 1\noffer(x{i}, {fact})\n{SEND}"
            may(f"{there} and body{i} > 0 and {takes}", going(state, ("out", "1"), do=taken))
        may(f"{there} and body{i} > 0 and not {takes}", going(state, do=f"{came}come{i} += 1"))
        may(there, going(state, do=f"offer(x{i}, PEER_RESET)"))
        may(f"held{i}", going(state, do=f"held{i} = 0\noffer(x{i}, WINDOW_OPENED)"))
    return found


def _written(streams: int) -> list[Way]:
    """Connection._write: those that have their turn hand on what they have, and the socket takes it, or only a part."""
    found = [Way()]

    def emitted(i: int, fact: str) -> str:
        held = f"    held{i} = 1\n" if fact == "WINDOW_EXHAUSTED" else ""
        return f"if turn{i}:\n    turn{i} = 0\n{held}    offer(x{i}, {fact})\n"

    facts = ("OUTPUT_FLUSHED", "WINDOW_EXHAUSTED", "RESPONSE_BROKEN")
    for several in product(facts, repeat=streams):
        sent = "".join(emitted(i, fact) for i, fact in enumerate(several))
        found += [Way("OUTPUT_FLUSHED", f"out = 0\n{sent}")]
    found += [Way("", emitted(i, fact), f"turn{i}") for i in range(streams) for fact in facts]
    return found


# --- a stream


def _stream(i: int, streams: int) -> Part:
    queued = f"turn{i} = 1\n{SEND}"
    left = f"op{i} = 0\nnews{i} = 0\nfed{i} = 0\nmore{i} = 0\n"
    refused = f"{left}begun{i} = 1\n{queued}"
    answers = [Way("OUTPUT_READY", f"begun{i} = 1\nmore{i} = {more}") for more in (0, 1)]
    waits = Way("", f"op{i} = 1")
    feeds = Way("", f"op{i} = 1\nfed{i} = 1", f"body{i} + come{i} > 0 and not fed{i}")
    wants = Way("BODY_REQUESTED", "", f"body{i} + come{i} > 0 and not fed{i}")
    broken = [Way("RESPONSE_BROKEN"), Way("BACKEND_FAILED"), Way("DEADLINE_PASSED")]
    pieces = [Way("OUTPUT_READY", f"more{i} -= 1", f"more{i} > 0"), waits, wants, *broken]
    first = [*answers, waits, feeds, wants]
    told = f"out = 1\n{SEND}"
    takes = [Way(fact, f"come{i} -= 1\n{told}", f"come{i} > 0") for fact in ("BODY_RECEIVED", "BODY_REFUSED")]
    takes += [Way("", "", f"come{i} == 0"), Way("", told, f"come{i} == 0")]
    aside = [Way(way.hands, way.do, f"fed{i} and ({way.when})") for way in takes] + [Way("", "", f"not fed{i}")]
    news = f"news{i} == 1"

    def resumed(ways: list[Way]) -> list[Way]:
        gone_on = [Way(way.hands, f"news{i} = 0\n{way.do}", f"{news} and ({way.when})") for way in ways]
        return [Way("", "", f"not ({news})"), *gone_on]

    def given(ways: list[Way]) -> list[Way]:
        fed = [Way("BACKEND_ANSWERED", "", f"fed{i} and {news}"), Way("", "", f"fed{i} and not ({news})")]
        return [*fed, *(Way(way.hands, way.do, f"not fed{i} and ({way.when})") for way in ways)]

    ways: Ways = {
        "call_handler": first,
        "resume_handler": resumed([*first, Way("DEADLINE_PASSED")]),
        ("PRODUCING", "resume_handler"): resumed(pieces),
        "give_body": given(first),
        ("PRODUCING", "give_body"): given(pieces),
        "take_body": takes,
        "take_aside": aside,
        "give_aside": aside,
        "queue_output": [Way("", queued)],
        "produce_output": pieces,
        "refuse": [Way("", refused)],
        "refuse_late": [Way("", refused)],
        "finish": [Way("", f"if body{i} > 0:\n{indent(told)}")],
        "cut": [Way("", told)],
    }
    guards = {"has_more_output": f"more{i} > 0", "awaits_body": f"fed{i} == 1", "has_begun_response": f"begun{i} == 1"}
    over = "".join(f"{name}{i} = 0\n" for name in OWN)
    ended = f"{over}if out:\n    offer(h, OUTPUT_READY)\nif not {_there(streams)}:\n    offer(h, STREAMS_ENDED)\n"
    return Part(f"x{i}", h2_stream.TABLE, False, ways, guards, ended, outside=(orders(f"x{i}"),))
