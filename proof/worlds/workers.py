"""supervisor x workers x generations, each with its end of the channel: starts, reloads, replacements, the end.

Of each place for a worker `i`, `w#` is the worker and `f#` its lifeline, which is there while its process is:

    gen     the generation to which it belongs
    was     it has been ready
    told    it was told to retire, or to end
    hit     it was sent SIGABRT or SIGKILL

Of the supervisor `v`:

    now     the generation that is wanted; `before` the one that serves while a new one starts, `fresh` the next number
    failed  the last start has failed, and the next one is put off
    calm    the worker that was ready last has served for long enough to be no failure
    ending  the workers are being ended; `gone` the supervisor was killed
    faults  what may still go wrong; `wishes` how often a worker may still want to be replaced
    spare   of use within an effect only
"""

from clerestory.statemachines import lifeline, supervisor, worker
from proof.world import Always, Event, Eventually, Part, Way, Ways, World
from proof.worlds.clients import choose, indent

COMING = "BACKING_OFF, STARTING, READY"
SERVING = "READY, AWAITING_SUCCESSOR"
ORDERABLE = "BACKING_OFF, STARTING, READY, AWAITING_SUCCESSOR"


def workers(
    wanted: int = 1, places: int = 3, *, reloads: int = 1, faults: int = 1, wishes: int = 1, watches: bool = False
) -> World:
    """A supervisor of `wanted` workers; `places` is how many processes there may be at once. It is ordered to reload
    `reloads` times; `watches` as with --reload."""
    everyone = range(places)
    variables = {
        f"{name}{i}": int(name == "gen" and i == 0) for i in everyone for name in ("gen", "was", "told", "hit")
    }
    variables |= {"now": 1, "before": 0, "fresh": 2, "failed": 0, "calm": 0, "ending": 0, "gone": 0}
    variables |= {"signals": 2, "reloads": reloads, "faults": faults, "wishes": wishes, "spare": 0}
    return World(
        "workers",
        "a supervisor x its workers x their lifelines, in generations",
        [
            _supervisor(wanted, places, watches),
            *(_worker(i, places) for i in everyone),
            *(_lifeline(i) for i in everyone),
        ],
        variables,
        _events(places),
        _always(wanted, places),
        _eventually(places),
        [
            f"{wanted} worker(s), at most {places} processes at once, at most {reloads} reload(s)",
            f"at most {faults} time(s) a worker fails, and {wishes} time(s) one wants to be replaced",
            "with --reload" if watches else "without --reload",
        ],
    )


def _sum(places: int, what: str) -> str:
    return " + ".join(f"({what.replace('#', str(i))})" for i in range(places))


def _count(places: int, states: str) -> str:
    """How many workers of the wanted generation are in one of `states`."""
    return _sum(places, f"(gen# == now) and at(w#, {states})")


def _each(places: int, when: str, do: str) -> str:
    """`do` for every worker for which `when` holds."""
    return "".join(f"if {when}:\n{indent(do)}".replace("#", str(i)) for i in range(places))


def _any(places: int) -> str:
    return " or ".join(f"alive(w{i})" for i in range(places))


# --- the supervisor


def _fill(wanted: int, places: int) -> str:
    """Supervisor.fill. Until one of a generation is ready, it goes ahead alone."""
    free = choose(places, "not alive(w#)", "begin(w#)\ngen# = now\nif not failed:\n    offer(w#, START_ORDERED)")
    some = " or ".join(f"(gen{i} == now and was{i})" for i in range(places))
    missing = _count(places, COMING)
    first = f"if {missing} < 1:\n{indent(free)}"
    others = "".join(f"    if {missing} < {wanted}:\n{indent(free, 2)}" for _ in range(wanted - 1))
    return first + (f"if at(v, SERVING) or {some}:\n{others}" if wanted > 1 else "")


def _surplus(wanted: int, places: int) -> str:
    """Of Supervisor.retire_replaced: as many of those that leave are told so as are not needed any more."""
    serving = _count(places, SERVING)
    leaves = _each(
        places, "at(w#, AWAITING_SUCCESSOR) and gen# == now and spare > 0", "spare -= 1\noffer(w#, RETIRE_ORDERED)"
    )
    return f"if {serving} > {wanted}:\n    spare = {serving} - {wanted}\n{leaves}spare = 0\n"


