"""tunnel x both ends: a connection whose request is an upgrade, the connection to the upstream that agrees, what joins
them.

Of the call of the client:

    ask     0 there is none, 1 nothing has come, 2 there is a tunnel, 3 another answer has come, 4 it failed
    owned   the upstream's connection carries it
    turned  the response is the 101: the client's exchange ends with the tunnel
    joined  the client has been told: bytes pass

Of each way of the tunnel, `out` from the client and `back` to it:

    held    what was read waits for its sink
    done    its source has sent its last
    said    the tunnel has been told so
"""

from dataclasses import replace

from clerestory.statemachines import tunnel, upstream
from proof.world import Always, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import Backend, Client, client, indent, notify

PASSED = """
if doneout and not heldout and not saidout:
    saidout = 1
    offer(t, CLIENT_SENT_LAST)
if doneback and not heldback and not saidback:
    saidback = 1
    offer(t, UPSTREAM_SENT_LAST)
"""
"""Tunnel._settle: the end of a way is handed on behind all that came before it."""


def tunnels() -> World:
    """One client, who asks for an upgrade."""
    near = _near()
    variables = near.variables | dict.fromkeys(("ask", "owned", "turned", "joined"), 0)
    variables |= {f"{what}{way}": 0 for what in ("held", "done", "said") for way in ("out", "back")}
    open_ = "at(t, OPEN, CLIENT_ENDED, UPSTREAM_ENDED)"
    return World(
        "tunnels",
        "a connection x a tunnel x a connection to an upstream",
        [near.part, _far(), _course()],
        variables,
        [],
        [
            *near.always,
            *closable("u"),
            Always(
                "a tunnel that is open has both its ends", f"not {open_} or at(c0, TUNNELLING) and at(u, TUNNELLING)"
            ),
            Always("an end is one of a tunnel's: the client's", "not at(c0, TUNNELLING) or alive(t)"),
            Always("an end is one of a tunnel's: the upstream's", "not at(u, TUNNELLING) or alive(t)"),
            Always("the upstream's connection does not outlive the call", "not alive(u) or owned or alive(t)"),
            Always("who waits for a call will be told", "not op0 or owned"),
        ],
        [
            *near.eventually,
            Eventually("a tunnel ends", "alive(t)", "not alive(t)"),
            Eventually("the upstream's connection is given back", "alive(u)", "not alive(u)"),
        ],
        [
            "one client with one request, an upgrade",
            "an answer that is no upgrade has no body",
            "at most one read waits a way",
        ],
    )


def _near() -> Client:
    ask = "op0 = 1\nask = 1\nowned = 1\nbegin(u)"
    leave = """
if turned:
    turned = 0
    offer(t, CLIENT_LEFT)
elif owned:
    owned = 0
    tell(u, CALLER_LEFT)
ask = 0
"""
    began = "begun0 = 1\nmore0 = 0\n"
    resumed = [
        Way("OUTPUT_READY", f"{began}keep0 = 0\nturned = 1\n", "begun0 == 0 and ask == 2"),
        *(Way("OUTPUT_READY", f"{began}keep0 = {keep}", "begun0 == 0 and ask > 2") for keep in (0, 1)),
    ]
    made = client(0, Backend([Way("", ask, "ask == 0 and begun0 == 0")], leave, resumed))
    joined = "joined = 1\noffer(t, CLIENT_JOINED)\n"
    begins = [
        Way("TUNNEL_BROKEN", "", "not alive(t)"),
        Way("PEER_RESET", joined, "alive(t)"),
        *(Way("", f"{joined}heldout = {early}\nheldback = {late}", "alive(t)") for early in (0, 1) for late in (0, 1)),
        Way("", f"{joined}doneout = 1\n{PASSED}", "alive(t)"),
        Way("", f"{joined}offer(u, UPSTREAM_RESET)", "alive(t)"),
    ]
    ways: Ways = {
        **made.part.ways,
        "begin_tunnel": begins,
        "pass_on": _passing("out", "back", "PEER_RESET", "u, UPSTREAM_RESET"),
    }
    guards = {**made.part.guards, "has_switched": "turned == 1", "is_hosted": "False"}
    return made._replace(part=replace(made.part, ways=ways, guards=guards))


def _passing(here: str, there: str, gone: str, other: str) -> list[Way]:
    """Tunnel.pass_on, by the end from which `here` goes and to which `there` does."""
    reads = f"joined and not held{here} and not done{here}"
    return [
        Way(gone),
        Way("", f"held{here} = 1", reads),
        Way("", f"done{here} = 1\n{PASSED}", reads),
        Way("", f"offer({other})", reads),
        Way("", f"held{there} = 0\n{PASSED}", f"joined and held{there}"),
        Way("", f"held{there} = 0\noffer({other})", f"joined and held{there}"),
    ]


def _far() -> Part:
    told = f"if owned:\n{indent(f'owned = 0{chr(10)}' + notify(0))}"
    ends = [Way("ANSWER_ENDED"), Way("ANSWER_REFUSED"), Way("UPSTREAM_CLOSED"), Way("UPSTREAM_RESET")]
    ways: Ways = {
        "finish_connect": [Way("CONNECTED"), Way("CONNECT_FAILED")],
        "write": [Way("OUTPUT_FLUSHED"), Way(), *ends],
        "read_head": [Way("UPGRADED"), *ends],
        "look_at_input": [Way(), Way("UPGRADED"), Way("ANSWER_ENDED")],
        "deliver_tunnel": [Way("", f"assert ask == 1\nask = 2\nbegin(t)\n{notify(0)}")],
        "deliver_end": [Way("", f"assert ask == 1\nask = 3\n{told}")],
        "give_up": [Way("", f"ask = 4\n{told}")],
        "break_tunnel": [Way("", "owned = 0")],
        "pass_on": _passing("back", "out", "UPSTREAM_RESET", "c0, PEER_RESET"),
    }
    guards = {
        "is_secret": "False",
        "awaits_continue": "False",
        "has_more_request": "False",
        "may_be_pooled": "False",
        "caller_ended_first": "saidout and not at(t, UPSTREAM_ENDED)",
    }
    late = "not at(u, TUNNELLING) or not joined"
    return Part(
        "u", upstream.TABLE, False, ways, guards, "owned = 0\noffer(t, UPSTREAM_LOST)", late, outside=(orders("u"),)
    )


def _course() -> Part:
    whole = "assert doneout and doneback and not heldout and not heldback\n"
    over = "joined = 0\n" + "".join(
        f"{what}{way} = 0\n" for what in ("held", "done", "said") for way in ("out", "back")
    )
    ways: Ways = {
        "end_both": [Way("", f"{whole}offer(c0, TUNNEL_ENDED)\noffer(u, TUNNEL_ENDED)\n")],
        "leave_upstream": [Way("", "owned = 0\noffer(u, CALLER_LEFT)")],
        "break_client": [Way("", "if joined:\n    offer(c0, TUNNEL_BROKEN)")],
    }
    return Part("t", tunnel.TABLE, False, ways, {}, over)
