"""connection x PostgreSQL session x reset x cancel request: handlers that query a database over one session.

Of each client `i`:

    ask     its query: 0 there is none, 1 it waits or runs, 2 it has its result or its error
    tx      its handler holds a transaction

Of the session `g`, its reset `r`, and the cancel request `k`:

    owner   whose query it runs, or whose transaction it holds: 0 nobody's, else the number of the client
    busy    the server runs a statement of this session
    dirty   the session remembers something
    open    a transaction is open
    cancels cancel requests that may still be sent
    stale   the cancel request is for a session that has ended: it cannot hit another one
"""

from collections.abc import Sequence

from clerestory.statemachines import postgres, postgres_cancel, postgres_reset, slot
from proof.world import Always, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import OWNS, TOLD, WAITS, Backend, Client, choose, client, indent, notify


def database(clients: int = 2, queries: int = 2, cancels: int = 1) -> World:
    """`clients` clients with one request each, whose handler runs up to `queries` queries."""
    made = [client(i, _backend(i)) for i in range(clients)]
    return World(
        "database",
        "connections x a session with PostgreSQL x its reset x its cancel request",
        [*(one.part for one in made), *map(_slot, range(clients)), _session(clients, cancels), _reset(), _cancel()],
        _variables(made, queries, cancels),
        [],
        [*(one for each in made for one in each.always), *_of_queries(clients), *_of_the_session()],
        [*(one for each in made for one in each.eventually), *_ends(clients)],
        [
            f"{clients} clients, one request each, up to {queries} queries in it",
            f"one session at a time; at most {cancels} cancel request(s) for a reset",
            "a session is made as soon as it is wanted; the pauses between attempts are left out",
        ],
    )


def _variables(made: Sequence[Client], queries: int, cancels: int) -> dict[str, int]:
    found = {name: value for one in made for name, value in one.variables.items()}
    for i in range(len(made)):
        found |= {f"ask{i}": 0, f"tx{i}": 0, f"queries{i}": queries}
    return found | {"owner": 0, "busy": 0, "dirty": 0, "open": 0, "cancels": cancels, "stale": 0}


def _of_queries(clients: int) -> list[Always]:
    found = []
    for i in range(clients):
        found += [
            Always(f"a query ends with its exchange ({i})", f"acc{i} or ask{i} == 0"),
            Always(f"a transaction ends with its exchange ({i})", f"acc{i} or not tx{i}"),
            Always(f"who waits for a session has a query ({i})", f"not alive(s{i}) or ask{i} == 1"),
            Always(f"who waits for a query will be told ({i})", f"not op{i} or {_under_way(i)} or alive(s{i})"),
            Always(f"no client waits while the session is idle ({i})", f"not alive(s{i}) or not at(g, IDLE)"),
            *closable(f"s{i}"),
        ]
    return found


def _of_the_session() -> list[Always]:
    runs = "at(g, SENDING_QUERY, PREPARING, AWAITING_RESULT)"
    return [
        Always("a session in the pool has no owner", "not at(g, IDLE) or owner == 0"),
        Always("a session in the pool is clean", "not at(g, IDLE) or not (dirty or busy or open)"),
        Always("a query that runs is somebody's", f"not {runs} or owner > 0"),
        Always("a session that is being reset has no owner", "not at(g, RESETTING) or owner == 0"),
        Always("a reset is a session's", "at(g, RESETTING) or not alive(r)"),
        Always("a session that is being reset has a reset", "not at(g, RESETTING) or alive(r)"),
        Always("no cancel request is under way when a query runs", "not busy or owner == 0 or not alive(k) or stale"),
        *closable("g", "r", "k"),
    ]


def _ends(clients: int) -> list[Eventually]:
    found = []
    for i in range(clients):
        found += [
            Eventually(f"the session is given back ({i})", f"owner == {i + 1}", f"owner != {i + 1}"),
            Eventually(f"the waiting for a session ends ({i})", f"alive(s{i})", f"not alive(s{i})"),
        ]
    return [
        *found,
        Eventually("a reset ends", "alive(r)", "not alive(r)"),
        Eventually("a cancel request ends", "alive(k)", "not alive(k)"),
    ]


def _under_way(i: int) -> str:
    return f"(owner == {i + 1} and ask{i} == 1 and at(g, SENDING_QUERY, PREPARING, AWAITING_RESULT))"


def _backend(i: int) -> Backend:
    query = f"""
queries{i} -= 1
op{i} = 1
ask{i} = 1
if owner == {i + 1}:
    tell(g, QUERY_GIVEN)
elif at(g, IDLE):
    owner = {i + 1}
    tell(g, QUERY_GIVEN)
else:
    begin(s{i})
    if not alive(g):
        begin(g)
        dirty = 0
        busy = 0
        open = 0
"""
    leave = f"""
ask{i} = 0
tx{i} = 0
if owner == {i + 1}:
    offer(g, QUERY_ABANDONED)
    offer(g, TRANSACTION_ABANDONED)
offer(s{i}, CALLER_LEFT)
"""
    may = (
        f"queries{i} > 0 and ask{i} != 1 and not alive(s{i}) and begun{i} == 0 and (not tx{i} or at(g, IN_TRANSACTION))"
    )
    may += f" and (tx{i} or owner != {i + 1})"
    start = [Way("", query, may)]
    start += [Way("", f"tx{i} = 1\n{query}", f"({may}) and not tx{i}")]
    return Backend(start, leave, start)


