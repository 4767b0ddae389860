"""connection x slot x look-up x upstream connection: calls to an upstream that has a name, whose addresses grow old.

Of each client `i`:

    ask     its call is under way: 0 no, 1 nothing has come, 3 the answer has ended, 4 it failed
    doubted an address was not reached, and the name is looked up again for it

Of the name, the look-up `r` and the connection `u`:

    known   its addresses are known, and not too old
    had     there are addresses that were good before
    fresh   they were looked up just now: they are not doubted
    found   the system has found some
    owner   whose call the connection carries: 0 nobody's, else the number of the client
    reached the upstream has accepted
    back    whose call is to be connected again
"""

from clerestory.statemachines import resolution, slot, upstream
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import OWNS, TOLD, WAITS, Backend, choose, client, indent, notify

ASK = "if not alive(r):\n    begin(r)\n    found = 0\n"
"""Resolver.ask: at most one look-up is under way."""


def names(clients: int = 2) -> World:
    """`clients` clients with one request each; the pool has one connection."""
    everyone = range(clients)
    made = [client(i, _backend(i)) for i in everyone]
    variables = {name: value for one in made for name, value in one.variables.items()}
    variables |= {f"{name}{i}": 0 for i in everyone for name in ("ask", "doubted")}
    variables |= dict.fromkeys(("known", "had", "fresh", "found", "owner", "reached", "back"), 0)
    return World(
        "names",
        "connections x slots x a look-up x a connection to an upstream",
        [*(one.part for one in made), *(_slot(i) for i in everyone), _look_up(clients), _upstream(clients)],
        variables,
        [
            Event("peers", "known and not fresh", "known = 0", name="the addresses grow old"),
            Event("peers", "fresh == 1", "fresh = 0", name="a second passes"),
        ],
        [
            *(one for each in made for one in each.always),
            *closable("u", "r", *(f"s{i}" for i in everyone)),
            *(Always(f"a call ends with its exchange ({i})", f"acc{i} or ask{i} == 0") for i in everyone),
            *(Always(f"who waits for a call will be told ({i})", f"not op{i} or {_under_way(i)}") for i in everyone),
            *(
                Always(f"who waits for a slot waits for something ({i})", f"not alive(s{i}) or alive(u) or alive(r)")
                for i in everyone
            ),
            Always("a connection in the pool has no owner", "not at(u, IDLE) or owner == 0"),
            Always("a connection that is used is somebody's", "not alive(u) or at(u, IDLE) or owner > 0"),
            Always("what is not there has no owner", "alive(u) or owner == 0"),
        ],
        [
            *(one for each in made for one in each.eventually),
            Eventually("a look-up ends", "alive(r)", "not alive(r)"),
            *(Eventually(f"the waiting for a slot ends ({i})", f"alive(s{i})", f"not alive(s{i})") for i in everyone),
        ],
        [f"{clients} client(s), one request each, without a body", "one address, and one connection at a time"],
    )


def _under_way(i: int) -> str:
    return f"owner == {i + 1} or back == {i + 1} or alive(s{i}) or ask{i} > 2"


def _backend(i: int) -> Backend:
    begin = f"""
op{i} = 1
ask{i} = 1
if at(u, IDLE) and owner == 0:
    owner = {i + 1}
    tell(u, REQUEST_GIVEN)
elif alive(u):
    begin(s{i})
elif known:
    begin(u)
    owner = {i + 1}
else:
    begin(s{i})
{indent(ASK)}"""
    leave = f"""
ask{i} = 0
doubted{i} = 0
if back == {i + 1}:
    back = 0
if owner == {i + 1}:
    owner = 0
    tell(u, CALLER_LEFT)
offer(s{i}, CALLER_LEFT)
"""
    resumed = [
        Way("OUTPUT_READY", f"begun{i} = 1\nmore{i} = 0\nkeep{i} = {keep}", f"begun{i} == 0 and ask{i} > 2")
        for keep in (0, 1)
    ]
    return Backend([Way("", begin, f"ask{i} == 0 and begun{i} == 0 and not alive(s{i})")], leave, resumed)


