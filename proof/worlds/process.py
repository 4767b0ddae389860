"""listener x process x connections: a drain, while clients still come.

backlog   clients that wait to be accepted
coming    clients that have not tried to connect yet
drains    the drain has begun
due       a connection that became idle in the drain is to be closed after a while (Service.await_last_request)
signals   signals that may still come
given     connections have ended, and their descriptors are given back behind the events of this batch
"""

from clerestory.statemachines import listener, process
from proof.world import Always, Event, Eventually, Part, Way, Ways, World
from proof.worlds.clients import Client, choose, client, indent, stranger


def draining(
    clients: int = 2, requests: int = 1, coming: int = 2, signals: int = 2, *, strangers: bool = False
) -> World:
    """A process with a listener and room for `clients` connections; `coming` clients connect, one after the other. Of
    `strangers` nothing is known but the table."""
    made = [_client(i, strangers) for i in range(clients)]
    variables = {name: value for one in made for name, value in one.variables.items()}
    variables |= {f"due{i}": 0 for i in range(clients)}
    events = [
        Event("peers", "coming > 0 and alive(l)", "coming -= 1\nbacklog += 1", name="connects"),
        _closed(clients),
        *(
            Event(
                f"timer {i}",
                f"due{i} == 1 and alive(c{i})",
                f"due{i} = 0\noffer(c{i}, DRAIN_STARTED)",
                name=f"c{i}: its last chance passes",
            )
            for i in range(clients)
        ),
    ]
    there = " or ".join(f"alive(c{i})" for i in range(clients))
    return World(
        "process",
        "a process x its listener x connections that come and go",
        [_process(clients, there), _listener(clients, requests, strangers), *(one.part for one in made)],
        variables | {"backlog": 0, "coming": coming, "drains": 0, "signals": signals, "given": 0},
        events,
        [
            *(one for each in made for one in each.always),
            Always("a process that has stopped has no connections", f"alive(p) or not ({there})"),
            Always("a process that has stopped does not listen", "alive(p) or not alive(l)"),
            Always("no client is left in the backlog of a listener that is closed", "alive(l) or backlog == 0"),
        ],
        [
            *(one for each in made for one in each.eventually),
            Eventually("a drain ends", "drains", "not alive(p)"),
            Eventually("who waits to be accepted is accepted, or refused", "backlog > 0 and drains", "backlog == 0"),
        ],
        [
            f"room for {clients} connections; {coming} clients come, {requests} request(s) each",
            f"at most {signals} signals",
        ],
    )


def _client(i: int, strangers: bool) -> Client:
    renewed = f"if drains:\n    due{i} = 1\n"
    if strangers:
        return stranger(i, "given = 1", renewed)
    return client(i, requests=0, born=False, ended="given = 1", renewed=renewed)


def _closed(clients: int) -> Event:
    """Process._connection_closed: the descriptors of a batch are given back behind all of its events."""
    there = " or ".join(f"alive(c{i})" for i in range(clients))
    last = f"if not ({there}):\n    offer(p, CONNECTIONS_ENDED)"
    return Event("loop", "given == 1", f"given = 0\noffer(l, CONNECTION_ENDED)\n{last}", name="descriptors are closed")


def _process(clients: int, there: str) -> Part:
    close_listeners = "drains = 1\noffer(l, DRAIN_STARTED)\ntell(p, LISTENERS_CLOSED)"
    close_idle = "".join(f"if alive(c{i}):\n    offer(c{i}, DRAIN_STARTED)\n" for i in range(clients))
    cut_off = "".join(f"if alive(c{i}):\n    offer(c{i}, CLOSE_ORDERED)\n" for i in range(clients))
    ways: Ways = {
        "read_signals": [
            Way("SIGNAL_RECEIVED", "signals -= 1", "signals > 0"),
        ],
        "announce": [Way("", "begin(l)")],
        "close_listeners": [Way("", close_listeners)],
        "close_idle": [Way("", close_idle)],
        "cut_off": [Way("", cut_off)],
    }
    listening = Event("operator", "at(p, STARTING)", "", "p", "LISTENING", "p: listens")
    guards = {"has_nothing_under_way": f"not ({there})"}
    return Part("p", process.TABLE, True, ways, guards, "drains = 1", outside=(listening,))


def _listener(clients: int, requests: int, strangers: bool) -> Part:
    """Each of the strangers has a place of its own, in the order in which they come; how many there may be is not
    known."""
    free = "not alive(c#)" + " and left# == 0" * strangers
    fresh = choose(clients, free, f"begin(c#)\nleft# = {requests}\ndue# = drains\nbacklog -= 1")
    places = " or ".join(free.replace("#", str(i)) for i in range(clients))
    room, full = ("True", "True") if strangers else (places, f"not ({places})")
    again = f"if backlog > 0:\n{indent(fresh)}"
    lost = Way("SOCKET_LOST", "backlog = 0\ncoming = 0")
    accept = [
        Way("", fresh, f"backlog > 0 and ({places})"),
        Way("CAPACITY_REACHED", "", full),
        Way("DESCRIPTORS_EXHAUSTED", "", "backlog > 0"),
        lost,
    ]
    refuse = [Way("", "backlog = 0", "backlog > 0"), Way("DESCRIPTORS_EXHAUSTED"), lost]
    ways: Ways = {
        "accept": accept,
        "accept_backlog": [Way("", again * (clients if strangers else 2) + "backlog = 0")],
        "refuse": [*refuse, Way("ROOM_FOUND", "", room)],
        "refuse_waiting": [*refuse, Way()],
        "refuse_backlog": [Way("", "backlog = 0")],
        "notice_loss": [lost],
    }
    return Part("l", listener.TABLE, False, ways, {} if strangers else {"has_room": room})