def _slot(i: int) -> Part:
    refused = f"ask{i} = 2\n{notify(i)}"
    return Part(
        f"s{i}", slot.POSTGRES, False, {"refuse": [Way("", refused)], "withdraw": [Way()]}, outside=(orders(f"s{i}"),)
    )


def _session(clients: int, cancels: int) -> Part:
    everyone = range(clients)
    told = choose(clients, OWNS, "if ask# == 1:\n" + indent(f"ask# = 2\n{TOLD}"))
    held = " or ".join(f"(owner == {i + 1} and tx{i})" for i in everyone)
    waiting = " or ".join(f"alive(s{i})" for i in everyone)
    following = choose(clients, WAITS, "owner = @\ntell(s#, SLOT_FREED)")
    lost = choose(clients, OWNS, "tx# = 0\nif ask# == 1:\n" + indent(f"ask# = 2\n{TOLD}"))
    let_go = choose(clients, OWNS, "tx# = 0")
    reset = f"{told}{let_go}owner = 0\nbegin(r)\ncancels = {cancels}\n"
    ended = f"""
{lost}
owner = 0
busy = 0
dirty = 0
open = 0
stale = alive(k)
offer(r, CLOSE_ORDERED)
if {waiting}:
    begin(g)
"""
    marks = ["busy = 0", "busy = 0\ndirty = 1"]
    results = [Way("RESULT_RECEIVED", f"{mark}\n{_opened(clients)}") for mark in marks]
    sent = [Way("QUERY_SENT", "busy = 1"), Way("STATEMENT_SENT", "busy = 1"), Way("CONNECTION_LOST")]
    ways: Ways = {
        "send_query": [*sent, Way()],
        "flush_query": sent,
        "read_prepared": [
            Way("STATEMENT_PREPARED", "busy = 0"),
            Way("RESULT_RECEIVED", "busy = 0"),
            Way("CONNECTION_LOST"),
        ],
        "read_result": [*results, Way("RESULT_REFUSED"), Way("CONNECTION_LOST")],
        "offer": [Way("QUERY_GIVEN", f"{following}", waiting), Way("", "", f"not ({waiting})")],
        "release": [
            Way("QUERY_GIVEN", f"{told}owner = 0\n{following}", waiting),
            Way("", f"{told}owner = 0", f"not ({waiting})"),
        ],
        "deliver_result": [Way("", told)],
        "reset_session": [Way("", reset), Way("RESET_FAILED", f"{told}{let_go}owner = 0\n")],
    }
    guards = {
        "is_in_transaction": f"({held}) and open == 1",
        "is_clean": f"maybe not ({held}) and not dirty and not open",
    }
    return Part("g", postgres.TABLE, False, ways, guards, ended, outside=(orders("g"),))


def _opened(clients: int) -> str:
    """The statement of a handler that wants a transaction has opened it."""
    return choose(clients, OWNS, "open = tx#")


def _reset() -> Part:
    ways: Ways = {
        "discard_results": [
            Way("RESULTS_ENDED", "", "not busy"),
            Way("RESULTS_ENDED", "busy = 0", "busy == 1"),
            Way("CANCEL_WANTED", "", "busy == 1"),
            Way("RESET_REFUSED"),
            Way("CONNECTION_LOST"),
        ],
        "look_again": [Way("RESULTS_ENDED", "busy = 0"), Way("RESET_REFUSED"), Way("CONNECTION_LOST"), Way()],
        "request_cancel": [
            Way("", "begin(k)\nstale = 0\ncancels -= 1", "cancels > 0 and not alive(k)"),
            Way("CANCEL_FAILED"),
        ],
        "roll_back": [Way("", "open = 0"), Way("RESET_REFUSED"), Way("CONNECTION_LOST")],
        "forget": [Way("", "dirty = 0"), Way("RESET_REFUSED"), Way("CONNECTION_LOST")],
    }
    guards = {"is_in_transaction": "open == 1", "is_soiled": "dirty == 1", "may_cancel_again": "cancels > 0"}
    ended = {"CLEAN": "offer(g, SESSION_CLEANED)", "FAILED": "offer(g, RESET_FAILED)"}
    return Part("r", postgres_reset.TABLE, False, ways, guards, ended, outside=(orders("r"),))


def _cancel() -> Part:
    ended = {
        "REQUEST_TAKEN": "if not stale:\n    offer(r, CANCEL_SENT)",
        "DONE": "if not stale:\n    offer(r, CANCEL_FAILED)",
    }
    return Part("k", postgres_cancel.TABLE, False, {}, {}, ended, outside=(orders("k"),))