def _supervisor(wanted: int, places: int, watches: bool) -> Part:
    order = "STOP_ORDERED" if watches else "RETIRE_ORDERED"
    fill = _fill(wanted, places)
    begin = f"before = now\nnow = fresh\nfresh += 1\nfailed = 0\n{fill}"
    mine = _each(places, "alive(w#) and gen# == now", f"offer(w#, {order})")
    older = _each(places, "alive(w#) and gen# < now", f"offer(w#, {order})")
    later = _each(places, "alive(w#) and gen# > now", f"offer(w#, {order})")
    stop = f"ending = 1\n{_each(places, 'alive(w#)', 'offer(w#, STOP_ORDERED)')}"
    drain = f"ending = 1\n{_each(places, 'alive(w#)', 'offer(w#, RETIRE_ORDERED)')}"
    replaced = f"{_surplus(wanted, places)}{fill}"
    taken = f"assert {_count(places, 'READY')} >= {wanted}\n{older}{replaced}"
    there = _any(places)
    ways: Ways = {
        "read_signals": [
            Way("SIGNAL_RECEIVED", "signals -= 1", "signals > 0"),
            Way("SIGNAL_RECEIVED", "signals -= 2\noffer(v, SIGNAL_RECEIVED)", "signals > 1"),
            Way("RELOAD_ORDERED", "reloads -= 1", "reloads > 0"),
        ],
        "start_others": [Way("", fill)],
        "fill": [Way("", fill)],
        "announce": [Way("", taken)],
        "retire_old": [Way("", taken)],
        "retire_replaced": [Way("", replaced)],
        "begin_generation": [Way("", begin)],
        "begin_again": [Way("", f"{mine}spare = before\n{begin}before = spare\nspare = 0\n")],
        "roll_back": [Way("", f"now = before\nfailed = 0\n{later}{replaced}")],
        "await_change": [Way("", _each(places, "alive(w#)", f"offer(w#, {order})"))],
        "give_up": [Way("", stop, there), Way("WORKERS_ENDED", "ending = 1", f"not ({there})")],
        "drain": [Way("", drain, there), Way("WORKERS_ENDED", "ending = 1", f"not ({there})")],
        "stop_workers": [Way("", stop)],
    }
    guards = {"is_complete": f"{_count(places, 'READY')} >= {wanted}", "may_await_change": str(watches)}
    return Part("v", supervisor.TABLE, True, ways, guards)


# --- its workers


def _worker(i: int, places: int) -> Part:
    forgotten = f"gen{i} = 0\nwas{i} = 0\ntold{i} = 0\nhit{i} = 0\n"
    last = f"if not ({_any(places)}):\n    offer(v, WORKERS_ENDED)\n"
    ordered = f"{forgotten}{last}"
    ended = f"""
assert not alive(f{i})
if not was{i} and not told{i}:
    failed = 1
    if gen{i} == now:
        offer(v, START_FAILED)
    else:
        offer(v, WORKER_LOST)
elif not told{i} or hit{i}:
    if was{i} and not calm:
        failed = 1
    offer(v, WORKER_LOST)
{forgotten}{last}"""
    ready = f"at(w{i}, STARTING) and alive(f{i})"
    serves = f"at(w{i}, {SERVING}) and alive(f{i})"
    ways: Ways = {
        "read_messages": [
            Way("CHANNEL_CLOSED", "", f"not alive(f{i})"),
            Way("CHANNEL_CLOSED", f"offer(w{i}, READY_TOLD)", f"not alive(f{i}) and at(w{i}, STARTING)"),
            Way("", f"tell(w{i}, READY_TOLD)", ready),
            Way("", f"wishes -= 1\noffer(w{i}, RECYCLING_WANTED)", f"wishes > 0 and {serves}"),
            Way("", f"wishes -= 1\noffer(w{i}, DRAIN_TOLD)", f"wishes > 0 and {serves}"),
            Way("", f"tell(w{i}, BLOCKED_TOLD)", f"faults > 0 and {serves}"),
        ],
        "execute": [Way("", f"begin(f{i})"), Way("EXECUTION_FAILED", "faults -= 1", "faults > 0")],
        "tell_ready": [Way("", f"was{i} = 1\ncalm = 0\noffer(v, WORKER_READY)")],
        "ask_for_successor": [Way("", "offer(v, SUCCESSOR_WANTED)")],
        "order_drain": [Way("", f"told{i} = 1\noffer(v, SUCCESSOR_WANTED)")],
        "order_stop": [Way("", f"told{i} = 1")],
        "abort": [Way("", f"faults -= 1\nhit{i} = 1")],
        "kill": [Way("", f"if faults > 0 and not told{i} and not hit{i}:\n    faults -= 1\nhit{i} = 1")],
    }
    ends = {"RETIRE_ORDERED": ordered, "STOP_ORDERED": ordered, "ENDED": ended}
    late = f"not at(w{i}, STARTING, {SERVING}) or faults > 0"
    return Part(f"w{i}", worker.TABLE, i == 0, ways, {}, ends, late, f"wire {i}")


