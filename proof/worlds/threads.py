"""connection x work x thread: handlers that call blocking functions, in a pool of one thread.

w       the work that the handler waits for; it may go on when nobody does
thread  what the thread is at: 0 nothing, else the number of the work
ended   the function has returned, and the loop has not been told
"""

from clerestory.statemachines import work
from proof.world import Always, Event, Eventually, Part, Way, Ways, World, closable, orders
from proof.worlds.clients import Backend, Client, client, indent, notify


def threads(clients: int = 2, requests: int = 1) -> World:
    """One thread, and `clients` connections whose handlers want it."""
    made = [client(i, _backend(i), requests=requests, pieces=1) for i in range(clients)]
    works = [_work(i) for i in range(clients)]
    ends = [
        Event("thread", f"thread == {i + 1} and not ended", "ended = 1", name=f"the function of w{i} returns")
        for i in range(clients)
    ]
    told = [_settled(i, clients) for i in range(clients)]
    return World(
        "threads",
        "connections x work x a thread",
        [*(one.part for one in made), *works],
        _together(made) | {"thread": 0, "ended": 0} | {f"mine{i}": 0 for i in range(clients)},
        [*ends, *told],
        [
            *(one for each in made for one in each.always),
            *(one for i in range(clients) for one in closable(f"w{i}", unless=f"at(w{i}, ABANDONED)")),
            *(
                Always(f"the thread runs what runs ({i})", f"not at(w{i}, RUNNING) or thread == {i + 1}")
                for i in range(clients)
            ),
            *(
                Always(f"who waits for work will be told ({i})", f"not op{i} or at(w{i}, QUEUED, RUNNING)")
                for i in range(clients)
            ),
        ],
        [
            *(one for each in made for one in each.eventually),
            *(
                Eventually(f"the thread is given back ({i})", f"thread == {i + 1}", f"thread != {i + 1}")
                for i in range(clients)
            ),
            *(Eventually(f"work ends ({i})", f"alive(w{i})", f"not alive(w{i})") for i in range(clients)),
        ],
        [f"{clients} clients, {requests} request(s) each", "one thread; functions return at some time"],
    )


def _together(made: list[Client]) -> dict[str, int]:
    return {name: value for one in made for name, value in one.variables.items()}


def _backend(i: int) -> Backend:
    begin = f"""
op{i} = 1
mine{i} = 1
begin(w{i})
if thread == 0:
    thread = {i + 1}
    tell(w{i}, THREAD_GIVEN)
"""
    leave = f"""
if mine{i}:
    mine{i} = 0
    offer(w{i}, CALLER_LEFT)
"""
    return Backend([Way("", begin, f"not alive(w{i})")], leave)


def _work(i: int) -> Part:
    refused = f"""
if mine{i}:
    mine{i} = 0
{indent(notify(i))}
"""
    queued = f"thread != {i + 1}"
    ways: Ways = {
        "withdraw": [Way("WITHDRAWN", when=queued), Way(when=f"not {queued}")],
        "refuse": [Way("WITHDRAWN", refused, queued), Way("", refused, f"not ({queued})")],
    }
    return Part(f"w{i}", work.TABLE, False, ways, outside=(orders(f"w{i}"),))


def _settled(i: int, clients: int) -> Event:
    """Work.settle: the thread has taken the next from the queue before the loop learns of it."""
    others = [j for j in range(clients) if j != i]
    taken = "".join(
        f"{'el' * (number > 0)}if at(w{j}, QUEUED):\n    thread = {j + 1}\n    offer(w{j}, THREAD_GIVEN)\n"
        for number, j in enumerate(others)
    )
    do = f"""
ended = 0
thread = 0
{taken}
tell(w{i}, WORK_ENDED)
if mine{i}:
    mine{i} = 0
{indent(notify(i))}
"""
    return Event("loop", f"thread == {i + 1} and ended", do, name=f"the loop learns that w{i} has ended")