def _slot(i: int) -> Part:
    ways: Ways = {"refuse": [Way("", f"ask{i} = 4\n{notify(i)}")], "withdraw": [Way()]}
    return Part(f"s{i}", slot.UPSTREAM, False, ways, outside=(orders(f"s{i}"),))


def _look_up(clients: int) -> Part:
    waiting = " or ".join(f"alive(s{i})" for i in range(clients))
    fill = f"if ({waiting}) and not alive(u):\n{indent(_following(clients))}"
    lost = "if not alive(u):\n" + indent("".join(f"offer(s{i}, BACKEND_LOST)\n" for i in range(clients)))
    good = f"known = 1\nhad = 1\nfresh = 1\n{fill}"
    bad = f"if had:\n{indent(good)}else:\n{indent(lost)}"
    ways: Ways = {"tell": [Way("", good, "found == 1"), Way("", bad, "found == 0")], "give_up": [Way("", bad)]}
    found = [
        Event("peers", "at(r, ASKING)", "found = 1", "r", "ADDRESSES_FOUND", "r: has found addresses"),
        Event("peers", "at(r, ASKING)", "", "r", "LOOK_UP_FAILED", "r: has found none"),
    ]
    return Part("r", resolution.TABLE, False, ways, outside=(orders("r"), *found))


def _following(clients: int) -> str:
    """Pool._fill, where the addresses are known: the call that waits first is connected."""
    return choose(clients, WAITS, "begin(u)\nowner = @\ntell(s#, SLOT_FREED)")


def _upstream(clients: int) -> Part:
    waiting = " or ".join(f"alive(s{i})" for i in range(clients))
    answered = choose(clients, OWNS, f"assert ask# == 1\nask# = 3\n{TOLD}") + "owner = 0\n"
    failed = choose(clients, OWNS, f"ask# = 4\n{TOLD}") + "owner = 0\n"
    again = (
        f"known = 0\nback = owner\n{choose(clients, OWNS, 'assert not doubted#' + chr(10) + 'doubted# = 1')}owner = 0\n"
    )
    unsure = " or ".join(f"(owner == {i + 1} and not doubted{i})" for i in range(clients))
    following = choose(clients, WAITS, "owner = @\ntell(s#, SLOT_FREED)")
    connected = choose(clients, "back == @", "begin(u)\nowner = @")
    returned = choose(clients, "back == @", "begin(s#)")
    gone = f"""
reached = 0
owner = 0
if back > 0:
    if known:
{indent(connected, 2)}
    else:
{indent(returned + ASK, 2)}
    back = 0
elif {waiting}:
    if known:
{indent(_following(clients), 2)}
    else:
{indent(ASK, 2)}"""
    ends = [Way("ANSWER_ENDED"), Way("ANSWER_REFUSED"), Way("UPSTREAM_CLOSED"), Way("UPSTREAM_RESET")]
    ways: Ways = {
        "finish_connect": [Way("CONNECTED"), Way("CONNECT_FAILED")],
        "send_request": [Way("", "reached = 1")],
        "write": [Way("OUTPUT_FLUSHED"), Way(), *ends],
        "read_head": ends,
        "look_at_input": [Way()],
        "notice_end": [Way("UPSTREAM_CLOSED"), Way("UPSTREAM_RESET")],
        "deliver_end": [Way("", answered)],
        "return_to_pool": [
            Way("REQUEST_GIVEN", f"{answered}{following}", waiting),
            Way("", answered, f"not ({waiting})"),
        ],
        "give_up": [
            Way("", again, f"not reached and not fresh and ({unsure})"),
            Way("", failed),
        ],
    }
    guards = {"is_secret": "False", "awaits_continue": "False", "has_more_request": "False"}
    return Part("u", upstream.TABLE, False, ways, guards, gone, outside=(orders("u"),))