def _lifeline(i: int) -> Part:
    ways: Ways = {"read_orders": [Way("SUPERVISOR_GONE", "", "gone == 1")]}
    return Part(f"f{i}", lifeline.TABLE, False, ways, ready_process=f"channel {i}")


def _events(places: int) -> list[Event]:
    dead = "".join(f"w{i} = 0\ngen{i} = 0\nwas{i} = 0\ntold{i} = 0\nhit{i} = 0\n" for i in range(places))
    found = [
        Event(
            "peers",
            f"failed or (not calm and ({_sum(places, 'was#')} > 0))",
            "failed = 0\ncalm = 1",
            name="served long",
        ),
        Event("operator", "alive(v)", f"gone = 1\nv = 0\n{dead}", name="v: is killed"),
    ]
    for i in range(places):
        leaves = f"at(w{i}, RETIRING, STOPPING, ABORTING, LEAVING)"
        runs = f"at(w{i}, STARTING, {SERVING})"
        exits = f"f{i} = 0"
        found += [
            Event(f"kernel {i}", f"at(w{i}, KILLED)", exits, f"w{i}", "EXITED", f"w{i}: is dead"),
            Event("peers", leaves, exits, f"w{i}", "EXITED", f"w{i}: exits"),
            Event("peers", f"faults > 0 and {runs}", f"faults -= 1\n{exits}", f"w{i}", "EXITED", f"w{i}: dies"),
            Event("peers", f"alive(f{i}) and (gone or {leaves})", "", f"f{i}", "CLOSE_ORDERED", f"f{i}: is closed"),
            Event(
                "peers",
                f"alive(f{i}) and faults > 0 and {runs}",
                "faults -= 1",
                f"f{i}",
                "CLOSE_ORDERED",
                f"f{i}: breaks",
            ),
        ]
    return found


# --- what is promised


def _always(wanted: int, places: int) -> list[Always]:
    everyone = range(places)
    leaving = _count(places, f"{COMING}, ABORTING, KILLED, LEAVING")
    found = [
        Always("what serves has its workers, or they come", f"not at(v, SERVING) or {leaving} >= {wanted}"),
        Always("no more workers of a generation come than are wanted", f"{_count(places, COMING)} <= {wanted}"),
        Always("a supervisor that has stopped has no workers", f"alive(v) or not ({_any(places)})"),
    ]
    for i in everyone:
        ends = f"at(v, DRAINING, STOPPING, AWAITING_CHANGE) and at(w{i}, {ORDERABLE})"
        found += [
            Always(f"the end is told to every worker ({i})", f"not ({ends})"),
            Always(
                f"what is left of a generation that has failed is told to end ({i})",
                f"gen{i} <= now or not at(w{i}, {ORDERABLE})",
            ),
            Always(
                f"an older generation serves on only until the new one does ({i})",
                f"not at(v, SERVING) or gen{i} >= now or not at(w{i}, {ORDERABLE})",
            ),
            Always(f"a worker that leaves was told to ({i})", f"not at(w{i}, RETIRING, STOPPING) or told{i}"),
            Always(f"a worker is killed once ({i})", f"not at(w{i}, KILLED) or hit{i}"),
            Always(f"a worker's process is a worker's ({i})", f"gone or alive(w{i}) or not alive(f{i})"),
        ]
    return found


def _eventually(places: int) -> list[Eventually]:
    found = [
        Eventually("a reload ends", "at(v, RELOADING)", "not at(v, RELOADING)"),
        Eventually("the end comes", "ending and alive(v)", "not alive(v)"),
    ]
    for i in range(places):
        waits = f"at(w{i}, AWAITING_SUCCESSOR)"
        found += [
            Eventually(f"a worker that is told to end has ended ({i})", f"told{i}", f"not told{i}"),
            Eventually(f"who waits for a successor gets one ({i})", waits, f"not {waits}"),
            Eventually(
                f"a worker learns that its supervisor has gone ({i})", f"gone and alive(f{i})", f"not alive(f{i})"
            ),
        ]
    return found
